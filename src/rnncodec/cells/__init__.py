"""Recurrent convolutional cells: one file each, one contract.

A cell is built as ``Cell(in_channels, channels, kernel, stride, hidden_kernel)`` and called as
``cell(x, state) -> (output, state)``:

- ``x``: ``[B, in_channels, H, W]``; ``output``: ``[B, channels, H / stride, W / stride]``.
- ``state`` is None at the first iteration and otherwise whatever the cell returned before; nobody else looks inside.
- ``W`` convolves the input with the layer's kernel and stride, ``U`` the hidden state with ``hidden_kernel`` and
  stride 1. While the state is None, ``U`` has only zeros to read and is skipped.

To add a cell, write a file beside these and name its class in ``CELLS``.
"""

from rnncodec.cells.associative_lstm import AssociativeLSTM
from rnncodec.cells.gru import GRU
from rnncodec.cells.lstm import LSTM
from rnncodec.cells.residual_gru import ResidualGRU

CELLS = {
    "lstm": LSTM,
    "gru": GRU,
    "residual_gru": ResidualGRU,
    "associative_lstm": AssociativeLSTM,
}

__all__ = ["CELLS", "GRU", "LSTM", "AssociativeLSTM", "ResidualGRU"]
