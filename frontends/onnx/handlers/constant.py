"""Constants, and what makes tensors from a size."""

from __future__ import annotations

import math

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from ..errors import RE_EXPORT, form, needs_constant, unreadable, unsupported
from ..node import OnnxNode
from ..registry import onnx

MAX_COUNT = 1 << 28
"""Numbers in a Range."""


@onnx("Constant")
def constant(n: OnnxNode, g: Builder) -> Value:
    """A constant in whichever attribute it is."""
    if n.has("value"):
        value = g.constant(n.tensor("value"))
        if n.is_packed("value"):
            n.scope.body.narrow.add(value)
        return value
    if n.has("sparse_value"):
        return g.constant(n.sparse_tensor("sparse_value"))
    if n.has("value_float"):
        return g.constant(np.float32(n.number("value_float")))
    if n.has("value_floats"):
        return g.constant(np.array(n.numbers("value_floats"), np.float32))
    if n.has("value_int"):
        return g.constant(np.int64(n.integer("value_int")))
    if n.has("value_ints"):
        return g.constant(np.array(n.integers("value_ints"), np.int64))
    raise form("Constant of strings")


@onnx("ConstantOfShape")
def constant_of_shape(n: OnnxNode, g: Builder) -> Value:
    """One number in a shape: an Expand, which takes no memory until it is computed."""
    fill = n.tensor("value").reshape(()) if n.has("value") else np.zeros((), np.float32)
    return g.add(ops.Expand(), g.constant(fill), n[0])


@onnx("EyeLike")
def eye_like(n: OnnxNode, g: Builder) -> Value:
    """EyeLike."""
    dtype = n.dtype("dtype") if n.has("dtype") else n[0].type.dtype
    return g.add(ops.EyeLike(n.integer("k"), dtype), n[0])


@onnx("Range")
def number_range(n: OnnxNode, g: Builder) -> Value:
    """Range; of 16-bit floats it is counted in 32 bits, as the specification's `stash_type` asks."""
    limits = [n[i] if n[i].type.rank == 0 else g.add(ops.Reshape(()), n[i]) for i in range(3)]
    _check_count(n)
    dtype = limits[0].type.dtype
    if "stash_type" in n.schema.attributes and n.integer("stash_type") and dtype in (DType.F16, DType.BF16):
        wide = g.add(ops.Range(), *(g.add(ops.Cast(DType.F32), limit) for limit in limits))
        return g.add(ops.Cast(dtype), wide)
    return g.add(ops.Range(), *limits)


def _check_count(n: OnnxNode) -> None:
    """Refuse a Range whose known limits make it huge; its type alone would not tell."""
    contents = [n.known(n[i]) for i in range(3)]
    if any(content is None or content.size != 1 for content in contents):
        return
    start, limit, delta = (float(content.item()) for content in contents if content is not None)
    if not delta:
        raise unreadable("MC219", "Range has a step of zero", RE_EXPORT)
    if not math.isfinite(start + limit + delta):
        raise unreadable("MC219", f"Range from {start} to {limit} by {delta}", RE_EXPORT)
    if (limit - start) / delta > MAX_COUNT:
        raise unsupported("MC309", f"Range makes a tensor of {(limit - start) / delta:.0f} elements")


@onnx("MelWeightMatrix")
def mel_weight_matrix(n: OnnxNode, g: Builder) -> Value:
    """MelWeightMatrix: a matrix that only constants decide; triangles evenly spaced on the mel scale."""
    contents = [n.known(n[index]) for index in range(5)]
    if any(content is None for content in contents):
        raise needs_constant("everything MelWeightMatrix reads")
    bands, length, rate, low, high = (content.item() for content in contents if content is not None)
    mels = 2595 * np.log10(1 + np.array([low, high], np.float64) / 700)
    points = np.arange(bands + 2) * ((mels[1] - mels[0]) / (bands + 2)) + mels[0]
    bins = np.floor((length + 1) * (700 * (10 ** (points / 2595) - 1)) / rate).astype(np.int64)
    spectrum = np.arange(length // 2 + 1)[:, None]
    left, center, right = bins[:-2], bins[1:-1], bins[2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(spectrum < center, (spectrum - left) / (center - left), 0)
        down = (right - spectrum) / (right - center)
    rising = np.where((spectrum >= left) & (spectrum < center), up, 0)
    falling = np.where((spectrum >= center) & (spectrum < right), down, 0)
    matrix = np.where((spectrum == center) & (center == left), 1, rising + falling)
    return g.constant(matrix.astype(n.dtype("output_datatype").numpy))
