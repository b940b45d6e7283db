"""Recurrent convolutional cells: one file each, one contract.

A cell is built as ``Cell(in_channels, channels, kernel, stride, hidden_kernel)``, with its own options behind these,
and called as ``cell(x, state) -> (output, state)``:

- ``x``: ``[B, in_channels, H, W]``; ``output``: ``[B, channels, H / stride, W / stride]``.
- ``state`` is None at the first iteration, and later what the cell returned at the iteration before. Only the cell
  itself reads it. It is in float32 at least, also where ``x`` and the convolutions are in bfloat16; the output has the
  dtype of ``x`` (`rnncodec.network.cells.sums`).
- In the equations, ``W`` is a convolution of the input with ``kernel`` and ``stride``, ``U`` a convolution of the
  hidden state with ``hidden_kernel`` and stride 1. At the first iteration the hidden state is zero, and ``U`` is
  skipped.

To add a cell, write a file beside these and name its class in ``CELLS``.
"""

from torch import nn

from rnncodec.network.cells.associative_lstm import AssociativeLSTM
from rnncodec.network.cells.gru import GRU
from rnncodec.network.cells.lstm import LSTM
from rnncodec.network.cells.minimal_gru import MinimalGRU
from rnncodec.network.cells.residual_gru import ResidualGRU

CELLS: dict[str, type[nn.Module]] = {
    "lstm": LSTM,
    "gru": GRU,
    "residual_gru": ResidualGRU,
    "minimal_gru": MinimalGRU,
    "associative_lstm": AssociativeLSTM,
}

__all__ = ["CELLS", "GRU", "LSTM", "AssociativeLSTM", "MinimalGRU", "ResidualGRU"]
