"""From the layers of a file to its picture, whatever program runs the network. Needs no torch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice, tee
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnncodec.entropy.interface import Codes, ContextModel
from rnncodec.entropy.layer_coder import LayerCoder
from rnncodec.errors import ConfigurationError, FormatError, WrongModelError
from rnncodec.fileformat import bitstream
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.pictures.limits import too_large
from rnncodec.pictures.pixels import Pixels
from rnncodec.pictures.tiles import Region, Tile, Tiling, Window, overlap, scaled, within

T = TypeVar("T")
Floats = NDArray[np.float32]

CODING = 0.2  # the share of entropy coding in the work on a layer, as progress bars count it; the network has the rest


class FileDecoder(ABC, Generic[T]):
    """Decodes files of one network, tile by tile. ``T`` is the type of the pictures that the network gives.

    Args:
        identities: of the model, by the id of the coder whose files it reads.
        context: the context model of these files; None if they hold raw bits.
        bits: of a position in a layer.
        tiling: which pictures are large, and how they are divided.
    """

    def __init__(
        self, identities: Mapping[int, bytes], context: ContextModel | None, bits: int, tiling: Tiling
    ) -> None:
        self.identities = identities
        self.context = context
        self.bits = bits
        self.tiling = tiling

    @abstractmethod
    def _decode_tile(self, tile: Tile, codes: Iterable[Codes]) -> Iterator[T]:
        """Yields the picture of a tile with its halo after each layer of the whole picture's ``codes``."""

    @abstractmethod
    def _decode_last(self, tile: Tile, codes: Iterable[Codes]) -> T:
        """The last of these pictures alone, which takes less time. There is a layer."""

    @abstractmethod
    def part(self, picture: T, window: Window) -> Floats:
        """The part of a tile's picture that is in ``window``, ``[3, h, w]`` in [0, 1] or a little outside."""

    def decode(self, file: bitstream.File) -> Iterator[Pixels]:
        """Yields the picture after each layer of ``file``. Raises errors as `picture` does."""
        return self.decode_layers(file.header, file.layers)

    def decode_layers(self, header: bitstream.Header, payloads: Iterable[bytes]) -> Iterator[Pixels]:
        """Yields the picture after each of the layers whose ``payloads`` arrive. The states of all tiles are kept from
        one layer to the next, so that the memory grows with the picture. Raises errors as `picture` does."""
        area = (slice(0, header.height), slice(0, header.width))
        tiles = self._tiles(header.height, header.width)
        codes = tee(self.codes(header, payloads), len(tiles))
        for pictures in zip(*map(self._decode_tile, tiles, codes), strict=True):
            shown = np.empty((header.height, header.width, 3), np.uint8)
            for tile, picture in zip(tiles, pictures, strict=True):
                self._place(picture, tile, shown, area)
            yield shown

    def picture(
        self,
        header: bitstream.Header,
        payloads: Iterable[bytes],
        region: Region | None = None,
        on_work: Callable[[float], object] = lambda layers: None,
    ) -> Pixels | None:
        """The picture after the last of the layers whose ``payloads`` arrive, or a ``region`` of it; None if there is
        no layer. Of a large picture the network runs on one tile at a time, and only on those that the region needs.
        ``on_work`` is called as by `compress`.

        Raises:
            WrongModelError: the file was written with another network.
            FormatError: its coder is unknown, or a layer cannot belong to a picture of the size in the header.
            ConfigurationError: the region is not in the picture.
        """
        area = (region or Region(0, 0, header.width, header.height)).window(header.width, header.height)
        tiles = [
            tile for tile in self._tiles(header.height, header.width) if overlap(scaled(tile.middle, STRIDE), area)
        ]
        first, *copies = tee(self.codes(header, payloads, lambda: on_work(CODING)), 1 + len(tiles))
        if next(first, None) is None:
            return None
        del first  # else all codes would be kept for it
        shown = np.empty((*(part.stop - part.start for part in area), 3), np.uint8)
        for tile, codes in zip(tiles, copies, strict=True):
            done = partial(on_work, (1.0 - CODING) / len(tiles))
            self._place(self._decode_last(tile, followed(codes, done)), tile, shown, area)
        return shown

    def codes(
        self, header: bitstream.Header, payloads: Iterable[bytes], on_layer: Callable[[], object] = lambda: None
    ) -> Iterator[Codes]:
        """The codes of each layer. ``on_layer`` is called after each."""
        if header.coder not in bitstream.CODERS:
            raise FormatError(f"its layers are coded by coder {header.coder}, which this rnncodec does not know")
        if header.model != self.identities.get(header.coder):
            known = " or ".join(identity.hex() for identity in self.identities.values())
            at_hand = f"not the one at hand ({known})"
            if header.model in self.identities.values():
                at_hand = f"the one at hand, but by coder {header.coder}, with which it writes no files"
            raise WrongModelError(f"written with model {header.model.hex()}, which is {at_hand}")
        if header.bits != self.bits:
            raise WrongModelError(
                f"its header says {header.bits} bits a position, and files of its model have {self.bits}"
            )
        coder = LayerCoder(None if header.coder == bitstream.RAW else self.context)
        for payload in payloads:
            codes = coder.decode(payload, header.shape)
            on_layer()
            yield codes

    def _tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles of a picture of ``height`` × ``width`` pixels."""
        return self.tiling.tiles(-(-height // STRIDE), -(-width // STRIDE))

    def _place(self, picture: T, tile: Tile, shown: Pixels, area: Window) -> None:
        """Write the part of a tile that lies in ``area`` to ``shown``, which holds the pixels of this area."""
        part = overlap(scaled(tile.middle, STRIDE), area)
        assert part is not None
        shown[within(part, area)] = as_pixels(self.part(picture, within(part, scaled(tile.whole, STRIDE))))


def as_pixels(picture: Floats) -> Pixels:
    """A picture ``[3, H, W]`` in [0, 1] as the 8-bit pixels ``[H, W, 3]`` that every decoder shows: clipped, and
    rounded half to even."""
    return np.rint(picture.clip(0.0, 1.0) * np.float32(255.0)).astype(np.uint8).transpose(1, 2, 0)


def followed(values: Iterable[T], on_used: Callable[[], object]) -> Iterator[T]:
    """The ``values``. ``on_used`` is called when one was used and the next one is asked for."""
    for value in values:
        yield value
        on_used()


def check_size(header: bitstream.Header, max_pixels: int, layers: int | None = None) -> None:
    """Raises FormatError if the header claims a picture that is `too_large`. ``layers`` are the most layers that
    shall be decoded; all if it is None."""
    wanted = header.layers if layers is None else min(header.layers, layers)
    if complaint := too_large(header.width, header.height, max_pixels, wanted):
        raise FormatError(complaint)


def first_layers(payloads: Iterable[bytes], layers: int | None) -> Iterator[bytes]:
    """The payloads of the first ``layers``; all if it is None. Raises ConfigurationError if it is less than 1."""
    if layers is not None and layers < 1:
        raise ConfigurationError(f"layers must be at least 1, not {layers}")
    return islice(payloads, layers)
