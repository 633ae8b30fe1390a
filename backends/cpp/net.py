"""The network under construction: emitters ask it for the views of IR values, and add steps, each a call of a kernel.

The text of a step names memory by tokens (``ptr``), because where buffers lie is known only when all steps are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mconv.ir import DType, Graph, Node, Op, Value
from mconv.ir.types import Array

from . import channels, reorder
from .placement import Placements
from .sized import capacity
from .step import Prepared, Rows, Step
from .view import ALIGNMENT, BLOCK, Buffer, View, blocked_elements, blocked_strides, has_batch, row_major

C_TYPES = {
    DType.BOOL: "bool", DType.I8: "int8_t", DType.I16: "int16_t", DType.I32: "int32_t", DType.I64: "int64_t",
    DType.U8: "uint8_t", DType.U16: "uint16_t", DType.U32: "uint32_t", DType.U64: "uint64_t",
    DType.F16: "half", DType.BF16: "bfloat", DType.F32: "float", DType.F64: "double",
}  # fmt: skip
"""C++ types of elements. ``half`` and ``bfloat`` are structs of 16 bits (fragment ``scalar``)."""

TOKEN = re.compile(r"<(\d+):(-?\d+):(\w+)>")
"""A pointer in a step's text: the buffer's serial number, bytes into it, the C++ type of elements."""


class Net:
    """Builds the steps of a network from a Graph, node by node."""

    def __init__(self, graph: Graph, *, exact: bool = False) -> None:
        self.graph, self.exact = graph, exact
        self.steps: list[Step] = []
        self.fragments: dict[str, None] = {}
        self.macros: dict[str, None] = {"MCONV_SUM_TERMS 32": None} if exact else {}
        self.prepared: list[Prepared] = []
        self.weights: dict[Buffer, Array] = {}
        self.notes: list[str] = []
        self.done: set[Node] = set()
        """Nodes that an earlier node's step has taken over."""
        self.deferred: set[Node] = set()
        """Nodes whose only reader will compute them in its own step."""
        self.sizes: dict[Value, View] = {}
        """Where the sizes are of values of which only running tells them: 8 numbers of i64."""
        self.apart: dict[Value, channels.Channels] = {}
        """Values whose channels lie apart; they are put together when somebody asks for a view."""
        self.groups: dict[Node, Any] = {}
        """What those amount to together with the reader (``emit.elementwise.Group``)."""
        self._views: dict[Value, list[View]] = {}
        self._buffers: list[Buffer] = []
        self._constants: dict[tuple[object, ...], tuple[View, Array]] = {}
        self._made: dict[tuple[object, ...], Buffer] = {}
        self._packed: dict[tuple[object, ...], View] = {}
        self._placements = Placements(graph)
        self._node: Node | None = None
        self.input_buffers = [self._buffer("input", v, index) for index, v in enumerate(graph.inputs)]
        self.output_buffers = [
            self._new("output", (capacity(v) or 0) * v.type.dtype.size, index=index)
            for index, v in enumerate(graph.outputs)
        ]
        for value, buffer in zip(graph.inputs, self.input_buffers, strict=True):
            shape = value.type.static_shape
            self._views[value] = [View(buffer, value.type.dtype, shape, row_major(shape))]

    # Walking ----------------------------------------------------------------------------------------------------

    def begin(self, node: Node) -> None:
        """The steps that follow compute this node."""
        self._node = node

    def has(self, value: Value) -> bool:
        """True for what has been computed by now, and for constants."""
        return value.is_constant or value in self._views or value in self.apart

    def sole_reader(self, value: Value) -> Node | None:
        """The only node that reads ``value``, once; None where there are more, or where it is an output."""
        if self.graph.is_output(value) or len(value.uses) != 1:
            return None
        return value.uses[0][0]

    def is_dead(self, value: Value) -> bool:
        """True when nothing still to come (after the current node) reads ``value``."""
        if self.graph.is_output(value) or value.is_constant:
            return False
        return all(node in self.done or node is self._node for node in value.readers)

    # Views ------------------------------------------------------------------------------------------------------

    def view(self, value: Value) -> View:
        """The value as it lies; of several forms the first that was made."""
        if value.is_constant:
            return self.constant(value.constant)
        return self.views(value)[0]

    def channels_of(self, value: Value) -> channels.Channels | None:
        """Where the channels of a blocked value, or one whose channels lie apart, are; None for others."""
        if value in self.apart and value not in self._views:
            return self.apart[value]
        if value.is_constant or not channels.fits(value):
            return None
        for view in self._views[value]:
            if view.block == channels.AXIS and view.images() is not None:
                return channels.of_view(view)
        return None

    def is_apart(self, value: Value) -> bool:
        """True while the channels of a value lie apart."""
        return value in self.apart and value not in self._views

    def give_channels(self, value: Value, found: channels.Channels) -> None:
        """Say where the channels of a value lie. They are put together at once where they are all over the place."""
        if len(found.sources) > channels.MAX_SOURCES:
            channels.gather(self, value, found)
        else:
            self.apart[value] = found

    def views(self, value: Value) -> list[View]:
        """All forms in which the value exists by now."""
        if value.is_constant:
            return [self.constant(value.constant)]
        if value in self.apart and value not in self._views:
            channels.gather(self, value, self.apart[value])
        return self._views[value]

    def planar(self, value: Value) -> View:
        """The value as a dense planar view; it is brought into that form where it is not."""
        for view in self.views(value):
            if view.is_dense:
                return view
        source = self._views[value][0]
        result = self.fresh(source.dtype, source.shape)
        reorder.copy(self, source, result)
        self._views[value].append(result)
        return result

    def blocked(self, value: Value, axis: int) -> View:
        """The value with ``axis`` blocked and the pixels of each image together; it is brought into that form where it
        is not. For f32.
        """
        if value.is_constant:
            return self.constant(to_blocks(value.constant, axis), of=value.type.static_shape, block=axis)
        for view in self.views(value):
            if view.block == axis and view.images() is not None:
                return view
        source = self._views[value][0]
        result = self.fresh(source.dtype, source.shape, axis)
        reorder.copy(self, source, result)
        self._views[value].append(result)
        return result

    def result(self, value: Value, block: int | None = None, *, over: Sequence[Value] = ()) -> View:
        """Memory for a result: the model's output where it is one, a concatenation's part where it goes into one.

        ``over`` are operands in whose memory it may be written, once nothing else reads them: the step must
        read element i of them before it writes element i.
        """
        shape, dtype = value.type.static_shape, value.type.dtype
        view = self._placed(value, block) or self._over(value, block, over)
        if view is None and block is None and self.graph.is_output(value):
            buffer = self.output_buffers[self.graph.outputs.index(value)]
            view = View(buffer, dtype, shape, row_major(shape))
        view = view or self.fresh(dtype, shape, block)
        self.give(value, view)
        return view

    def sized(self, value: Value) -> tuple[View, View]:
        """For a result whose sizes only running tells: memory for the most elements, and for the sizes (8 of i64)."""
        count = capacity(value) or 0
        if value.type.is_static:
            return self.result(value), self.fresh(DType.I64, (8,))
        if self.graph.is_output(value):
            buffer = self.output_buffers[self.graph.outputs.index(value)]
        else:
            buffer = self.allocate(count * value.type.dtype.size)
        view = View(buffer, value.type.dtype, (count,), (1,))
        self.give(value, view)
        self.sizes[value] = self.fresh(DType.I64, (8,))
        return view, self.sizes[value]

    def give(self, value: Value, view: View) -> None:
        """Say where a value lies (also as one more form of it)."""
        self._views.setdefault(value, []).append(view)

    def concat_block(self, node: Node) -> int | None:
        """The axis along which a concatenation is made of whole blocks, as its operands were told; None where not."""
        place = self._placements.of(node.inputs[0])
        return place.axis if place is not None and place.whole_is(node.result, self._placements) else None

    def fresh(self, dtype: DType, shape: tuple[int, ...], block: int | None = None) -> View:
        """A new piece of the arena."""
        if block is None:
            buffer = self.allocate(math.prod(shape) * dtype.size)
            return View(buffer, dtype, shape, row_major(shape))
        buffer = self.allocate(blocked_elements(shape, block) * dtype.size)
        return View(buffer, dtype, shape, blocked_strides(shape, block), 0, block)

    def allocate(self, nbytes: int) -> Buffer:
        """A buffer of the arena."""
        return self._new("arena", nbytes)

    def constant(self, array: Array, *, of: tuple[int, ...] | None = None, block: int | None = None) -> View:
        """A view of an array that goes into the weights; equal memory is stored once.

        ``of`` and ``block`` say what tensor a blocked array holds.
        """
        key = _content_key(array), of, block
        if key not in self._constants:
            buffer = self._new("weights", array.nbytes)
            self.weights[buffer] = array
            shape = array.shape if of is None else of
            strides = row_major(shape) if block is None else blocked_strides(shape, block)
            self._constants[key] = View(buffer, DType.of(array.dtype), shape, strides, 0, block), array
        return self._constants[key][0]

    def packed(self, value: Value, pack: Callable[[Array], Array], name: str = "") -> View:
        """A constant in a kernel's order (``pack`` gives a flat array), once for each order.

        ``name`` tells orders apart where ``pack`` is made anew each time.
        """
        key = ("packed", _content_key(value.constant), name or pack)
        if key not in self._packed:
            self._packed[key] = self.constant(pack(value.constant).reshape(-1))
        return self._packed[key]

    def prepare(self, source: View, nbytes: int, call: Callable[[str, str], str]) -> Buffer:
        """Weights in another form, made once at create: ``call(from, to)`` is the statement that makes them."""
        key = source.buffer, nbytes, call("", "")
        if key not in self._made:
            buffer = self._made[key] = self._new("prepared", nbytes)
            statement = call(self.token(source.buffer), self.token(buffer))
            self.prepared.append(Prepared(buffer, source.buffer, statement))
        return self._made[key]

    # Steps ------------------------------------------------------------------------------------------------------

    def step(
        self,
        text: str,
        reads: Iterable[View | Buffer],
        writes: Iterable[View | Buffer],
        *,
        needs: Iterable[str] = (),
        scratch: int = 0,
        covers: Sequence[Node] = (),
        what: str = "",
        stream: Rows | None = None,
    ) -> None:
        """Add a step. ``needs`` are the fragments of kernels that its text uses."""
        self.need(*needs)
        flops = 0 if what else sum(map(_flops, (self._node, *covers)))
        self.steps.append(
            Step(text, _buffers(reads), _buffers(writes), scratch, self._node, what, tuple(covers), flops, stream)
        )
        self.done.update(covers)

    def need(self, *fragments: str) -> None:
        """Fragments of kernels that the text uses."""
        self.fragments.update(dict.fromkeys(fragments))

    def define(self, *macros: str) -> None:
        """Macros that the fragments are to see, as ``MCONV_ACT_SILU``."""
        self.macros.update(dict.fromkeys(macros))

    def ptr(self, view: View) -> str:
        """C++ for the pointer to the view's first element."""
        return self.token(view.buffer, view.offset * view.dtype.size, view.dtype)

    def token(self, buffer: Buffer, offset: int = 0, dtype: DType = DType.F32) -> str:
        """C++ for a typed pointer into a buffer (``offset`` in bytes), to be filled in when it has a place."""
        return f"<{buffer.serial}:{offset}:{C_TYPES[dtype]}>"

    def place(self, buffer: Buffer, offset: int) -> str:
        """C++ for a place in the arena, in floats from its begin (``offset`` in bytes)."""
        return f"<{buffer.serial}:{offset}:place>"

    @property
    def buffers(self) -> list[Buffer]:
        """All buffers, by their serial numbers."""
        return self._buffers

    def finish(self) -> None:
        """Bring every output into its buffer."""
        self._node = None
        for value, buffer in zip(self.graph.outputs, self.output_buffers, strict=True):
            if value in self.sizes:
                sizes = self.sizes[value]
                self.step(f"memcpy(r.sizes[{buffer.index}], {self.ptr(sizes)}, 64);", [sizes], [buffer], what="sizes")
            if any(v.buffer is buffer for v in self.views(value)):
                continue
            if value in self.sizes:
                source = self.views(value)[0]
                reorder.copy(self, source, source.replace(buffer=buffer, offset=0))
                continue
            source = self.views(value)[0]
            shape = value.type.static_shape
            reorder.copy(self, source, View(buffer, value.type.dtype, shape, row_major(shape)))

    # Inside -----------------------------------------------------------------------------------------------------

    def _placed(self, value: Value, block: int | None) -> View | None:
        """A part of the buffer of the concatenation that reads ``value``, where all parts are whole blocks."""
        place = self._placements.of(value)
        if place is None or place.axis != block:
            return None
        key = ("concat", place.whole)
        if key not in self._made:
            shape = place.shape
            self._made[key] = self.allocate(blocked_elements(shape, place.axis) * value.type.dtype.size)
        strides = blocked_strides(place.shape, place.axis)
        offset = place.begin // BLOCK * strides[place.axis]
        return View(self._made[key], value.type.dtype, value.type.static_shape, strides, offset, place.axis)

    def _over(self, value: Value, block: int | None, operands: Sequence[Value]) -> View | None:
        for operand in operands:
            if operand.is_constant or operand.type != value.type or not self.is_dead(operand):
                continue
            view = next((v for v in self._views.get(operand, []) if v.block == block), None)
            if view is None or view.buffer.place != "arena" or not self._alone(operand, view.buffer):
                continue
            if block is None and not view.is_dense:
                continue
            return view
        return None

    def _alone(self, value: Value, buffer: Buffer) -> bool:
        """Nothing else that is still to be read lies in the buffer."""
        waiting = (found for v, found in self.apart.items() if v not in self._views)
        if any(source.buffer is buffer for found in waiting for source in found.sources):
            return False
        return all(
            other is value or self.is_dead(other) or all(v.buffer is not buffer for v in views)
            for other, views in self._views.items()
        )

    def _buffer(self, place: str, value: Value, index: int) -> Buffer:
        return self._new(place, value.type.nbytes or 0, index=index)

    def _new(self, place: str, nbytes: int, *, index: int = 0) -> Buffer:
        rounded = max(ALIGNMENT, -(-nbytes // ALIGNMENT) * ALIGNMENT) if place != "input" else nbytes
        buffer = Buffer(place, rounded, len(self._buffers), index=index)
        self._buffers.append(buffer)
        return buffer


def to_blocks(array: Array, axis: int) -> Array:
    """A tensor in the blocked form as a flat array, the last block filled up with zeros."""
    moved = np.moveaxis(array, axis, 0)
    channels = moved.shape[0]
    blocks = -(-channels // BLOCK)
    filled = np.zeros((blocks * BLOCK, *moved.shape[1:]), array.dtype)
    filled[:channels] = moved
    split = np.moveaxis(filled.reshape(blocks, BLOCK, *moved.shape[1:]), 1, -1)
    if has_batch(array.ndim, axis):
        split = np.moveaxis(split, 1, 0)  # axis 0 is outermost
    return np.ascontiguousarray(split).reshape(-1)


def _buffers(items: Iterable[View | Buffer]) -> tuple[Buffer, ...]:
    return tuple(dict.fromkeys(i.buffer if isinstance(i, View) else i for i in items))


def _content_key(array: Array) -> object:
    if array.nbytes <= 256:
        return array.dtype.str, array.shape, array.tobytes()
    return array.ctypes.data, array.strides, array.shape, array.dtype.str


def _flops(node: Node | None) -> int:
    if node is None:
        return 0
    op: Op = node.op
    return op.flops(node.operand_types, [v.type for v in node.results])
