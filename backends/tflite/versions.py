"""The version of a builtin operator that a form of it needs, and the oldest TFLite runtime that has it.

A runtime refuses a version it does not know, so the lowest that describes the form is stated. Source of both tables:
https://github.com/google-ai-edge/LiteRT/tree/main/tflite/converter/tools/versioning (op_version, runtime_version).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mconv.ir import DType

from .model import Model, OptionValue, Tensor


@dataclass(frozen=True)
class Form:
    """What a version may depend on: the tensors and options of one operation."""

    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor]
    values: Mapping[str, OptionValue]

    def kind(self, index: int) -> DType | None:
        """The element type of an input, None where it is absent."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        return None if tensor is None else tensor.dtype

    def quantized(self, index: int = 0) -> bool:
        """True where an input stands for real numbers."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        return tensor is not None and tensor.quantization is not None

    def per_channel(self, index: int) -> bool:
        """True where an input has several scales."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        return tensor is not None and tensor.quantization is not None and len(tensor.quantization.scale) > 1

    def rank(self) -> int:
        """The highest rank among the inputs."""
        return max((len(t.shape) for t in self.inputs if t is not None), default=0)

    def broadcasts(self) -> bool:
        """True where the first two inputs have different shapes."""
        left, right = self.inputs[0], self.inputs[1]
        return left is not None and right is not None and left.shape != right.shape


Condition = Callable[[Form], bool]
Rule = tuple[int, str, Condition]
"""A version, the runtime that brought it, and when it is needed. The last of an operator always fits."""


def _is(*kinds: DType, at: int = 0) -> Condition:
    return lambda form: form.kind(at) in kinds


def _either(*kinds: DType) -> Condition:
    return lambda form: form.kind(0) in kinds or form.outputs[0].dtype in kinds


def _always(form: Form) -> bool:
    return True


def _hybrid(form: Form) -> bool:
    return form.kind(0) is DType.F32 and form.kind(1) is DType.I8


def _rank_over(rank: int) -> Condition:
    return lambda form: form.rank() > rank


def _wide_broadcast(form: Form) -> bool:
    return form.broadcasts() and form.rank() > 4


def _option(name: str) -> Condition:
    return lambda form: bool(form.values.get(name))


_I8, _I16, _BOOL = _is(DType.I8), _is(DType.I16), _is(DType.BOOL)


def _ladder(*runtimes: str) -> tuple[Rule, ...]:
    """The commonest history: first floats, then 8 and 16-bit integers."""
    conditions = (_always, _I8, _I16)
    rules = [(i + 1, runtime, conditions[i]) for i, runtime in enumerate(runtimes)]
    return tuple(reversed(rules))


_RULES: dict[str, tuple[Rule, ...]] = {
    "ABS": ((5, "2.12.0", _is(DType.I32)), (4, "2.6.0", lambda f: _I16(f) and not f.quantized()),
            (3, "2.5.0", _I16), (2, "2.4.0", _is(DType.I8, DType.U8)), (1, "1.13.0", _always)),
    "ADD": ((6, "2.23.0", _is(DType.F16)), (5, "2.13.0", lambda f: _I16(f) and not f.quantized()),
            (4, "2.6.0", _is(DType.I64)), (3, "2.4.0", _I16), (2, "1.14.0", _I8), (1, "1.5.0", _always)),
    "ARG_MAX": ((3, "2.9.0", _BOOL), *_ladder("1.9.0", "1.14.0")),
    "ARG_MIN": ((3, "2.9.0", _BOOL), *_ladder("1.9.0", "1.14.0")),
    "AVERAGE_POOL_2D": _ladder("1.5.0", "1.14.0", "2.3.0"),
    "BATCH_MATMUL": _ladder("2.3.0", "2.3.0", "2.4.0"),
    "BROADCAST_TO": ((3, "2.5.0", _is(DType.I8, DType.I16)), (2, "2.5.0", _always)),
    "CAST": ((5, "2.12.0", _either(DType.F16, DType.F64)), (4, "2.9.0", _either(DType.U16)),
             (3, "2.8.0", _either(DType.I8)), (2, "2.7.0", _either(DType.U32)), (1, "1.5.0", _always)),
    "CONCATENATION": ((6, "2.23.0", _is(DType.F16)), (4, "2.14.0", _is(DType.U32)),
                      *_ladder("1.5.0", "1.14.0", "2.3.0")),
    "CONV_2D": ((6, "2.9.0", lambda f: _grouped(f)), (5, "2.4.0", lambda f: _hybrid(f) and f.per_channel(1)),
                (4, "2.3.0", _I16), (3, "1.14.0", _I8), (2, "1.14.0", _hybrid), (1, "1.5.0", _always)),
    "DEPTHWISE_CONV_2D": ((6, "2.3.0", lambda f: _hybrid(f) and f.per_channel(1)), (5, "2.3.0", _I16),
                          (4, "2.2.0", _hybrid), (3, "1.14.0", _I8), (2, "1.12.0", lambda f: _dilated(f)),
                          (1, "1.5.0", _always)),
    "DEPTH_TO_SPACE": _ladder("2.1.0", "2.5.0"),
    "DEQUANTIZE": ((5, "2.7.0", lambda f: _I8(f) and f.per_channel(0)), (3, "1.15.0", _is(DType.I16, DType.F16)),
                   (2, "1.14.0", _I8), (1, "1.13.1", _always)),
    "DIV": ((2, "2.3.0", _wide_broadcast), (1, "1.6.0", _always)),
    "EQUAL": ((5, "2.21.0", _I16), (2, "1.14.0", _I8), (1, "1.14.0", _always)),
    "FILL": ((4, "2.12.0", _is(DType.F16, at=1)), (3, "2.5.0", _is(DType.I8, DType.I16, at=1)),
             (2, "2.3.0", _is(DType.BOOL, at=1)), (1, "1.13.0", _always)),
    "FLOOR_DIV": ((3, "2.13.0", _is(DType.I8, DType.I16)), (2, "1.14.0", _is(DType.F32)), (1, "1.14.0", _always)),
    "FLOOR_MOD": ((2, "2.13.0", _is(DType.I8, DType.I16)), (1, "1.13.0", _always)),
    "FULLY_CONNECTED": ((12, "2.17.0", lambda f: _hybrid(f) and f.per_channel(1)), (7, "2.3.0", _I16),
                        (6, "2.1.0", lambda f: len(f.inputs) < 3 or f.inputs[2] is None),
                        (5, "2.0.0", _option("KeepNumDims")), (4, "1.14.0", _I8), (3, "1.14.0", _hybrid),
                        (1, "1.5.0", _always)),
    "GATHER": ((6, "2.13.0", _is(DType.I16, at=1)), (5, "2.5.0", _option("BatchDims")), (4, "2.4.0", _I16),
               (3, "1.15.0", _BOOL), (2, "1.14.0", _I8), (1, "1.6.0", _always)),
    "GATHER_ND": ((5, "2.16.0", _BOOL), (4, "2.13.0", _is(DType.I16, at=1)), (3, "2.5.0", _I16),
                  (1, "1.14.0", _always)),
    "GELU": ((2, "2.9.0", _is(DType.I8, DType.U8)), (1, "2.9.0", _always)),
    "GREATER": _ladder("1.14.0", "1.14.0"),
    "GREATER_EQUAL": _ladder("1.14.0", "1.14.0", "2.13.0"),
    "LEAKY_RELU": ((2, "2.3.0", _I16), (1, "1.13.1", _always)),
    "LESS": _ladder("1.14.0", "1.14.0", "2.13.0"),
    "LESS_EQUAL": _ladder("1.14.0", "1.14.0"),
    "LOGISTIC": _ladder("1.14.0", "1.14.0", "2.3.0"),
    "LOG": ((2, "2.15.0", _is(DType.I8, DType.I16)), (1, "1.14.0", _always)),
    "LOG_SOFTMAX": _ladder("1.14.0", "1.14.0"),
    "L2_NORMALIZATION": _ladder("1.5.0", "1.14.0"),
    "MAXIMUM": ((4, "2.3.0", _I16), (3, "2.3.0", _wide_broadcast), *_ladder("1.14.0", "1.14.0")),
    "MAX_POOL_2D": _ladder("1.5.0", "1.14.0", "2.3.0"),
    "MEAN": _ladder("1.6.0", "1.14.0", "2.4.0"),
    "MINIMUM": ((4, "2.3.0", _I16), (3, "2.3.0", _wide_broadcast), *_ladder("1.14.0", "1.14.0")),
    "MIRROR_PAD": _ladder("1.13.1", "2.3.0", "2.12.0"),
    "MUL": ((7, "2.13.0", lambda f: (_I16(f) and not f.quantized()) or f.kind(0) is DType.U32),
            (5, "2.6.0", _is(DType.I64)), (4, "2.3.0", _I16), (3, "1.15.0", lambda f: _grows(f)),
            (2, "1.14.0", _I8), (1, "1.5.0", _always)),
    "NOT_EQUAL": ((4, "2.21.0", _I16), (2, "1.14.0", _I8), (1, "1.14.0", _always)),
    "PACK": ((4, "2.13.0", _is(DType.U32)), (3, "2.3.0", _I16), (2, "1.14.0", _I8), (1, "1.11.0", _always)),
    "PAD": ((5, "2.20.0", _BOOL), (4, "2.6.0", _rank_over(4)), *_ladder("1.5.0", "1.14.0", "2.4.0")),
    "PADV2": ((5, "2.20.0", _BOOL), (4, "2.6.0", _rank_over(4)), *_ladder("1.9.0", "1.14.0", "2.4.0")),
    "QUANTIZE": ((3, "2.7.0", lambda f: f.per_channel(0) or _several(f.outputs[0])),
                 (2, "1.15.0", lambda f: f.outputs[0].dtype is DType.I16), (1, "1.14.0", _always)),
    "RANGE": ((2, "2.14.0", _is(DType.I64)), (1, "1.13.0", _always)),
    "REDUCE_MAX": _ladder("1.11.0", "1.14.0", "2.5.0"),
    "REDUCE_MIN": _ladder("1.11.0", "1.14.0", "2.5.0"),
    "REDUCE_PROD": ((2, "2.6.0", _is(DType.I8, DType.I16)), (1, "1.11.0", _always)),
    "RELU": ((3, "2.5.0", _I16), (2, "2.1.0", _is(DType.I8, DType.U8)), (1, "1.5.0", _always)),
    "RELU6": _ladder("1.5.0", "1.14.0", "2.5.0"),
    "RESIZE_BILINEAR": ((4, "2.5.0", _I16), (3, "2.2.0", _option("HalfPixelCenters")), *_ladder("1.7.0", "1.14.0")),
    "RESIZE_NEAREST_NEIGHBOR": (
        (4, "2.4.0", _I16),
        (3, "2.3.0", lambda f: bool(f.values.get("HalfPixelCenters") or f.values.get("AlignCorners"))),
        *_ladder("1.13.1", "1.14.0"),
    ),
    "REVERSE_V2": ((3, "2.5.0", _I8), (2, "2.2.0", _BOOL), (1, "1.14.0", _always)),
    "RSQRT": _ladder("1.10.0", "2.5.0", "2.15.0"),
    "SELECT_V2": ((2, "2.12.0", _is(DType.U32)), (1, "2.2.0", _always)),
    "SIGN": ((2, "2.12.0", _is(DType.I32)), (1, "2.11.0", _always)),
    "SLICE": ((8, "2.23.0", _is(DType.F16)), (6, "2.14.0", _is(DType.U32)), (5, "2.5.0", _rank_over(4)),
              (4, "2.4.0", _I16), (2, "1.14.0", _I8), (1, "1.14.0", _always)),
    "SOFTMAX": _ladder("1.5.0", "1.14.0", "2.3.0"),
    "SPACE_TO_DEPTH": _ladder("1.5.0", "1.14.0"),
    "SPLIT": ((4, "2.3.0", _is(DType.I16, at=1)), (3, "1.14.0", _is(DType.I32, at=1)),
              (2, "1.14.0", _is(DType.I8, at=1)), (1, "1.5.0", _always)),
    "SPLIT_V": _ladder("1.13.1", "2.3.0"),
    "SQRT": ((2, "2.21.0", _is(DType.I8, DType.I16)), (1, "1.10.0", _always)),
    "SQUARED_DIFFERENCE": _ladder("1.13.1", "2.5.0"),
    "STRIDED_SLICE": ((8, "2.14.0", _option("Offset")), (7, "2.14.0", _is(DType.U32)),
                      (6, "2.6.0", lambda f: bool(f.values.get("EllipsisMask") or f.values.get("NewAxisMask"))),
                      (4, "2.2.0", _rank_over(4)), (3, "2.1.0", _BOOL), (2, "1.14.0", _I8), (1, "1.6.0", _always)),
    "SUB": ((5, "2.4.0", _I16), (4, "2.4.0", _is(DType.I64)), (3, "2.3.0", _wide_broadcast),
            *_ladder("1.6.0", "1.14.0")),
    "SUM": _ladder("1.10.0", "1.15.0"),
    "TANH": _ladder("1.14.0", "1.14.0", "2.3.0"),
    "TILE": ((3, "2.8.0", _I8), (1, "1.10.1", _always)),
    "TOPK_V2": ((3, "2.13.0", _I16), *_ladder("1.7.0", "1.14.0")),
    "TRANSPOSE": ((9, "2.23.0", _is(DType.F16)), (6, "2.12.0", _rank_over(5)), (5, "2.4.0", _I16),
                  (4, "2.3.0", _rank_over(4)), (3, "1.15.0", _BOOL), (2, "1.14.0", _I8), (1, "1.6.0", _always)),
    "TRANSPOSE_CONV": ((4, "2.13.0", _option("FusedActivationFunction")),
                       (3, "2.3.0", lambda f: len(f.inputs) > 3 and f.inputs[3] is not None),
                       (2, "2.2.0", _is(DType.I8, at=1)), (1, "1.9.0", _always)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ((2, "1.14.0", lambda f: f.kind(0) is DType.F32 and f.kind(2) is DType.I8),
                                     (1, "1.13.1", _always)),
    "UNPACK": ((5, "2.22.0", _is(DType.F16)), (4, "2.3.0", _I16), (3, "2.2.0", _BOOL),
               (2, "1.14.0", _is(DType.I8, DType.U8)), (1, "1.11.0", _always)),
    "WHERE": ((2, "2.8.0", lambda f: f.kind(0) is not DType.BOOL), (1, "1.14.0", _always)),
}  # fmt: skip

_ONLY = {
    "ATAN2": "2.10.0", "BITCAST": "2.13.0", "BITWISE_XOR": "2.13.0", "BROADCAST_ARGS": "2.6.0", "CEIL": "1.14.0",
    "CONV_3D": "2.5.0",
    "CONV_3D_TRANSPOSE": "2.6.0", "COS": "1.14.0", "CUMSUM": "2.4.0", "DENSIFY": "2.2.0", "DILATE": "2.15.0",
    "DYNAMIC_UPDATE_SLICE": "2.9.0", "ELU": "1.14.0", "EXP": "1.7.0", "EXPAND_DIMS": "1.10.0", "FLOOR": "1.9.0",
    "HARD_SWISH": "1.15.0", "IF": "1.15.0", "LOCAL_RESPONSE_NORMALIZATION": "1.5.0", "LOGICAL_AND": "1.11.0",
    "LOGICAL_NOT": "1.11.0", "LOGICAL_OR": "1.11.0", "NEG": "1.9.0", "NON_MAX_SUPPRESSION_V4": "2.1.0",
    "NON_MAX_SUPPRESSION_V5": "2.1.0", "ONE_HOT": "1.11.0", "POW": "1.10.0", "PRELU": "1.8.0", "RANK": "1.14.0",
    "REDUCE_ALL": "2.6.0", "REDUCE_ANY": "1.11.0", "RELU_0_TO_1": "2.10.0", "RELU_N1_TO_1": "1.5.0",
    "RESHAPE": "1.5.0", "REVERSE_SEQUENCE": "1.14.0", "RIGHT_SHIFT": "2.13.0", "ROUND": "1.14.0",
    "SCATTER_ND": "2.1.0", "SHAPE": "1.10.0", "SIN": "1.9.0", "SQUARE": "1.12.0", "SQUEEZE": "1.6.0",
    "STABLEHLO_ADD": "2.16.0", "STABLEHLO_AND": "2.17.0", "STABLEHLO_MAXIMUM": "2.16.0", "STABLEHLO_MINIMUM": "2.16.0",
    "STABLEHLO_MULTIPLY": "2.16.0", "STABLEHLO_SCATTER": "2.15.0", "STABLEHLO_SHIFT_LEFT": "2.17.0",
    "UNIQUE": "1.14.0",
    "WHILE": "1.15.0", "ZEROS_LIKE": "1.12.0",
}  # fmt: skip
"""Operators with one version in the forms that are written, and the runtime that brought it."""


def _grouped(form: Form) -> bool:
    x, w = form.inputs[0], form.inputs[1]
    return x is not None and w is not None and x.shape[-1] != w.shape[-1]


def _dilated(form: Form) -> bool:
    return form.values.get("DilationWFactor") != 1 or form.values.get("DilationHFactor") != 1


def _several(tensor: Tensor) -> bool:
    return tensor.quantization is not None and len(tensor.quantization.scale) > 1


def _grows(form: Form) -> bool:
    """True where the product of two integers is scaled up, which the first kernels could not."""
    tensors = (form.inputs[0], form.inputs[1], form.outputs[0])
    if any(t is None or t.quantization is None for t in tensors):
        return False
    a, b, y = (t.quantization.scale[0] for t in tensors if t is not None and t.quantization is not None)
    return a * b / y >= 1


def _rule(name: str, form: Form) -> tuple[int, str]:
    if name in _ONLY:
        return 1, _ONLY[name]
    version, runtime, _ = next(rule for rule in _RULES[name] if rule[2](form))
    return version, runtime


def version_of(
    name: str, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], values: Mapping[str, OptionValue]
) -> int:
    """The version to state for an operation on these tensors. KeyError for an operator that is in no table."""
    return _rule(name, Form(inputs, outputs, values))[0]


def runtime_version(model: Model) -> str:
    """The oldest TFLite runtime that has all operator versions of the model."""
    needed = ["1.5.0"]
    for graph in model.subgraphs:
        for operation in graph.operations:
            inputs = [graph.tensors[i] if i >= 0 else None for i in operation.inputs]
            outputs = [graph.tensors[o] for o in operation.outputs]
            needed.append(_rule(operation.name, Form(inputs, outputs, operation.values))[1])
    return max(needed, key=lambda version: tuple(map(int, version.split("."))))
