"""Resampling in the real runtime: all modes and coordinates, by Interp or by matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mconv.ir.ops import GridSample, Resize

from .nets import numbers, refused, same

COORDINATES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
SIZES = [
    ((1, 8, 6, 5), (12, 10)), ((1, 3, 6, 7), (9, 4)), ((2, 3, 6, 7), (18, 7)), ((1, 4, 1, 1), (5, 6)),
    ((1, 4, 4, 4), (1, 1)), ((1, 4, 1, 6), (1, 12)), ((1, 16, 8, 8), (16, 20)),
]  # fmt: skip


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize(mode: str, coordinates: str) -> None:
    roundings = ["round_prefer_floor", "floor", "ceil", "round_prefer_ceil"] if mode == "nearest" else ["floor"]
    for nearest in roundings:
        for shape, sizes in SIZES:
            same(Resize(mode, (2, 3), coordinates, nearest, sizes=sizes), shape)
        same(Resize(mode, (2, 3), coordinates, nearest, scales=(1.7, 0.6)), (1, 4, 7, 9))
        same(Resize(mode, (2,), coordinates, nearest, scales=(2.0,)), (1, 4, 7))
        same(Resize(mode, (0, 1, 2, 3), coordinates, nearest, scales=(1.0, 1.0, 2.0, 2.0)), (1, 4, 7, 8))
        same(Resize(mode, (2, 3, 4), coordinates, nearest, scales=(2.0, 2.0, 2.0)), (1, 4, 3, 4, 5))


def test_common_forms_are_one_interp() -> None:
    for op in (
        Resize("nearest", (2, 3), "asymmetric", "floor", scales=(2.0, 2.0)),
        Resize("nearest", (2, 3), "half_pixel", sizes=(12, 16)),
        Resize("linear", (2, 3), "pytorch_half_pixel", sizes=(12, 16)),
        Resize("linear", (2, 3), "align_corners", sizes=(11, 17)),
        Resize("cubic", (2, 3), "half_pixel", sizes=(11, 17)),
    ):
        assert same(op, (1, 4, 6, 8)).count("Interp ") == 1


def test_everything_else_is_matrices() -> None:
    x = (1, 4, 9, 8)
    same(Resize("linear", (2, 3), antialias=True, sizes=(4, 3)), x)
    same(Resize("cubic", (2, 3), antialias=True, sizes=(4, 3)), x)
    same(Resize("cubic", (2, 3), cubic_coeff=-0.5, exclude_outside=True, sizes=(14, 13)), x)
    same(Resize("linear", (1, 2), sizes=(6, 13)), x)
    same(Resize("linear", (2, 3), "tf_crop_and_resize", sizes=(6, 5), roi=(0.2, 0.1, 0.7, 0.9)), x)


def test_nearest_takes_integers() -> None:
    same(Resize("nearest", (2, 3), "asymmetric", "floor", sizes=(8, 10)), np.arange(20).reshape(1, 1, 4, 5))
    assert "float32" in refused(Resize("linear", (2, 3), sizes=(8, 10)), np.arange(20).reshape(1, 1, 4, 5))


def grid(*shape: int) -> np.ndarray:
    """Places inside and a little outside of an image."""
    return np.random.default_rng(0).random(shape).astype(np.float32) * 2.4 - 1.2


@pytest.mark.parametrize("align", [False, True])
def test_grid_sample(align: bool) -> None:
    for mode, padding in itertools.product(("linear", "cubic"), ("zeros", "border")):
        if (mode, padding) != ("cubic", "border"):
            same(GridSample(mode, padding, align), (1, 8, 7, 9), grid(1, 5, 6, 2))
    for padding in ("zeros", "border"):
        same(GridSample("linear", padding, align), (1, 4, 5, 6, 7), grid(1, 3, 4, 5, 3))


def test_refused_samples() -> None:
    assert "reflects once" in refused(GridSample("linear", "reflection"), (1, 8, 7, 9), grid(1, 5, 6, 2))
    assert "clamps" in refused(GridSample("cubic", "border"), (1, 8, 7, 9), grid(1, 5, 6, 2))
    assert "linear" in refused(GridSample("nearest"), (1, 8, 7, 9), grid(1, 5, 6, 2))
    assert "batch" in refused(GridSample(), (2, 8, 7, 9), numbers(2, 5, 6, 2))
