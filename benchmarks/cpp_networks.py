"""The generated C++ against onnxruntime, OpenVINO, LiteRT, ncnn and MNN: time, accuracy, compilation, memory.

    python benchmarks/cpp_networks.py build/zoo/*.torchscript.onnx --work build/cpp --threads 1 --isa avx512

Each network is converted (`mconv -t cpp`, compiled with `make`; to .tflite and ncnn by mconv too, to .mnn by MNN), then
all engines are asked in turn, round by round, each in a process of its own that is stopped while the others run: so
what else the machine does meets all alike, and no idle thread of one engine slows another. Of a burst the fastest
inference counts, of the rounds the median. The ratio is ours over that of the best engine, in the same round.

`--isa avx2` runs our AVX2 code, and holds those engines to AVX2 that can be: OpenVINO (`ONEDNN_MAX_CPU_ISA`); MNN's
package has no AVX-512 code. onnxruntime, LiteRT and ncnn cannot be held: their columns are then marked with a star, and
not counted.

Memory: our arena and its bounds are from report.json. onnxruntime's is what its arena grows by in two inferences,
from its log (in steps of powers of two). LiteRT's is what its planner takes without XNNPACK, whose workspace cannot be
asked for.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import peers

WORKER = Path(__file__).with_name("cpp_engines.py")
OURS = "mconv"
ENGINES = ("onnxruntime", "OpenVINO", "LiteRT", "ncnn", "MNN", OURS)
HELD = {"avx2": ("OpenVINO", "MNN")}
"""Engines that run no wider instructions than asked for."""
TRANSFORMERS = ("convnext", "vit")
LIMITS = {"geometric mean": 0.70, "one network": 1.0, "one transformer": 1.05, "two threads": 1.1}
MOST_SECONDS, MOST_MB = 10.0, 1000.0
"""Of the compilation."""
RIGHT = 1e-4


@dataclass
class Worker:
    """An engine's process; it is stopped while it is not asked."""

    name: str
    process: subprocess.Popen[str]
    facts: dict[str, Any]
    bursts: list[float] = field(default_factory=list)

    def ask(self, seconds: float) -> None:
        """One burst; its fastest inference is kept."""
        os.kill(self.process.pid, signal.SIGCONT)
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(f"{seconds}\n")
            self.process.stdin.flush()
            self.bursts.append(min(self._hear()))
        finally:
            os.kill(self.process.pid, signal.SIGSTOP)

    def _hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        """Let it end."""
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def once(spec: dict[str, Any]) -> dict[str, Any]:
    """The answer of a worker that is asked nothing else."""
    run = subprocess.run(
        [sys.executable, str(WORKER), json.dumps(spec)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        cwd=WORKER.parent,
    )
    found: dict[str, Any] = json.loads(run.stdout) if run.stdout else {"error": f"it ended with {run.returncode}"}
    return found


def start(spec: dict[str, Any], environment: dict[str, str]) -> Worker:
    """Start an engine; returns when it has loaded and run the model, or has failed (``facts["error"]``)."""
    command = [sys.executable, str(WORKER), json.dumps(spec)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
        cwd=WORKER.parent,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    facts = json.loads(line) if line else {"error": f"it ended with status {process.wait()}"}
    worker = Worker(spec["engine"], process, facts)
    if "error" in facts:
        process.wait()
    else:
        os.kill(process.pid, signal.SIGSTOP)
    return worker


def convert(model: Path, folder: Path, engines: list[str]) -> dict[str, Any]:
    """All files that the engines need, in ``folder``; what the conversion and compilation to C++ took, or errors."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    mconv = [sys.executable, "-m", "mconv", str(model), "--no-verify", "-q"]
    commands = {
        "LiteRT": [*mconv, "-t", "tflite", "--io-layout", "nhwc", "-o", str(folder / "net")],
        "ncnn": [*mconv, "-t", "ncnn", "-o", str(folder / "net")],
        "MNN": [sys.executable, "-c", _MNN, str(model), str(folder / "net.mnn")],
    }
    results = {"LiteRT": "net.tflite", "ncnn": "net.param", "MNN": "net.mnn"}
    for engine, command in commands.items():
        if engine in engines and not (folder / results[engine]).exists():
            run = peers.measure(command, folder)
            if run.status or not (folder / results[engine]).exists():
                found[engine] = {"error": _last(run.output)}
    if OURS in engines:
        found[OURS] = compile_ours(model, folder)
    return found


_MNN = """
import sys, _tools
# MNN.tools.mnnconvert would do the same, and before that install a package and report the use
_tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", sys.argv[1], "--MNNModel", sys.argv[2], "--bizCode", "x"])
"""


def compile_ours(model: Path, folder: Path) -> dict[str, Any]:
    """`mconv -t cpp` and `make`, from the beginning."""
    source = folder / "cpp"
    run = peers.measure(
        [sys.executable, "-m", "mconv", str(model), "-t", "cpp", "-o", str(source), "--no-verify", "-q"], folder
    )
    if run.status:
        return {"error": _last(run.output)}
    facts: dict[str, Any] = {"convert_seconds": run.seconds, "convert_mb": run.peak_bytes / 1e6}
    headers = [path for path in source.glob("*.h") if not path.stem.endswith(("_kernels", "_internal"))]
    facts["name"] = headers[0].stem
    library = f"lib{facts['name']}.so"
    peers.measure(["make", "-C", str(source), "clean"], folder)
    run = peers.measure(["make", "-C", str(source), library], folder)
    if run.status:
        return {"error": _last(run.output)}
    memory = json.loads((source / "report.json").read_text())["arena"]
    return facts | {
        "library": str(source / library),
        "compile_seconds": run.seconds,
        "compile_cpu_seconds": run.cpu_seconds,
        "compile_mb": run.peak_bytes / 1e6,
        "library_mb": (source / library).stat().st_size / 1e6,
        "arena": memory["bytes"],
        "bound": memory["lower_bound"],
        "bound_whole": memory.get("lower_bound_without_streaming", memory["lower_bound"]),
        "unshared": memory["without_reuse"],
    }


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:120] if lines else "no message"


def measure(model: Path, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one network."""
    folder = (work / model.name.removesuffix(".onnx")).resolve()
    made = convert(model, folder, options.engines)
    ours = made.get(OURS, {})
    feeds = folder / "feeds.npz"
    common = {
        "model": str(model), "feeds": str(feeds), "threads": options.threads, "isa": options.isa,
        "tflite": str(folder / "net.tflite"), "param": str(folder / "net.param"), "mnn": str(folder / "net.mnn"),
        "library": ours.get("library"), "name": ours.get("name"),
    }  # fmt: skip
    fed = once({**common, "engine": "feeds"})
    if "error" in fed:
        return fed
    environment = {"ONEDNN_MAX_CPU_ISA": "AVX2"} if options.isa == "avx2" else {}
    result: dict[str, Any] = {"engines": {}, OURS: ours, "isa": options.isa, "threads": options.threads}
    workers = []
    try:
        for engine in options.engines:
            if "error" in made.get(engine, {}):
                result["engines"][engine] = made[engine]
                continue
            worker = start({**common, "engine": engine, "outputs": str(folder / f"{engine}.npz")}, environment)
            result["engines"][engine] = worker.facts
            if "error" not in worker.facts:
                workers.append(worker)
        result["rounds"] = in_turn(workers, options.seconds, options.burst)
    finally:
        for worker in workers:
            worker.end()
    for worker in workers:
        facts = result["engines"][worker.name]
        facts["ms"] = statistics.median(worker.bursts) * 1e3
        facts["bursts"] = worker.bursts
        facts["error_to_onnxruntime"] = difference(folder / "onnxruntime.npz", folder / f"{worker.name}.npz")
    if not options.without_arenas:
        result["arenas"] = once({**common, "engine": "arenas"})
    return result | compared(result["engines"], options.isa)


def in_turn(workers: list[Worker], seconds: float, burst: float) -> int:
    """Ask all, one after another, until the time is over; the number of rounds. Each round begins with another."""
    began, rounds = time.perf_counter(), 0
    while workers and (rounds < 5 or time.perf_counter() - began < seconds):
        first = rounds % len(workers)
        for worker in workers[first:] + workers[:first]:
            worker.ask(burst)
        rounds += 1
    return rounds


def difference(reference: Path, candidate: Path) -> float | None:
    """The largest error of any output relative to its largest magnitude; None where shapes differ."""
    if not reference.exists():
        return None
    worst = 0.0
    with np.load(reference) as left, np.load(candidate) as right:
        for name in left.files:
            one, two = left[name].astype(np.float64), right[name].astype(np.float64) if name in right.files else None
            if two is None or one.size != two.size or not np.isfinite(two).all():
                return None
            worst = max(worst, float(np.abs(one - two.reshape(one.shape)).max() / max(np.abs(one).max(), 1e-30)))
    return worst


def compared(engines: dict[str, Any], isa: str) -> dict[str, Any]:
    """The best engine, and our ratio to it: median and quartiles of the ratios of each round."""
    counted = HELD.get(isa, ENGINES)
    right = {n: e for n, e in engines.items() if "ms" in e and n != OURS and n in counted and _right(e)}
    if not right or "ms" not in engines.get(OURS, {}):
        return {}
    best = min(right, key=lambda name: right[name]["ms"])
    ratios = [a / b for a, b in zip(engines[OURS]["bursts"], right[best]["bursts"], strict=True)]
    quarter, ratio, three = np.percentile(ratios, [25, 50, 75])
    return {"best": best, "ratio": float(ratio), "quartiles": [float(quarter), float(three)]}


def _right(facts: dict[str, Any]) -> bool:
    error = facts.get("error_to_onnxruntime")
    return error is not None and error < 1e-2


def time_row(name: str, found: dict[str, Any]) -> list[str]:
    """One line of the table of times."""
    engines = found.get("engines", {})
    held = HELD.get(found.get("isa", ""), ENGINES)
    cells = [name]
    for engine in ENGINES:
        facts = engines.get(engine, {})
        mark = "" if engine in held or engine == OURS else "*"
        cells.append(f"{facts['ms']:.2f}{mark}" if "ms" in facts else "no" if "error" in facts else "")
    ratio = (
        f"{found['ratio']:.2f} [{found['quartiles'][0]:.2f} {found['quartiles'][1]:.2f}]" if "ratio" in found else ""
    )
    error = engines.get(OURS, {}).get("error_to_onnxruntime")
    return [*cells, found.get("best", ""), ratio, "" if error is None else f"{error:.1e}"]


def memory_row(name: str, found: dict[str, Any]) -> list[str]:
    """One line of the table of compilation and memory."""
    ours, arenas = found.get(OURS, {}), found.get("arenas", {})
    digits = {"convert_seconds": 1, "compile_seconds": 1, "compile_cpu_seconds": 1, "compile_mb": 0, "library_mb": 1}
    cells = [name, *(f"{ours[key]:.{n}f}" if key in ours else "" for key, n in digits.items())]
    sizes = [ours.get("arena"), ours.get("bound"), ours.get("bound_whole"), ours.get("unshared")]
    sizes += [arenas.get("onnxruntime"), arenas.get("LiteRT")]
    return [*cells, *("" if size is None else f"{size / 1e6:.2f}" for size in sizes)]


def print_failures(name: str, found: dict[str, Any]) -> None:
    """A line for each engine that did not run the network, or ran it wrong."""
    if "error" in found:
        print(f"  {name}: {found['error']}")
    for engine, facts in found.get("engines", {}).items():
        if "error" in facts:
            print(f"  {engine}: {facts['error']}")
        elif not _right(facts):
            print(f"  {engine}: wrong, error {facts.get('error_to_onnxruntime')}")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows]) + "\n"


def mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(statistics.fmean(map(math.log, ratios)))


def summary(results: dict[str, Any]) -> list[str]:
    """Geometric means and the worst."""
    ratios = {name: found["ratio"] for name, found in results.items() if "ratio" in found}
    convolutional = [r for name, r in ratios.items() if not name.startswith(TRANSFORMERS)]
    lines = []
    for what, some in (("all", list(ratios.values())), ("convolutional ones", convolutional)):
        if some:
            lines.append(f"geometric mean over {what} ({len(some)}): {mean(some):.3f}, worst {max(some):.2f}")
    for engine in ENGINES:
        pairs = [
            f["engines"][OURS]["ms"] / f["engines"][engine]["ms"]
            for f in results.values()
            if engine != OURS and all("ms" in f.get("engines", {}).get(e, {}) for e in (engine, OURS))
        ]
        if pairs:
            lines.append(f"to {engine} alone ({len(pairs)}): {mean(pairs):.3f}")
    return lines


def broken(results: dict[str, Any], threads: int) -> list[str]:
    """What is not held of the limits."""
    wrong = []
    for name, found in results.items():
        ours = found.get(OURS, {})
        kind = "two threads" if threads > 1 else "one transformer" if name.startswith(TRANSFORMERS) else "one network"
        if found.get("ratio", math.inf) > LIMITS[kind]:
            wrong.append(f"{name}: ratio {found.get('ratio', math.nan):.2f}, more than {LIMITS[kind]}")
        if not found.get("engines", {}).get(OURS, {}).get("error_to_onnxruntime", 1) <= RIGHT:
            wrong.append(f"{name}: outputs differ")
        if ours.get("compile_seconds", 0) > MOST_SECONDS or ours.get("compile_mb", 0) > MOST_MB:
            wrong.append(f"{name}: compilation takes {ours['compile_seconds']:.1f} s, {ours['compile_mb']:.0f} MB")
    ratios = [f["ratio"] for n, f in results.items() if "ratio" in f and not n.startswith(TRANSFORMERS)]
    if threads == 1 and ratios and mean(ratios) > LIMITS["geometric mean"]:
        wrong.append(f"geometric mean {mean(ratios):.3f}, more than {LIMITS['geometric mean']}")
    return wrong


def widest() -> str:
    """The widest instruction set of this machine that has code of its own."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.exists() else []
    return "avx512" if "avx512dq" in flags else "avx2" if "avx2" in flags else ""


def main() -> int:
    """The command line; with ``--gate`` the exit status is 1 where a limit is not held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, default=Path("build/cpp"), help="folder to write (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of every engine (default %(default)s)")
    parser.add_argument("--isa", choices=("avx512", "avx2", "base"), default=widest(), help="(default %(default)s)")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE")
    parser.add_argument("--seconds", type=float, default=25.0, help="of rounds for each network (default %(default)s)")
    parser.add_argument("--burst", type=float, default=0.06, help="seconds of one turn, at least (default %(default)s)")
    parser.add_argument("--without-arenas", action="store_true", help="do not ask for the engines' arenas")
    peers.add_resume(parser)
    parser.add_argument("--gate", action="store_true", help="exit status 1 where a limit is not held")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    record = options.work / f"cpp-{options.isa or 'base'}-{options.threads}.json"
    recorded = peers.read_record(record)
    results: dict[str, Any] = {}
    times = ["network", *(f"{engine} ms" for engine in ENGINES), "best", "ratio", "error"]
    memory = ["network", "convert s", "compile s", "CPU s", "compiler MB", "library MB", "arena MB", "lower bound",
              "bound, nothing streamed", "without reuse", "onnxruntime's", "LiteRT's"]  # fmt: skip
    print("  ".join(times))
    for model in options.models:
        name = model.name.removesuffix(".onnx")
        if options.resume and name in recorded:
            results[name] = recorded[name]
        else:
            results[name] = measure(model.resolve(), options.work, options)
            peers.write_record(record, recorded | results)
        print("  ".join(time_row(name, results[name])), flush=True)
        print_failures(name, results[name])
    rows = [time_row(name, found) for name, found in results.items()]
    sizes = [memory_row(name, found) for name, found in results.items()]
    lines = [*summary(results), *(f"not held: {text}" for text in broken(results, options.threads))]
    text = "\n".join([table(times, rows), table(memory, sizes), *lines]) + "\n"
    record.with_suffix(".md").write_text(text)
    print("\n".join(lines))
    return int(options.gate and bool(broken(results, options.threads)))


if __name__ == "__main__":
    sys.exit(main())
