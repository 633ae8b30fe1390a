"""Arithmetic on integers: what stands between Dequantize and Quantize becomes one Quantized, or moves the integers."""

from ..rewrite import Rewrite
from .arithmetic import ARITHMETIC, feeds_integers
from .averages import AVERAGES
from .movement import MOVEMENT
from .signed import SignIntegers

QUANTIZE = Rewrite("quantize", (*MOVEMENT, *ARITHMETIC))

ROUND_AVERAGES = Rewrite("leave rounding to kernels", AVERAGES)
SIGN_INTEGERS = SignIntegers()

__all__ = ["QUANTIZE", "ROUND_AVERAGES", "SIGN_INTEGERS", "feeds_integers"]
