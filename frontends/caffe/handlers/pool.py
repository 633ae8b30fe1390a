"""Pools, and what undoes them."""

from __future__ import annotations

from mconv.ir import Builder, DType, Op, Value, ops

from ..node import CaffeNode, Param
from ..registry import caffe


def _pair(n: CaffeNode, p: Param, name: str, short: str, default: int | None) -> tuple[int, int]:
    """Rows and columns of a field, or of short_h and short_w."""
    rows, columns = p.get(f"{short}_h"), p.get(f"{short}_w")
    if p.has(f"{short}_h") or p.has(f"{short}_w"):
        n.require(not p.has(name), f"both {name} and {short}_h, {short}_w")
        n.require(rows is not None and columns is not None, f"only one of {short}_h and {short}_w")
        return int(rows), int(columns)
    value = p.get(name)
    n.require(value is not None or default is not None, f"{name} is not given")
    single = int(value if value is not None else default or 0)
    return single, single


def ceil_mode(n: CaffeNode, p: Param) -> bool:
    """Whether sizes are rounded up, which Caffe does unless it is told otherwise."""
    up = p.flag("ceil_mode")
    if p.has("round_mode"):
        n.require(not p.has("ceil_mode"), "both round_mode and ceil_mode")
        return p.choice("round_mode") == "CEIL"
    return up


@caffe("Pooling")
def pooling(n: CaffeNode, b: Builder) -> list[Value]:
    """The greatest or mean element of windows, the last of which may reach beyond the padding.

    The mean is over the window's part within the padded image: padding counts, what lies beyond does not.
    """
    n.takes(1)
    p = n.param("pooling_param")
    method = p.choice("pool")
    n.refuse(method == "STOCHASTIC", "a stochastic pool, which is random", "MAX or AVE in its place")
    n.require(n.rank == 4, f"a blob of {n.rank} axes")
    if p.flag("global_pooling"):
        n.require(not (p.has("kernel_size") or p.has("kernel_h") or p.has("kernel_w")), "a kernel, and it is global")
        n.require(_pair(n, p, "pad", "pad", 0) == (0, 0), "padding, and it is global")
        n.require(_pair(n, p, "stride", "stride", 1) == (1, 1), "a stride, and it is global")
        ceil_mode(n, p)
        n.refuse(n.tops > 1, "a mask, and it is global")
        return [b.add(ops.ReduceMax((2, 3)) if method == "MAX" else ops.ReduceMean((2, 3)), n[0])]
    kernel, strides = _pair(n, p, "kernel_size", "kernel", None), _pair(n, p, "stride", "stride", 1)
    pads, up = _pair(n, p, "pad", "pad", 0), ceil_mode(n, p)
    n.require(min(*kernel, *strides) > 0, "a size is not positive")
    n.require(all(pad < k for pad, k in zip(pads, kernel, strict=True)), f"pads {pads} as large as the kernel {kernel}")
    _check_last(n, kernel, strides, pads, up)
    window = (kernel, strides, pads * 2, (1, 1), up)
    if n.tops > 1:
        n.refuse(method != "MAX" or n.tops > 2, f"{n.tops} tops")
        return list(b.add_all(ops.MaxPoolIndices(*window), n[0]))
    op: Op = ops.MaxPool(*window) if method == "MAX" else ops.AveragePool(*window, count_include_pad=True)
    return [b.add(op, n[0])]


def _check_last(
    n: CaffeNode, kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int], up: bool
) -> None:
    """MC332 where the last window would begin beyond the image, which Caffe prevents only where there is padding."""
    if not up or pads != (0, 0):
        return
    for size, k, stride in zip(n[0].type.shape[2:], kernel, strides, strict=True):
        if isinstance(size, int) and size >= k:
            last = -(-(size - k) // stride) * stride
            n.refuse(last >= size, f"a last window that begins beyond the image (kernel {k}, stride {stride})")


@caffe("Upsample")
def upsample(n: CaffeNode, b: Builder) -> Value:
    """With a mask SegNet's: elements go where the pool took them from. Without, each is repeated (YOLO's)."""
    n.takes(1, 2)
    p = n.param("upsample_param")
    if len(n) == 1:
        scale = p.number("scale") if p.has("scale") else 1.0
        n.require(scale >= 1 and scale == int(scale), f"scale {scale}")
        op = ops.Resize("nearest", (2, 3), "asymmetric", "floor", scales=(scale, scale))
        return b.add(op, n[0])
    return _unpooled(n, p, b)


def _unpooled(n: CaffeNode, p: Param, b: Builder) -> Value:
    pool = n[1].producer
    if pool is None or not isinstance(pool.op, ops.MaxPoolIndices) or n[1] is not pool.results[1]:
        n.refuse(True, "a mask that is not the second top of a Pooling layer")
        raise AssertionError
    batch, channels, height, width = n.sizes()
    scale = p.number("scale") if p.has("scale") else 2.0
    factors = [float(p.integer(each)) if p.has(each) else scale for each in ("scale_h", "scale_w")]
    more = [int(p.flag(each)) for each in ("pad_out_h", "pad_out_w")]
    sizes = [int(size * f) - m for size, f, m in zip((height, width), factors, more, strict=True)]
    if p.has("upsample_h") or p.has("upsample_w"):
        sizes = [p.integer("upsample_h"), p.integer("upsample_w")]
    taken = pool.inputs[0].type.static_shape
    n.refuse(taken[2:] != tuple(sizes), f"a result of {sizes}, where the pool read {list(taken[2:])}")
    op = ops.MaxUnpool(pool.op.kernel, pool.op.strides, pool.op.pads, (batch, channels, *sizes))
    return b.add(op, n[0], n[1])


@caffe("ROIPooling")
def roi_pooling(n: CaffeNode, b: Builder) -> Value:
    """The greatest element of each cell of a grid over each region (image, x1, y1, x2, y2)."""
    n.takes(2)
    p = n.param("roi_pooling_param")
    cells = (p.integer("pooled_h"), p.integer("pooled_w"))
    n.require(min(cells) > 0, f"a grid of {cells}")
    return b.add(ops.MaxRoiPool(cells, p.number("spatial_scale")), n[0], regions(n, b, n[1]))


def regions(n: CaffeNode, b: Builder, rois: Value) -> Value:
    """Regions as a matrix [R, 5]; they also come as [R, 5, 1, 1]."""
    n.require(rois.type.rank >= 2, f"regions {rois.type}")
    return rois if rois.type.rank == 2 else b.add(ops.Flatten(1), rois)


@caffe("ArgMax")
def arg_max(n: CaffeNode, b: Builder) -> Value:
    """Where the greatest elements are, as floats; of equal ones the last. With out_max_val also, or only, how great."""
    n.takes(1)
    p = n.param("argmax_param")
    count, values = p.integer("top_k"), p.flag("out_max_val")
    if p.has("axis"):
        axis = n.axis(p.integer("axis"))
        where, found = _greatest(n, b, n[0], axis, count)
        return found if values else where
    flat = b.add(ops.Flatten(1), n[0])
    where, found = _greatest(n, b, flat, 1, count)
    lines = [where, found] if values else [where]
    batch = n[0].type.with_shape(n[0].type.shape[:1]).static_shape[0]
    rank = max(3, n.rank)
    shaped = [b.add(ops.Reshape((batch, 1, count, *(1,) * (rank - 3))), line) for line in lines]
    return shaped[0] if len(shaped) == 1 else b.add(ops.Concat(1), *shaped)


def _greatest(n: CaffeNode, b: Builder, x: Value, axis: int, count: int) -> tuple[Value, Value]:
    """Indices (f32) and values."""
    size = x.type.shape[axis]
    n.require(count > 0 and (not isinstance(size, int) or count <= size), f"top_k {count} of {size} elements")
    if count == 1:
        where, found = b.add(ops.ArgMax(axis, True, True), x), b.add(ops.ReduceMax((axis,)), x)
    else:
        found, where = b.add_all(ops.TopK(axis, k=count), x)
    return b.add(ops.Cast(DType.F32), where), found
