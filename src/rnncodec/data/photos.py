"""Reading the photos of shards."""

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
    """Yields the photos in ``shards``, uint8 ``[H, W, 3]``. Photos are numbered from 0 over all shards; those for whose
    number ``select`` returns False are left out. The error of a truncated shard or a broken photo is given to
    ``on_error``, which returns True to continue."""
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
