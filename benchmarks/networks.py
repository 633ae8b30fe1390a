"""Convert every network to ncnn with verification, and count nodes beside onnx-simplifier and results beside pnnx.

    python benchmarks/networks.py build/zoo/*.onnx path/to/other/*.onnx --work build/networks

Each network goes through ``mconv`` in a process of its own with ``--verify``: it is read, rewritten, written, run in
ncnn and compared with onnxruntime. The columns: nodes in the file (Constant nodes not counted), after mconv's passes
that no target is needed for, after onnx-simplifier; the relative error of mconv's ncnn files; pnnx's result by the same
rule. The exit status is 1 when a network is wrong or has more nodes than onnx-simplifier leaves.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import peers

LAST = "quantize"
"""With the folding after it, the end of what no target is needed for: onnx-simplifier is compared with what is left."""


def convert(model: Path, folder: Path) -> dict[str, Any]:
    """What ``mconv --verify`` says of one model: nodes, error, or the first line of the refusal."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.json"
    command = [sys.executable, "-m", "mconv", str(model), "--target", "ncnn", "-o", str(folder / "net"), "--verify"]
    done = subprocess.run([*command, "--report", str(report), "-q"], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"status": done.returncode, "message": done.stderr.strip().splitlines()[:2]}
    found = json.loads(report.read_text())
    place = next(i for i, step in enumerate(found["passes"]) if step["name"] == LAST)
    simplified = found["passes"][place + 1]["nodes"]
    worst = max(output["error"] for output in found["verification"]["outputs"])
    return {"status": 0, "nodes": simplified, "error": worst}


def row(name: str, ours: dict[str, Any], others: dict[str, Any]) -> list[str]:
    """One line of the table."""
    facts, simplified, pnnx = (others.get(key, {}) for key in ("onnx", "onnxsim", "pnnx"))
    if ours["status"]:
        result, nodes = f"exit {ours['status']}: {' '.join(ours['message'])[:90]}", "-"
    else:
        result, nodes = f"{ours['error']:.1e}", str(ours["nodes"])
    theirs = peers.verdict(pnnx) if pnnx else "not measured"
    return [name, _text(facts.get("nodes_without_constants")), nodes, _text(simplified.get("nodes")), result, theirs]


def _text(value: object) -> str:
    return "?" if value is None else str(value)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument(
        "--work", type=Path, default=Path("build/networks"), help="folder to write (default %(default)s)"
    )
    parser.add_argument("--without-peers", action="store_true", help="do not run pnnx and onnx-simplifier")
    peers.add_resume(parser)
    options = parser.parse_args()
    record = options.work.resolve() / "peers" / "baseline.json"
    if not options.without_peers:
        resume = ["--resume"] if options.resume else []
        peers.main([*map(str, options.models), "--work", str(record.parent), *resume])
    known = peers.read_record(record)
    rows, wrong, larger = [], 0, 0
    for model in options.models:
        ours = convert(model.resolve(), options.work / model.stem)
        others = known.get(model.name, {})
        rows.append(row(model.name, ours, others))
        wrong += ours["status"] not in (0, 3)
        larger += not ours["status"] and ours["nodes"] > others.get("onnxsim", {}).get("nodes", sys.maxsize)
        print("  ".join(rows[-1]), flush=True)
    head = ["model", "nodes", "mconv", "onnxsim", "mconv's error in ncnn", "pnnx in ncnn"]
    lines = [head, ["---"] * len(head), *rows]
    (options.work / "networks.md").write_text("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    right = sum(1 for line in rows if not line[4].startswith("exit"))
    print(
        f"{right} of {len(rows)} right, {wrong} wrong or failed, {larger} with more nodes than onnx-simplifier leaves"
    )
    return int(wrong + larger > 0)


if __name__ == "__main__":
    sys.exit(main())
