"""Operations of keras.ops, which stand in models for what is written with tensors in Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops

from .. import errors, functions
from ..activations import function
from ..config import flat
from ..node import KerasNode
from ..registry import operation
from ..settings import WIDE, dtype_of
from .activation import rectified
from .merge import unit
from .preprocessing import resized

UNARY: dict[str, Op] = {
    "Absolute": ops.Abs(), "Abs": ops.Abs(), "Negative": ops.Neg(), "Square": ops.Square(), "Sign": ops.Sign(),
    "Ceil": ops.Ceil(), "Floor": ops.Floor(),
}  # fmt: skip
"""Functions of any numbers."""
REAL: dict[str, Op] = {
    "Exp": ops.Exp(), "Log": ops.Log(), "Sqrt": ops.Sqrt(), "Rsqrt": ops.Rsqrt(), "Sin": ops.Sin(), "Cos": ops.Cos(),
    "Tan": ops.Tan(), "Tanh": ops.Tanh(), "Sinh": ops.Sinh(), "Cosh": ops.Cosh(), "Arcsin": ops.Asin(),
    "Arccos": ops.Acos(), "Arctan": ops.Atan(), "Arcsinh": ops.Asinh(), "Arccosh": ops.Acosh(),
    "Arctanh": ops.Atanh(), "Erf": ops.Erf(), "Reciprocal": ops.Reciprocal(),
}  # fmt: skip
"""Functions of real numbers: integers become floats first."""
ACTIVATIONS = {
    "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "SparseSigmoid": "sparse_sigmoid", "Softplus": "softplus",
    "Softsign": "softsign", "SparsePlus": "sparse_plus", "Silu": "silu", "LogSigmoid": "log_sigmoid",
    "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "Selu": "selu", "TanhShrink": "tanh_shrink",
    "HardTanh": "hard_tanh",
}  # fmt: skip
BINARY: dict[str, Op] = {
    "Add": ops.Add(), "Subtract": ops.Sub(), "Multiply": ops.Mul(), "Maximum": ops.Max(), "Minimum": ops.Min(),
    "Mod": ops.Mod(), "Arctan2": ops.Atan2(),
}  # fmt: skip
COMPARISONS: dict[str, tuple[Op, bool]] = {
    "Equal": (ops.Equal(), False), "NotEqual": (ops.Equal(), True), "Greater": (ops.Greater(), False),
    "GreaterEqual": (ops.GreaterOrEqual(), False), "Less": (ops.Less(), False), "LessEqual": (ops.LessOrEqual(), False),
}  # fmt: skip
LOGICAL: dict[str, Op] = {"LogicalAnd": ops.And(), "LogicalOr": ops.Or(), "LogicalXor": ops.Xor()}
REDUCTIONS = {
    "Mean": "mean", "Sum": "sum", "Max": "max", "Min": "min", "Amax": "max", "Amin": "min", "Prod": "prod",
    "Var": "var", "Std": "std", "Any": "any", "All": "all", "Logsumexp": "logsumexp",
}  # fmt: skip


def _sides(n: KerasNode) -> tuple[Any, Any]:
    return n.argument(0, "x1"), n.argument(1, "x2")


def _first(n: KerasNode) -> Value:
    """The operand, by whatever name it was given."""
    given = n.args[0] if n.args else next((v for v in n.kwargs.values() if isinstance(v, Value)), None)
    n.argument(0, next((k for k, v in n.kwargs.items() if v is given), "x"))
    return n.value(given)


@operation(*UNARY)
def unary(n: KerasNode, g: Builder) -> Value:
    """One operand."""
    return g.add(UNARY[n.cls], _first(n))


@operation(*REAL)
def real(n: KerasNode, g: Builder) -> Value:
    """One operand of real numbers."""
    return g.add(REAL[n.cls], functions.floating(n, _first(n)))


@operation(*ACTIVATIONS)
def activation(n: KerasNode, g: Builder) -> Value:
    """An activation without parameters."""
    return function(n, g, _first(n), ACTIVATIONS[n.cls])


@operation(*BINARY)
def binary(n: KerasNode, g: Builder) -> Value:
    """Two operands."""
    return functions.binary(n, g, BINARY[n.cls], *_sides(n))


@operation(*COMPARISONS)
def comparison(n: KerasNode, g: Builder) -> Value:
    """Two operands compared."""
    op, negated = COMPARISONS[n.cls]
    found = functions.binary(n, g, op, *_sides(n))
    return g.add(ops.Not(), found) if negated else found


@operation(*LOGICAL)
def logical(n: KerasNode, g: Builder) -> Value:
    """Two truth values."""
    a, b = (n.cast(n.value(v), DType.BOOL) for v in _sides(n))
    return g.add(LOGICAL[n.cls], a, b)


@operation("LogicalNot")
def logical_not(n: KerasNode, g: Builder) -> Value:
    """Not."""
    return g.add(ops.Not(), n.cast(_first(n), DType.BOOL))


@operation(*REDUCTIONS)
def reduction(n: KerasNode, g: Builder) -> Value:
    """A reduction over axes."""
    if n.settings.get("initial", None) is not None or n.settings.get("dtype", None) is not None:
        raise errors.form(f"{n.settings.what} with an initial value or a type")
    keep = n.settings.flag("keepdims", False)
    return functions.reduced(n, g, REDUCTIONS[n.cls], _first(n), n.settings.get("axis", None), keep)


@operation("Argmax", "Argmin")
def arg_extreme(n: KerasNode, g: Builder) -> Value:
    """The place of the greatest or least element."""
    x, axis, keep = _first(n), n.settings.get("axis", None), n.settings.flag("keepdims", False)
    if axis is None:
        raise errors.form(f"{n.settings.what} over all axes")
    op = (ops.ArgMax if n.cls == "Argmax" else ops.ArgMin)(n.axis(axis, x.type.rank), keep)
    return n.cast(g.add(op, x), DType.I32)


@operation("Divide", "TrueDivide")
def divide(n: KerasNode, g: Builder) -> Value:
    """A quotient."""
    return functions.divided(n, g, *_sides(n))


@operation("FloorDivide")
def floor_divide(n: KerasNode, g: Builder) -> Value:
    """A quotient, rounded down."""
    return functions.floor_divided(n, g, *_sides(n))


@operation("Power")
def power(n: KerasNode, g: Builder) -> Value:
    """A power."""
    return functions.binary(n, g, ops.Pow(), *_sides(n))


@operation("Log1p", "Expm1", "Log2", "Log10")
def shifted(n: KerasNode, g: Builder) -> Value:
    """Logarithms and powers beside the natural ones."""
    x = functions.floating(n, _first(n))
    if n.cls == "Log1p":
        return g.add(ops.Log(), g.add(ops.Add(), x, n.scalar(1, x)))
    if n.cls == "Expm1":
        return g.add(ops.Sub(), g.add(ops.Exp(), x), n.scalar(1, x))
    return g.add(ops.Mul(), g.add(ops.Log(), x), n.scalar(1 / np.log(2 if n.cls == "Log2" else 10), x))


@operation("Round")
def round_(n: KerasNode, g: Builder) -> Value:
    """Halves to even."""
    if n.settings.integer("decimals", 0):
        raise errors.form(f"{n.settings.what} to decimals")
    return g.add(ops.Round(), _first(n))


@operation("Clip")
def clip(n: KerasNode, g: Builder) -> Value:
    """Between two numbers."""
    return functions.clipped(n, g, _first(n), n.settings.get("x_min"), n.settings.get("x_max"))


@operation("Where")
def where(n: KerasNode, g: Builder) -> Value:
    """A choice, element by element."""
    condition = n.cast(n.value(n.argument(0, "condition")), DType.BOOL)
    return g.add(ops.Where(), condition, *functions.pair(n, n.argument(1, "x1"), n.argument(2, "x2")))


@operation("Cast", "SaturateCast")
def cast(n: KerasNode, g: Builder) -> Value:
    """Another element type; 16-bit floats stay of 32."""
    dtype = dtype_of(n.settings.get("dtype"), n.settings.what)
    return n.cast(_first(n), WIDE.get(dtype, dtype))


@operation("Copy", "StopGradient", "ConvertToTensor", "Identity", "Real",
           ignores={"dtype": "that of the tensor", "sparse": "False", "ragged": "False"})  # fmt: skip
def identity(n: KerasNode, g: Builder) -> Value:
    """What changes nothing."""
    return _first(n)


# Activations with parameters ---------------------------------------------------------------------------------


@operation("LeakyRelu")
def leaky_relu(n: KerasNode, g: Builder) -> Value:
    """A slope below zero."""
    return g.add(ops.LeakyRelu(n.settings.number("negative_slope", 0.2)), _first(n))


@operation("Elu", "Celu")
def elu(n: KerasNode, g: Builder) -> Value:
    """Elu and celu."""
    alpha = n.settings.number("alpha", 1.0)
    return g.add(ops.Elu(alpha) if n.cls == "Elu" else ops.Celu(alpha), _first(n))


@operation("Gelu")
def gelu(n: KerasNode, g: Builder) -> Value:
    """Gelu, by tanh unless told otherwise."""
    return g.add(ops.Gelu("tanh" if n.settings.flag("approximate", True) else "none"), _first(n))


@operation("Softmax", "LogSoftmax")
def softmax(n: KerasNode, g: Builder) -> Value:
    """Softmax along an axis."""
    x = _first(n)
    axis = n.axis(n.settings.integer("axis", -1), x.type.rank)
    return g.add(ops.Softmax(axis) if n.cls == "Softmax" else ops.LogSoftmax(axis), x)


@operation("SoftShrink", "HardShrink")
def shrink(n: KerasNode, g: Builder) -> Value:
    """Zero around zero."""
    size = n.settings.number("threshold", 0.5)
    return g.add(ops.Shrink(size, size if n.cls == "SoftShrink" else 0.0), _first(n))


@operation("ReLU")
def relu(n: KerasNode, g: Builder) -> Value:
    """relu with its parameters."""
    most, slope = n.settings.maybe_number("max_value"), n.settings.number("negative_slope", 0.0)
    return rectified(n, g, _first(n), most, slope, n.settings.number("threshold", 0.0))


# Shapes ------------------------------------------------------------------------------------------------------


@operation("Reshape")
def reshape(n: KerasNode, g: Builder) -> Value:
    """Another shape."""
    return functions.reshaped(n, g, _first(n), n.settings.get("newshape"))


@operation("Ravel")
def ravel(n: KerasNode, g: Builder) -> Value:
    """One axis."""
    return g.add(ops.Reshape((-1,)), _first(n))


@operation("Transpose")
def transpose(n: KerasNode, g: Builder) -> Value:
    """Another order of axes."""
    return functions.transposed(n, g, _first(n), n.settings.get("axes", None))


@operation("Swapaxes", "Moveaxis")
def swapaxes(n: KerasNode, g: Builder) -> Value:
    """Two axes changed, or some moved elsewhere."""
    x = _first(n)
    order = list(range(x.type.rank))
    if n.cls == "Swapaxes":
        a, b = (n.axis(n.settings.integer(key), x.type.rank) for key in ("axis1", "axis2"))
        order[a], order[b] = order[b], order[a]
    else:
        sources, targets = (
            [n.axis(a, x.type.rank) for a in functions.integers(n, n.settings.get(key), key)]
            for key in ("source", "destination")
        )
        order = [a for a in order if a not in sources]
        for target, source in sorted(zip(targets, sources, strict=True)):
            order.insert(target, source)
    return g.add(ops.Transpose(tuple(order)), x)


@operation("Squeeze")
def squeeze(n: KerasNode, g: Builder) -> Value:
    """Without axes of size one."""
    return functions.squeezed(n, g, _first(n), n.settings.get("axis", None))


@operation("ExpandDims")
def expand_dims(n: KerasNode, g: Builder) -> Value:
    """With a new axis."""
    return functions.expanded(n, g, _first(n), n.settings.get("axis"))


@operation("Flip")
def flip(n: KerasNode, g: Builder) -> Value:
    """Turned round."""
    return functions.flipped(n, g, _first(n), n.settings.get("axis", None))


@operation("GetItem")
def get_item(n: KerasNode, g: Builder) -> Value:
    """x[key]."""
    return functions.indexed(n, g, n.value(n.argument(0, "x")), n.argument(1, "key"))


@operation("Concatenate", "Stack")
def concatenate(n: KerasNode, g: Builder) -> Value:
    """Tensors side by side."""
    n.argument(0, "xs")
    n.argument(0, "x")
    values = n.xs or list(flat(n.kwargs, Value))
    return functions.joined(n, g, values, n.settings.integer("axis", 0), new=n.cls == "Stack")


@operation("Split")
def split(n: KerasNode, g: Builder) -> list[Value]:
    """Parts along an axis."""
    sections = n.settings.get("indices_or_sections")
    return functions.parted(n, g, _first(n), sections, n.settings.integer("axis", 0), places=True)


@operation("Unstack")
def unstack(n: KerasNode, g: Builder) -> list[Value]:
    """Each element along an axis."""
    x, axis = _first(n), n.settings.integer("axis", 0)
    at = n.axis(axis, x.type.rank)
    n.settings.get("num", None)
    count = n.static(x, at, "the size that is taken apart")
    return [g.add(ops.Squeeze((at,)), v) for v in functions.parted(n, g, x, count, at, places=False)]


@operation("Pad")
def pad(n: KerasNode, g: Builder) -> Value:
    """More elements at the ends."""
    mode = n.settings.text("mode", "constant")
    mode = "reflect" if mode == "reflect" else mode
    return functions.padded(n, g, _first(n), n.settings.get("pad_width"), mode, n.argument(1, "constant_values"))


@operation("Repeat")
def repeat(n: KerasNode, g: Builder) -> Value:
    """Each element several times."""
    count = functions.integer(n, n.settings.get("repeats"), "repeats")
    return functions.repeated(n, g, _first(n), count, n.settings.get("axis", None))


@operation("Tile")
def tile(n: KerasNode, g: Builder) -> Value:
    """The whole several times."""
    x, repeats = _first(n), functions.integers(n, n.settings.get("repeats"), "repeats")
    return g.add(ops.Tile((1,) * (x.type.rank - len(repeats)) + repeats), x)


@operation("BroadcastTo")
def broadcast_to(n: KerasNode, g: Builder) -> Value:
    """A larger shape."""
    return g.add(ops.Expand(functions.integers(n, n.settings.get("shape"), "shape")), _first(n))


@operation("ZerosLike", "OnesLike", ignores={"dtype": "that of the tensor, unless it says otherwise"})
def filled_like(n: KerasNode, g: Builder) -> Value:
    """A tensor of one number, of another's shape."""
    x = _first(n)
    dtype = (
        x.type.dtype if n.settings.get("dtype", None) is None else dtype_of(n.settings.get("dtype"), n.settings.what)
    )
    number = n.builder.constant(np.array(int(n.cls == "OnesLike"), WIDE.get(dtype, dtype).numpy))
    return g.add(ops.Expand(), number, g.add(ops.Shape(), x))


@operation("Take")
def take(n: KerasNode, g: Builder) -> Value:
    """Elements by their places along an axis."""
    x, axis = n.value(n.argument(0, "x")), n.settings.get("axis", None)
    indices = n.argument(1, "indices")
    index = n.builder.constant(np.asarray(indices, np.int32)) if isinstance(indices, list) else n.value(indices)
    if axis is None:
        x, axis = g.add(ops.Reshape((-1,)), x), 0
    return g.add(ops.Gather(n.axis(axis, x.type.rank)), x, n.cast(index, DType.I32))


# Products and more --------------------------------------------------------------------------------------------


@operation("Matmul")
def matmul(n: KerasNode, g: Builder) -> Value:
    """A product of matrices."""
    return functions.matmul(n, g, *_sides(n))


@operation("Einsum")
def einsum(n: KerasNode, g: Builder) -> Value:
    """A sum of products."""
    operands = [n.value(n.argument(i, f"operand {i}")) for i in range(len(n.args))]
    return g.add(ops.Einsum(n.settings.text("subscripts").replace(" ", "")), *operands)


@operation("Normalize")
def normalize(n: KerasNode, g: Builder) -> Value:
    """Length one along axes."""
    x = _first(n)
    if n.settings.number("order", 2) != 2:
        raise errors.form(f"{n.settings.what} of another order than 2")
    if n.settings.maybe_number("epsilon") not in (None, 1e-12):
        raise errors.form(f"{n.settings.what} with an epsilon of its own")
    return unit(n, g, x, n.axes(n.settings.get("axis", -1), x.type.rank))


@operation("OneHot")
def one_hot(n: KerasNode, g: Builder) -> Value:
    """Ones at places."""
    if n.settings.get("sparse", False):
        raise errors.form(f"{n.settings.what} that is sparse")
    dtype = dtype_of(n.settings.get("dtype", None), n.settings.what)
    depth, axis = n.settings.integer("num_classes"), n.settings.integer("axis", -1)
    return functions.one_hot(n, g, _first(n), depth, axis, WIDE.get(dtype, dtype))


@operation("Cumsum")
def cumsum(n: KerasNode, g: Builder) -> Value:
    """Sums from the begin on."""
    x = _first(n)
    if n.settings.get("dtype", None) is not None or n.settings.get("axis", None) is None:
        raise errors.form(f"{n.settings.what} over all axes, or to another type")
    return g.add(ops.CumSum(n.axis(n.settings.integer("axis"), x.type.rank)), x)


@operation("Resize", ignores={"fill_mode": "of pads, which are refused", "fill_value": "of pads"})
def resize(n: KerasNode, g: Builder) -> Value:
    """Images of another size."""
    for key in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        if n.settings.flag(key, False):
            raise errors.form(f"{n.settings.what} with {key}")
    sizes, mode = n.settings.integers("size", 2), n.settings.text("interpolation", "bilinear")
    antialias = n.settings.flag("antialias", False)
    return resized(n, g, _first(n), sizes, mode, antialias, n.settings.channels_first())
