"""Whether the generated C++ builds without a warning and computes what onnxruntime does, with two compilers.

    python benchmarks/cpp_builds.py build/zoo/*.torchscript.onnx --work build/cpp-builds

Each network is converted (`mconv MODEL -t cpp`), built with g++ and with clang++ (`make CXXFLAGS=-Werror`), and its
self-test run, which goes through all instruction sets of the processor with one and two threads. The libraries are then
loaded, on each instruction set, and compared with onnxruntime, on noise and where the network looks at pictures on
photographs: the default, and what `--exact` makes. An error is the largest difference relative to the largest
magnitude of the output. Where it is over the limit, the network is evaluated in 64 bits as well: a feed on which
onnxruntime itself is off that by more than a third of the limit says nothing (`wide.py`), and does not count where
another does. A network whose error is over the limit all the same is "over". It fails where ours is off 64 bits by
more than NOISE times what onnxruntime is, on any feed.

A line a network (in brackets the feeds over the limit, ours and how far onnxruntime is off 64 bits), and builds.json;
the exit status is 1 where anything fails.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peers
import pictures
import wide

COMPILERS = ("g++", "clang++")
ISAS = ("base", "avx2", "avx512")
LIMITS = {"default": 1e-4, "exact": 1e-5}
"""Of the error."""
KINDS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int8)": "int8", "tensor(int64)": "int64"}
NOISE = 3.0
MOST_SECONDS, MOST_MB = 10.0, 1000.0
"""Of the compilation of all instruction sets, on the clock, and memory of the largest process."""


def convert(model: Path, folder: Path, *options: str) -> str:
    """`mconv MODEL -t cpp -o FOLDER`; the name of the network. Raises RuntimeError."""
    shutil.rmtree(folder, ignore_errors=True)
    mconv = [sys.executable, "-m", "mconv", str(model), "-t", "cpp", "-o", str(folder), "--no-verify", "-q"]
    run = peers.measure([*mconv, *options], folder.parent)
    if run.status and (advice := re.search(r"as (--dim) (\S+=1)$", run.output, re.M)):
        run = peers.measure([*mconv, *options, *advice.groups()], folder.parent)
    if run.status:
        raise RuntimeError(f"mconv fails: {_last(run.output)}")
    return next(folder.glob("*_weights.bin")).name.removesuffix("_weights.bin")


def build(folder: Path, compiler: str, *goals: str) -> peers.Run:
    """`make` from the beginning, warnings as errors. Raises RuntimeError."""
    peers.measure(["make", "-s", "clean"], folder)
    run = peers.measure(["make", "-s", f"CXX={compiler}", "CXXFLAGS=-Werror", *goals], folder)
    if run.status:
        errors = [line for line in run.output.splitlines() if "error" in line]
        raise RuntimeError(f"{compiler} fails: {(errors or [_last(run.output)])[0][:200]}")
    return run


def selftest(folder: Path) -> dict[str, bool]:
    """What each line of the self-test says, by instruction set and threads. Raises RuntimeError."""
    done = subprocess.run([str(folder / "selftest")], capture_output=True, text=True, timeout=900, check=False)
    found = {line.partition(":")[0]: line.partition(":")[2].startswith(" ok") for line in done.stdout.splitlines()}
    if done.returncode or not found or not all(found.values()):
        bad = [name for name, ok in found.items() if not ok]
        raise RuntimeError(f"selftest ends with {done.returncode}; {', '.join(bad)} fail")
    return found


Errors = dict[str, dict[str, float]]
"""By the feed, and then by instruction set."""


def errors(model: Path, library: Path, name: str) -> Errors:
    """The errors on each feed and instruction set, found in a process of its own. Raises RuntimeError."""
    command = [sys.executable, __file__, "--compare", str(model), str(library), name]
    run = peers.measure(command, library.parent)
    if run.status:
        raise RuntimeError(f"running it fails: {_last(run.output)}")
    found: Errors = json.loads(run.output.strip().splitlines()[-1])
    return found


def compare(model: Path, library: Path, name: str) -> Errors:
    """The error to onnxruntime on each feed and instruction set that the processor has; where one is over the least
    limit, also what "wide" says: "ISA wide" and "onnxruntime wide" are errors to an evaluation in 64 bits.
    """
    import onnxruntime

    from mconv.backends.cpp.runtime import Library
    from mconv.ir.errors import CheckError

    settings = onnxruntime.SessionOptions()  # optimized further, quantized models run otherwise than they say
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    inputs = {
        each.name: (KINDS[each.type], [size if isinstance(size, int) else 1 for size in each.shape])
        for each in session.get_inputs()
    }
    fed = {feed: list(arrays.values()) for feed, arrays in pictures.feeds(model, inputs).items()}
    results = {
        feed: {"onnxruntime": session.run(None, dict(zip(inputs, arrays, strict=True)))} for feed, arrays in fed.items()
    }
    for isa in ISAS:
        try:
            network = Library(library, name, isa=isa)
        except CheckError:
            continue
        with network:
            for feed, arrays in fed.items():
                results[feed][isa] = network.run(arrays)
    found: Errors = {}
    for feed, made in results.items():
        wanted = made["onnxruntime"]
        found[feed] = {isa: max(map(_error, wanted, outputs)) for isa, outputs in made.items() if isa in ISAS}
        if max(found[feed].values()) > min(LIMITS.values()):
            exact = wide.in_64_bits(model, fed[feed])
            found[feed] |= {f"{name} wide": max(map(_error, exact, outputs)) for name, outputs in made.items()}
    return found


def too_far(errors: Errors, limit: float) -> list[str]:
    """Where the error is over the limit, and more than NOISE times onnxruntime's to 64 bits."""
    return [
        f"{isa} on {feed}: error {found[isa]:.1e}"
        for feed, found in errors.items()
        for isa in ISAS
        if not found.get(isa, 0.0) <= limit
        and not found.get(f"{isa} wide", 1.0) <= NOISE * found.get("onnxruntime wide", 0.0)
    ]


def judged(errors: Errors, limit: float) -> tuple[float, str]:
    """The error that counts; and what is to say of feeds over the limit that do not, or of all."""
    worst = {feed: max(found[isa] for isa in ISAS if isa in found) for feed, found in errors.items()}
    own = {feed: found.get("onnxruntime wide", 0.0) for feed, found in errors.items()}
    over = [f"{feed} {error:.1e}, onnxruntime {own[feed]:.1e}" for feed, error in worst.items() if not error <= limit]
    return wide.judged(worst, own, limit), "; ".join(over)


def _error(want: Any, got: Any) -> float:
    left, right = want.astype(np.float64), got.astype(np.float64)
    if left.shape != right.shape or not np.isfinite(right).all():
        return float("inf")
    return float(np.abs(left - right).max(initial=0) / max(np.abs(left).max(initial=0), 1e-30))


def measure(model: Path, work: Path) -> dict[str, Any]:
    """Everything about one network; ``failures`` says what does not hold."""
    stem = model.name.removesuffix(".onnx")
    folder, failures = work / stem, list[str]()
    found: dict[str, Any] = {"failures": failures}
    kinds: dict[str, tuple[str, ...]] = {"default": (), "exact": ("--exact",)}
    for kind, options in kinds.items():
        try:
            name = convert(model, folder, *options)
            for compiler in COMPILERS if kind == "default" else COMPILERS[:1]:
                if shutil.which(compiler) is None:
                    failures.append(f"{compiler} is not installed: apt-get install {compiler.replace('++', '')}")
                    continue
                run = build(folder, compiler, *(() if kind == "default" else (f"lib{name}.so",)))
                key = compiler if kind == "default" else kind
                found[key] = {"seconds": run.seconds, "mb": run.peak_bytes / 1e6}
                if kind == "default":
                    found[key]["selftest"] = selftest(folder)
                found[key]["errors"] = errors(model, folder / f"lib{name}.so", name)
                failures += [f"{key}, {text}" for text in too_far(found[key]["errors"], LIMITS[kind])]
                if run.seconds > MOST_SECONDS or run.peak_bytes > MOST_MB * 1e6:
                    failures.append(f"{key} takes {run.seconds:.1f} s, {run.peak_bytes / 1e6:.0f} MB")
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failures.append(f"{kind}: {error}")
    shutil.rmtree(folder, ignore_errors=True)
    return found


def row(name: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    cells = [name]
    over = False
    for key in (*COMPILERS, "exact"):
        facts = found.get(key)
        if facts is None:
            cells += ["no"] * 4
            continue
        cells += [f"{facts['seconds']:.1f}", f"{facts['mb']:.0f}"]
        cells.append(f"{len(facts['selftest'])} ok" if "selftest" in facts else "")
        limit = LIMITS.get(key, LIMITS["default"])
        error, beside = judged(facts["errors"], limit) if "errors" in facts else (float("nan"), "")
        cells.append(f"{error:.1e}" + (f" ({beside})" if beside else ""))
        over |= error > limit
    verdict = "FAILS" if found["failures"] else "over" if over else "ok"
    return f"| {' | '.join([*cells, verdict])} |"


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"


def main() -> int:
    """The command line."""
    if sys.argv[1:2] == ["--compare"]:
        model, library, name = sys.argv[2:5]
        print(json.dumps(compare(Path(model), Path(library), name)))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, default=Path("build/cpp-builds"), help="(default %(default)s)")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    head = ["network"]
    for key in (*COMPILERS, "exact"):
        head += [f"{key} s", "MB", "selftest", "error"]
    print(f"| {' | '.join([*head, ''])} |\n|{' --- |' * (len(head) + 1)}", flush=True)
    results = {}
    for model in options.models:
        name = model.name.removesuffix(".onnx")
        results[name] = measure(model.resolve(), work)
        (work / "builds.json").write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        print(row(name, results[name]), flush=True)
        for failure in results[name]["failures"]:
            print(f"  {failure}", flush=True)
    return int(any(found["failures"] for found in results.values()))


if __name__ == "__main__":
    sys.exit(main())
