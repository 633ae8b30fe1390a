"""One subgraph being translated: the values of its tensors, stored and real, and the variables that it can see."""

from __future__ import annotations

from mconv.ir import Builder, DType, Value, ops
from mconv.ir.types import Array

from . import errors
from .decode import Model, Quantization, SubGraph, Tensor
from .tensors import content, dtype_of, spread


class Variables:
    """Resource variables by name: what they hold now, and what the model's own initialisation lets them begin with.

    They are not ``allowed`` in bodies of control flow, whose assignments would have to leave them.
    """

    def __init__(self, *, allowed: bool = True) -> None:
        self.allowed = allowed
        self.now: dict[str, Value] = {}
        self.initial: dict[str, Array] = {}


class Scope:
    """The tensors of a subgraph as values of the graph that ``builder`` appends to."""

    def __init__(self, model: Model, subgraph: SubGraph, builder: Builder, variables: Variables, *, main: bool) -> None:
        self.model = model
        self.subgraph = subgraph
        self.builder = builder
        self.variables = variables
        self.main = main
        self.handles: dict[int, str] = {}
        self.scratch: set[int] = set()
        """Tensors that a kernel fills for itself."""
        self.owned: set[Value] = set()
        self._values: dict[int, Value | None] = {}
        self._reals: dict[int, Value] = {}
        self._casts: dict[tuple[Value, DType], Value] = {}

    # Tensors ----------------------------------------------------------------------------------------------

    def tensor(self, index: int) -> Tensor:
        """The tensor of that index."""
        return self.subgraph.tensor(index)

    def bind(self, index: int, value: Value | None) -> None:
        """Let ``value`` be the content of a tensor (None: what makes it could not be translated)."""
        if index in self._values or index in self.handles:
            raise errors.bad_order(f"tensor '{self.tensor(index).name}' is made twice")
        self._values[index] = value

    def bound(self, index: int) -> bool:
        """Whether a tensor has a value already."""
        return index in self._values or index in self.handles

    def value(self, index: int) -> Value:
        """The content of a tensor as it is stored; MC283 where nothing has made it."""
        if index in self.scratch:
            raise errors.form(f"reading '{self.tensor(index).name}', which a kernel fills for itself")
        if index not in self._values:
            tensor = self.tensor(index)
            array = None if tensor.variable else content(self.model, tensor)
            if array is None:
                raise errors.bad_order(f"nothing makes tensor '{tensor.name}' before it is read")
            self._values[index] = self.named(self.builder.graph.add_constant(array, tensor.name), tensor.name)
        found = self._values[index]
        if found is None:
            raise Lost
        return found

    def quantization(self, index: int) -> Quantization | None:
        """How the integers of a tensor stand for real numbers; None where it holds plain numbers."""
        tensor = self.tensor(index)
        found = tensor.quantization
        return found if found is not None and dtype_of(tensor).is_integer else None

    def real(self, index: int) -> Value:
        """The content of a tensor as real numbers."""
        if index not in self._reals:
            value = self.value(index)
            quantization = self.quantization(index)
            if quantization is not None:
                value = self.dequantized(value, quantization, quantization.axis)
            elif value.type.dtype in (DType.F16, DType.BF16):
                value = self.cast(value, DType.F32)
            self._reals[index] = value
        return self._reals[index]

    def turned(self, index: int, perm: tuple[int, ...]) -> Value:
        """The content of a tensor as real numbers, with its axes in another order."""
        real = self.real(index)
        if sorted(perm) != list(range(real.type.rank)):
            raise errors.misfit(f"{real.type} has not {len(perm)} axes")
        if real.data is not None:
            return self.builder.graph.add_constant(real.data.transpose(perm), real.name)
        maker = real.producer
        stored = maker.operands[0] if maker is not None and isinstance(maker.op, ops.Cast | ops.Dequantize) else None
        if maker is None or stored is None or stored.data is None:
            return self.builder.add(ops.Transpose(perm), real)
        turned = self.builder.graph.add_constant(stored.data.transpose(perm), stored.name)
        op = maker.op
        if isinstance(op, ops.Dequantize) and op.axis is not None:
            op = ops.Dequantize(perm.index(op.axis))
        return self.builder.add(op, turned, *maker.operands[1:])

    # What is built ----------------------------------------------------------------------------------------

    def cast(self, value: Value, dtype: DType) -> Value:
        """``value`` as another element type; itself where it has that type."""
        if value.type.dtype is dtype:
            return value
        if (value, dtype) not in self._casts:
            self._casts[value, dtype] = self.builder.add(ops.Cast(dtype), value)
        return self._casts[value, dtype]

    def dequantized(self, value: Value, quantization: Quantization, axis: int | None) -> Value:
        """Real numbers of stored integers."""
        scale, zero, along = self._parameters(value.type.dtype, quantization, axis)
        return self.builder.add(ops.Dequantize(along), value, scale, zero)

    def quantized(self, value: Value, tensor: Tensor) -> Value:
        """Stored integers of real numbers, as the tensor wants them."""
        assert tensor.quantization is not None
        dtype = dtype_of(tensor)
        scale, zero, along = self._parameters(dtype, tensor.quantization, tensor.quantization.axis)
        return self.builder.add(ops.Quantize(dtype, along), self.cast(value, DType.F32), scale, zero)

    def _parameters(
        self, dtype: DType, quantization: Quantization, axis: int | None
    ) -> tuple[Value, Value | None, int | None]:
        several = len(quantization.scale) > 1
        scale = self.builder.constant(spread(quantization.scale, DType.F32), name="scale")
        info = _RANGES[dtype]
        if any(not info[0] <= z <= info[1] for z in quantization.zero_point):
            raise errors.bad_tensor(f"a zero point among {quantization.zero_point[:8]} is none of {dtype.value}")
        zero = self.builder.constant(spread(quantization.zero_point, dtype), name="zero_point")
        return scale, zero, axis if several else None

    def named(self, value: Value, name: str) -> Value:
        """The value, under the file's name for it where that is free (in the main graph always)."""
        self.builder.graph.rename(value, name, evict=self.main)
        return value


_RANGES = {
    DType.I8: (-128, 127), DType.U8: (0, 255), DType.I16: (-(2**15), 2**15 - 1), DType.U16: (0, 2**16 - 1),
    DType.I32: (-(2**31), 2**31 - 1), DType.U32: (0, 2**32 - 1), DType.I64: (-(2**63), 2**63 - 1),
    DType.U64: (0, 2**64 - 1),
}  # fmt: skip


class Lost(Exception):
    """A value is needed whose own operator could not be translated; that cause has been noted."""
