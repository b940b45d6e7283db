"""How well the eye sees an error, by its frequency: the weights of PSNR-HVS (Egiazarian et al. 2006)."""

import math

import torch
from torch import Tensor

BLOCK = 8  # pixels on a side of the blocks of the DCT

# The sensitivity of the eye to each DCT coefficient: the constants of the authors' psnrhvsm.m.
SENSITIVITY = torch.tensor(
    [
        [1.608443, 2.339554, 2.573509, 1.608443, 1.072295, 0.643377, 0.504610, 0.421887],
        [2.144591, 2.144591, 1.838221, 1.354478, 0.989811, 0.443708, 0.428918, 0.467911],
        [1.838221, 1.979622, 1.608443, 1.072295, 0.643377, 0.451493, 0.372972, 0.459555],
        [1.838221, 1.513829, 1.169777, 0.887417, 0.504610, 0.295806, 0.321689, 0.415082],
        [1.429727, 1.169777, 0.695543, 0.459555, 0.378457, 0.236102, 0.249855, 0.334222],
        [1.072295, 0.735288, 0.467911, 0.402111, 0.317717, 0.247453, 0.227744, 0.279729],
        [0.525206, 0.402111, 0.329937, 0.295806, 0.249855, 0.212687, 0.214459, 0.254803],
        [0.357432, 0.279729, 0.270896, 0.262603, 0.229778, 0.257351, 0.249855, 0.259950],
    ],
    dtype=torch.float64,
)
LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)  # of red, green, blue (ITU-R BT.601)


def dct_matrix(size: int) -> Tensor:
    """The orthonormal DCT-II: row k holds the k-th cosine."""
    k, n = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(math.pi * k * (n + 0.5) / size) * math.sqrt(2.0 / size)
    matrix[0] /= math.sqrt(2.0)
    return matrix


# Of a block's 64 pixels, row by row.
WEIGHTED_DCT = torch.kron(dct_matrix(BLOCK), dct_matrix(BLOCK)) * SENSITIVITY.flatten()[:, None]


def visible(error: Tensor) -> Tensor:
    """The DCT of each 8×8 block of an error of the luma ``[…, H, W]``, weighted by SENSITIVITY: ``[…, blocks, 64]``.
    Rows and columns beyond the last whole block are left out."""
    height, width = (side // BLOCK * BLOCK for side in error.shape[-2:])
    blocks = error[..., :height, :width].unflatten(-1, (-1, BLOCK)).unflatten(-3, (-1, BLOCK)).transpose(-2, -3)
    return blocks.flatten(-2).flatten(-3, -2) @ WEIGHTED_DCT.T.to(error)
