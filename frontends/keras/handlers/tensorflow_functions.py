"""Functions of TensorFlow in models of tf.keras 2: TFOpLambda, SlicingOpLambda and TensorFlowOpLayer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops

from .. import errors, functions
from ..activations import function
from ..node import KerasNode
from ..registry import keras
from ..settings import WIDE, dtype_of
from .merge import unit
from .preprocessing import resized

Translation = Callable[[KerasNode, Builder], Any]
_FUNCTIONS: dict[str, Translation] = {}
_UNARY: dict[str, Op] = {
    "abs": ops.Abs(), "negative": ops.Neg(), "square": ops.Square(), "sign": ops.Sign(), "ceil": ops.Ceil(),
    "floor": ops.Floor(), "round": ops.Round(), "exp": ops.Exp(), "log": ops.Log(), "sqrt": ops.Sqrt(),
    "rsqrt": ops.Rsqrt(), "sin": ops.Sin(), "cos": ops.Cos(), "tan": ops.Tan(), "tanh": ops.Tanh(), "erf": ops.Erf(),
    "sigmoid": ops.Sigmoid(), "softplus": ops.Softplus(), "softsign": ops.Softsign(), "logical_not": ops.Not(),
    "reciprocal": ops.Reciprocal(), "neg": ops.Neg(),
}  # fmt: skip
_BINARY: dict[str, Op] = {
    "add": ops.Add(), "subtract": ops.Sub(), "sub": ops.Sub(), "multiply": ops.Mul(), "mul": ops.Mul(),
    "maximum": ops.Max(), "minimum": ops.Min(), "pow": ops.Pow(), "floormod": ops.Mod(), "mod": ops.Mod(),
    "equal": ops.Equal(), "greater": ops.Greater(), "greater_equal": ops.GreaterOrEqual(), "less": ops.Less(),
    "less_equal": ops.LessOrEqual(), "logical_and": ops.And(), "logical_or": ops.Or(), "bias_add": ops.Add(),
}  # fmt: skip
_ACTIVATIONS = ("relu", "relu6", "elu", "selu", "silu", "swish", "hard_sigmoid", "log_sigmoid")
_REDUCTIONS = {f"reduce_{kind}": kind for kind in ("mean", "sum", "max", "min", "prod", "any", "all", "logsumexp")}
_REDUCTIONS |= {"reduce_variance": "var", "reduce_std": "std"}
_OLD = {
    "AddV2": "add", "BiasAdd": "bias_add", "RealDiv": "divide", "Relu": "relu", "Relu6": "relu6", "Mean": "reduce_mean",
    "Sum": "reduce_sum", "Max": "reduce_max", "Min": "reduce_min", "Prod": "reduce_prod", "ConcatV2": "concat",
    "ExpandDims": "expand_dims", "Squeeze": "squeeze", "Reshape": "reshape", "Transpose": "transpose",
    "Mul": "multiply", "Sub": "subtract", "Add": "add", "Square": "square", "Sqrt": "sqrt", "Rsqrt": "rsqrt",
    "Exp": "exp", "Log": "log", "Abs": "abs", "Neg": "negative", "Tanh": "tanh", "Sigmoid": "sigmoid",
    "Maximum": "maximum", "Minimum": "minimum", "Pow": "pow", "Softmax": "softmax", "Identity": "identity",
    "Elu": "elu", "Selu": "selu", "Softplus": "softplus", "MatMul": "matmul", "BatchMatMulV2": "matmul",
}  # fmt: skip
"""Names of operators as functions are called."""
_OLD_ARGUMENTS = {"reduce": "axis", "expand_dims": "axis", "reshape": "shape", "transpose": "perm"}


def tensorflow(*names: str) -> Callable[[Translation], Translation]:
    """Register a translation by the last words of functions' names."""

    def register(translation: Translation) -> Translation:
        for name in names:
            if name in _FUNCTIONS:
                raise TypeError(f"two translations of {name}")
            _FUNCTIONS[name] = translation
        return translation

    return register


@keras("TFOpLambda", ignores={"dtype": "the tensors tell it"})
def op_lambda(n: KerasNode, g: Builder) -> Any:
    """TFOpLambda: a function of TensorFlow by its name."""
    return _called(n, g, n.settings.text("function"))


def _called(n: KerasNode, g: Builder, name: str) -> Any:
    short = name.removeprefix("tf.").removeprefix("compat.v1.")
    home, _, last = short.rpartition(".")
    if last not in _FUNCTIONS or home not in ("", "math", "nn", "__operators__", "linalg", "image", "keras.backend"):
        raise errors.not_read(f"the TensorFlow function {name[:100]}")
    n.function = last
    return _FUNCTIONS[last](n, g)


@keras("SlicingOpLambda", ignores={"function": "always x[...]"})
def slicing(n: KerasNode, g: Builder) -> Value:
    """SlicingOpLambda: x[...]."""
    return functions.indexed(n, g, n.x, n.argument(1, "slice_spec"))


@keras("TensorFlowOpLayer", "TensorFlowOp")
def op_layer(n: KerasNode, g: Builder) -> Any:
    """TensorFlowOpLayer: one operator of TensorFlow 2.0 to 2.3, with constants among its operands."""
    node, constants = n.settings.get("node_def"), n.settings.get("constants", {})
    try:
        node = json.loads(node) if isinstance(node, str) else node
    except (ValueError, RecursionError) as error:
        raise errors.misfit(f"{n.settings.what} whose operator is no JSON") from error
    name = node.get("op") if isinstance(node, dict) else None
    if name not in _OLD or not isinstance(constants, dict):
        raise errors.not_read(f"the TensorFlow operator {str(name)[:100]}")
    tensors, operands = list(n.xs), list[Any]()
    for index in range(len(tensors) + len(constants)):
        operands.append(constants[str(index)] if str(index) in constants else tensors.pop(0))
    last = _OLD[name]
    n.function = last
    key = next((v for k, v in _OLD_ARGUMENTS.items() if last.startswith(k)), None)
    if last == "concat":
        n.args, n.kwargs = [operands[:-1]], {"axis": operands[-1]}
    elif key is not None:
        keep = node.get("attr", {}).get("keep_dims", {}).get("b", False)
        n.args, n.kwargs = [operands[0]], {key: operands[1], "keepdims": bool(keep)}
    else:
        n.args, n.kwargs = operands[:1], dict(zip("y", operands[1:], strict=False))
    return _FUNCTIONS[last](n, g)


# Functions ---------------------------------------------------------------------------------------------------


def _operand(n: KerasNode, index: int, *names: str) -> Any:
    """An argument by its place or one of its names."""
    for name in names:
        if name in n.kwargs:
            return n.argument(-1, name)
    return n.argument(index, names[0])


@tensorflow(*_UNARY)
def unary(n: KerasNode, g: Builder) -> Value:
    """One operand."""
    return g.add(_UNARY[n.function], n.value(n.argument(0, "x")))


@tensorflow(*_BINARY)
def binary(n: KerasNode, g: Builder) -> Value:
    """Two operands."""
    return functions.binary(n, g, _BINARY[n.function], *_both(n))


def _both(n: KerasNode) -> tuple[Any, Any]:
    return n.argument(0, "x"), _operand(n, 1, "y", "bias")


@tensorflow("radd", "rmul", "rsub", "rtruediv", "rpow")
def reversed_(n: KerasNode, g: Builder) -> Value:
    """Two operands, of which the second stands first."""
    a, b = _both(n)
    if n.function == "rtruediv":
        return functions.divided(n, g, b, a)
    op = {"radd": ops.Add(), "rmul": ops.Mul(), "rsub": ops.Sub(), "rpow": ops.Pow()}[n.function]
    return functions.binary(n, g, op, b, a)


@tensorflow("truediv", "divide", "div")
def divide(n: KerasNode, g: Builder) -> Value:
    """A quotient of real numbers."""
    return functions.divided(n, g, *_both(n))


@tensorflow("floordiv")
def floordiv(n: KerasNode, g: Builder) -> Value:
    """A quotient, rounded down."""
    return functions.floor_divided(n, g, *_both(n))


@tensorflow("squared_difference")
def squared_difference(n: KerasNode, g: Builder) -> Value:
    """(x - y)^2."""
    return functions.squared_difference(n, g, *_both(n))


@tensorflow("not_equal", "ne")
def not_equal(n: KerasNode, g: Builder) -> Value:
    """Not equal."""
    return g.add(ops.Not(), functions.binary(n, g, ops.Equal(), *_both(n)))


@tensorflow(*_ACTIVATIONS)
def activation(n: KerasNode, g: Builder) -> Value:
    """An activation without parameters."""
    beta = n.argument(-1, "beta")
    if beta not in (None, 1, 1.0):
        return g.add(ops.Silu(float(beta)), n.x)
    return function(n, g, n.x, n.function)


@tensorflow("leaky_relu")
def leaky_relu(n: KerasNode, g: Builder) -> Value:
    """A slope below zero."""
    return g.add(ops.LeakyRelu(float(n.argument(1, "alpha", 0.2))), n.x)


@tensorflow("gelu")
def gelu(n: KerasNode, g: Builder) -> Value:
    """Gelu."""
    return g.add(ops.Gelu("tanh" if n.argument(1, "approximate", False) else "none"), n.x)


@tensorflow("softmax", "log_softmax")
def softmax(n: KerasNode, g: Builder) -> Value:
    """Softmax along an axis."""
    axis = n.axis(functions.integer(n, -1 if n.argument(1, "axis") is None else n.argument(1, "axis"), "axis"))
    return g.add(ops.Softmax(axis) if n.function == "softmax" else ops.LogSoftmax(axis), n.x)


@tensorflow(*_REDUCTIONS)
def reduction(n: KerasNode, g: Builder) -> Value:
    """A reduction over axes."""
    keep = bool(n.argument(2, "keepdims", False))
    return functions.reduced(n, g, _REDUCTIONS[n.function], n.x, n.argument(1, "axis"), keep)


@tensorflow("argmax", "argmin")
def arg_extreme(n: KerasNode, g: Builder) -> Value:
    """The place of the greatest or least element."""
    axis = n.argument(1, "axis")
    at = n.axis(functions.integer(n, 0 if axis is None else axis, "axis"))
    name = n.argument(2, "output_type", "int64")
    op = (ops.ArgMax if n.function == "argmax" else ops.ArgMin)(at, False)
    return n.cast(g.add(op, n.x), dtype_of(name, n.settings.what))


@tensorflow("clip_by_value")
def clip_by_value(n: KerasNode, g: Builder) -> Value:
    """Between two numbers."""
    return functions.clipped(n, g, n.x, n.argument(1, "clip_value_min"), n.argument(2, "clip_value_max"))


@tensorflow("cast")
def cast(n: KerasNode, g: Builder) -> Value:
    """Another element type."""
    dtype = dtype_of(n.argument(1, "dtype"), n.settings.what)
    return n.cast(n.x, WIDE.get(dtype, dtype))


@tensorflow("identity", "stop_gradient")
def identity(n: KerasNode, g: Builder) -> Value:
    """Nothing."""
    return n.x


@tensorflow("concat", "stack")
def concat(n: KerasNode, g: Builder) -> Value:
    """Tensors side by side."""
    values = n.args[0] if isinstance(n.args[0], list) else [n.args[0]]
    axis = functions.integer(n, n.argument(1, "axis", 0), "axis")
    return functions.joined(n, g, [n.value(v) for v in values], axis, new=n.function == "stack")


@tensorflow("split")
def split(n: KerasNode, g: Builder) -> list[Value]:
    """Parts along an axis."""
    axis = functions.integer(n, n.argument(2, "axis", 0), "axis")
    return functions.parted(n, g, n.x, n.argument(1, "num_or_size_splits"), axis, places=False)


@tensorflow("unstack")
def unstack(n: KerasNode, g: Builder) -> list[Value]:
    """Each element along an axis."""
    at = n.axis(functions.integer(n, n.argument(2, "axis", 0), "axis"))
    n.argument(1, "num")
    count = n.static(n.x, at, "the size that is taken apart")
    return [g.add(ops.Squeeze((at,)), v) for v in functions.parted(n, g, n.x, count, at, places=False)]


@tensorflow("reshape")
def reshape(n: KerasNode, g: Builder) -> Value:
    """Another shape."""
    return functions.reshaped(n, g, n.x, n.argument(1, "shape"))


@tensorflow("transpose")
def transpose(n: KerasNode, g: Builder) -> Value:
    """Another order of axes."""
    return functions.transposed(n, g, n.x, n.argument(1, "perm"))


@tensorflow("expand_dims")
def expand_dims(n: KerasNode, g: Builder) -> Value:
    """A new axis."""
    return functions.expanded(n, g, n.x, n.argument(1, "axis"))


@tensorflow("squeeze")
def squeeze(n: KerasNode, g: Builder) -> Value:
    """Without axes of size one."""
    return functions.squeezed(n, g, n.x, _operand(n, 1, "axis", "squeeze_dims"))


@tensorflow("reverse")
def reverse(n: KerasNode, g: Builder) -> Value:
    """Turned round."""
    return functions.flipped(n, g, n.x, n.argument(1, "axis"))


@tensorflow("tile")
def tile(n: KerasNode, g: Builder) -> Value:
    """The whole several times."""
    return g.add(ops.Tile(functions.integers(n, n.argument(1, "multiples"), "multiples")), n.x)


@tensorflow("pad")
def pad(n: KerasNode, g: Builder) -> Value:
    """More elements at the ends."""
    mode = str(n.argument(2, "mode", "CONSTANT"))
    return functions.padded(n, g, n.x, n.argument(1, "paddings"), mode, n.argument(3, "constant_values", 0))


@tensorflow("matmul")
def matmul(n: KerasNode, g: Builder) -> Value:
    """A product of matrices."""
    left, right = (bool(n.argument(-1, key, False)) for key in ("transpose_a", "transpose_b"))
    return functions.matmul(n, g, n.argument(0, "a"), _operand(n, 1, "b", "y"), left, right)


@tensorflow("shape")
def shape(n: KerasNode, g: Builder) -> Value:
    """The sizes."""
    dtype = dtype_of(n.argument(-1, "out_type", "int32"), n.settings.what)
    return n.cast(g.add(ops.Shape(), n.x), dtype)


@tensorflow("gather")
def gather(n: KerasNode, g: Builder) -> Value:
    """Elements by their places along an axis."""
    axis, indices = n.argument(3, "axis"), n.argument(1, "indices")
    if n.argument(4, "batch_dims", 0):
        raise errors.form(f"{n.settings.what} with batch_dims")
    index = n.builder.constant(np.asarray(indices, np.int32)) if isinstance(indices, list) else n.value(indices)
    return g.add(ops.Gather(n.axis(functions.integer(n, axis or 0, "axis"))), n.x, n.cast(index, DType.I32))


@tensorflow("one_hot")
def one_hot(n: KerasNode, g: Builder) -> Value:
    """Ones at places."""
    if any(n.argument(-1, key) is not None for key in ("on_value", "off_value")):
        raise errors.form(f"{n.settings.what} with values of its own")
    dtype = dtype_of(n.argument(-1, "dtype"), n.settings.what)
    axis = n.argument(-1, "axis")
    depth = functions.integer(n, n.argument(1, "depth"), "depth")
    return functions.one_hot(n, g, n.x, depth, -1 if axis is None else axis, WIDE.get(dtype, dtype))


@tensorflow("where")
def where(n: KerasNode, g: Builder) -> Value:
    """A choice, element by element."""
    x, y = n.argument(1, "x"), n.argument(2, "y")
    if x is None or y is None:
        raise errors.form(f"{n.settings.what} that finds places")
    return g.add(ops.Where(), n.x, *functions.pair(n, x, y))


@tensorflow("l2_normalize")
def l2_normalize(n: KerasNode, g: Builder) -> Value:
    """Length one along axes."""
    if n.argument(2, "epsilon", 1e-12) != 1e-12:
        raise errors.form(f"{n.settings.what} with an epsilon of its own")
    axis = n.argument(1, "axis")
    return unit(n, g, n.x, tuple(range(n.rank)) if axis is None else n.axes(list(functions.integers(n, axis, "axis"))))


@tensorflow("resize")
def resize(n: KerasNode, g: Builder) -> Value:
    """tf.image.resize."""
    if n.argument(3, "preserve_aspect_ratio", False):
        raise errors.form(f"{n.settings.what} with preserve_aspect_ratio")
    sizes = functions.integers(n, n.argument(1, "size"), "size")
    method = str(n.argument(2, "method", "bilinear"))
    return resized(n, g, n.x, sizes, method, bool(n.argument(4, "antialias", False)), False)


@tensorflow("depth_to_space", "space_to_depth")
def blocks(n: KerasNode, g: Builder) -> Value:
    """Channels as blocks of space, or the other way."""
    from .conv import to_first, to_last

    size = functions.integer(n, n.argument(1, "block_size"), "block_size")
    if n.argument(2, "data_format", "NHWC") != "NHWC" or n.rank != 4:
        raise errors.form(f"{n.settings.what} with channels first")
    op = ops.DepthToSpace(size) if n.function == "depth_to_space" else ops.SpaceToDepth(size)
    return to_last(g, g.add(op, to_first(g, n.x)))
