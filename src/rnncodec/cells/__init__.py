"""Recurrent convolutional cells: one file each, one contract.

A cell is built as ``Cell(in_channels, channels, kernel, stride, hidden_kernel)`` and called as
``cell(x, state) -> (output, state)``:

- ``x``: ``[B, in_channels, H, W]``; ``output``: ``[B, channels, H / stride, W / stride]``.
- ``state`` is None at the first iteration and otherwise whatever the cell returned before; nobody else looks inside.
- ``W`` convolves the input with the layer's kernel and stride, ``U`` the hidden state with ``hidden_kernel`` and
  stride 1. While the state is None, ``U`` has only zeros to read and is skipped.

To add a cell, write a file beside these and name its class in ``CELLS``.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from rnncodec.cells.associative_lstm import AssociativeLSTM
from rnncodec.cells.gru import GRU
from rnncodec.cells.lstm import LSTM
from rnncodec.cells.residual_gru import ResidualGRU

CELLS: dict[str, type[nn.Module]] = {
    "lstm": LSTM,
    "gru": GRU,
    "residual_gru": ResidualGRU,
    "associative_lstm": AssociativeLSTM,
}


def cell_named(name: str, copies: int) -> Callable[..., nn.Module]:
    """The cell that ``CELLS`` has under ``name``, to be built as above. ``copies`` is an option of the associative LSTM
    alone."""
    cell = CELLS[name]
    return partial(cell, copies=copies) if cell is AssociativeLSTM else cell


__all__ = ["CELLS", "GRU", "LSTM", "AssociativeLSTM", "ResidualGRU", "cell_named"]
