"""Activations that ride on another operation, by the schema's ActivationFunctionType."""

from __future__ import annotations

from mconv.ir import Op
from mconv.ir.ops import Clip, Relu

FUSED: tuple[type[Op], ...] = (Relu, Clip)
"""What convolutions, products, pools and sums can carry, with the bounds that ``can_fuse`` knows."""

NAMES: dict[tuple[float | None, float | None], str] = {
    (0.0, None): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1",
}  # fmt: skip


def _bounds(activation: Op) -> tuple[float | None, float | None]:
    if isinstance(activation, Relu):
        return 0.0, None
    return (activation.min, activation.max) if isinstance(activation, Clip) else (None, None)


def can_fuse(activation: Op) -> bool:
    """True where an operation can carry the activation."""
    return _bounds(activation) in NAMES


def fused_code(activation: Op | None) -> int:
    """The number of ActivationFunctionType that says ``activation`` (which ``can_fuse``, or None)."""
    from tflite import ActivationFunctionType

    name = "NONE" if activation is None else NAMES[_bounds(activation)]
    return int(getattr(ActivationFunctionType, name))
