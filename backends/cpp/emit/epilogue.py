"""What follows a product and is done on its results before they are stored: a residual is added, an activation."""

from __future__ import annotations

from collections.abc import Callable

from mconv.ir import Node, Op, Value
from mconv.ir.ops import (
    Add,
    Clip,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Mish,
    PRelu,
    Relu,
    Reshape,
    Selu,
    Sigmoid,
    Silu,
    Softplus,
    Squeeze,
    Tanh,
    Transpose,
    Unsqueeze,
)
from mconv.ir.record import Record

from .. import packing
from ..net import Net
from ..view import View, reshaped, transposed
from .common import at_image, braced

EPILOGUES: tuple[type[Op], ...] = (
    Clip, Elu, Gelu, HardSigmoid, HardSwish, LeakyRelu, Mish, Relu, Selu, Sigmoid, Silu, Softplus, Tanh,
)  # fmt: skip
"""Activations that the kernels' epilogues know (PRelu too, whose slopes are an operand)."""


RENAMING = (Reshape, Squeeze, Transpose, Unsqueeze)
"""What may stand between a product and the residual that is added: it only renames axes."""


class Activation(Record):
    """An activation as the kernels take it: bounds, a kind by name, two parameters."""

    low: str = "-INF"
    high: str = "INF"
    kind: str = "NONE"
    a: float = 0.0
    b: float = 0.0


NO_ACTIVATION = Activation()

_KINDS: dict[type[Op], Callable[..., Activation]] = {
    Relu: lambda op: Activation(low="0"),
    Clip: lambda op: Activation(
        low="-INF" if op.min is None else number(op.min), high="INF" if op.max is None else number(op.max)
    ),
    Elu: lambda op: Activation(kind="ELU", a=op.alpha),
    Selu: lambda op: Activation(kind="SELU", a=op.alpha, b=op.gamma),
    Gelu: lambda op: Activation(kind="GELU_TANH" if op.approximate == "tanh" else "GELU"),
    HardSigmoid: lambda op: Activation(kind="HARD_SIGMOID", a=op.alpha, b=op.beta),
    HardSwish: lambda op: Activation(kind="HARD_SWISH"),
    LeakyRelu: lambda op: Activation(kind="LEAKY", a=op.alpha),
    Mish: lambda op: Activation(kind="MISH"),
    Sigmoid: lambda op: Activation(kind="SIGMOID"),
    Silu: lambda op: Activation(kind="SILU") if op.beta == 1 else Activation(kind="QUICK_GELU", a=op.beta),
    Softplus: lambda op: Activation(kind="SOFTPLUS"),
    Tanh: lambda op: Activation(kind="TANH"),
}


class Epilogue(Record):
    """What is fused behind a product: the value that it ends in, the nodes covered, and what they read."""

    value: Value
    covers: tuple[Node, ...] = ()
    activation: Activation = NO_ACTIVATION
    residual: View | None = None
    after: bool = False
    """The residual is added after the activation."""
    renamed: tuple[Node, ...] = ()
    """Reshapes and transposes between the product and the residual; the result lies as the product makes it."""
    slope: View | None = None

    @property
    def reads(self) -> tuple[View, ...]:
        """Views that are read beside the product's own."""
        return tuple(v for v in (self.residual, self.slope) if v is not None)

    def post(self) -> str:
        """C++ for the struct Post, without the members at its end that keep their defaults."""
        a = self.activation
        members = [a.low, a.high, f"ACT_{a.kind}", number(a.a), number(a.b)]
        if self.residual is not None:
            return braced([*members, int(self.after), "$rs", "$rring"])
        return braced(leading(members, ["-INF", "INF", "ACT_NONE", "0.0f", "0.0f"]))

    def side(self, net: Net, bias: View | None, images: int = 1) -> str:
        """C++ for the struct Side, for image ``n`` where there are several."""
        residual = "nullptr" if self.residual is None else at_image(net, self.residual, images)
        members = ["nullptr" if bias is None else net.ptr(bias), residual]
        members.append("nullptr" if self.slope is None else net.ptr(self.slope))
        return f"Side{braced(leading(members, ['nullptr'] * 3))}"


def of(node: Node, net: Net, axis: int) -> Epilogue:
    """What can be fused behind ``node``, whose result is blocked along ``axis``.

    Order of work: bias, then a residual, then an activation; or bias, an activation, a residual. A residual is another
    value of the same shape that has been computed already.
    """
    own: Op | None = getattr(node.op, "activation", None)
    found = Epilogue(node.result)
    if own is not None:
        found = found.replace(activation=activation_of(own, net))
    while (reader := net.sole_reader(found.value)) is not None:
        step = _with_residual(found, reader, net, axis) or _with_activation(found, reader, net, axis)
        if step is None:
            break
        found = step
    return found


def activation_only(node: Node, net: Net, axis: int) -> Epilogue:
    """The activation that can be fused behind ``node``; no residual."""
    found = Epilogue(node.result)
    reader = net.sole_reader(found.value)
    return found if reader is None else _with_activation(found, reader, net, axis) or found


def result_of(found: Epilogue, node: Node, net: Net, axis: int) -> View:
    """Memory for what the product and all that is fused behind it make, in the product's own shape."""
    if not found.renamed:
        return net.result(found.value, axis)
    type = node.result.type
    view = net.fresh(type.dtype, type.static_shape, axis)
    there = view
    for step in found.renamed:
        moved = _through(there, step, step.result.type.static_shape)
        assert moved is not None
        there = moved
    net.give(found.value, there)
    return view


def _through(view: View, node: Node, shape: tuple[int, ...]) -> View | None:
    """The view after a node that only renames axes."""
    return transposed(view, node.op.perm) if isinstance(node.op, Transpose) else reshaped(view, shape)


def _back(view: View, node: Node) -> View | None:
    """The view before a node that only renames axes."""
    if isinstance(node.op, Transpose):
        return transposed(view, [node.op.perm.index(axis) for axis in range(len(node.op.perm))])
    return reshaped(view, node.inputs[0].type.static_shape)


def activation_of(op: Op, net: Net) -> Activation:
    """The activation as the kernels take it; its code becomes part of the header."""
    found = _KINDS[type(op)](op)
    if found.kind != "NONE":
        net.define(f"MCONV_ACT_{found.kind}")
    return found


def _with_activation(found: Epilogue, reader: Node, net: Net, axis: int) -> Epilogue | None:
    if found.activation != NO_ACTIVATION or found.after or found.renamed:
        return None
    covers = (*found.covers, reader)
    if isinstance(reader.op, EPILOGUES):
        return found.replace(value=reader.result, covers=covers, activation=activation_of(reader.op, net))
    if isinstance(reader.op, PRelu):
        slope = _slope(reader, found.value, net, axis)
        if slope is not None:
            net.define("MCONV_ACT_PRELU")
            kind = Activation(kind="PRELU")
            return found.replace(value=reader.result, covers=covers, activation=kind, slope=slope)
    return None


def _slope(reader: Node, value: Value, net: Net, axis: int) -> View | None:
    """A constant slope, one a channel."""
    slope = reader.operands[1]
    if slope is None or not slope.is_constant or reader.operands[0] is not value:
        return None
    channels = value.type.static_shape[axis]
    missing = value.type.rank - slope.type.rank
    shape = (1,) * missing + slope.type.static_shape
    if any(size != 1 for a, size in enumerate(shape) if a != axis) or shape[axis] != channels:
        return None
    return net.constant(packing.pack_vector(slope.constant).reshape(-1))


def _with_residual(found: Epilogue, reader: Node, net: Net, axis: int) -> Epilogue | None:
    if found.residual is not None:
        return None
    renamed: list[Node] = []
    value = found.value
    while isinstance(reader.op, RENAMING):
        renamed.append(reader)
        value = reader.result
        following = net.sole_reader(value)
        if following is None:
            return None
        reader = following
    if not isinstance(reader.op, Add):
        return None
    other = reader.inputs[1] if reader.inputs[0] is value else reader.inputs[0]
    if other is value or other.type != value.type or not net.has(other) or other.is_constant:
        return None
    view = _residual_view(other, renamed, found.value, net, axis)
    if view is None:
        return None
    after = found.activation != NO_ACTIVATION
    covers = (*found.covers, *renamed, reader)
    return found.replace(
        value=reader.result, covers=covers, residual=view, after=after, renamed=(*found.renamed, *renamed)
    )


def _residual_view(other: Value, renamed: list[Node], product: Value, net: Net, axis: int) -> View | None:
    """The residual in the product's shape, blocked along ``axis``; None where only a copy could be."""
    if not renamed:
        return net.blocked(other, axis)
    for candidate in net.views(other):
        view: View | None = candidate
        for step in reversed(renamed):
            view = None if view is None else _back(view, step)
        if view is not None and view.shape == product.type.static_shape and view.block == axis and view.images():
            return view
    return None


def leading(members: list[str], defaults: list[str]) -> list[str]:
    """The members without those at the end that are as the defaults."""
    while members and members[-1] == defaults[len(members) - 1]:
        members = members[:-1]
    return members


def number(value: float) -> str:
    """C++ for a float."""
    if value == float("inf"):
        return "INF"
    if value == float("-inf"):
        return "-INF"
    text = repr(float(value))
    return f"{text}f" if "nan" not in text else "NAN"
