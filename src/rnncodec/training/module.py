"""The LightningModule: a codec, a loss on each iteration, an optimizer."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rnncodec.data.eight_bits import to_eight_bits
from rnncodec.data.schedule import value_at
from rnncodec.distortion.metrics import ms_ssim, psnr
from rnncodec.entropy.cross_entropy import bits_per_bit
from rnncodec.entropy.networks import Network
from rnncodec.errors import ConfigurationError
from rnncodec.fileformat.bitstream import STRIDE
from rnncodec.network.codec import IterativeCodec
from rnncodec.network.options import is_real
from rnncodec.terminal import log
from rnncodec.training.clipping import ClipsParts
from rnncodec.training.curriculum import Curriculum
from rnncodec.training.learning_rate import scheduled, take_options

PARTS = ("encoder", "binarizer", "decoder")


class CodecModule(ClipsParts):
    """Trains ``codec`` for ``iterations`` iterations on images ``[B, 3, H, W]`` in [0, 1].

    Logs ``train/loss`` and ``train/loss_t01`` … in training, ``val/loss``, ``val/psnr_t01`` …, ``val/ms_ssim_t01`` …
    (measured on 8-bit pixels) and ``val/rate_distortion`` in validation. The last is the mean over iterations of
    10 · log10((1 - MS-SSIM) · bpp), in dB; lower is better. Twice the rate about halves 1 - MS-SSIM, whatever the
    codec. So the product compares networks that end at different rates, which an area under the curve does not.

    The loss of iteration t is the distortion d_t. With a ``context`` model it is

        L_t = d_t + rate_weight / max(1, t / rate_plateau)^rate_power · R_t

    where R_t is the cost of the codes of iterations 1 to t under the context model, in units of the raw bits of one
    iteration. Its weight should fall as the derivative of d_t does. If d_t is an error, it falls about as 1 / t, and
    its derivative as 1 / t² (``rate_power=2``). If d_t is the logarithm of an error, its derivative falls as 1 / t
    (``rate_power=1``).

    The context model is trained at the same time, by a loss of its own: the mean over iterations of the cost of a bit.
    Codes get no gradient from this loss, and the context model gets none from L_t. So it learns equally well whatever
    ``rate_weight`` is. ``train/loss`` leaves its loss out.

    Args:
        context: if given, ``train/bits_t01`` … and ``val/bits_t01`` …, the cost in bits of each bit, are logged too.
        optimizer: a function from the parameters to the optimizer.
        curriculum: how many iterations each step trains, see `Curriculum`.
        rate_weight: a schedule of the weight of the rate term: one entry for each of equally long parts of the
            training.
        rate_plateau: see above. The rate has the full weight up to this iteration.
        rate_power: see above. A number, or a schedule of numbers.
        iteration_decay: the weight of an iteration's loss, divided by the weight of the one before.
        warmup_steps, final_lr: see `warmup_cosine`.
        frozen: the PARTS of the network that keep their weights. With the encoder and the binarizer frozen, the decoder
            learns to read the codes as they are.
        compile: compile the encoder's step, the decoder's step and the loss with torch.compile.
        seed: seeds the noise of the stochastic binarizer, together with the step and the rank, so that a resumed run
            draws the same noise.

    Raises:
        ConfigurationError: ``curriculum``, ``iteration_decay``, ``rate_weight``, ``rate_power`` or ``frozen`` cannot
            work.
    """

    past_plateau: Tensor

    def __init__(
        self,
        codec: IterativeCodec,
        loss: nn.Module,
        context: Network | None,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        *,
        iterations: int,
        curriculum: Sequence[int | Sequence[int]] | None,
        iteration_decay: float,
        rate_weight: Sequence[float],
        rate_plateau: float,
        rate_power: float | Sequence[float],
        warmup_steps: int,
        final_lr: float,
        frozen: Sequence[str],
        compile: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.codec = codec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = loss
        self.context = context
        self.optimizer = optimizer
        self.iterations = iterations
        self.curriculum = Curriculum(curriculum, iterations)
        self.iteration_decay = iteration_decay
        self.rate_weight = rate_weight
        self.rate_power = rate_power if isinstance(rate_power, Sequence) else [rate_power]
        past_plateau = (torch.arange(1, iterations + 1) / rate_plateau).clamp(min=1.0)
        self.register_buffer("past_plateau", past_plateau, persistent=False)
        self.warmup_steps = warmup_steps
        self.final_lr = final_lr
        self.seed = seed
        self.compiled = compile
        self._started: float | None = None  # until the first step is done
        self._shape: torch.Size | None = None  # of the batches that it was compiled for
        if not (is_real(iteration_decay, 0) and iteration_decay > 0):
            raise ConfigurationError(f"iteration_decay must be positive, not {iteration_decay}")
        if not rate_weight or not all(is_real(weight, 0) for weight in rate_weight):
            raise ConfigurationError(f"rate_weight needs a list of numbers of at least 0, not {rate_weight}")
        if not self.rate_power or not all(is_real(power, 0, 4) for power in self.rate_power):
            raise ConfigurationError(f"rate_power needs a number from 0 to 4, or a list of them, not {rate_power}")
        if not set(frozen) < set(PARTS):
            raise ConfigurationError(f"frozen needs a list of one or two of {', '.join(PARTS)}, or [], not {frozen}")
        for part in frozen:
            getattr(codec, part).requires_grad_(False)
        if compile:
            codec.encode_step = torch.compile(codec.encode_step)  # type: ignore[method-assign]
            codec.decode_step = torch.compile(codec.decode_step)  # type: ignore[method-assign]
            loss.compile(dynamic=False)  # one program for each number of iterations and each size of patches

    def on_train_start(self) -> None:
        self._started = time.monotonic()
        if self.compiled and self.trainer.is_global_zero:
            log.print("compiling network and loss for the first step: some minutes; compile=false leaves it out")

    def on_train_batch_end(self, outputs: Any, batch: Tensor, batch_idx: int) -> None:
        if self.compiled and self.trainer.is_global_zero and self._started is not None:
            log.print(f"compiled in {time.monotonic() - self._started:.0f} s")
        self._started = None

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        if self.compiled and batch.shape != self._shape:
            if self._shape is not None:
                # Else torch compiles one program for patches of all sizes, and fails where blocks can be settled.
                torch.compiler.reset()
                self._started = time.monotonic()
            self._shape = batch.shape
        # global_step stands still while gradients are accumulated; the noise must not.
        part = batch_idx % self.trainer.accumulate_grad_batches
        torch.manual_seed(hash((self.seed, self.global_step, part, self.global_rank)))

    def training_step(self, images: Tensor, batch_idx: int) -> Tensor:
        progress = self.global_step / self.trainer.max_steps
        iterations = self.curriculum.at(self.global_step, self.trainer.max_steps)
        codes, reconstructions = self.codec(images, iterations)
        losses = self.loss(reconstructions, images)
        t = torch.arange(iterations, device=losses.device)
        weights = self.iteration_decay**t
        self.log_dict(by_iteration("train/loss", losses.detach()))
        if self.context is not None:
            self.context.requires_grad_(False)
            rates = bits_per_bit(self.context, codes)
            self.context.requires_grad_(True)
            fall = self.past_plateau[:iterations] ** -value_at(self.rate_power, progress)
            losses = losses + value_at(self.rate_weight, progress) * fall * rates.cumsum(0)
        loss = (losses * weights).sum() / weights.sum()
        self.log("train/loss", loss.detach())
        if self.context is None:
            return loss
        bits = bits_per_bit(self.context, codes.detach())
        self.log_dict(by_iteration("train/bits", bits.detach()))
        return loss + bits.mean()

    def clipped_parts(self) -> list[nn.Module]:
        """Each on its own, so that how well the context model predicts does not change the codec's steps."""
        return [self.codec] if self.context is None else [self.codec, self.context]

    def on_validation_start(self) -> None:
        torch.compiler.set_stance("force_eager")  # compiling for the size of whole pictures takes minutes

    def on_validation_end(self) -> None:
        torch.compiler.set_stance("default")

    def validation_step(self, images: Tensor, batch_idx: int) -> None:
        codes, reconstructions = self.codec(images, self.iterations)
        pixels = to_eight_bits(reconstructions).float()
        values = {"val/loss": self.loss(reconstructions, images).mean()}
        with torch.autocast(self.device.type, enabled=False):  # MS-SSIM's convolutions would run in bf16
            for name, metric in (("psnr", psnr), ("ms_ssim", ms_ssim)):
                values |= by_iteration(f"val/{name}", torch.stack([metric(x, images * 255.0).mean() for x in pixels]))
            cost = torch.ones(self.iterations, device=self.device)  # of a raw bit
            if self.context is not None:
                cost = bits_per_bit(self.context, codes)
                values |= by_iteration("val/bits", cost)
            bpp = cost.cumsum(0) * self.codec.config.bits / STRIDE**2
            dissimilarity = 1.0 - torch.stack([values[name] for name in by_iteration("val/ms_ssim", bpp)])
            values["val/rate_distortion"] = 10.0 * (dissimilarity.clamp(min=1e-6) * bpp).log10().mean()
        # Lightning takes the mean of the batch sizes over all processes, and cuts it to a whole number.
        self.log_dict(values, batch_size=len(images) * self.trainer.world_size, sync_dist=True)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        take_options(checkpoint, self.configure_optimizers())

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(parameter for parameter in self.parameters() if parameter.requires_grad)
        return scheduled(optimizer, self.warmup_steps, self.trainer.max_steps, self.final_lr)


def by_iteration(name: str, values: Tensor) -> dict[str, Tensor]:
    """``{name_t01: values[0], …}``."""
    return {f"{name}_t{t:02d}": value for t, value in enumerate(values, start=1)}
