"""Resampling of pictures [N, H, W, C], and blocks moved between channels and space."""

from __future__ import annotations

import numpy as np

from mconv.ir import Node
from mconv.ir.ops import LRN, DepthToSpace, Resize, SpaceToDepth
from mconv.ir.types import Array

from ..backend import tflite
from ..net import Net
from .conditions import floats, rank, static, takes

_KERNELS = {
    "linear": ("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    "nearest": ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
}
_FLAGS = {"align_corners": (True, False), "half_pixel": (False, True), "asymmetric": (False, False)}
"""align_corners and half_pixel_centers by the IR's ``coordinates``."""


def picture_axes(node: Node) -> bool | str:
    """it resizes the spatial axes of a picture."""
    op = node.op
    assert isinstance(op, Resize)
    return set(op.axes) in ({2, 3}, {1, 2}, {2}, {3}, {1}) or "it resizes other axes than a picture's two"


def flags(op: Resize, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[bool, bool] | None:
    """align_corners and half_pixel_centers with which TFLite's kernel reads where ``op`` does; None if none do.

    ``before`` and ``after`` are the sizes along ``op.axes``. The kernels take no scale: it is the ratio of the sizes.
    """
    if op.roi is not None or op.antialias or op.keep_aspect != "stretch":
        return None
    if op.sizes is None and op.scales is not None and op.coordinates != "align_corners":
        ratios = [b / a for a, b in zip(before, after, strict=True)]
        if any(abs(r - s) > 1e-6 * abs(s) for r, s in zip(ratios, op.scales, strict=True)):
            return None
    coordinates = op.coordinates
    if coordinates in ("pytorch_half_pixel", "half_pixel_symmetric") and min(after) > 1:
        coordinates = "half_pixel"
    if coordinates == "align_corners" and min(after) == 1:
        return None
    found = _FLAGS.get(coordinates)
    if found is None or (op.mode == "nearest" and not _same_elements(op, found, before, after)):
        return None
    return found


def _same_elements(op: Resize, found: tuple[bool, bool], before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    for index, (size, made) in enumerate(zip(before, after, strict=True)):
        part = [None if given is None else (given[index],) for given in (op.scales, op.sizes)]
        one = op.replace(axes=(0,), scales=part[0], sizes=part[1])
        wanted = one.evaluate(np.arange(size, dtype=np.float32), None, None, None)
        if not np.array_equal(wanted, _nearest(size, made, *found)):
            return False
    return True


def _nearest(size: int, made: int, align_corners: bool, half_pixel: bool) -> Array:
    """The elements that RESIZE_NEAREST_NEIGHBOR takes, in its own arithmetic of 32-bit floats."""
    scale = np.float32((size - 1) / (made - 1)) if align_corners and made > 1 else np.float32(size) / np.float32(made)
    places = np.arange(made, dtype=np.float32)
    at = (places + np.float32(0.5 if half_pixel else 0.0)) * scale
    index = np.floor(at + np.float32(0.5)) if align_corners else np.floor(at)
    nearest: Array = np.clip(index.astype(np.int64), 0, size - 1)
    return nearest


def same_places(node: Node) -> bool | str:
    """its coordinates are those of one of TFLite's kernels, nearest or linear."""
    op, x, y = node.op, node.inputs[0].type, node.result.type
    assert isinstance(op, Resize)
    if op.mode not in ("nearest", "linear"):
        return f"TFLite does not resize by '{op.mode}'"
    before = tuple(int(str(x.shape[a])) for a in op.axes)
    after = tuple(int(str(y.shape[a])) for a in op.axes)
    return flags(op, before, after) is not None or f"TFLite has no kernel for '{op.coordinates}', '{op.nearest}' here"


@tflite.emits(Resize, where=(takes("f32"), rank(4), picture_axes, static, same_places))
def resize(node: Node, net: Net) -> None:
    """RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR."""
    op, x, y = node.op, node.inputs[0], node.result
    assert isinstance(op, Resize)
    before, after = x.type.static_shape, y.type.static_shape
    found = flags(op, tuple(before[a] for a in op.axes), tuple(after[a] for a in op.axes))
    assert found is not None
    name, options = _KERNELS[op.mode]
    net.add(name, [x, net.integers(after[1:3], "size")], [y], options, AlignCorners=found[0], HalfPixelCenters=found[1])


def rows_first(node: Node) -> bool:
    """its mode is DCR."""
    return getattr(node.op, "mode", "DCR") == "DCR"


@tflite.emits(DepthToSpace, where=(takes("f32 i8 u8 i32 i64"), rank(4), rows_first))
def depth_to_space(node: Node, net: Net) -> None:
    """DEPTH_TO_SPACE."""
    assert isinstance(node.op, DepthToSpace)
    net.add("DEPTH_TO_SPACE", node.inputs, node.results, "DepthToSpaceOptions", BlockSize=node.op.blocksize)


@tflite.emits(SpaceToDepth, where=(takes("f32 i8 u8 i32 i64"), rank(4)))
def space_to_depth(node: Node, net: Net) -> None:
    """SPACE_TO_DEPTH."""
    assert isinstance(node.op, SpaceToDepth)
    net.add("SPACE_TO_DEPTH", node.inputs, node.results, "SpaceToDepthOptions", BlockSize=node.op.blocksize)


def odd_size(node: Node) -> bool:
    """its neighbours are as many on both sides."""
    assert isinstance(node.op, LRN)
    return node.op.size % 2 == 1


@tflite.emits(LRN, where=(floats, rank(4), odd_size))
def local_response_normalization(node: Node, net: Net) -> None:
    """LOCAL_RESPONSE_NORMALIZATION, whose alpha is for each neighbour."""
    op = node.op
    assert isinstance(op, LRN)
    net.add("LOCAL_RESPONSE_NORMALIZATION", node.inputs, node.results, "LocalResponseNormalizationOptions",
            Radius=op.size // 2, Bias=op.bias, Alpha=op.alpha / op.size, Beta=op.beta)  # fmt: skip
