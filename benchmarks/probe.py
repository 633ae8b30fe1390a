"""Look at one model in a process of its own, and print what was found as one line of JSON.

`peers.py` starts this: it keeps itself free of heavy imports (its own memory would count in what it measures), and a
runtime that crashes on a converter's output must not take the benchmark along.

    python benchmarks/probe.py onnx model.onnx
    python benchmarks/probe.py run model.onnx
    python benchmarks/probe.py ncnn model.onnx written.param written.bin [--script written_by_pnnx.py]
    python benchmarks/probe.py tflite model.onnx written.tflite
    python benchmarks/probe.py latency SECONDS one.tflite other.tflite
    python benchmarks/probe.py samples pictures.npy
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pictures
import wide

Arrays = pictures.Arrays
Answers = dict[str, tuple[Arrays, list[Any]]]
"""Inputs, and what onnxruntime answers, by the name of the feed."""
NCNN_LIMIT, TFLITE_LIMIT = 1e-3, 1e-4


def inputs_of(model: onnx.ModelProto) -> dict[str, tuple[str, list[int]]]:
    """Type and shape by name of what the model is to be fed; symbolic sizes are taken as 1."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, tuple[str, list[int]]] = {}
    for value in model.graph.input:
        if value.name in fixed:
            continue
        tensor = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        found[value.name] = (dtype.name, [dim.dim_value or 1 for dim in tensor.shape.dim])
    return found


def feeds(path: Path) -> dict[str, Arrays]:
    """What to feed the model, by name: noise, and photographs where it looks at pictures."""
    return pictures.feeds(path, inputs_of(onnx.load(str(path), load_external_data=False)))


def every_node(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The graph's nodes and those of the graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                yield from every_node(body)


def fastest(run: Callable[[], object], seconds: float = 2.0, least: int = 3, most: int = 30) -> float:
    """The shortest of several runs in milliseconds: what the work takes when nothing else has the core."""
    run()
    times: list[float] = []
    while len(times) < least or (len(times) < most and sum(times) < seconds):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times) * 1e3


def onnx_facts(path: Path) -> dict[str, Any]:
    """Counts of nodes, with and without the Constant ones, the inputs, and the bytes of model and weights."""
    model = onnx.load(str(path), load_external_data=False)
    nodes = list(every_node(model.graph))
    data = path.with_name(path.name + ".data")
    return {
        "nodes": len(nodes),
        "nodes_without_constants": sum(node.op_type != "Constant" for node in nodes),
        "opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "inputs": inputs_of(model),
        "bytes": path.stat().st_size + (data.stat().st_size if data.exists() else 0),
    }


def session_of(path: Path, optimized: bool) -> Any:
    """An onnxruntime session on one thread.

    Optimized, quantized models run in integer kernels that round otherwise than the model says: good for a latency,
    not for a reference.
    """
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def references(path: Path) -> Answers:
    """Every feed, and the answers."""
    session = session_of(path, optimized=False)
    return {name: (values, session.run(None, values)) for name, values in feeds(path).items()}


def onnxruntime_facts(path: Path) -> dict[str, Any]:
    """Latency of the source model in onnxruntime, one thread."""
    values, session = feeds(path)[pictures.NOISE], session_of(path, optimized=True)
    return {"latency_ms": fastest(lambda: session.run(None, values))}


def worst(path: Path, errors: dict[str, float | None], answered: Answers, limit: float) -> dict[str, Any]:
    """What is told of the errors by feed: the one that a result is judged by, all of them, and onnxruntime's own where
    they are over the limit.
    """
    known = {name: math.inf if error is None else error for name, error in errors.items()}
    own: dict[str, float] = {}
    for name in [name for name, error in known.items() if error > limit]:
        values, expected = answered[name]
        exact = wide.in_64_bits(path, list(values.values()))
        own[name] = max(difference(a, b) or 0.0 for a, b in zip(expected, exact, strict=True))
    judged = wide.judged(known, own, limit)
    found = {"max_relative_error": judged if math.isfinite(judged) else None, "errors": errors}
    return found | {"reference_errors": own}


def difference(ours: Any, theirs: Any) -> float | None:
    """Largest difference relative to the largest value; None where sizes differ or the values are not finite."""
    a, b = np.asarray(ours, np.float64).ravel(), np.asarray(theirs, np.float64).ravel()
    if a.size != b.size or not np.isfinite(a).all():
        return None
    return float(np.abs(a - b).max(initial=0.0)) / (float(np.abs(b).max(initial=0.0)) or 1.0)


def as_mat(value: np.ndarray[Any, Any], index: int, script: Path | None) -> Any:
    """`value` as the ncnn input number `index`.

    Whether an axis of it is ncnn's batch axis is pnnx's decision, and the Python script it writes beside tells which;
    without such a script a leading 1 is taken for the batch and dropped.
    """
    ncnn: Any = importlib.import_module("ncnn")
    if np.issubdtype(value.dtype, np.integer):
        value = value.astype(np.int32)
    if script is not None and script.exists():
        line = re.search(rf'ex\.input\("in{index}", (.*)\)', script.read_text(encoding="utf-8"))
        batch = re.search(r"batch_index=(\d+)", line[1] if line else "")
        if batch is not None:
            return ncnn.Mat(value, batch_index=int(batch[1])).clone()
    elif value.ndim > 1 and value.shape[0] == 1:
        value = np.ascontiguousarray(value[0])
    return ncnn.Mat(value).clone()


def blob_names(wanted: list[str], present: list[str], prefix: str) -> list[str] | None:
    """The blob for each of the model's inputs or outputs: of the same name, or `in0`, `in1` … as pnnx calls them."""
    if set(wanted) <= set(present):
        return wanted
    numbered = [f"{prefix}{index}" for index in range(len(wanted))]
    return numbered if set(numbered) == set(present) else None


def ncnn_facts(path: Path, param: Path, binary: Path, script: Path | None) -> dict[str, Any]:
    """Run the ncnn files on one thread in fp32, and compare them with onnxruntime on the model they came from."""
    ncnn: Any = importlib.import_module("ncnn")
    answered = references(path)
    outputs = [value.name for value in onnx.load(str(path), load_external_data=False).graph.output]
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param(str(param)) or net.load_model(str(binary)):
        return {"error": "ncnn does not load the files"}
    blobs_in = blob_names(list(answered[pictures.NOISE][0]), list(net.input_names()), "in")
    blobs_out = blob_names(outputs, list(net.output_names()), "out")
    if blobs_in is None or blobs_out is None:
        return {"error": f"the files have inputs {net.input_names()} and outputs {net.output_names()}"}

    def run(mats: list[Any]) -> list[Any]:
        extractor = net.create_extractor()
        for name, mat in zip(blobs_in, mats, strict=True):
            extractor.input(name, mat)
        return [extractor.extract(name) for name in blobs_out]

    errors: dict[str, float | None] = {}
    for feed, (values, expected) in answered.items():
        mats = [as_mat(value, index, script) for index, value in enumerate(values.values())]
        answers = run(mats)
        if any(code for code, _ in answers):
            return {"error": f"ncnn answers {[code for code, _ in answers]}"}
        arrays = [mat.numpy(batch_index=0) if mat.n > 1 else np.array(mat) for _, mat in answers]
        found = [difference(ours, theirs) for ours, theirs in zip(arrays, expected, strict=True)]
        errors[feed] = None if None in found else max(error for error in found if error is not None)
    return {
        "layers": len(net.layers()),
        **worst(path, errors, answered, NCNN_LIMIT),
        "latency_ms": fastest(lambda: run(mats)),
    }


def litert(path: Path) -> Any:
    """A LiteRT interpreter of a file, one thread, tensors allocated."""
    module: Any = importlib.import_module("ai_edge_litert.interpreter")
    interpreter = module.Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def laid_out(value: np.ndarray[Any, Any], shape: list[int]) -> np.ndarray[Any, Any]:
    """`value` with its channels where `shape` has them: onnx2tf turns inputs and outputs to channels last."""
    if list(value.shape) == shape:
        return value
    for turned in (np.moveaxis(value, 1, -1), np.moveaxis(value, -1, 1)) if value.ndim > 2 else ():
        if list(turned.shape) == shape:
            return turned
    return value.reshape(shape)


def tflite_facts(path: Path, written: Path) -> dict[str, Any]:
    """Errors of a written file against onnxruntime, its operations, and what its transposes move."""
    answered = references(path)
    interpreter = litert(written)
    wanted = interpreter.get_input_details()
    by_name = {detail["name"].split(":")[0].removeprefix("serving_default_"): detail for detail in wanted}
    errors: dict[str, float | None] = {}
    for feed, (values, expected) in answered.items():
        for (name, value), detail in zip(values.items(), wanted, strict=True):
            place = by_name.get(name, detail)
            interpreter.set_tensor(place["index"], laid_out(value, list(place["shape"])).astype(place["dtype"]))
        interpreter.invoke()
        made = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
        found = [_closest(made, answer) for answer in expected]
        errors[feed] = None if None in found else max(error for error in found if error is not None)
    operations = interpreter._get_ops_details()
    sizes = {
        d["index"]: int(np.prod(d["shape"])) * np.dtype(d["dtype"]).itemsize for d in interpreter.get_tensor_details()
    }
    turned = [op for op in operations if op["op_name"] == "TRANSPOSE"]
    return {
        **worst(path, errors, answered, TFLITE_LIMIT),
        "operations": sum(op["op_name"] != "DELEGATE" for op in operations),
        "transposes": len(turned),
        "transposed_bytes": sum(sizes[op["outputs"][0]] for op in turned),
    }


def _closest(made: list[Any], answer: Any) -> float | None:
    """The least error of any output of that size: converters order and name outputs as they like."""
    found = [difference(laid_out(m, list(answer.shape)), answer) for m in made if m.size == answer.size]
    return min((error for error in found if error is not None), default=None)


def latencies(seconds: float, files: list[Path]) -> dict[str, Any]:
    """Milliseconds of each file in LiteRT, one thread: the geometric mean of the medians of as many rounds as there are
    files, each of which is loaded first once (what is loaded first lies elsewhere in memory).
    """
    count = len(files)
    rounds = []
    for first in range(count):
        order = [(first + place) % count for place in range(count)]
        medians = in_turn(seconds / count, [files[which] for which in order])
        rounds.append([medians[order.index(which)] for which in range(count)])
    return {"latency_ms": [math.prod(found) ** (1 / count) for found in zip(*rounds, strict=True)]}


def in_turn(seconds: float, files: list[Path]) -> list[float]:
    """Median milliseconds of each file, loaded in this order, runs in turn."""
    interpreters = [litert(file) for file in files]
    random = np.random.default_rng(0)
    for interpreter in interpreters:
        for detail in interpreter.get_input_details():
            value = random.standard_normal(detail["shape"])
            interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
        interpreter.invoke()
    times: list[list[float]] = [[] for _ in files]
    began = time.perf_counter()
    while len(times[0]) < 7 or time.perf_counter() - began < seconds:
        for interpreter, found in zip(interpreters, times, strict=True):
            start = time.perf_counter()
            interpreter.invoke()
            found.append(time.perf_counter() - start)
    return [float(np.median(found)) * 1e3 for found in times]


def main() -> int:
    """The command line; prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["onnx", "run", "ncnn", "tflite", "latency", "samples"])
    parser.add_argument("model", type=Path)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--script", type=Path)
    options = parser.parse_args()
    try:
        if options.what == "onnx":
            facts = onnx_facts(options.model)
        elif options.what == "run":
            facts = onnxruntime_facts(options.model)
        elif options.what == "samples":
            np.save(options.model, pictures.samples(20, 128))
            facts = {"samples": str(options.model)}
        elif options.what == "tflite":
            facts = tflite_facts(options.model, options.files[0])
        elif options.what == "latency":
            facts = latencies(float(str(options.model)), options.files)
        else:
            param, binary = options.files
            facts = ncnn_facts(options.model, param, binary, options.script)
    except Exception as error:  # whatever went wrong is the finding
        facts = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
