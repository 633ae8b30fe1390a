"""Compare converters on the same models: whole-process time, peak memory, and what the result is worth in ncnn.

Each tool converts each model in a process of its own, the tools in turn, as often as `--repeat` says; medians are
kept.  What a tool wrote is then run in the real ncnn runtime and compared with onnxruntime on seeded inputs.

    python benchmarks/peers.py build/zoo/*.onnx --work build/peers --repeat 3

writes `baseline.json` and `baseline.md` into the folder given by `--work`.  With `--resume`, what the JSON file has is
not measured again.  Nothing but the standard library is imported here, since Linux counts a process's memory before
`exec` in its child's peak.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROBE = Path(__file__).with_name("probe.py")
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Run:
    """One process from start to end: wall and CPU seconds, peak resident bytes, exit status, the end of its output."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    status: int
    output: str


@dataclass(frozen=True)
class Peer:
    """A converter: the command that converts the model (linked into the folder it runs in), and the files it leaves."""

    name: str
    command: Callable[[Path, dict[str, Any]], list[str]]
    writes: Callable[[str], tuple[str, ...]]


def measure(command: list[str], folder: Path, timeout: float = 900.0) -> Run:
    """Run `command` in `folder` and take its time and peak memory from the kernel's own account.

    The status is negative for a signal, as in `subprocess`; a process over `timeout` seconds is killed.
    """
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=environment())
        watchdog = threading.Timer(timeout, process.kill)
        watchdog.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            watchdog.cancel()
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - 4000))
        text = output.read().decode(errors="replace")
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds, cpu, usage.ru_maxrss * 1024, process.returncode, text)


def environment() -> dict[str, str]:
    """The environment of a tool that is measured: its compiled Python modules are kept, as for any person."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def probe(folder: Path, *arguments: str) -> dict[str, Any]:
    """What `probe.py` finds; an `error` where it crashed."""
    run = measure([sys.executable, str(PROBE), *arguments], folder)
    lines = run.output.strip().splitlines()
    if run.status or not lines:
        return {"error": f"exit status {run.status}: {lines[-1] if lines else ''}"}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def pnnx_program() -> str:
    """pnnx's compiled program, without the Python script around it (which would import torch first)."""
    spec = importlib.util.find_spec("pnnx")
    if spec is None or spec.origin is None:
        raise SystemExit("comparing with pnnx needs `pip install pnnx`")
    return str(Path(spec.origin).with_name("pnnx"))


def script(name: str) -> str:
    """A console script of this interpreter's environment."""
    return str(Path(sys.executable).with_name(name))


def _pnnx(model: Path, facts: dict[str, Any]) -> list[str]:
    suffix = {"float32": "", "int64": "i64", "int32": "i32"}
    shapes = [f"{shape}{suffix.get(dtype, '')}".replace(" ", "") for dtype, shape in facts["inputs"].values()]
    return [pnnx_program(), model.name, f"inputshape={','.join(shapes)}", "fp16=0"]


def _mconv(model: Path, facts: dict[str, Any]) -> list[str]:
    return [script("mconv"), model.name, "--target", "ncnn", "-o", "mconv", "--no-verify"]


PEERS = {
    "pnnx": Peer("pnnx", _pnnx, lambda stem: (f"{stem}.ncnn.param", f"{stem}.ncnn.bin", f"{stem}_ncnn.py")),
    "onnxsim": Peer(
        "onnxsim",
        lambda model, facts: [script("onnxsim"), model.name, "simplified.onnx"],
        lambda stem: ("simplified.onnx",),
    ),
    "mconv": Peer("mconv", _mconv, lambda stem: ("mconv.param", "mconv.bin")),
}


def link(model: Path, folder: Path) -> Path:
    """A new `folder` holding only links to the model and its data file: converters write beside their input."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in (model, model.with_name(model.name + ".data")):
        if file.exists():
            (folder / file.name).symlink_to(file.resolve())
    return folder / model.name


def convert(peer: Peer, model: Path, facts: dict[str, Any], folder: Path) -> Run:
    """One conversion by one tool, in an empty folder; what tools before it wrote has reached the disk."""
    linked = link(model, folder)
    os.sync()
    return measure(peer.command(linked, facts), folder)


def judge(peer: Peer, model: Path, folder: Path, runs: list[Run]) -> dict[str, Any]:
    """Medians of the tool's runs, and what its files are worth."""
    result: dict[str, Any] = {
        "seconds": statistics.median(run.seconds for run in runs),
        "cpu_seconds": statistics.median(run.cpu_seconds for run in runs),
        "peak_mb": statistics.median(run.peak_bytes for run in runs) / 1e6,
        "runs": [asdict(run) | {"output": ""} for run in runs],
    }
    files = [folder / name for name in peer.writes(model.name.removesuffix(".onnx"))]
    if runs[-1].status or not all(file.exists() for file in files):
        tail = " | ".join(runs[-1].output.strip().splitlines()[-3:])
        return result | {"error": f"exit status {runs[-1].status}: {tail}"}
    if peer.name == "onnxsim":
        return result | probe(folder, "onnx", str(files[0]))
    arguments = [str(model.resolve()), str(files[0]), str(files[1])]
    return result | probe(folder, "ncnn", *arguments, *(["--script", str(files[2])] if len(files) > 2 else []))


def compare(model: Path, peers: list[Peer], work: Path, repeat: int) -> dict[str, Any]:
    """All facts about one model: of the file itself, of onnxruntime, and of each tool, run in turn."""
    facts = probe(model.parent, "onnx", str(model.resolve()))
    result: dict[str, Any] = {"onnx": facts, "onnxruntime": probe(model.parent, "run", str(model.resolve()))}
    if "error" in facts:
        return result
    folders = {peer.name: work / peer.name / model.name.removesuffix(".onnx") for peer in peers}
    runs: dict[str, list[Run]] = {peer.name: [] for peer in peers}
    for _ in range(repeat):
        for peer in peers:
            runs[peer.name].append(convert(peer, model, facts, folders[peer.name]))
    for peer in peers:
        result[peer.name] = judge(peer, model, folders[peer.name], runs[peer.name])
    return result


def verdict(found: dict[str, Any]) -> str:
    """A tool's result in a few words."""
    if "error" in found:
        return f"no: {found['error'][:70]}".replace("|", "/").replace("\n", " ")
    error = found["max_relative_error"]
    if error is None:
        return "wrong: size differs or not finite"
    return f"{'ok' if error < TOLERANCE else 'wrong'} {error:.1e}"


def table(results: dict[str, Any], peers: list[str]) -> str:
    """The results as Markdown, a row a model."""
    tools = [name for name in peers if name != "onnxsim"]
    head = ["model", "MB", "nodes", "without Constant", "onnxsim nodes", "onnxsim s", "onnxruntime ms"]
    for name in tools:
        head += [f"{name} s", f"{name} CPU s", f"{name} peak MB", f"{name} result", f"{name} layers", f"{name} ncnn ms"]
    rows = [head, ["---"] * len(head)]
    for name, found in sorted(results.items()):
        facts, simplified = found["onnx"], found.get("onnxsim", {})
        row = [name, f"{facts.get('bytes', 0) / 1e6:.1f}"]
        row += [_cell(facts, "nodes"), _cell(facts, "nodes_without_constants")]
        row += [_cell(simplified, "nodes"), _cell(simplified, "seconds"), _cell(found["onnxruntime"], "latency_ms")]
        for tool in tools:
            one = found.get(tool, {"error": "not run"})
            row += [_cell(one, key) for key in ("seconds", "cpu_seconds", "peak_mb")]
            row += [verdict(one), _cell(one, "layers"), _cell(one, "latency_ms")]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cell(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def counts(results: dict[str, Any], peers: list[str]) -> str:
    """How many models each tool converted into files that ncnn runs right."""
    lines: list[str] = []
    for name in peers:
        if name == "onnxsim":
            continue
        verdicts = [verdict(found[name]) for found in results.values() if name in found]
        tally = {word: sum(text.startswith(word) for text in verdicts) for word in ("ok", "wrong", "no")}
        lines.append(f"{name}: {tally['ok']} of {len(verdicts)} right, {tally['wrong']} wrong, {tally['no']} not run")
    return "\n".join(lines) + "\n"


def add_resume(parser: argparse.ArgumentParser) -> None:
    """The option that keeps figures of an earlier run; without it everything printed is measured in this run."""
    parser.add_argument(
        "--resume", action="store_true", help="go on where a run ended: do not measure again what its JSON file has"
    )


def read_record(path: Path) -> dict[str, Any]:
    """What earlier runs measured, by model; empty where there were none."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write_record(path: Path, results: dict[str, Any]) -> None:
    """After each model, so that a run that was interrupted can be resumed."""
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, default=Path("build/peers"), help="folder to write (default %(default)s)")
    parser.add_argument("--peers", nargs="+", choices=sorted(PEERS), default=["pnnx", "onnxsim"])
    parser.add_argument("--repeat", type=int, default=1, help="conversions a tool and model (default %(default)s)")
    add_resume(parser)
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    work = options.work.resolve()
    record = work / "baseline.json"
    recorded = read_record(record)
    results: dict[str, Any] = {}
    peers = [PEERS[name] for name in options.peers]
    for model in options.models:
        known = recorded.get(model.name, {})
        missing = [peer for peer in peers if not options.resume or peer.name not in known]
        results[model.name] = known
        if missing:
            results[model.name] = known | compare(model, missing, work, options.repeat)
            write_record(record, recorded | results)
            one = results[model.name]
            print(model.name, *(f"{peer.name}: {_summary(one, peer.name)}" for peer in missing), sep="  ", flush=True)
        text = table(results, options.peers) + "\n" + counts(results, options.peers)
        (work / "baseline.md").write_text(text)
    print(counts(results, options.peers), end="")
    return 0


def _summary(found: dict[str, Any], name: str) -> str:
    one = found.get(name, {"error": found["onnx"].get("error", "not run")})
    if name == "onnxsim" and "error" not in one:
        return f"{one['nodes']} nodes in {one['seconds']:.1f} s"
    return f"{verdict(one)} in {one.get('seconds', 0.0):.1f} s, {one.get('peak_mb', 0.0):.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
