"""A coder of layers in the middle of a picture."""

from collections.abc import Iterable

from rnncodec.entropy.interface import Codes, ContextModel, PictureContext
from rnncodec.entropy.layer_coder import LayerCoder


def after(context: ContextModel, history: Iterable[Codes]) -> PictureContext:
    """The context of a picture whose first layers are those of ``history``."""
    picture = context.start()
    for codes in history:
        picture.remember(codes)
    return picture


def coder_after(context: ContextModel, history: Iterable[Codes]) -> LayerCoder:
    """The coder of the layers of this picture."""
    coder = LayerCoder(context)
    coder.context = after(context, history)
    return coder
