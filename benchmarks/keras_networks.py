"""mconv against TFLiteConverter and tf2onnx on Keras's networks: who converts, who is right, how fast, how fast after.

    python benchmarks/keras_zoo.py --out build/keras
    python benchmarks/keras_networks.py --zoo build/keras --work build/keras-work

Every network goes as SavedModel, ``.keras`` and ``.h5`` to ncnn and to TFLite, its SavedModel also through the two
peers. Each conversion runs in a process of its own that has TensorFlow loaded before the clock starts, as in a training
script; the tools take turns. What is written is run on one input and compared with TensorFlow, and both TFLite files
are timed on one thread, in turn in one process. The exit status is 1 unless every file is within 1e-3, mconv takes at
most half of either peer's time, and its TFLite files are no slower than 1.05 times TFLiteConverter's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers

RIGHT, FASTER, SLOWER = 1e-3, 0.5, 1.05
FORMS = {"SavedModel": "", ".keras": ".keras", ".h5": ".h5"}
TARGETS = {"ncnn": ".param", "tflite": ".tflite"}


# What runs in a process of its own ----------------------------------------------------------------------------


def _load_tensorflow() -> Any:
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf

    tf.function(lambda x: tf.matmul(x, x))(np.eye(2, dtype=np.float32))  # its first use of all takes time
    return tf


def _with_tflite_converter(tf: Any, source: str, out: str) -> None:
    Path(out).write_bytes(tf.lite.TFLiteConverter.from_saved_model(source).convert())


def _with_tf2onnx(tf: Any, source: str, out: str) -> None:
    from tf2onnx import convert

    sys.argv = ["tf2onnx", "--saved-model", source, "--output", out, "--opset", "17"]
    convert.main()


def _with_mconv(target: str) -> Callable[[Any, str, str], None]:
    def run(tf: Any, source: str, out: str) -> None:
        import mconv

        mconv.convert(source, target, output=out, verify=False)

    return run


TOOLS: dict[str, Callable[[Any, str, str], None]] = {
    "TFLiteConverter": _with_tflite_converter,
    "tf2onnx": _with_tf2onnx,
    **{f"mconv {target}": _with_mconv(target) for target in TARGETS},
}


def convert(tool: str, source: str, out: str) -> dict[str, Any]:
    """Seconds of one conversion, TensorFlow already loaded."""
    tf = _load_tensorflow()
    begin = time.perf_counter()
    TOOLS[tool](tf, source, out)
    return {"seconds": time.perf_counter() - begin}


def answer(source: str, out: str) -> dict[str, Any]:
    """TensorFlow's output of the network for one picture, and the picture, into an .npz."""
    import numpy as np

    tf = _load_tensorflow()
    signature = tf.saved_model.load(source).signatures["serving_default"]
    ((name, spec),) = signature.structured_input_signature[1].items()
    x = np.random.default_rng(0).standard_normal([d or 1 for d in spec.shape]).astype(np.float32)
    (y,) = (value.numpy() for value in signature(**{name: tf.constant(x)}).values())
    np.savez(out, x=x, y=y)
    return {}


def error(written: str, expected: str) -> dict[str, Any]:
    """How far a written file is from TensorFlow, relative to its largest number."""
    import numpy as np

    with np.load(expected) as arrays:
        x, y = arrays["x"], arrays["y"]
    made = _run_tflite(written, x) if written.endswith(".tflite") else _run_ncnn(written, x)
    return {"error": float(np.abs(made.reshape(y.shape) - y).max() / np.abs(y).max())}


def _run_tflite(path: str, x: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    net = Interpreter(model_path=path)
    (given,) = net.get_input_details()
    net.resize_tensor_input(given["index"], x.shape)
    net.allocate_tensors()
    net.set_tensor(given["index"], x)
    net.invoke()
    return net.get_tensor(net.get_output_details()[0]["index"])


def _run_ncnn(path: str, x: Any) -> Any:
    import ncnn
    import numpy as np

    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    net.load_param(path)
    net.load_model(path.removesuffix(".param") + ".bin")
    with net.create_extractor() as extractor:
        extractor.input(net.input_names()[0], ncnn.Mat(np.ascontiguousarray(x[0])).clone())
        status, made = extractor.extract(net.output_names()[0])
    if status:
        raise SystemExit(f"ncnn gives {status}")
    return np.array(made)


# Measuring ----------------------------------------------------------------------------------------------------


def run(work: Path, *arguments: str) -> dict[str, Any]:
    """One step in a process of its own: what it found, its peak memory, and an ``error`` where it failed."""
    done = peers.measure([sys.executable, str(Path(__file__).resolve()), *arguments], work)
    lines = [line for line in done.output.strip().splitlines() if line.startswith("{")]
    if done.status or not lines:
        last = done.output.strip().splitlines()[-1:] or [""]
        return {"failed": f"exit status {done.status}: {last[0][:100]}"}
    return {**json.loads(lines[-1]), "peak_mb": done.peak_bytes / 1e6}


def measure(zoo: Path, name: str, work: Path, repeat: int, seconds: float) -> dict[str, Any]:
    """Everything about one network."""
    expected = str(work / "expected.npz")
    run(work, "answer", str(zoo / name), expected)
    files = {"TFLiteConverter": work / "peer.tflite", "tf2onnx": work / "peer.onnx"}
    files |= {f"mconv {target}": work / f"mconv{suffix}" for target, suffix in TARGETS.items()}
    taken: dict[str, list[dict[str, Any]]] = {tool: [] for tool in TOOLS}
    for _ in range(repeat):
        for tool in TOOLS:
            taken[tool].append(run(work, "convert", tool, str(zoo / name), str(files[tool])))
    found = {tool: _median(runs) for tool, runs in taken.items()}
    theirs = run(work, "error", str(files["TFLiteConverter"]), expected)
    found["TFLiteConverter"] |= {key: value for key, value in theirs.items() if key != "peak_mb"}
    both = [str(files[tool]) for tool in ("mconv tflite", "TFLiteConverter")]
    if all(Path(file).exists() for file in both):
        found["latency_ms"] = peers.probe(work, "latency", str(seconds), *both).get("latency_ms", [])
    for form, suffix in FORMS.items():
        for target in TARGETS:
            tool = f"mconv {target}"
            done = run(work, "convert", tool, str(zoo / f"{name}{suffix}"), str(files[tool])) if suffix else found[tool]
            result = done if "failed" in done else run(work, "error", str(files[tool]), expected)
            found[f"{form} to {target}"] = {**result, "seconds": done.get("seconds")}
    for path in work.iterdir():
        path.unlink()
    return found


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    if any("failed" in each for each in runs):
        return runs[-1]
    return {key: statistics.median(each[key] for each in runs) for key in ("seconds", "peak_mb")}


def line(name: str, found: dict[str, Any]) -> str:
    """One network in a line."""
    cells = [f"{name:17}"]
    for tool in ("mconv tflite", "mconv ncnn", "TFLiteConverter", "tf2onnx"):
        one = found[tool]
        cells.append(one["failed"][:40] if "failed" in one else f"{one['seconds']:6.2f} s {one['peak_mb']:5.0f} MB")
    errors = [found[f"{form} to {target}"] for form in FORMS for target in TARGETS]
    shown = [f"{e['error']:.0e}" if "error" in e else e.get("failed", "?")[:60] for e in errors]
    theirs = found["TFLiteConverter"]
    latency = found.get("latency_ms") or []
    ratio = f"{latency[0] / latency[1]:.3f}" if len(latency) == 2 else "?"
    return " | ".join([*cells, " ".join(shown), f"theirs {theirs.get('error', float('nan')):.0e}", f"latency {ratio}"])


def verdicts(results: dict[str, dict[str, Any]]) -> list[tuple[str, bool]]:
    """The sentences that must hold, with whether they do."""
    pairs = [(form, target) for form in FORMS for target in TARGETS]
    errors = [f[f"{form} to {t}"].get("error", float("inf")) for f in results.values() for form, t in pairs]
    ratios = [
        f[mine]["seconds"] / f[peer]["seconds"]
        for f in results.values()
        for mine in (f"mconv {t}" for t in TARGETS)
        for peer in ("TFLiteConverter", "tf2onnx")
        if "seconds" in f[mine] and "seconds" in f[peer]
    ]
    latencies = [f["latency_ms"][0] / f["latency_ms"][1] for f in results.values() if len(f.get("latency_ms", [])) == 2]
    right = sum(error <= RIGHT for error in errors)
    return [
        (f"{right} of {len(errors)} conversions within {RIGHT:g} of TensorFlow", right == len(errors)),
        (f"time over either peer's: {_spread(ratios)}", max(ratios) <= FASTER),
        (f"latency over TFLiteConverter's: {_spread(latencies)}", max(latencies) <= SLOWER),
    ]


def _spread(ratios: list[float]) -> str:
    return f"median {statistics.median(ratios):.3f}, worst {max(ratios):.3f}"


def main() -> int:
    """The command line."""
    steps: dict[str, Callable[..., dict[str, Any]]] = {"convert": convert, "answer": answer, "error": error}
    if sys.argv[1:2] and sys.argv[1] in steps:
        print(json.dumps(steps[sys.argv[1]](*sys.argv[2:])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, default=Path("build/keras"), help="the networks (default %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("build/keras-work"), help="folder to write in")
    parser.add_argument("--only", nargs="*", help="these networks only")
    parser.add_argument("--repeat", type=int, default=1, help="conversions of each tool (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="to time each pair of files (default %(default)s)")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    names = options.only or sorted(path.stem for path in options.zoo.glob("*.keras"))
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        found = measure(options.zoo.resolve(), name, options.work.resolve(), options.repeat, options.seconds)
        results[name] = found
        print(line(name, found), flush=True)
    held = verdicts(results)
    for sentence, holds in held:
        print(f"{'holds' if holds else 'does not hold'}: {sentence}")
    return int(not all(holds for _, holds in held))


if __name__ == "__main__":
    sys.exit(main())
