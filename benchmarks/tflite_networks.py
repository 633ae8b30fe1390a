"""mconv's TFLite files against onnx2tf's: are they right, what do they transpose, what do they cost.

    python benchmarks/tflite_networks.py build/zoo/*.onnx --onnx2tf .venv-onnx2tf/bin/onnx2tf --work build/tflite

Inputs and outputs of both are channels last, as onnx2tf makes them (``--io-layout model`` keeps mconv's as they are in
the model). Each model goes through both converters, in turn, each in a process of its own (``--repeat`` times; medians
of time and peak memory). What they wrote is run in LiteRT and compared with onnxruntime, on noise, and on photographs
where the network looks at pictures; in brackets the feeds with an error over the limit, and how far onnxruntime itself
is off an evaluation in 64 bits there: more than a third of the limit, and the feed does not count (``wide.py``). Its
TRANSPOSE operations are counted and their bytes added up, and it is timed on one thread, both files in turn in one
process. A converter that fails, or whose file does not run, is named so. With ``--gate`` the exit status is 1 unless
mconv takes at most a twentieth of the time and a quarter of the memory, and its files are no slower than 1.05 times.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import peers

SLOWER = 1.05
TIME, MEMORY = 1 / 20, 1 / 4
RIGHT = 1e-4
"""Relative error up to which a file counts as right."""


SAMPLES = "calibration_image_sample_data_20x128x128x3_float32.npy"
"""Pictures on which onnx2tf 1.x compares layer by layer; it would download them where it finds no such file."""


def onnx2tf(program: Path, backend: str, samples: Path) -> peers.Peer:
    """onnx2tf, with the backend named where its version has several, and pictures under the name it looks for."""
    options = ["-tb", backend] if backend else []

    def command(model: Path, facts: dict[str, Any]) -> list[str]:
        (model.parent / SAMPLES).symlink_to(samples)
        path = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"  # it runs onnxsim by that name
        return ["env", f"PATH={path}", str(program), "-i", model.name, "-o", "out", "-n", *options]

    return peers.Peer("onnx2tf", command, lambda stem: (f"out/{stem}_float32.tflite",))


def mconv(layout: str) -> peers.Peer:
    """mconv without the comparison at the end, which onnx2tf does not make either."""

    def command(model: Path, facts: dict[str, Any]) -> list[str]:
        common = [peers.script("mconv"), model.name, "--target", "tflite", "-o", "mconv", "--no-verify"]
        return [*common, "--io-layout", layout]

    return peers.Peer("mconv", command, lambda stem: ("mconv.tflite",))


def measure(model: Path, tools: list[peers.Peer], work: Path, repeat: int, seconds: float) -> dict[str, Any]:
    """Everything about one model."""
    found: dict[str, Any] = {}
    runs: dict[str, list[peers.Run]] = {tool.name: [] for tool in tools}
    folders = {tool.name: work / tool.name / model.stem for tool in tools}
    for _ in range(repeat):
        for tool in tools:
            runs[tool.name].append(peers.convert(tool, model, {}, folders[tool.name]))
    files: dict[str, Path] = {}
    for tool in tools:
        taken = runs[tool.name]
        found[tool.name] = {
            "seconds": statistics.median(run.seconds for run in taken),
            "peak_mb": statistics.median(run.peak_bytes for run in taken) / 1e6,
        }
        written = folders[tool.name] / tool.writes(model.stem)[0]
        if taken[-1].status or not written.exists():
            last = taken[-1].output.strip().splitlines()[-1:] or [""]
            found[tool.name]["error"] = f"exit status {taken[-1].status}: {last[0][:80]}"
            continue
        found[tool.name] |= peers.probe(model.parent, "tflite", str(model.resolve()), str(written))
        if "error" not in found[tool.name]:
            files[tool.name] = written
    if len(files) == len(tools) > 1 and seconds:
        timed = peers.probe(work, "latency", str(seconds), *(str(files[tool.name]) for tool in tools))
        for tool, latency in zip(tools, timed.get("latency_ms", []), strict=False):
            found[tool.name]["latency_ms"] = latency
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)
    return found


def verdict(found: dict[str, Any]) -> str:
    """A converter's result in a few words."""
    if "error" in found:
        return f"no: {found['error'][:60]}".replace("|", "/")
    error = found["max_relative_error"]
    if error is None:
        return "wrong: shapes differ or not finite"
    beside = [
        f" ({feed} {found['errors'][feed]:.1e}, onnxruntime {own:.1e})"
        for feed, own in found["reference_errors"].items()
        if found["errors"][feed] is not None
    ]
    return f"{'ok' if error < RIGHT else 'off'} {error:.1e}{''.join(beside)}"


def row(name: str, found: dict[str, Any]) -> list[str]:
    """One line of the table."""
    cells = [name]
    for tool in ("mconv", "onnx2tf"):
        one = found.get(tool)
        if one is None:
            continue
        cells += [verdict(one), f"{one['seconds']:.2f}", f"{one['peak_mb']:.0f}"]
        cells += [str(one.get("transposes", "")), f"{one['transposed_bytes'] / 1e6:.2f}" if "transposes" in one else ""]
        cells += [f"{one['latency_ms']:.2f}" if "latency_ms" in one else ""]
    return cells


def summary(results: dict[str, Any]) -> list[str]:
    """How many are right, and the ratios."""
    lines = []
    for tool in ("mconv", "onnx2tf"):
        verdicts = [verdict(found[tool]) for found in results.values() if tool in found]
        if verdicts:
            tally = {word: sum(text.startswith(word) for text in verdicts) for word in ("ok", "off", "wrong", "no")}
            lines.append(f"{tool}: {tally['ok']} of {len(verdicts)} within {RIGHT:g}, {tally['off']} beyond it, "
                         f"{tally['wrong']} wrong, {tally['no']} not converted or not run")  # fmt: skip
    for key, what in (("seconds", "time"), ("peak_mb", "memory"), ("latency_ms", "latency")):
        pairs = [(f["mconv"][key], f["onnx2tf"][key]) for f in results.values() if _both(f, key)]
        if pairs:
            ratios = [a / b for a, b in pairs]
            lines.append(f"{what}: mconv / onnx2tf median {statistics.median(ratios):.3f}, worst {max(ratios):.3f}")
    return lines


def _both(found: dict[str, Any], key: str) -> bool:
    """True where both tools' files ran, and have this figure: what a failure costs is no measure."""
    tools = [found.get(tool, {"error": "not run"}) for tool in ("mconv", "onnx2tf")]
    return all(key in tool and "error" not in tool for tool in tools)


def broken(results: dict[str, Any]) -> list[str]:
    """What is not held of the limits: each ratio, and a median latency below one; or that nothing was compared."""
    limits = {"seconds": ("time", TIME), "peak_mb": ("memory", MEMORY), "latency_ms": ("latency", SLOWER)}
    wrong = [f"{name}: mconv's file is not right" for name, f in results.items() if verdict(f["mconv"])[:2] != "ok"]
    for key, (what, limit) in limits.items():
        ratios = {name: f["mconv"][key] / f["onnx2tf"][key] for name, f in results.items() if _both(f, key)}
        if not ratios:
            wrong.append(f"{what}: no model on which both were measured")
        wrong += [f"{name}: {what} {ratio:.3f}, more than {limit:g}" for name, ratio in ratios.items() if ratio > limit]
        if key == "latency_ms" and ratios and statistics.median(ratios.values()) >= 1:
            wrong.append(f"median latency {statistics.median(ratios.values()):.3f}, not below 1")
    return wrong


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--onnx2tf", type=Path, help="its program; without it mconv is measured alone")
    parser.add_argument("--backend", default="", help="onnx2tf's -tb, for versions that have several")
    parser.add_argument(
        "--io-layout",
        default="nhwc",
        choices=("model", "nhwc"),
        help="of mconv's files (default %(default)s, as onnx2tf's)",
    )
    parser.add_argument("--work", type=Path, default=Path("build/tflite"), help="folder to write (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="conversions a tool and model (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="to time each pair of files (default %(default)s)")
    peers.add_resume(parser)
    parser.add_argument("--gate", action="store_true", help="exit status 1 where a limit is not held")
    options = parser.parse_args()
    if options.gate and not options.onnx2tf:
        parser.error("--gate compares with onnx2tf: name its program with --onnx2tf")
    if options.onnx2tf and not options.onnx2tf.exists():
        parser.error(f"no such program: {options.onnx2tf} (make .venv-onnx2tf/.done installs onnx2tf there)")
    options.work.mkdir(parents=True, exist_ok=True)
    tools = [mconv(options.io_layout)]
    if options.onnx2tf:
        samples = (options.work / SAMPLES).resolve()
        peers.probe(options.work, "samples", str(samples))
        tools.append(onnx2tf(options.onnx2tf.absolute(), options.backend, samples))
    record = options.work / f"tflite{'-' + options.backend if options.backend else ''}.json"
    recorded = peers.read_record(record)
    results: dict[str, Any] = {}
    columns = ["result", "s", "MB", "TRANSPOSE", "MB moved", "ms"]
    head = ["model", *(f"{tool.name} {column}" for tool in tools for column in columns)]
    for model in options.models:
        known = recorded.get(model.name, {})
        if options.resume and all(tool.name in known for tool in tools):
            results[model.name] = known
        else:
            results[model.name] = measure(model, tools, options.work.resolve(), options.repeat, options.seconds)
            peers.write_record(record, recorded | results)
        print("  ".join(row(model.name, results[model.name])), flush=True)
    lines = [head, ["---"] * len(head), *(row(name, found) for name, found in results.items())]
    failures = broken(results) if options.onnx2tf else []
    closing = "\n".join([*summary(results), *(f"not held: {text}" for text in failures)])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{closing}\n"
    record.with_suffix(".md").write_text(text)
    print(closing)
    return int(options.gate and bool(failures))


if __name__ == "__main__":
    sys.exit(main())
