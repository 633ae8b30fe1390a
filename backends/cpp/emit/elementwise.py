"""Operators that work element by element: one loop for all, with all formulas of a chain or tree in its body.

A node whose only reader is elementwise too, of the same shape, is not computed on its own: its formula becomes a line
of the reader's. The loop runs over blocked values as they lie, with the lane as one more axis.
"""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import DType, Node, Value
from mconv.ir.ops import BitCast, Cast, Dequantize, Quantize, Where
from mconv.ir.record import Record

from .. import reorder
from ..backend import cpp
from ..net import C_TYPES, Net, to_blocks
from ..view import BLOCK, View, row_major
from . import scale
from .common import braced
from .formulas import NEEDS_VECTOR, SCALAR, VECTOR, arithmetic_type

MAX_NODES, MAX_LEAVES = 16, 12
"""How large the body of a loop may become."""
NARROW = (DType.F16, DType.BF16)


class Group(Record):
    """What a node and those that are computed with it amount to.

    ``leaves`` are operands, ``large`` those of the result's size that are not constant. ``vector`` is True where one
    of the nodes needs vectors of floats, ``scalar`` where one cannot be written with them.
    """

    nodes: int
    leaves: int
    large: int
    vector: bool
    scalar: bool

    def joined(self, other: Group) -> Group:
        """Both in one."""
        return Group(
            self.nodes + other.nodes,
            self.leaves + other.leaves,
            self.large + other.large,
            self.vector or other.vector,
            self.scalar or other.scalar,
        )

    @property
    def is_good(self) -> bool:
        """Small enough, and not torn between vectors and single elements."""
        return self.nodes <= MAX_NODES and self.leaves <= MAX_LEAVES and not (self.vector and self.scalar)


class Leaf(Record):
    """An operand that lies in memory: its name in the loop's body, its view, and strides for the result's axes.

    ``block`` is the stride from block to block, ``lane`` that within one, for loops over blocked values.
    """

    name: str
    view: View
    strides: tuple[int, ...]
    block: int = 0
    lane: int = 0


@cpp.emits(*(op for op in SCALAR if op not in (Quantize, Dequantize)))
def elementwise(node: Node, net: Net) -> None:
    """One loop for a chain or tree of elementwise operators."""
    compute(node, net)


@cpp.emits(BitCast)
def bit_cast(node: Node, net: Net) -> None:
    """The same memory."""
    x = net.planar(node.inputs[0])
    net.give(node.result, x.replace(dtype=node.result.type.dtype))


def not_in_blocks(node: Node) -> bool | str:
    """blocks of scales divide the axis"""
    op = node.op
    assert isinstance(op, Quantize | Dequantize)
    if not op.block_size or op.axis is None:
        return True
    return node.inputs[0].type.static_shape[op.axis] % op.block_size == 0


@cpp.emits(Quantize, Dequantize, where=(not_in_blocks,))
def quantize(node: Node, net: Net) -> None:
    """As the elementwise operators; the scale is repeated along its axis."""
    compute(node, net)


def compute(node: Node, net: Net) -> None:
    """Leave the node to its reader, or compute it with all nodes that were left to it."""
    if not node.result.type.is_static:
        _flat(node, net)
        return
    if scale.is_left_to_reader(node, net):
        net.deferred.add(node)
        return
    group = net.groups.get(node) or _own_group(node)
    reader = _only_reader(node, net)
    if reader is not None and _can_join(node, reader, group, net):
        whole = (net.groups.get(reader) or _own_group(reader)).joined(group)
        if whole.is_good:
            net.groups[node], net.groups[reader] = group, whole
            net.deferred.add(node)
            return
    Loop(node, net).emit()


def _flat(node: Node, net: Net) -> None:
    """One operand's sizes are known only at run time: all that it can hold is computed."""
    value = next(v for v in node.inputs if not v.type.is_static)
    x = net.view(value)
    views = [x if v is value else net.planar(v) for v in node.inputs]
    y, _ = net.sized(node.result)
    net.sizes[node.result] = net.sizes[value]
    kinds = [C_TYPES[v.dtype] for v in views]
    names = [f"float(x{k})" if v.dtype in NARROW else f"x{k}" for k, v in enumerate(views)]
    dtype = node.inputs[1 if isinstance(node.op, Where) else 0].type.dtype
    text = SCALAR[type(node.op)](node.op, names, dtype)
    parameters = ", ".join(f"{kind} x{k}" for k, kind in enumerate(kinds))
    operands = ", ".join(f"{'along' if v is x else 'same'}({net.ptr(v)})" for v in views)
    strides = ", ".join(braced([int(v is x)]) for v in views)
    head = f"static const Loop<{len(views)}> s{{1, {braced(y.shape)}, {{1}}, {braced([strides])}}};"
    call = f"each(r, s, {net.ptr(y)}, [=]({parameters}) {{ return {C_TYPES[y.dtype]}({text}); }}, {operands});"
    net.step(f"{head}\n{call}", views, [y], needs=["elementwise"])


def _only_reader(node: Node, net: Net) -> Node | None:
    """The node that alone reads the result, be it more than once."""
    readers = set(node.result.readers)
    return readers.pop() if len(readers) == 1 and not net.graph.is_output(node.result) else None


def _can_join(node: Node, reader: Node, group: Group, net: Net) -> bool:
    """Whether the reader is of the same form, and leaving the node to it holds no more memory than its result would."""
    if type(reader.op) not in SCALAR or reader in net.done or reader.result.type.shape != node.result.type.shape:
        return False
    if isinstance(reader.op, Quantize | Dequantize) and node.result is not reader.inputs[0]:
        return False
    if group.large <= 1:
        return True
    return all(net.has(v) or v.producer in net.deferred or v is node.result for v in reader.inputs)


def _own_group(node: Node) -> Group:
    op, size = type(node.op), node.result.type.numel
    floats = all(v.type.dtype is DType.F32 for v in (*node.inputs, node.result))
    large = sum(v.type.numel == size and not v.is_constant for v in node.inputs)
    return Group(1, len(node.inputs), large, floats and op in NEEDS_VECTOR, not floats or op not in VECTOR)


class Loop:
    """The loop that computes a node, and the nodes that were left to it."""

    def __init__(self, root: Node, net: Net) -> None:
        self.root, self.net = root, net
        self.shape = root.result.type.static_shape
        self._names: dict[tuple[Value, int], str] = {}
        self._leaves: list[tuple[Value, tuple[int, ...]]] = []
        self._lines: list[tuple[Node, list[str]]] = []
        self._visit(root)
        self.nodes = [node for node, _ in self._lines]
        groups = [_own_group(node) for node in self.nodes]
        self.vector = any(g.vector for g in groups) and not any(g.scalar for g in groups)

    def emit(self) -> None:
        """Add the step."""
        net, value = self.net, self.root.result
        covers = [node for node in self.nodes if node is not self.root]
        if 0 in self.shape:
            net.result(value)
            net.done.update(covers)
            return
        block = self._block()
        leaves = [self._leaf(v, shape, block) for v, shape in self._leaves]
        result = net.result(value, block, over=self._over(leaves))
        axes = self._axes(leaves, result, block)
        calls = [self._operand(leaf, axes[-1][2 + k]) for k, leaf in enumerate(leaves)]
        name = "each_vector" if self.vector else "each"
        columns = [braced(a[k] for a in axes) for k in range(len(axes[0]))]
        strides = "".join(f", {c}" for c in columns[2:]) if leaves else ", {}"
        head = f"static const Loop<{len(leaves)}> s{{{len(axes)}, {columns[0]}, {columns[1]}, {{{strides[2:]}}}}};"
        parameters = ", ".join(
            f"{self._parameter(v)} {leaf.name}" for (v, _), leaf in zip(self._leaves, leaves, strict=True)
        )
        lines = [head, f"{name}(r, s, {net.ptr(result)}, [=]({parameters}) {{", *self._body(), f"}}{''.join(calls)});"]
        net.step("\n".join(lines), [leaf.view for leaf in leaves], [result], needs=["elementwise"], covers=covers)

    # The body -----------------------------------------------------------------------------------------------------

    def _visit(self, node: Node) -> None:
        shapes = _aligned_shapes(node, len(self.shape))
        arguments = []
        for value, shape in zip(node.inputs, shapes, strict=True):
            producer = value.producer
            if producer is not None and producer in self.net.deferred and producer not in self.net.done:
                if not any(n is producer for n, _ in self._lines):
                    self._visit(producer)
                arguments.append(f"t{[n for n, _ in self._lines].index(producer)}")
                continue
            if (value, shape) not in self._leaves:
                self._leaves.append((value, shape))
            name = f"x{self._leaves.index((value, shape))}"
            arguments.append(f"float({name})" if value.type.dtype in NARROW else name)
        self._lines.append((node, arguments))

    def _parameter(self, value: Value) -> str:
        return "vf" if self.vector else C_TYPES[value.type.dtype]

    def _body(self) -> list[str]:
        lines = []
        for number, (node, arguments) in enumerate(self._lines):
            first = 1 if isinstance(node.op, Where) else 0
            dtype, made = node.inputs[first].type.dtype, node.result.type.dtype
            table = VECTOR if self.vector else SCALAR
            text = table[type(node.op)](node.op, arguments, dtype)
            kind = "vf" if self.vector else arithmetic_type(made)
            if made in NARROW:
                text = f"{C_TYPES[made]}({text})"
            elif not self.vector and made.is_integer and not isinstance(node.op, Cast):
                text = f"{kind}({text})"
            last = number == len(self._lines) - 1
            if last:
                lines.append(f"  return {text};" if self.vector else f"  return {C_TYPES[made]}({text});")
            else:
                lines.append(f"  const {kind} t{number} = {text};")
        return lines

    # Operands -----------------------------------------------------------------------------------------------------

    def _block(self) -> int | None:
        """The result's axis along which it is best computed in blocks."""
        types = {v.type.dtype for n in self.nodes for v in (*n.inputs, n.result)}
        if not types <= {DType.F32, DType.BOOL}:
            return None  # what fills up blocks is no number, which whole numbers could not bear
        votes: dict[int | None, int] = {}
        for value, shape in self._leaves:
            if value.is_constant or shape != self.shape:
                continue
            views = self.net.views(value)
            found = next((v.block for v in views if v.block is not None), None)
            axis = None if found is None else found + len(shape) - value.type.rank
            votes[axis] = votes.get(axis, 0) + 1
        blocks = [axis for axis in votes if axis is not None]
        if not blocks:
            return None
        best = max(blocks, key=lambda axis: votes[axis])
        return best if votes[best] >= votes.get(None, 0) else None

    def _leaf(self, value: Value, shape: tuple[int, ...], block: int | None) -> Leaf:
        name = f"x{self._leaves.index((value, shape))}"
        if block is not None and shape[block] != 1:
            view = self._blocked(value, shape, block)
            strides = _spread(view.shape, view.strides, len(self.shape))
            return Leaf(name, view, tuple(0 if a == block else s for a, s in enumerate(strides)), strides[block], 1)
        view = next((v for v in self.net.views(value) if v.block is None), None) or self.net.planar(value)
        view = _repeated(view, value, shape, self)
        return Leaf(name, view, _spread(view.shape, view.strides, len(self.shape)))

    def _blocked(self, value: Value, shape: tuple[int, ...], block: int) -> View:
        net, missing = self.net, len(shape) - value.type.rank
        if value.is_constant:
            return net.constant(to_blocks(value.constant.reshape(shape), block), of=shape, block=block)
        if missing <= block and value.type.static_shape == shape[missing:]:
            view = net.blocked(value, block - missing)
            return view.replace(
                shape=(*[1] * missing, *view.shape), strides=(*[0] * missing, *view.strides), block=block
            )
        source = net.planar(value).replace(shape=shape, strides=row_major(shape))
        target = net.fresh(source.dtype, shape, block)
        reorder.copy(net, source, target)
        return target

    def _over(self, leaves: Sequence[Leaf]) -> list[Value]:
        """Operands over which the result may be written: nothing else is read from their memory."""
        found = []
        for (value, _), leaf in zip(self._leaves, leaves, strict=True):
            others = [other for other in leaves if other is not leaf and other.view.buffer is leaf.view.buffer]
            if not others:
                found.append(value)
        return found

    def _axes(self, leaves: Sequence[Leaf], result: View, block: int | None) -> list[list[int]]:
        """For each axis of the loop its size, and the strides of the result and of each operand; joined."""
        axes = [
            [size, result.strides[axis], *(leaf.strides[axis] for leaf in leaves)]
            for axis, size in enumerate(self.shape)
            if axis != block
        ]
        if block is not None:
            axes.insert(block, [result.blocks, result.block_stride, *(leaf.block for leaf in leaves)])
            axes.append([BLOCK, 1, *(leaf.lane for leaf in leaves)])
        joined: list[list[int]] = []
        for size, *strides in axes:
            if size == 1:
                continue
            if joined and all(a == size * b for a, b in zip(joined[-1][1:], strides, strict=True)):
                joined[-1] = [joined[-1][0] * size, *strides]
            else:
                joined.append([size, *strides])
        return joined or [[1, 1, *[0] * len(leaves)]]

    def _operand(self, leaf: Leaf, stride: int) -> str:
        pointer = self.net.ptr(leaf.view)
        if stride in (0, 1):
            return f", {'along' if stride else 'same'}({pointer})"
        return f", strided({pointer}, {stride})"


def _aligned_shapes(node: Node, rank: int) -> list[tuple[int, ...]]:
    """The shape of each operand with as many axes as the result."""
    op = node.op
    shapes = []
    for index, value in enumerate(node.inputs):
        shape = value.type.static_shape
        if isinstance(op, Quantize | Dequantize) and index:
            if op.block_size and op.axis is not None:
                shape = tuple(n * op.block_size if a == op.axis else n for a, n in enumerate(shape))
            elif op.axis is not None and value.type.numel != 1:
                shape = (*shape, *[1] * (rank - 1 - op.axis))
            else:
                shape = ()
        shapes.append((*[1] * (rank - len(shape)), *shape))
    return shapes


def _spread(shape: Sequence[int], strides: Sequence[int], rank: int) -> tuple[int, ...]:
    """Strides for the result's axes: 0 along those that the operand does not have."""
    pairs = [(1, 0)] * (rank - len(shape)) + list(zip(shape, strides, strict=True))
    return tuple(0 if size == 1 else stride for size, stride in pairs)


def _repeated(view: View, value: Value, shape: tuple[int, ...], loop: Loop) -> View:
    """The operand's view with the wanted shape, of which it may lack axes at the end, or each element many times."""
    rank = len(shape)
    own = value.type.static_shape
    if (*[1] * (rank - len(own)), *own) == shape:
        return view
    if value.type.numel == shape_size(shape):
        dense = loop.net.planar(value)
        return dense.replace(shape=shape, strides=row_major(shape))
    axis = next(a for a in range(rank) if own[a] != shape[a])
    times = shape[axis] // own[axis]
    split = (*own[: axis + 1], times, *own[axis + 1 :])
    target = loop.net.fresh(view.dtype, shape)
    spread = view.replace(shape=split, strides=(*view.strides[: axis + 1], 0, *view.strides[axis + 1 :]))
    reorder.copy(loop.net, spread, target.replace(shape=split, strides=row_major(split)))
    return target


def shape_size(shape: Sequence[int]) -> int:
    """Number of elements."""
    size = 1
    for n in shape:
        size *= n
    return size
