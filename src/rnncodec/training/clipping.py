"""The norm of gradients is clipped part by part."""

from collections.abc import Iterable

import lightning as L
from torch import nn
from torch.optim import Optimizer


class ClipsParts(L.LightningModule):
    """Clips the norm of the gradients of each of its `clipped_parts` on its own. Lightning clips that of all together,
    and refuses to with a fused optimizer, in bfloat16 too."""

    def clipped_parts(self) -> Iterable[nn.Module]:
        raise NotImplementedError

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if gradient_clip_val is not None:
            for part in self.clipped_parts():
                nn.utils.clip_grad_norm_(part.parameters(), gradient_clip_val)
