import io
import struct
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import IFD, Base, Interop

from rnncodec.pictures.exif import corrected_exif, corrected_xmp, is_exif


def stream(order: str, *directories: list[tuple[int, int, int, bytes]], more: bytes = b"") -> bytes:
    """A TIFF stream of directories, one after the other: (tag, type, count, value of four bytes), and ``more``."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "L", 8)
    body = b""
    for index, entries in enumerate(directories):
        body += struct.pack(order + "H", len(entries))
        body += b"".join(struct.pack(order + "HHL4s", *entry) for entry in entries)
        following = 8 + len(body) + 4 if index == 0 and len(directories) > 1 else 0
        body += struct.pack(order + "L", following)
    return head + body + more


def jpeg_thumbnail() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (160, 120), "red").save(buffer, "JPEG")
    return buffer.getvalue()


def camera_exif(order: str, orientation: int, thumbnail_last: bool) -> bytes:
    """The EXIF data of a camera: turned, Adobe RGB, with the notes of its maker, and a thumbnail."""

    def long(value: int) -> bytes:
        return struct.pack(order + "L", value)

    def short(value: int) -> bytes:
        return struct.pack(order + "H2x", value)

    thumbnail, notes = jpeg_thumbnail(), b"notes of the maker with offsets"
    first, main, interop = 8, 8 + 2 + 12 * 4 + 4 + 2 + 12 * 2 + 4, 8 + 2 + 12 * 4 + 4 + 2 + 12 * 2 + 4 + 2 + 12 * 5 + 4
    data = interop + 2 + 12 + 4
    places = (data, data + len(notes)) if thumbnail_last else (data + len(thumbnail), data)
    content = notes + thumbnail if thumbnail_last else thumbnail + notes
    directories: list[list[tuple[int, int, int, bytes]]] = [
        [
            (Base.Orientation, 3, 1, short(orientation)),
            (Base.ImageWidth, 3, 1, short(400)),
            (Base.Artist, 2, 4, b"Ada\0"),
            (IFD.Exif, 4, 1, long(main)),
        ],
        [(Base.JpegIFOffset, 4, 1, long(places[1])), (Base.JpegIFByteCount, 4, 1, long(len(thumbnail)))],
        [
            (Base.ColorSpace, 3, 1, short(65535)),
            (Base.ExifImageWidth, 4, 1, long(400)),
            (Base.ExifImageHeight, 3, 1, short(300)),
            (Base.MakerNote, 7, len(notes), long(places[0])),
            (IFD.Interop, 4, 1, long(interop)),
        ],
        [(Interop.InteropIndex, 2, 4, b"R03\0")],
    ]
    assert first == 8
    return stream(order, *directories, more=content)


def read(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data)
    return exif


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("thumbnail_last", [True, False])
def test_the_exif_data_of_a_camera_describe_the_upright_picture_and_keep_the_rest_in_place(
    order: str, thumbnail_last: bool
) -> None:
    before = camera_exif(order, 6, thumbnail_last)
    assert read(before).get_ifd(IFD.IFD1)
    after = corrected_exif(before, 300, 400, srgb=True)
    exif = read(after)
    assert (exif[Base.Orientation], exif[Base.ImageWidth], exif[Base.Artist]) == (1, 300, "Ada")
    main = exif.get_ifd(IFD.Exif)
    assert (main[Base.ColorSpace], main[Base.ExifImageWidth], main[Base.ExifImageHeight]) == (1, 300, 400)
    assert exif.get_ifd(IFD.Interop)[Interop.InteropIndex] == "R98"
    assert main[Base.MakerNote] == b"notes of the maker with offsets"
    assert after.index(b"notes of the maker") == before.index(b"notes of the maker")
    assert not exif.get_ifd(IFD.IFD1)
    assert jpeg_thumbnail()[2:20] not in after
    assert len(after) == len(before) - (len(jpeg_thumbnail()) if thumbnail_last else 0)


def test_the_colour_space_is_kept_if_the_colours_are() -> None:
    exif = read(corrected_exif(camera_exif("<", 1, True), 400, 300, srgb=False))
    assert exif.get_ifd(IFD.Exif)[Base.ColorSpace] == 65535
    assert exif.get_ifd(IFD.Interop)[Interop.InteropIndex] == "R03"


def test_an_orientation_of_any_type_becomes_upright() -> None:
    for kind in (1, 3, 4, 5):
        data = stream("<", [(Base.Orientation, kind, 1, struct.pack("<L", 6))])
        assert read(corrected_exif(data, 3, 4, srgb=False))[Base.Orientation] == 1


@pytest.mark.parametrize("order", "<>")
def test_exif_data_cut_at_every_byte_are_corrected_as_far_as_they_go(order: str) -> None:
    data = camera_exif(order, 6, thumbnail_last=True)[:-400]
    for cut in range(4, len(data)):
        after = corrected_exif(data[:cut], 300, 400, srgb=True)
        assert len(after) <= cut
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of Pillow about data that are cut
            try:
                found = read(after).get(Base.Orientation, 1)
            except Exception:
                continue  # nor could any other reader know the orientation
        assert found == 1


@given(st.sampled_from([b"II*\0", b"MM\0*"]), st.binary(max_size=120), st.booleans())
def test_any_exif_data_are_corrected_without_an_error(head: bytes, rest: bytes, srgb: bool) -> None:
    assert len(corrected_exif(head + rest, 5, 7, srgb)) <= 4 + len(rest)


tags = st.sampled_from([Base.Orientation, IFD.Exif, IFD.Interop, Base.JpegIFOffset, Base.JpegIFByteCount, 1])
entries = st.tuples(tags, st.integers(0, 13), st.integers(0, 5), st.binary(min_size=4, max_size=4))


@given(st.sampled_from("<>"), st.lists(entries, max_size=6), st.binary(max_size=60))
def test_directories_that_lead_anywhere_are_corrected_without_an_error(
    order: str, entries: list[tuple[int, int, int, bytes]], more: bytes
) -> None:
    data = stream(order, entries, entries, more=more)
    after = corrected_exif(data, 5, 7, srgb=True)
    assert is_exif(after)


def test_directories_that_lead_back_to_themselves_take_no_time() -> None:
    for tags in ([IFD.Exif], [IFD.Exif, IFD.Interop]):
        entries = [(tag, 4, 1, struct.pack("<L", 8)) for tag in tags for _ in range(20_000)]
        corrected_exif(stream("<", entries), 5, 7, srgb=True)


def test_what_is_no_tiff_stream_is_no_exif() -> None:
    assert not is_exif(b"")
    assert not is_exif(b"II+\0 a BigTIFF stream")
    assert is_exif(camera_exif("<", 1, True))


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description tiff:Orientation="6" exif:PixelXDimension="400" photoshop:ICCProfile="Display P3" dc:title="6">
<exif:ColorSpace>65535</exif:ColorSpace><tiff:ImageLength>300</tiff:ImageLength></rdf:Description></rdf:RDF>"""


def test_an_xmp_packet_describes_the_upright_picture_and_keeps_the_rest() -> None:
    expected = XMP.replace(b'Orientation="6"', b'Orientation="1"').replace(b'"400"', b'"300"')
    expected = expected.replace(b">300<", b">400<")
    assert corrected_xmp(XMP, 300, 400, srgb=False) == expected
    expected = expected.replace(b"65535", b"1").replace(b"Display P3", b"sRGB IEC61966-2.1")
    assert corrected_xmp(XMP, 300, 400, srgb=True) == expected


@pytest.mark.parametrize(
    "spelling", [b"tiff:Orientation='%s'", b'tiff:Orientation = "%s"', b"<tiff:Orientation a='b'>%s</"]
)
def test_an_xmp_packet_may_be_spelt_in_other_ways(spelling: bytes) -> None:
    after = corrected_xmp(b"<x " + spelling % b"6", 300, 400, srgb=False)
    assert b"6" not in after
    assert b"1" in after


@given(st.binary(max_size=200))
def test_any_xmp_packet_is_corrected_without_an_error(packet: bytes) -> None:
    corrected_xmp(packet, 5, 7, srgb=True)
