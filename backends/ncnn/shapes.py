"""How IR shapes become Mat shapes.

A Mat has one to four dimensions and no batch. The rule, the same for every value: an axis 0 of size 1 of a value of
rank two or more is not held; everything else is, a scalar as one element. Shapes here are written outermost first
(c, d, h, w), as in the IR, not as in ncnn's parameters.

Between two layers a value may also be held in another *form*: any Mat shape with the same elements in the same
order. A matrix product gives two dimensions whatever its value's rank, and elementwise layers keep what they get,
so most Reshape layers never come about.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from mconv.ir.types import Dim, Shape, product

MAX_DIMS = 4


def mat_shape(shape: Shape) -> Shape:
    """The shape that the rule gives; it may have more dimensions than a Mat can have."""
    if not shape:
        return (1,)
    return shape[1:] if len(shape) >= 2 and shape[0] == 1 else shape


def fits(shape: Shape) -> bool:
    """True when a Mat can have the shape."""
    return 1 <= len(shape) <= MAX_DIMS


def default_form(shape: Shape) -> Shape:
    """The rule's shape, its outer axes merged where a Mat has too few dimensions."""
    held = mat_shape(shape)
    if fits(held):
        return held
    outer = len(held) - MAX_DIMS + 1
    return (product(held[:outer]), *held[outer:])


def grouping(shape: Shape, form: Shape) -> list[list[int]] | None:
    """For each dimension of ``form`` the axes of ``shape`` that it merges; None where it is no merging of axes."""
    groups: list[list[int]] = []
    axis = 0
    for place, dim in enumerate(form):
        group: list[int] = []
        total: Dim = 1
        while axis < len(shape) and (total != dim or shape[axis] == 1):
            if total == dim and group and place + 1 < len(form) and form[place + 1] == 1:
                break  # leave the axis of size 1 to the dimension that asks for it
            group.append(axis)
            total = product((total, shape[axis]))
            axis += 1
        if total != dim:
            return None
        groups.append(group)
    return groups if axis == len(shape) else None


def apart(shape: Shape, form: Shape, axes: Sequence[int]) -> tuple[int, ...] | None:
    """The dimensions of ``form`` that are these axes and nothing else; None where they are merged with others."""
    groups = grouping(shape, form)
    if groups is None:
        return None
    places = {axis: place for place, group in enumerate(groups) for axis in group}
    for axis in axes:
        if any(other != axis and shape[other] != 1 for other in groups[places[axis]]):
            return None
    result = tuple(places[axis] for axis in axes)
    return result if len(set(result)) == len(result) else None


def merge(shape: Shape, kinds: Sequence[Hashable]) -> tuple[Shape, list[Hashable]]:
    """Merge neighbouring axes of equal kind, dropping axes of size 1; the merged shape and its kinds."""
    dims: list[Dim] = []
    kept: list[Hashable] = []
    for dim, kind in zip(shape, kinds, strict=True):
        if dim == 1:
            continue
        if kept and kept[-1] == kind:
            dims[-1] = product((dims[-1], dim))
        else:
            dims.append(dim)
            kept.append(kind)
    if not dims:
        return (1,), [kinds[0] if kinds else None]
    return tuple(dims), kept


def around(shape: Shape, axis: int) -> Shape:
    """The three dimensions (everything before the axis, the axis, everything after it)."""
    return (product(shape[:axis]), shape[axis], product(shape[axis + 1 :]))


# ncnn's names of the orders: the dimensions of the result, innermost first, named after the operand's.
_ORDERS: dict[int, tuple[str, ...]] = {
    1: ("W",),
    2: ("WH", "HW"),
    3: ("WHC", "HWC", "WCH", "CWH", "HCW", "CHW"),
    4: (
        "WHDC", "HWDC", "WDHC", "DWHC", "HDWC", "DHWC", "WHCD", "HWCD", "WCHD", "CWHD", "HCWD", "CHWD",
        "WDCH", "DWCH", "WCDH", "CWDH", "DCWH", "CDWH", "HDCW", "DHCW", "HCDW", "CHDW", "DCHW", "CDHW",
    ),
}  # fmt: skip
_NAMES = {1: "W", 2: "HW", 3: "CHW", 4: "CDHW"}


def permute_order(perm: Sequence[int]) -> int:
    """The order_type of ncnn's Permute for a permutation of Mat dimensions (numpy's sense, outermost first)."""
    names = _NAMES[len(perm)]
    return _ORDERS[len(perm)].index("".join(names[axis] for axis in reversed(perm)))
