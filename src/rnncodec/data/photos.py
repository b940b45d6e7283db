"""Reading the photos of shards."""

import io
from collections.abc import Callable, Iterable, Iterator

import webdataset
from PIL import Image

from rnncodec.errors import ImageError
from rnncodec.pictures.pixels import Pixels, is_image_name, read_pixels


def read_files(
    shards: Iterable[str],
    on_error: Callable[[Exception], bool],
    select: Callable[[int], bool] = lambda index: True,
) -> Iterator[tuple[str, bytes]]:
    """Yields the names and the contents of the image files in ``shards``, not decoded. Samples are numbered from 0 over
    all shards; those for whose number ``select`` returns False are left out. The error of a truncated shard is given to
    ``on_error``, which returns True to continue."""
    urls = ({"url": url} for url in shards)
    for index, sample in enumerate(webdataset.tarfile_samples(urls, handler=on_error)):
        if select(index):
            for ending, content in sample.items():
                if is_image_name(f"photo.{ending}"):
                    yield f"{sample['__url__']}: {sample['__key__']}.{ending}", content


def shorter_side(name: str, content: bytes) -> int:
    """The shorter side of a photo in pixels, by its header; nothing is decoded.

    Raises:
        ImageError: it has no header that can be read; the message begins with its name.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return min(image.size)
    except Exception as error:  # the decoders of Pillow raise many kinds of errors
        raise ImageError(f"{name}: cannot be read ({error})") from None


def decode(name: str, content: bytes) -> Pixels:
    """The pixels of a photo, uint8 ``[H, W, 3]``.

    Raises:
        ImageError: it is broken; the message begins with its name.
    """
    try:
        return read_pixels(io.BytesIO(content))
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None


def read_photos(shards: Iterable[str], on_error: Callable[[Exception], bool]) -> Iterator[Pixels]:
    """Yields the photos in ``shards``, uint8 ``[H, W, 3]``. The error of a truncated shard or a broken photo is given
    to ``on_error``, which returns True to continue."""
    for name, content in read_files(shards, on_error):
        try:
            yield decode(name, content)
        except ImageError as error:
            if not on_error(error):
                return
