"""Arithmetic on integers: what stands between Dequantize and Quantize becomes one Quantized, or moves the integers."""

from ..rewrite import Rewrite
from .arithmetic import ARITHMETIC, feeds_integers
from .movement import MOVEMENT

QUANTIZE = Rewrite("quantize", (*MOVEMENT, *ARITHMETIC))

__all__ = ["QUANTIZE", "feeds_integers"]
