"""Whole-process conversion time and peak memory against pnnx, and onnx-simplifier for the front half, in turn.

    python benchmarks/conversion.py --zoo build/zoo --repeat 5

Eight networks from 5 MB to 350 MB. ``mconv`` runs as the command does, without the comparison that pnnx has not either
(``--no-verify``). Ratios are of medians; memory is the peak resident size from the kernel's account.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import peers

NETWORKS = (
    "squeezenet1_1", "mobilenet_v2", "efficientnet_b0", "resnet18", "resnet50", "convnext_tiny", "vit_b_16",
    "wide_resnet50_2",
)  # fmt: skip
MEMORY_BASE = 150e6
"""Peak memory allowed beside twice the model's size, in bytes."""


def measure(model: Path, work: Path, repeat: int) -> dict[str, Any]:
    """Medians of seconds and peak bytes by tool."""
    facts = peers.probe(model.parent, "onnx", str(model.resolve()))
    tools = [peers.PEERS[name] for name in ("mconv", "pnnx", "onnxsim")]
    runs: dict[str, list[peers.Run]] = {tool.name: [] for tool in tools}
    for turn in range(repeat + 1):
        for tool in tools:
            if tool.name == "onnxsim" and turn > 1:
                continue  # an order of magnitude slower: once is enough to tell
            run = peers.convert(tool, model, facts, work / tool.name / model.stem)
            if turn:  # the first only brings files into memory, for all alike
                runs[tool.name].append(run)
    found: dict[str, Any] = {"bytes": size(model)}
    for name, taken in runs.items():
        if taken[-1].status:
            raise SystemExit(f"{name} failed on {model.name}: {taken[-1].output[-300:]}")
        found[name] = (statistics.median(r.seconds for r in taken), statistics.median(r.peak_bytes for r in taken))
    return found


def size(model: Path) -> int:
    """Bytes of the model and its external data."""
    data = model.with_name(model.name + ".data")
    return model.stat().st_size + (data.stat().st_size if data.exists() else 0)


def main() -> int:
    """The command line; exit status 1 when the median ratio or a peak is above what we hold ourselves to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--zoo", type=Path, default=Path("build/zoo"), help="folder of the networks (default %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("build/conversion"), help="folder to write (default %(default)s)"
    )
    parser.add_argument("--repeat", type=int, default=5, help="runs of each tool (default %(default)s)")
    parser.add_argument("--exporter", default="torchscript", choices=("torchscript", "dynamo"))
    options = parser.parse_args()
    ratios, within = [], True
    head = f"{'network':20} {'MB':>6} {'mconv s':>8} {'pnnx s':>8} {'ratio':>6} {'onnxsim s':>9} {'ratio':>6}"
    print(f"{head} {'mconv MB':>9} {'pnnx MB':>8}")
    for name in NETWORKS:
        found = measure(options.zoo / f"{name}.{options.exporter}.onnx", options.work.resolve(), options.repeat)
        (mine, peak), (pnnx, pnnx_peak), (onnxsim, _) = found["mconv"], found["pnnx"], found["onnxsim"]
        ratios.append(mine / pnnx)
        within = within and peak <= 2 * found["bytes"] + MEMORY_BASE
        print(
            f"{name:20} {found['bytes'] / 1e6:6.0f} {mine:8.2f} {pnnx:8.2f} {mine / pnnx:6.2f} {onnxsim:9.2f} "
            f"{mine / onnxsim:6.2f} {peak / 1e6:9.0f} {pnnx_peak / 1e6:8.0f}",
            flush=True,
        )
    middle = statistics.median(ratios)
    print(
        f"median ratio to pnnx {middle:.2f}, worst {max(ratios):.2f}; peak memory within 2 x model + 150 MB: {within}"
    )
    return int(middle > 0.25 or not within)


if __name__ == "__main__":
    sys.exit(main())
