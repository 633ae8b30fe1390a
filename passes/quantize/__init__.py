"""Arithmetic on integers: what stands between Dequantize and Quantize becomes one Quantized, or moves the integers."""

from ..rewrite import Rewrite
from .arithmetic import ARITHMETIC, feeds_integers
from .movement import MOVEMENT
from .signed import SignIntegers

QUANTIZE = Rewrite("quantize", (*MOVEMENT, *ARITHMETIC))

SIGN_INTEGERS = SignIntegers()

__all__ = ["QUANTIZE", "SIGN_INTEGERS", "feeds_integers"]
