"""Data: every set of images as one `ImageData`, and points with known modes.

Reached as `multigan_lib.data`.
"""

from .digits import stacked
from .images import Batch, ImageData, Spec, spec_of, to_float, to_uint8
from .mixtures import PointMixture, grid, ring
from .registry import available, fetch, load

__all__ = [
    "Batch",
    "ImageData",
    "PointMixture",
    "Spec",
    "available",
    "fetch",
    "grid",
    "load",
    "ring",
    "spec_of",
    "stacked",
    "to_float",
    "to_uint8",
]
