"""Runs written nets with the ``ncnn`` package (which is imported only here)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mconv.ir.errors import CheckError, MissingExtraError, Problem, UsageError
from mconv.ir.types import Array

from .net import EXACT_INTEGERS
from .shapes import fits, mat_shape

_PASSED_ON = {"Split", "Reshape", "Noop", "Flatten", "Squeeze", "ExpandDims"}


def run(
    files: Mapping[str, str], feeds: Mapping[str, Array], wanted: Sequence[str], *, threads: int = 1
) -> dict[str, Array]:
    """Blobs of a net by name, in the Mats' shapes (the batch axis is gone), computed in fp32.

    ``files`` maps ``.param`` and ``.bin`` to paths; ``feeds`` are arrays in the model's own shapes. Raises
    MissingExtraError (MC130) without the package, CheckError (MC410, MC411) where the net does not load or run,
    UsageError (MC113) for a feed that a Mat cannot hold.
    """
    ncnn = _package()
    net = ncnn.Net()
    _exact(net.opt, threads)
    _load(net, files)
    mats: list[Any] = []  # must be gone before the net, whose allocators own their memory
    extractor = net.create_extractor()
    try:
        param = _text(files[".param"])
        if not set(wanted) <= set(net.output_names()) or "\nDetectionOutput " in param:
            extractor.set_light_mode(False)  # inner blobs would be dropped once they have been read
        integers = integer_inputs(param)
        for name, array in feeds.items():
            data = _as_mat_data(name, array, name in integers)
            mats.append(ncnn.Mat(data).clone())  # Mat(data) alone would only borrow data's memory
            if extractor.input(name, mats[-1]) != 0:
                raise UsageError(Problem("MC113", f"the net has no input '{name}'"))
        results = {}
        for name in wanted:
            status, mat = extractor.extract(name)
            if status != 0 and _found_nothing(extractor, name, param):
                results[name] = np.zeros((0, 7), np.float32)
                continue
            if status != 0:
                raise CheckError(Problem("MC411", f"ncnn fails with status {status} computing '{name}'"))
            results[name] = np.array(mat)
            mats.append(mat)
        return results
    finally:
        mats.clear()
        mat = None
        del extractor
        net.clear()


def _found_nothing(extractor: Any, name: str, param: str) -> bool:
    """Whether ``name`` holds the rows of a DetectionOutput, which gives no Mat where there are none."""
    makers = {}
    for line in param.splitlines()[2:]:
        fields = line.split()
        if len(fields) < 4:
            continue
        bottoms = int(fields[2])
        makers.update(dict.fromkeys(fields[4 + bottoms : 4 + bottoms + int(fields[3])], fields))
    while name in makers and makers[name][0] in ("Split", "Padding", "Reshape"):
        name = makers[name][4]
    if name not in makers or makers[name][0] != "DetectionOutput":
        return False
    status, mat = extractor.extract(name)
    return status in (0, -100) and mat.empty()


def _package() -> Any:
    try:
        import ncnn
    except ImportError as error:
        what = "running ncnn nets needs the ncnn package"
        raise MissingExtraError(Problem("MC130", what, hint="pip install 'mconv[verify]'")) from error
    return ncnn


def _exact(options: Any, threads: int) -> None:
    """Whatever stores activations or weights in fewer bits is off: the comparison is about the conversion."""
    options.num_threads = threads
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(options, name, False)


def _load(net: Any, files: Mapping[str, str]) -> None:
    for suffix, load in ((".param", net.load_param), (".bin", net.load_model)):
        status = load(files[suffix])
        if status != 0:
            raise CheckError(Problem("MC410", f"ncnn cannot load the {suffix} file (status {status})"))


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def integer_inputs(param: str) -> set[str]:
    """Names of the inputs that an Embed reads: their Mats hold int32, not floats."""
    result: set[str] = set()
    holders: dict[str, str] = {}  # blob -> the input whose elements it holds
    for line in param.splitlines()[2:]:
        fields = line.split()
        if len(fields) < 4:
            continue
        kind, bottoms, tops = fields[0], int(fields[2]), int(fields[3])
        inputs, outputs = fields[4 : 4 + bottoms], fields[4 + bottoms : 4 + bottoms + tops]
        if kind == "Input":
            holders.update((name, name) for name in outputs)
        elif kind in _PASSED_ON and inputs and inputs[0] in holders:
            holders.update((name, holders[inputs[0]]) for name in outputs)
        elif kind == "Embed" and inputs and inputs[0] in holders:
            result.add(holders[inputs[0]])
    return result


def _as_mat_data(name: str, array: Array, integers: bool) -> Array:
    shape = mat_shape(array.shape)
    if not fits(shape) or 0 in shape:
        raise UsageError(Problem("MC113", f"a Mat cannot hold the feed '{name}' of shape {list(array.shape)}"))
    if not integers and array.dtype.kind in "iu" and bool((np.abs(array.astype(np.float64)) > EXACT_INTEGERS).any()):
        raise UsageError(Problem("MC113", f"the feed '{name}' holds integers beyond 2^24, and a Mat holds floats"))
    dtype = np.int32 if integers else np.float32
    return np.ascontiguousarray(array.astype(dtype, copy=False).reshape([int(str(d)) for d in shape]))
