"""One engine with one model, kept alive and asked for bursts of inferences: the worker of ``cpp_networks.py``.

    python benchmarks/cpp_engines.py '{"engine": "onnxruntime", "model": "net.onnx", "threads": 1}'

loads the model, runs it on the feeds, writes the outputs, and prints a line of JSON: what it has to say of itself. Then
it reads numbers of seconds, one a line, runs at least three inferences and at least so long, and prints the seconds of
each. Whatever engines print goes to standard error. Timed is the inference alone, inputs in place and outputs left
where the engine makes them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Feeds = dict[str, Any]
Spec = dict[str, Any]


class Engine:
    """A loaded model: ``once`` is one inference, ``outputs`` the arrays of the last, ``facts`` what else it knows.

    ``before`` is called before each inference, and not timed.
    """

    def __init__(
        self,
        once: Callable[[], Any],
        outputs: Callable[[], Sequence[Any]],
        before: Callable[[], Any] = lambda: None,
        **facts: Any,
    ) -> None:
        self.once, self.outputs, self.before, self.facts = once, outputs, before, facts


def onnxruntime(spec: Spec, feeds: Feeds) -> Engine:
    """CPU provider, all optimisations, inputs and outputs bound."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = spec["threads"]
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(spec["model"], options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return Engine(lambda: session.run_with_iobinding(binding), binding.copy_outputs_to_cpu, version=ort.__version__)


def openvino(spec: Spec, feeds: Feeds) -> Engine:
    """The CPU plugin, one stream, 32-bit floats (it would choose bfloat16 where the processor multiplies it)."""
    import openvino as ov

    core = ov.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": spec["threads"],
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(core.read_model(spec["model"]), "CPU", settings)
    request = compiled.create_infer_request()
    for index, array in enumerate(feeds.values()):
        request.set_input_tensor(index, ov.Tensor(array, shared_memory=True))

    def once() -> None:
        request.start_async()
        request.wait()

    count = len(compiled.outputs)
    return Engine(once, lambda: [request.get_output_tensor(i).data for i in range(count)], version=ov.__version__)


def litert(spec: Spec, feeds: Feeds) -> Engine:
    """mconv's .tflite with images channels last, in LiteRT with XNNPACK."""
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(spec["tflite"], num_threads=spec["threads"])
    interpreter.allocate_tensors()
    feed_litert(interpreter, feeds)
    details = interpreter.get_output_details()

    def outputs() -> list[Any]:
        arrays = (interpreter.get_tensor(detail["index"]) for detail in details)
        return [np.moveaxis(a, -1, 1) if a.ndim == 4 else a for a in arrays]

    return Engine(interpreter.invoke, outputs, version=version("ai-edge-litert"))


def feed_litert(interpreter: Any, feeds: Feeds) -> None:
    """Set the inputs, with images turned to channels last where the file wants them so."""
    for detail, array in zip(interpreter.get_input_details(), feeds.values(), strict=True):
        given = array if tuple(detail["shape"]) == array.shape else np.moveaxis(array, 1, -1)
        interpreter.set_tensor(detail["index"], np.ascontiguousarray(given))


def ncnn(spec: Spec, feeds: Feeds) -> Engine:
    """mconv's .param and .bin in ncnn, storing and computing in fp32."""
    import latency
    import ncnn as package

    param = Path(spec["param"])
    net = latency.load(param, param.with_suffix(".bin"), spec["threads"])
    mats = [package.Mat(np.ascontiguousarray(a.reshape(a.shape[1:] or a.shape))).clone() for a in feeds.values()]
    names, wanted = list(net.input_names()), list(net.output_names())
    last: list[Any] = []

    def once() -> None:
        last.clear()
        extractor = net.create_extractor()
        for name, mat in zip(names, mats, strict=True):
            extractor.input(name, mat)
        last.extend(extractor.extract(name)[1] for name in wanted)

    return Engine(once, lambda: [np.array(mat)[None] for mat in last], version=package.__version__)


def mnn(spec: Spec, feeds: Feeds) -> Engine:
    """What MNN's converter made of the ONNX file, precision "high": fp32. It computes in its inputs' memory too."""
    import MNN

    interpreter = MNN.Interpreter(spec["mnn"])
    session = interpreter.createSession({"backend": "CPU", "precision": "high", "numThread": spec["threads"]})
    inputs = interpreter.getSessionInputAll(session)
    hosts = {
        name: MNN.Tensor(array.shape, MNN.Halide_Type_Float, array, MNN.Tensor_DimensionType_Caffe)
        for name, array in feeds.items()
    }

    def before() -> None:
        for name, host in hosts.items():
            inputs[name].copyFrom(host)

    def outputs() -> list[Any]:
        found = []
        for tensor in interpreter.getSessionOutputAll(session).values():
            host = MNN.Tensor(
                tensor.getShape(),
                tensor.getDataType(),
                np.zeros(tensor.getShape(), np.float32),
                MNN.Tensor_DimensionType_Caffe,
            )
            tensor.copyToHostTensor(host)
            found.append(np.array(host.getData()).reshape(tensor.getShape()))
        return found

    return Engine(lambda: interpreter.runSession(session), outputs, before, version=MNN.version())


def generated(spec: Spec, feeds: Feeds) -> Engine:
    """The library that ``make`` built in the folder that mconv wrote."""
    from mconv.backends.cpp.runtime import Library, _pointers

    model = Library(Path(spec["library"]), spec["name"], threads=spec["threads"], isa=spec["isa"])
    given = list(feeds.values())
    made = [np.empty(shape, dtype) for dtype, shape in model.outputs]
    status = model.selftest()
    if status:
        raise RuntimeError(f"the self-test fails with error {status}")
    run, inside = model._function("run"), model._model
    inputs, outputs = _pointers(given), _pointers(made)

    def once() -> None:
        if run(inside, inputs, outputs):
            raise RuntimeError("run fails")

    return Engine(once, lambda: made, isa=model.isa, arena=model.arena_bytes(spec["threads"]))


ENGINES: dict[str, Callable[[Spec, Feeds], Engine]] = {
    "onnxruntime": onnxruntime,
    "OpenVINO": openvino,
    "LiteRT": litert,
    "ncnn": ncnn,
    "MNN": mnn,
    "mconv": generated,
}


def make_feeds(model: str, path: Path) -> None:
    """Seeded inputs of a model with known sizes, by name in its order."""
    import onnxruntime as ort

    random = np.random.default_rng(0)
    feeds = {}
    for each in ort.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs():
        if each.type != "tensor(float)" or not all(isinstance(size, int) for size in each.shape):
            raise ValueError(f"input {each.name} is {each.type} {each.shape}: not of floats, or of unknown size")
        feeds[each.name] = random.standard_normal(each.shape).astype(np.float32)
    np.savez(path, **feeds)


def onnxruntime_arena(model: str, feeds: Feeds) -> int:
    """Bytes by which onnxruntime's arena grows in the first two inferences, from its own log (weights come before)."""
    import re
    import tempfile

    import onnxruntime as ort

    with tempfile.TemporaryFile() as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            ort.set_default_logger_severity(1)
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            begin = log.seek(0, os.SEEK_END)
            for _ in range(2):
                session.run(None, feeds)
        finally:
            os.dup2(kept, 2)
        log.seek(begin)
        return sum(int(n) for n in re.findall(rb"Extended allocation by (\d+) bytes", log.read()))


def litert_arena(tflite: str, feeds: Feeds) -> int:
    """The span of addresses around the input, without gaps, in which LiteRT's planner put tensors (no delegate).

    With XNNPACK, activations are in its own workspace, which cannot be asked for.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(tflite, num_threads=1, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    feed_litert(interpreter, feeds)
    spans: list[tuple[int, int]] = []
    for detail in interpreter.get_tensor_details():
        with contextlib.suppress(ValueError):  # tensors that have no memory
            array = interpreter.tensor(detail["index"])()
            spans.append((array.__array_interface__["data"][0], array.nbytes))
    place = interpreter.tensor(interpreter.get_input_details()[0]["index"])().__array_interface__["data"][0]
    begin = end = 0
    for address, size in sorted(spans):
        if address > end + 64:
            if begin <= place < end:
                break
            begin = address
        end = max(end, address + size)
    return end - begin


def answer(engine: Engine, seconds: float) -> list[float]:
    """Seconds of each inference of one burst."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < seconds:
        engine.before()
        start = time.perf_counter()
        engine.once()
        times.append(time.perf_counter() - start)
    return times


def main() -> int:
    """The command line: one JSON object that says which engine and which files."""
    spec: Spec = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what engines print would stand between our lines

    def say(found: Any) -> None:
        print(json.dumps(found), file=out, flush=True)

    try:
        if spec["engine"] == "feeds":
            make_feeds(spec["model"], Path(spec["feeds"]))
            say({})
            return 0
        with np.load(spec["feeds"]) as stored:
            feeds = {name: stored[name] for name in stored.files}
        if spec["engine"] == "arenas":
            say({"onnxruntime": onnxruntime_arena(spec["model"], feeds), "LiteRT": litert_arena(spec["tflite"], feeds)})
            return 0
        engine = ENGINES[spec["engine"]](spec, feeds)
        for _ in range(2):
            engine.before()
            engine.once()
        np.savez(spec["outputs"], *engine.outputs())
        say(engine.facts)
    except Exception as error:  # whatever went wrong is the finding
        say({"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"})
        return 1
    for line in sys.stdin:
        say(answer(engine, float(line)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
