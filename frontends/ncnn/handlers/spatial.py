"""Resampling."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import GridSample, Resize, Transpose

from ..expression import evaluate
from ..param import Layer
from ..translate import Translation, layer, mat
from .movement import reshaped

_MODES = {1: "nearest", 2: "linear", 3: "cubic"}


@layer("Interp")
def interp(t: Translation, each: Layer) -> Value:
    """Resize of rows and columns, to a size, by a scale, or to another blob's size."""
    kind, scales = each.whole(0, 0), (each.real(1, 1.0), each.real(2, 1.0))
    height, width, dynamic, align = each.whole(3, 0), each.whole(4, 0), each.whole(5, 0), each.whole(6, 0)
    text = each.text(9)
    values = t.inputs(1, 10)
    x = values[0]
    own = mat(x)
    each.require(kind in _MODES, f"resize_type {kind}")
    vector = len(own) == 1
    if vector:
        x = reshaped(t, x, (own[0], 1, 1))
    each.require(vector or len(own) == 3, f"a blob of {len(own)} dimensions")
    before = mat(x)[1:]
    coordinates = "align_corners" if align and kind != 1 else "asymmetric" if kind == 1 else "half_pixel"
    if text:
        width, height = [*evaluate(text, [mat(v) for v in values]), 0][:2]
    elif dynamic:
        each.require(len(values) == 2 and len(mat(values[1])) >= 2, "no blob to take the size of")
        height, width = mat(values[1])[-2:]
    if kind == 1 and not (height or width) and min(scales) > 0:
        return t.add(Resize("nearest", (2, 3), coordinates, "floor", scales=scales), x)
    after = (height or int(before[0] * scales[0]), width or int(before[1] * scales[1]))
    each.require(min(after) > 0 and max(after) < 1 << 20, f"a size of {after}")
    return x if after == before else t.add(Resize(_MODES[kind], (2, 3), coordinates, "floor", sizes=after), x)


_SAMPLES = {1: "linear", 3: "cubic"}  # its nearest rounds halves up, GridSample's to the even one
_PADDINGS = {1: "zeros", 2: "border", 3: "reflection"}


@layer("GridSample")
def grid_sample(t: Translation, each: Layer) -> Value:
    """GridSample; with permute_fusion the grid has its coordinates outermost."""
    kind, padding, align, fused = each.whole(0, 1), each.whole(1, 1), each.whole(2, 0), each.whole(3, 0)
    each.require(kind in _SAMPLES and padding in _PADDINGS, f"sample_type {kind}, padding_mode {padding}")
    each.require(kind == 1 or padding != 2, "cubic samples at a border")
    x, grid = t.inputs(2)
    if fused:
        grid = t.add(Transpose((0, *range(2, len(mat(grid)) + 1), 1)), grid)
    return t.add(GridSample(_SAMPLES[kind], _PADDINGS[padding], bool(align)), x, grid)
