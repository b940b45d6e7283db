"""Shards to photos."""

import io
from collections.abc import Callable, Iterable, Iterator

import webdataset

from rnncodec.errors import ImageError
from rnncodec.imaging import Pixels, is_image_name, read_pixels


def read_photos(
    shards: Iterable[str],
    on_error: Callable[[Exception], bool],
    select: Callable[[int], bool] = lambda index: True,
) -> Iterator[Pixels]:
    """The photos in ``shards``, uint8 ``[H, W, 3]``, one after the other; of these only those whose running number
    ``select`` picks. A shard that breaks off and a photo that cannot be read go to ``on_error``; it returns True to go
    on."""
    urls = ({"url": url} for url in shards)
    for index, sample in enumerate(webdataset.tarfile_samples(urls, handler=on_error)):
        if select(index):
            for ending, content in sample.items():
                if is_image_name(f"photo.{ending}"):
                    try:
                        yield read_pixels(io.BytesIO(content))
                    except ImageError as error:
                        name = f"{sample['__url__']}: {sample['__key__']}.{ending}"
                        if not on_error(ImageError(f"{name}: {error}")):
                            return
