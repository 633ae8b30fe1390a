"""Resampling.

A resize is linear along each axis, so it is a matrix for each. Where the matrices are those of one of ncnn's
interpolations it is one Interp layer; whatever else ONNX can say (other coordinates, antialiasing, cubic
coefficients) is multiplied by the constant matrices, which is exact as well.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mconv.ir import Node
from mconv.ir.ops import GridSample, Resize
from mconv.ir.types import Array, Shape, product

from ...base import Refused
from ..backend import ncnn
from ..net import Blob, Net, Param, numbers
from ..shapes import around
from .conditions import floats
from .conv import batch_one
from .linear import gemm_params

NEAREST, BILINEAR, BICUBIC = 1, 2, 3
_KINDS = {"nearest": NEAREST, "linear": BILINEAR, "cubic": BICUBIC}
_LEAST = {NEAREST: 1, BILINEAR: 2, BICUBIC: 4}  # below, ncnn reads beside the row
_LARGEST = 4096


# What ncnn's Interp computes along an axis ---------------------------------------------------------------


@lru_cache(maxsize=256)
def interp_matrix(kind: int, align: bool, size: int, count: int) -> Array | None:
    """[count, size]: the weights with which Interp makes ``count`` elements of ``size``; None where it must not."""
    if size < _LEAST[kind] or (align and (count == 1 or kind == NEAREST)):
        return None
    matrix = np.zeros((count, size), np.float32)
    if kind == NEAREST:
        places = (np.arange(count, dtype=np.float32) * np.float32(size / np.float32(count))).astype(int)
        matrix[np.arange(count), np.minimum(places, size - 1)] = 1
        return matrix
    scale = (size - 1) / (count - 1) if align else size / count
    places = np.arange(count) * scale if align else (np.arange(count) + 0.5) * scale - 0.5
    base = np.floor(places).astype(int)
    rest = places - base
    taps = [1 - rest, rest] if kind == BILINEAR else _cubic(rest)
    for i, tap in enumerate(taps):
        place = np.clip(base + i - (kind == BICUBIC), 0, size - 1)
        np.add.at(matrix, (np.arange(count), place), tap.astype(np.float32))
    return matrix


def _cubic(rest: Array, coefficient: float = -0.75) -> list[Array]:
    """Keys' kernel at the distances of the four neighbours."""
    a = coefficient

    def near(d: Array) -> Array:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1

    def far(d: Array) -> Array:
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a

    return [far(rest + 1), near(rest), near(1 - rest), far(2 - rest)]


# What the model asks for ---------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def resize_matrix(op: Resize, size: int) -> Array:
    """[count, size]: the weights of a Resize over one axis (``op.axes`` is (1,)), by running it on unit vectors."""
    result = op.evaluate(np.eye(size, dtype=np.float32), None, None, None)
    assert isinstance(result, np.ndarray)
    return np.ascontiguousarray(result.T)


def along(op: Resize, index: int, count: int) -> Resize:
    """The part of a Resize along one of its axes."""
    roi = None if not op.roi else (op.roi[index], op.roi[len(op.axes) + index])
    scales = None if not op.scales else (op.scales[index],)
    sizes = (count,) if scales is None else None
    changed: Resize = op.replace(axes=(1,), scales=scales, sizes=sizes, roi=roi)
    return changed


def matrices(node: Node) -> dict[int, Array]:
    """The matrix of each axis that is changed; sizes must be known."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Resize)
    result = {}
    for index, axis in enumerate(op.axes):
        size, count = x.type.shape[axis], node.result.type.shape[axis]
        assert isinstance(size, int)
        assert isinstance(count, int)
        matrix = resize_matrix(along(op, index, count), size)
        if size != count or not np.array_equal(matrix, np.eye(size, dtype=np.float32)):
            result[axis] = matrix
    return result


def interp_kind(node: Node, found: dict[int, Array]) -> tuple[int, bool] | None:
    """The kind of Interp and its align_corners whose matrices are these; None where there is none."""
    x, y = node.inputs[0].type, node.result.type
    if x.rank < 2 or any(axis < x.rank - 2 for axis in found):
        return None
    # along an axis that stays, Interp must change nothing (on two dimensions it does nothing at all)
    axes = (x.rank - 2, x.rank - 1)
    for kind, align in ((NEAREST, False), (BILINEAR, False), (BILINEAR, True), (BICUBIC, False), (BICUBIC, True)):
        if all(_same(found.get(axis), kind, align, x.shape[axis], y.shape[axis]) for axis in axes):
            return kind, align
    return None


def _same(wanted: Array | None, kind: int, align: bool, size: object, count: object) -> bool:
    assert isinstance(size, int)
    assert isinstance(count, int)
    matrix = interp_matrix(kind, align, size, count)
    if matrix is None:
        return False
    target = np.eye(size, dtype=np.float32) if wanted is None else wanted
    return matrix.shape == target.shape and bool(np.allclose(matrix, target, atol=2e-6))


def resizable(node: Node) -> bool | str:
    """its sizes are known, or it is an Interp by whole numbers."""
    op, x = node.op, node.inputs[0].type
    assert isinstance(op, Resize)
    if op.scales is None and op.sizes is None:
        return "its sizes are computed by the model"
    if op.coordinates == "tf_crop_and_resize" and (op.roi is None or op.extrapolation_value != 0):
        return "its region is computed, or filled with another number than 0 outside the image"
    if all(isinstance(x.shape[a], int) and isinstance(node.result.type.shape[a], int) for a in op.axes):
        if any(isinstance(size := x.shape[axis], int) and size > _LARGEST for axis in op.axes):
            return f"an axis is longer than {_LARGEST}"
        return True if op.keep_aspect == "stretch" else "it keeps the aspect ratio"
    return _whole_scales(node)


def _whole_scales(node: Node) -> bool | str:
    """True for sizes known only at run time, which are multiplied by whole numbers in a way that Interp knows."""
    op, x = node.op, node.inputs[0].type
    assert isinstance(op, Resize)
    scales = op.scales or ()
    if any(s != int(s) or s < 1 or s > 16 for s in scales) or not scales:
        return "the sizes must be known for this scale; fix them with --input-shape"
    if any(axis < x.rank - 2 and scale != 1 for axis, scale in zip(op.axes, scales, strict=True)):
        return "it resizes other axes than the last two, of sizes that are not known"
    if op.antialias or op.exclude_outside or op.cubic_coeff != -0.75:
        return "the sizes must be known for this interpolation; fix them with --input-shape"
    rounds = op.nearest.startswith("round")
    if op.mode == "nearest":
        fine = op.coordinates == "asymmetric" and op.nearest == "floor"
        return fine or (op.coordinates in ("half_pixel", "pytorch_half_pixel") and rounds)
    return op.coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners")


def floats_or_copies(node: Node) -> bool | str:
    """the tensors are floating-point, or elements are only copied ('nearest')."""
    assert isinstance(node.op, Resize)
    return True if node.op.mode == "nearest" else floats(node)


@ncnn.emits(Resize, where=(floats_or_copies, resizable))
def resize(node: Node, net: Net) -> None:
    """Interp, or products with the matrices of the axes."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Resize)
    if not all(isinstance(d, int) for a in op.axes for d in (x.type.shape[a], node.result.type.shape[a])):
        _interp_by_scale(node, net)
        return
    found = matrices(node)
    if not found:
        net.alias(node.result, x)
        return
    kind = interp_kind(node, found)
    if kind is None:
        _products(node, net, found)
        return
    *outer, height, width = x.type.shape
    after = node.result.type.shape[-2:]
    blob = net.shaped(x, (product(outer), height, width))
    params = interp_params(*kind, int(str(after[0])), int(str(after[1])))
    net.give(node.result, net.layer("Interp", [blob], (blob.shape[0], *after), params))


def interp_params(
    kind: int, align: bool, height: int, width: int, scales: tuple[float, float] = (1.0, 1.0)
) -> dict[int, Param]:
    """All parameters of an Interp layer."""
    return {0: kind, 1: scales[0], 2: scales[1], 3: height, 4: width, 5: 0, 6: int(align)}


def _interp_by_scale(node: Node, net: Net) -> None:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Resize)
    by_axis = dict(zip(op.axes, op.scales or (), strict=True))
    scales = tuple(float(by_axis.get(x.type.rank - back, 1.0)) for back in (2, 1))
    *outer, height, width = x.type.shape
    params = interp_params(_KINDS[op.mode], op.coordinates == "align_corners", 0, 0, (scales[0], scales[1]))
    blob = net.shaped(x, (product(outer), height, width))
    net.give(node.result, net.layer("Interp", [blob], (blob.shape[0], *node.result.type.shape[-2:]), params))


def _products(node: Node, net: Net, found: dict[int, Array]) -> None:
    shape = list(node.inputs[0].type.shape)
    blob = net.blob(node.inputs[0])
    for axis, matrix in sorted(found.items(), reverse=True):
        blob = _product(net, blob, tuple(shape), axis, matrix)
        shape[axis] = matrix.shape[0]
    net.give(node.result, blob)


def _product(net: Net, x: Blob, shape: Shape, axis: int, matrix: Array) -> Blob:
    count, size = matrix.shape
    before, _, after = around(shape, axis)
    if after == 1:
        weights = [numbers(matrix, tagged=True)]
        rows = net.reshaped(x, (before, size))
        params = gemm_params(before, count, size, -1)
        return net.layer("Gemm", [rows], (before, count), params, weights, suffix=f"axis{axis}")
    left = net.data(matrix, (count, size), f"resize/{axis}")
    right = net.reshaped(x, (before, size, after) if before != 1 else (size, after))
    result: Shape = (before, count, after) if before != 1 else (count, after)
    return net.layer("MatMul", [left, right], result, {0: 0}, suffix=f"axis{axis}")


# GridSample ----------------------------------------------------------------------------------------------

_SAMPLES = {"linear": 1, "cubic": 3}
_PADDINGS = {"zeros": 1, "border": 2, "reflection": 3}


def grid_of_an_image(node: Node) -> bool | str:
    """the mode is linear, or cubic over two axes; with zeros around, or linear with the border's elements."""
    op, x = node.op, node.inputs[0].type
    assert isinstance(op, GridSample)
    if x.rank not in (4, 5):
        return f"its image has {x.rank - 2} axes"
    if op.padding == "reflection":
        return "ncnn reflects once, and what lies further out is wrong"
    if op.mode == "cubic" and op.padding == "border":
        return "ncnn clamps the place, not its neighbours, as cubic samples at a border want"
    return op.mode == "linear" or (op.mode == "cubic" and x.rank == 4)


@ncnn.emits(GridSample, where=(floats, batch_one, grid_of_an_image))
def grid_sample(node: Node, net: Net) -> None:
    """GridSample."""
    op = node.op
    assert isinstance(op, GridSample)
    x, grid = node.inputs
    if grid.type.shape[0] != 1:
        raise Refused("ncnn has no batch")
    params: dict[int, Param] = {0: _SAMPLES[op.mode], 1: _PADDINGS[op.padding], 2: int(op.align_corners), 3: 0}
    inputs = [net.held(x), net.held(grid)]
    net.give(node.result, net.layer("GridSample", inputs, node.result.type.shape[1:], params))
