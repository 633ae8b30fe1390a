"""Pieces of data movement that several emitters are built of: crop, pad, flip, permute, tile."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir.types import Dim, Shape

from ..net import Blob, Net, Param
from ..shapes import permute_order

TO_THE_END = -233


def crop(net: Net, x: Blob, ranges: dict[int, tuple[int, int]], shape: Shape, *, suffix: str = "") -> Blob:
    """Elements start to end (not included) of Mat dimensions; ``shape`` is the result's."""
    if x.shape == shape:
        return x
    axes = tuple(sorted(ranges))
    params: dict[int, Param] = dict.fromkeys((0, 1, 13, 2), 0)
    params |= dict.fromkeys((3, 4, 14, 5), TO_THE_END) | dict.fromkeys((6, 7, 15, 8), 0)
    params[9] = tuple(ranges[axis][0] for axis in axes)
    params[10] = tuple(ranges[axis][1] for axis in axes)
    params[11] = axes
    return net.layer("Crop", [x], shape, params, suffix=suffix)


def cut(net: Net, x: Blob, axis: int, start: int, end: int, *, suffix: str = "") -> Blob:
    """Elements start to end of one dimension whose size is known."""
    shape = (*x.shape[:axis], end - start, *x.shape[axis + 1 :])
    return crop(net, x, {axis: (start, end)}, shape, suffix=suffix)


MODES = {"constant": 0, "edge": 1, "reflect": 2}


def pad_params(begins: Sequence[int], ends: Sequence[int], mode: str, value: float) -> dict[int, Param]:
    """Parameters of a Padding; begins and ends of the Mat's dimensions, outermost first (no channels in 4-D)."""
    sides = {"w": (0, 0), "h": (0, 0), "f": (0, 0)}
    names = {1: "w", 2: "hw", 3: "fhw", 4: "-fhw"}[len(begins)]
    sides |= dict(zip(names, zip(begins, ends, strict=True), strict=True))
    return {
        0: sides["h"][0], 1: sides["h"][1], 2: sides["w"][0], 3: sides["w"][1],
        4: MODES[mode], 5: float(value), 6: 0, 7: sides["f"][0], 8: sides["f"][1],
    }  # fmt: skip


def pad(
    net: Net, x: Blob, begins: Sequence[int], ends: Sequence[int], mode: str, value: float, *, suffix: str = ""
) -> Blob:
    """More elements at the ends of Mat dimensions (of four, not the outermost)."""
    shape: list[Dim] = [dim + b + e for dim, b, e in zip(x.shape, begins, ends, strict=True)]
    return net.layer("Padding", [x], tuple(shape), pad_params(begins, ends, mode, value), suffix=suffix)


def flip(net: Net, x: Blob, axes: Sequence[int], *, suffix: str = "") -> Blob:
    """Dimensions run backwards."""
    return net.layer("Flip", [x], x.shape, {0: tuple(axes)}, suffix=suffix)


def permute(net: Net, x: Blob, perm: Sequence[int], *, suffix: str = "") -> Blob:
    """Dimension i of the result is dimension perm[i] of x."""
    shape = tuple(x.shape[axis] for axis in perm)
    return net.layer("Permute", [x], shape, {0: permute_order(perm)}, suffix=suffix)


def tile(net: Net, x: Blob, repeats: Sequence[int], *, suffix: str = "") -> Blob:
    """Each dimension repeated."""
    shape = tuple(dim * count for dim, count in zip(x.shape, repeats, strict=True))
    return net.layer("Tile", [x], shape, {0: 0, 1: 1, 2: tuple(repeats)}, suffix=suffix)


def concat(net: Net, xs: Sequence[Blob], axis: int, *, suffix: str = "") -> Blob:
    """Blobs one after the other along a dimension."""
    total: Dim = 0
    for x in xs:
        total = x.shape[axis] + total
    shape = (*xs[0].shape[:axis], total, *xs[0].shape[axis + 1 :])
    return net.layer("Concat", xs, shape, {0: axis}, suffix=suffix)
