"""The colours that files name by numbers, and the ICC profiles that say the same.

ITU-T H.273 numbers primaries and transfer functions. PNG files hold the numbers in their chunk cICP, AVIF and HEIC
files in a box colr of the kind nclx.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Primaries = tuple[tuple[float, float], ...]  # chromaticities x, y of red, green, blue and white
Transfer = Callable[[Floats], Floats]  # samples in [0, 1] to linear light, in which 1 is white

UNSPECIFIED = 2  # of primaries and of transfer functions: the file leaves them open
PQ, HLG = 16, 18  # the transfer functions of HDR
HDR = {PQ: "PQ", HLG: "HLG"}
WHITE = 203.0  # cd/m², what HDR pictures show as white paper (ITU-R BT.2408)

D65, D50 = (0.3127, 0.3290), (0.9642, 1.0, 0.8249)  # x, y; X, Y, Z
C = (0.310, 0.316)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

SRGB_PRIMARIES: Primaries = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
SMPTE: Primaries = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
PRIMARIES: dict[int, Primaries] = {  # H.273, table 2
    1: SRGB_PRIMARIES,
    UNSPECIFIED: SRGB_PRIMARIES,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: SMPTE,
    7: SMPTE,
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: (*P3, (0.314, 0.351)),
    12: (*P3, D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}


def srgb(samples: Floats) -> Floats:
    """The transfer function of sRGB (IEC 61966-2-1)."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def power(exponent: float) -> Transfer:
    """The transfer function of a display of this gamma."""
    return lambda samples: samples**exponent


def smpte_240(samples: Floats) -> Floats:
    """The transfer function of SMPTE ST 240."""
    return np.where(samples < 0.0913, samples / 4.0, ((samples + 0.1115) / 1.1115) ** (1 / 0.45))


def pq(samples: Floats) -> Floats:
    """The transfer function PQ (SMPTE ST 2084)."""
    root = samples ** (1 / 78.84375)
    light = (np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return light * (10_000.0 / WHITE)


def hlg(samples: Floats) -> Floats:
    """The transfer function HLG (ARIB STD-B67) on a display of 1,000 cd/m², whose gamma of 1.2 is applied to each
    channel."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(samples <= 0.5, samples**2 / 3.0, (np.exp((samples - c) / a) + b) / 12.0)
    return scene**1.2 * (1_000.0 / WHITE)


TRANSFERS: dict[int, Transfer] = {  # H.273, table 3
    **dict.fromkeys((1, UNSPECIFIED, 6, 11, 13, 14, 15), srgb),  # those of video too, as browsers show them
    4: power(2.2),
    5: power(2.8),
    7: smpte_240,
    8: power(1.0),
    PQ: pq,
    17: lambda samples: samples**2.6 * (52.37 / 48.0),
    HLG: hlg,
}


class ColourCodes(NamedTuple):
    """The numbers of primaries and transfer function in H.273; and whether samples from 16 to 235, not from 0 to 255,
    are meant."""

    primaries: int
    transfer: int
    narrow: bool = False

    def profile(self) -> bytes | None:
        """The ICC profile of these colours; None if they are those of sRGB. Of HDR, what is brighter than WHITE becomes
        white. Raises KeyError if a number is not known."""
        primaries, transfer = PRIMARIES[self.primaries], TRANSFERS[self.transfer]
        if primaries == SRGB_PRIMARIES and transfer is srgb and not self.narrow:
            return None
        return rgb_profile(primaries, transfer, (16 / 255, 235 / 255) if self.narrow else (0.0, 1.0))


def rgb_profile(primaries: Primaries, transfer: Transfer, ends: tuple[float, float] = (0.0, 1.0)) -> bytes:
    """An ICC profile (ICC.1:2001-04) of RGB samples with these primaries and this transfer function. ``ends`` are the
    samples of black and white."""
    black, white = ends
    samples = np.clip((np.linspace(0.0, 1.0, 256) - black) / (white - black), 0.0, 1.0)  # one for each 8-bit value
    light = np.rint(np.clip(transfer(samples), 0.0, 1.0) * 65535.0).astype(">u2")
    curve = b"curv\0\0\0\0" + struct.pack(">I", len(light)) + light.tobytes()
    tags = {
        b"desc": b"desc\0\0\0\0\0\0\0\x01\0" + bytes(78),
        b"cprt": b"text\0\0\0\0\0",
        b"wtpt": _xyz(D50),
        **{b"%cXYZ" % name: _xyz(column) for name, column in zip(b"rgb", _to_d50(primaries).T, strict=True)},
        **{b"%cTRC" % name: curve for name in b"rgb"},
    }
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4s2I", name, start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = struct.pack(">8xI4s4s4s12x4s28x", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp") + _xyz(D50)[8:]
    content = header.ljust(128, b"\0") + table + data
    return struct.pack(">I", len(content)) + content[4:]


def _xyz(values: tuple[float, ...] | Floats) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _to_d50(primaries: Primaries) -> Floats:
    """The matrix from linear RGB to XYZ of the white D50, to which Bradford's matrix adapts."""
    columns = np.array([(x, y, 1.0 - x - y) for x, y in primaries]).T
    white = columns[:, 3] / columns[1, 3]
    matrix = columns[:, :3] * np.linalg.solve(columns[:, :3], white)
    gains = (BRADFORD @ D50) / (BRADFORD @ white)
    adapted: Floats = np.linalg.solve(BRADFORD, gains[:, None] * (BRADFORD @ matrix))
    return adapted
