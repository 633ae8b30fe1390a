"""Steps that bring a value from one form into another, or gather what is cut into blocks anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .view import View

if TYPE_CHECKING:
    from .net import Net

Axis = tuple[int, int, int]
"""Size, stride on one side, stride on the other."""


def copy(net: Net, source: View, target: View) -> None:
    """A step that copies ``source`` to ``target``, which have the same shape, in whatever forms they are."""
    axes = [
        (size, source.strides[axis], target.strides[axis])
        for axis, size in enumerate(target.shape)
        if axis not in (source.block, target.block)
    ]
    axes = joined(axes)
    sizes, froms, tos = ([a[k] for a in axes] for k in range(3))
    dims = f"{len(axes)}, {_array(sizes)}, {_array(froms)}, {_array(tos)}"
    pointers = f"{net.ptr(source)}, {net.ptr(target)}"
    if source.block is None and target.block is None:
        text = f"copy_strided(r, {pointers}, {dims});"
    elif source.block == target.block:
        assert target.block is not None
        strides = f"{source.block_stride}, {target.block_stride}"
        text = f"copy_blocks(r, {pointers}, {target.blocks}, {strides}, {dims});"
    elif source.block is None:
        assert target.block is not None
        strides = f"{source.strides[target.block]}, {target.block_stride}"
        text = f"pack_blocks(r, {pointers}, {target.channels}, {strides}, {dims});"
    elif target.block is None:
        strides = f"{source.block_stride}, {target.strides[source.block]}"
        text = f"unpack_blocks(r, {pointers}, {source.channels}, {strides}, {dims});"
    else:
        # both blocked, along different axes: what was one's channels are the other's pixels
        middle = net.fresh(source.dtype, source.shape)
        copy(net, source, middle)
        copy(net, middle, target)
        return
    net.step(text, [source], [target], needs=["reorder"], what="reorder")


def joined(axes: list[Axis]) -> list[Axis]:
    """Axes of one element left out, neighbours as one where both sides continue."""
    result: list[Axis] = []
    for size, a, b in axes:
        if size == 1:
            continue
        if result and result[-1][1] == size * a and result[-1][2] == size * b:
            result[-1] = (result[-1][0] * size, a, b)
        else:
            result.append((size, a, b))
    return result


def _array(numbers: list[int]) -> str:
    """C++ for a list of axes' numbers (the kernels read as many as there are axes)."""
    return "Axes{" + ", ".join(map(str, numbers)) + "}"
