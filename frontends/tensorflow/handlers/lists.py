"""Lists of tensors: TensorList of TensorFlow 2, and TensorArray of TensorFlow 1, whose flow stands for its state.

A list is one tensor with the elements along its first axis, or nothing while none has been written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, DType, Shape, Symbol, Value, ops

from .. import errors
from ..items import Item, ListIsRead, LoopList, TensorList
from ..node import TfNode
from ..registry import tensorflow

_DECLARED = {"element_dtype": "the elements have it", "shape_type": "the operand has it", "dtype": "likewise",
             "num_elements": "the operand tells it"}  # fmt: skip


def _list(n: TfNode, index: int) -> TensorList | LoopList:
    item = n.item(index)
    if not isinstance(item, TensorList | LoopList):
        raise errors.form(f"{n.op} of something that is no list of tensors")
    return item


def _whole(n: TfNode, g: Builder, index: int) -> tuple[TensorList, Value]:
    """A list and the tensor of all its elements."""
    item = _list(n, index)
    if isinstance(item, LoopList):
        raise ListIsRead(item.index)
    if item.stack is None:
        item.stack = _zeros(n, g, item, item.element)
    return item, item.stack


def _zeros(n: TfNode, g: Builder, item: TensorList, shape: Shape | None) -> Value:
    if shape is None or not all(isinstance(d, int) for d in shape):
        raise errors.needs_static(f"the shape of the tensors in {n.op}'s list")
    wanted = g.add(ops.Concat(0), g.add(ops.Reshape((1,)), item.size), g.constant(np.array(shape, np.int64)))
    return g.add(ops.Expand(), g.constant(np.zeros((), item.dtype.numpy)), wanted)


def _element(shape: Sequence[int] | None) -> Shape | None:
    """A declared shape, None unless all of it is known."""
    return None if shape is None or any(d < 0 for d in shape) else tuple(shape)


def _declared(n: TfNode, index: int) -> Shape | None:
    """The element shape in an operand: a vector of sizes, or a -1 where it is not known."""
    content = n.content(index)
    if content is None or content.ndim != 1 or any(isinstance(d, Symbol) for d in content.flat):
        return None
    return _element([int(d) for d in content])


def _read(n: TfNode, g: Builder, stack: Value, place: Value) -> Value:
    return g.add(ops.Gather(0), stack, place)


def _written(n: TfNode, g: Builder, item: TensorList | LoopList, place: Value, value: Value) -> Item:
    if isinstance(item, LoopList):
        if item.written is not None:
            raise ListIsRead(item.index)
        return LoopList(item.index, (place, value))
    stack = item.stack if item.stack is not None else _zeros(n, g, item, value.type.shape)
    index = g.add(ops.Reshape((1, 1)), n.cast(place, DType.I64))
    made = g.add(ops.ScatterND(), stack, index, g.add(ops.Unsqueeze((0,)), value))
    return TensorList(item.dtype, item.element, item.size, made)


# TensorFlow 2 ------------------------------------------------------------------------------------------------


@tensorflow("TensorListReserve", "EmptyTensorList", ignores={"shape_type": "the operand has it"})
def reserve(n: TfNode, g: Builder) -> Item:
    """TensorListReserve: an empty list of so many places."""
    if n.op == "EmptyTensorList":
        size = g.constant(np.int64(0))
        return TensorList(n.dtype("element_dtype"), _declared(n, 0), size)
    return TensorList(n.dtype("element_dtype"), _declared(n, 0), n.wide(1))


@tensorflow("TensorListFromTensor", ignores=_DECLARED)
def from_tensor(n: TfNode, g: Builder) -> Item:
    """TensorListFromTensor: the slices along the first axis."""
    return _of(n, g, n[0])


def _of(n: TfNode, g: Builder, value: Value) -> TensorList:
    if value.type.rank < 1:
        raise errors.misfit(f"{n.op} of {value.type}")
    size = g.add(ops.Gather(0), g.add(ops.Shape(), value), g.constant(np.int64(0)))
    return TensorList(value.type.dtype, value.type.shape[1:], size, value)


@tensorflow("TensorListGetItem", ignores=_DECLARED)
def get_item(n: TfNode, g: Builder) -> Value:
    """TensorListGetItem."""
    return _read(n, g, _whole(n, g, 0)[1], n[1])


@tensorflow("TensorListSetItem", ignores={**_DECLARED, "resize_if_index_out_of_bounds": "places are known before"})
def set_item(n: TfNode, g: Builder) -> Item:
    """TensorListSetItem."""
    return _written(n, g, _list(n, 0), n[1], n[2])


@tensorflow("TensorListPushBack", ignores=_DECLARED)
def push_back(n: TfNode, g: Builder) -> Item:
    """TensorListPushBack, outside of loops."""
    item = _list(n, 0)
    if isinstance(item, LoopList):
        raise errors.loop("a loop that appends to a list of tensors")
    more = g.add(ops.Unsqueeze((0,)), n[1])
    return _of(n, g, more if item.stack is None else g.add(ops.Concat(0), item.stack, more))


@tensorflow("TensorListStack", ignores=_DECLARED)
def stack(n: TfNode, g: Builder) -> Value:
    """TensorListStack: all elements along a new first axis."""
    return _whole(n, g, 0)[1]


@tensorflow("TensorListGather", ignores=_DECLARED)
def list_gather(n: TfNode, g: Builder) -> Value:
    """TensorListGather."""
    return g.add(ops.Gather(0), _whole(n, g, 0)[1], n[1])


@tensorflow("TensorListLength")
def length(n: TfNode, g: Builder) -> Value:
    """TensorListLength."""
    item = _list(n, 0)
    if isinstance(item, LoopList):
        raise ListIsRead(item.index)
    return n.cast(item.size, DType.I32)


@tensorflow("TensorListElementShape")
def element_shape(n: TfNode, g: Builder) -> Value:
    """TensorListElementShape, of a list that has elements."""
    _, whole = _whole(n, g, 0)
    found = g.add(ops.Slice((1,), (whole.type.rank,), (0,), (1,)), g.add(ops.Shape(), whole))
    return n.cast(found, n.dtype("shape_type"))


# TensorFlow 1: (handle, flow) --------------------------------------------------------------------------------

_ARRAY = {"clear_after_read": "of memory", "identical_element_shapes": "a promise", "dynamic_size": "places are known",
          "tensor_array_name": "a name"}  # fmt: skip


@tensorflow("TensorArrayV3", ignores=_ARRAY)
def tensor_array(n: TfNode, g: Builder) -> Sequence[Item]:
    """TensorArrayV3: handle and flow are both the empty list."""
    item = TensorList(n.dtype("dtype"), _element(n.shape("element_shape")), n.wide(0))
    return [item, item]


@tensorflow("TensorArrayScatterV3", ignores=_DECLARED)
def array_scatter(n: TfNode, g: Builder) -> Item:
    """TensorArrayScatterV3 of all places in order."""
    if not _counts(n, g, n[1], n[2].type.shape[0] if n[2].type.rank else None):
        raise errors.form(f"{n.op} in another order than that of the places")
    return _of(n, g, n[2])


def _counts(n: TfNode, g: Builder, places: Value, size: object) -> bool:
    """Whether places are 0, 1, 2 and so on, as many as ``size``."""
    content = g.content(places)
    if content is not None and not any(isinstance(d, Symbol) for d in content.flat):
        return [int(d) for d in content.ravel()] == list(range(content.size)) and content.size == size
    maker = places.producer
    if maker is not None and isinstance(maker.op, ops.Cast):
        maker = maker.inputs[0].producer
    if maker is None or not isinstance(maker.op, ops.Range):
        return False
    first, _, step = (g.content(v) for v in maker.inputs)
    plain = first is not None and step is not None and first.item() == 0 and step.item() == 1
    return plain and places.type.shape == (size,)


@tensorflow("TensorArrayReadV3", ignores=_DECLARED)
def array_read(n: TfNode, g: Builder) -> Value:
    """TensorArrayReadV3: handle, place, flow."""
    return _read(n, g, _whole(n, g, 2)[1], n[1])


@tensorflow("TensorArrayWriteV3", ignores=_DECLARED)
def array_write(n: TfNode, g: Builder) -> Item:
    """TensorArrayWriteV3: handle, place, value, flow."""
    return _written(n, g, _list(n, 3), n[1], n[2])


@tensorflow("TensorArrayGatherV3", ignores={**_DECLARED, "element_shape": "the elements have it"})
def array_gather(n: TfNode, g: Builder) -> Value:
    """TensorArrayGatherV3: handle, places, flow."""
    _, whole = _whole(n, g, 2)
    return whole if _counts(n, g, n[1], whole.type.shape[0]) else g.add(ops.Gather(0), whole, n[1])


@tensorflow("TensorArraySizeV3")
def array_size(n: TfNode, g: Builder) -> Value:
    """TensorArraySizeV3: handle, flow."""
    item = _list(n, 1)
    if isinstance(item, LoopList):
        raise ListIsRead(item.index)
    return n.cast(item.size, DType.I32)
