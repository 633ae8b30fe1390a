"""Resampling of space, and transforms between space and frequency."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import DFT, STFT, AffineGrid, Det, GridSample, Resize
from mconv.ir.types import UNKNOWN, DType, Symbol, TensorType

from .data import integers, rand, uniform
from .oracle import Case, check

X = rand(1, 2, 5, 7)
BOTH = (2, 3)
NAMES = {
    "coordinates": "coordinate_transformation_mode",
    "nearest": "nearest_mode",
    "cubic_coeff": "cubic_coeff_a",
    "keep_aspect": "keep_aspect_ratio_policy",
}


def _resize(x, mode, scales=None, sizes=None, axes=BOTH, roi=None, oracle="onnxruntime", why="", rtol=5e-6, **options):
    scales = None if scales is None else tuple(np.array(scales, np.float32).tolist())
    roi = None if roi is None else tuple(np.array(roi, np.float32).tolist())
    op = Resize(mode, axes, scales=scales, sizes=sizes, roi=roi, **options)
    attributes = {NAMES.get(k, k): int(v) if isinstance(v, bool) else v for k, v in options.items()}
    inputs = [
        x,
        None if roi is None else np.array(roi, np.float32),
        None if scales is None else np.array(scales, np.float32),
        None if sizes is None else np.array(sizes, np.int64),
    ]
    if len(axes) != x.ndim:
        attributes["axes"] = axes
    label = f"Resize[{mode},{','.join(map(str, options.values()))}]"
    return Case(op, [x], "Resize", {"mode": mode, **attributes}, inputs, rtol, oracle, why, 19, label=label)


def _grid(x, grid, mode="linear", padding="zeros", align=False, **more):
    attributes = {"mode": mode, "padding_mode": padding, "align_corners": int(align)}
    return Case(
        GridSample(mode, padding, align),
        [x, grid],
        "GridSample",
        attributes,
        opset=20,
        rtol=2e-5,
        label=f"GridSample[{mode},{padding},{align}]",
        **more,
    )


def _dft(x, axis, inverse=False, onesided=False, length=None, **more):
    inputs = [x, None if length is None else np.array(length), np.array(axis)]
    attributes = {"inverse": int(inverse), "onesided": int(onesided)}
    return Case(DFT(axis, inverse, onesided, length), [x], "DFT", attributes, inputs, rtol=1e-5, opset=20, **more)


def _stft(x, step, window, size, onesided=True):
    op = STFT(onesided, step, size)
    inputs = [x, np.array(step), window, None if size is None else np.array(size)]
    return Case(op, [x, None, window], "STFT", {"onesided": int(onesided)}, inputs, rtol=1e-5, opset=17)


def _affine(theta, size, align):
    case = {"oracle": "reference", "why": "onnxruntime inlines the function"}
    return Case(
        AffineGrid(align, size),
        [theta],
        "AffineGrid",
        {"align_corners": int(align)},
        [theta, np.array(size)],
        opset=20,
        **case,
    )


COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
GRID = uniform(2, 4, 3, 2, low=-1.4, high=1.4)
CUBE = uniform(1, 2, 3, 4, 3, low=-1.4, high=1.4)
PICTURE = rand(2, 3, 5, 6)
SPACE = rand(1, 2, 3, 4, 5)
CROP = {"coordinates": "tf_crop_and_resize", "extrapolation_value": 10.0}
AS_ONNX = {"oracle": "reference", "why": "onnxruntime keeps to whole sizes"}

CASES = [
    *(_resize(X, m, (2.0, 3.0), coordinates=c) for m in ("nearest", "linear", "cubic") for c in COORDINATES),
    *(_resize(X, m, None, (3, 4), coordinates=c) for m in ("nearest", "linear", "cubic") for c in COORDINATES),
    *(
        _resize(X, "nearest", None, (8, 5), coordinates=c, nearest=n)
        for c in ("half_pixel", "asymmetric", "align_corners")
        for n in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    ),
    _resize(X, "linear", (0.6, 0.7)),
    _resize(X, "cubic", (0.8, 1.3)),
    _resize(X, "nearest", (0.6, 1.7)),
    _resize(X, "linear", None, (1, 1), coordinates="pytorch_half_pixel"),
    _resize(X, "linear", None, (1, 1), coordinates="align_corners"),
    _resize(X, "cubic", (2.0, 2.0), cubic_coeff=-0.5),
    _resize(X, "cubic", (2.0, 2.0), cubic_coeff=-0.5, exclude_outside=True),
    _resize(X, "cubic", (0.6, 0.6), exclude_outside=True),
    _resize(X, "linear", (0.6, 0.6), coordinates="half_pixel_symmetric"),
    _resize(X, "cubic", (0.6, 1.3), coordinates="half_pixel_symmetric", oracle="reference", why=""),
    _resize(X, "linear", None, (3, 3), roi=(0.1, 0.2, 0.8, 0.9), **CROP),
    _resize(X, "linear", None, (3, 3), roi=(-0.1, 0.2, 1.2, 0.9), **CROP),
    _resize(X, "nearest", None, (4, 3), roi=(0.4, 0.6, 0.6, 1.3), **CROP),
    _resize(X, "cubic", None, (3, 3), roi=(0.1, 0.2, 0.8, 0.9), **CROP),
    _resize(X, "linear", None, (1, 3), roi=(0.1, 0.2, 0.8, 0.9), **CROP),
    _resize(X, "linear", (0.6, 0.6), antialias=True),
    _resize(X, "cubic", (0.6, 0.6), antialias=True),
    _resize(X, "linear", (2.0, 2.0), antialias=True),
    _resize(rand(1, 1, 16, 17), "linear", None, (3, 5), antialias=True),
    _resize(rand(1, 1, 16, 17), "cubic", None, (3, 5), antialias=True),
    _resize(X, "nearest", None, (7, 8), keep_aspect="not_larger"),
    _resize(X, "linear", None, (7, 8), keep_aspect="not_smaller"),
    _resize(X, "nearest", (2.0,), axes=(3,)),
    _resize(X, "linear", (2.0, 0.5), axes=(3, 2)),
    _resize(rand(1, 2, 9), "linear", (2.0,), axes=(2,)),
    _resize(rand(1, 2, 3, 4, 5), "linear", (2.0, 1.5, 2.0), axes=(2, 3, 4)),
    _resize(rand(3, 4), "cubic", None, (9, 8), axes=(0, 1)),
    _resize(X, "linear", (1.0, 1.0)),
    _resize(X.astype(np.float16), "linear", (2.0, 2.0)),
    _resize(integers(1, 1, 4, 4, dtype=np.int32), "nearest", (2.0, 2.0)),
    *(
        _grid(PICTURE, GRID, m, p, a)
        for m in ("linear", "nearest", "cubic")
        for p in ("zeros", "border", "reflection")
        for a in (False, True)
    ),
    *(
        _grid(SPACE, CUBE, m, p, a)
        for m in ("linear", "nearest")
        for p in ("zeros", "border", "reflection")
        for a in (False, True)
    ),
    _grid(SPACE, CUBE, "cubic", "zeros", oracle="reference", why="onnxruntime has no cubic in three axes"),
    _affine(rand(2, 2, 3), (2, 3, 4, 5), False),
    _affine(rand(2, 2, 3), (2, 3, 4, 5), True),
    _affine(rand(1, 3, 4), (1, 2, 3, 4, 5), False),
    _affine(rand(1, 3, 4), (1, 2, 3, 4, 5), True),
    _dft(rand(2, 8, 1), 1),
    _dft(rand(2, 8, 2), 1),
    _dft(rand(2, 8, 2), 1, True),
    _dft(rand(2, 7, 1), 1, False, True),
    _dft(rand(2, 5, 6, 1), 2, False, True),
    _dft(rand(2, 5, 6, 2), 0),
    _dft(rand(2, 8, 1), 1, length=5),
    _dft(rand(2, 8, 1), 1, length=11),
    _dft(rand(2, 8, 2), 1, True, length=5),
    _dft(rand(2, 5, 2), 1, True, True, oracle="reference", why="newer than onnxruntime"),
    _dft(rand(2, 5, 2), 1, True, True, 9, oracle="reference", why="newer than onnxruntime"),
    _stft(rand(1, 32, 1), 8, np.hanning(16).astype(np.float32), 16),
    _stft(rand(2, 30, 1), 5, None, 12),
    _stft(rand(1, 32, 1), 8, uniform(16), None, False),
    _stft(rand(1, 32, 2), 8, uniform(16), 16, False),
    Case(Det(), [rand(3, 4, 4)], "Det"),
    Case(Det(), [rand(3, 3)], "Det"),
    Case(Det(), [rand(2, 3, 1, 1)], "Det"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_sizes_of_scales_are_those_of_float32():
    x = TensorType(DType.F32, (1, 1, 10, 10))
    op = Resize("nearest", (2, 3), scales=tuple(np.array([0.7, 0.3], np.float32).tolist()))
    assert op.infer(x, None, None, None)[0].shape == (1, 1, 7, 3)


def test_scales_of_symbols():
    h, w = Symbol("h"), Symbol("w")
    x = TensorType(DType.F32, (1, 3, h, w))
    assert Resize("linear", BOTH, scales=(2.0, 0.5)).infer(x, None, None, None)[0].shape[2:] == (h * 2, w // 2)
    assert Resize("linear", BOTH, scales=(1.5, 1.0)).infer(x, None, None, None)[0].shape[2:] == (UNKNOWN, w)
    sizes = np.array([h * 2, w], dtype=object)
    assert Resize("linear", BOTH).absorb("sizes", sizes, (x, None, None, None)).scales == (2.0, 1.0)
    assert Resize("linear", BOTH).absorb("sizes", np.array([h, h], dtype=object), (x, None, None, None)) is None


def test_sizes_known_only_when_running():
    x = TensorType(DType.F32, (1, 3, Symbol("h"), 8))
    two, four = TensorType(DType.I64, (2,)), TensorType(DType.F32, (4,))
    crop = Resize("linear", BOTH, "tf_crop_and_resize", scales=(1.0, 0.5))
    assert Resize("linear", BOTH).infer(x, None, None, two)[0].shape == (1, 3, UNKNOWN, UNKNOWN)
    assert crop.infer(x, four, None, None)[0].shape == (1, 3, UNKNOWN, UNKNOWN)
    fixed = crop.replace(roi=(0.0, 0.5, 1.0, 1.0))
    assert fixed.infer(x, None, None, None)[0].shape == (1, 3, Symbol("h"), 2)
    kept = Resize("linear", BOTH, sizes=(4, 4), keep_aspect="not_larger")
    assert kept.infer(x, None, None, None)[0].shape == (1, 3, UNKNOWN, UNKNOWN)
    size = TensorType(DType.I64, (4,))
    assert AffineGrid().infer(TensorType(DType.F32, (2, 2, 3)), size)[0].shape == (2, UNKNOWN, UNKNOWN, 2)


def test_integers_are_rounded_and_kept_in_range():
    x = np.array([[[[0, 255], [255, 0]]]], np.uint8)
    (y,) = evaluate(Resize("cubic", BOTH, sizes=(4, 4)), [x])
    assert y.dtype == np.uint8
    assert (y.min(), y.max()) == (0, 255)


def test_places_that_are_no_numbers_do_not_break_sampling():
    grid = np.full((1, 1, 1, 2), np.nan, np.float32)
    assert evaluate(GridSample(), [rand(1, 1, 3, 3), grid])[0].shape == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (Resize("bicubic", BOTH, scales=(1.0, 1.0)), [(1, 1, 2, 2), None, None, None]),
        (Resize("linear", BOTH, "middle", scales=(1.0, 1.0)), [(1, 1, 2, 2), None, None, None]),
        (Resize("linear", BOTH), [(1, 1, 2, 2), None, None, None]),
        (Resize("linear", (9,), sizes=(1,)), [(2,), None, None, None]),
        (Resize("linear", BOTH, sizes=(1,)), [(1, 1, 2, 2), None, None, None]),
        (GridSample(), [(1, 2, 3, 4), (1, 2, 3, 3)]),
        (GridSample(), [(1, 2, 3, 4), (2, 2, 3, 2)]),
        (AffineGrid(False, (1, 1, 2)), [(1, 2, 3), None]),
        (DFT(2), [(1, 4, 1), None]),
        (AffineGrid(False, (1, 1, 2, 2)), [(1, 2, 2), None]),
        (Det(), [(2, 3)]),
        (Det(), [(2,)]),
        (STFT(True, 1, 2), [(1, 4), None, None, None]),
    ],
)
def test_refuses(op, shapes):
    with pytest.raises(TypeMismatch):
        op.infer(*(None if s is None else TensorType(DType.F32, s) for s in shapes))
