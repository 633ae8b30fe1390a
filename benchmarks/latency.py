"""Latency in ncnn, one thread, fp32, of what mconv wrote against what pnnx wrote: in turn, in one process.

    python benchmarks/latency.py --zoo build/zoo --work build/networks

reads the files that ``networks.py`` left (its folder ``peers/pnnx`` for pnnx's) and prints, for each network that both
converted, the median of each and the ratio. Runs alternate, so that what else the machine does meets both alike; and
both are loaded six times, each first in every other, since where the weights happen to lie in memory can alone be worth
a tenth of AlexNet's time.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

ORDERS = (1, -1) * 3
"""In which the two are loaded, round by round."""
FP16 = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")


def load(param: Path, weights: Path, threads: int = 1) -> Any:
    """A net that stores and computes in fp32."""
    net = ncnn.Net()
    net.opt.num_threads = threads
    for name in FP16:
        setattr(net.opt, name, False)
    if net.load_param(str(param)) or net.load_model(str(weights)):
        raise ValueError(f"ncnn does not load {param.name}")
    return net


def inputs(param: Path) -> Iterator[Any]:
    """A random Mat for each Input layer, of the shape that mconv wrote there (0 w, 1 h, 11 d, 2 c)."""
    generator = np.random.default_rng(0)
    for line in param.read_text().splitlines():
        if line.startswith("Input "):
            sizes = {int(k): int(v) for k, v in re.findall(r" (\d+)=(\d+)", line)}
            shape = [sizes[k] for k in (2, 11, 1, 0) if sizes.get(k, 0) > 0]
            data = generator.standard_normal(shape).astype(np.float32)
            yield ncnn.Mat(data).clone()


def run(net: Any, mats: list[Any]) -> float:
    """Seconds for one inference, all outputs extracted."""
    extractor = net.create_extractor()
    for name, mat in zip(net.input_names(), mats, strict=True):
        extractor.input(name, mat)
    began = time.perf_counter()
    for name in net.output_names():
        extractor.extract(name)
    return time.perf_counter() - began


def compare(pairs: list[tuple[Path, Path]], seconds: float) -> tuple[float, float]:
    """Seconds of two nets (.param, .bin), each loaded first in half of the rounds: geometric means of the medians."""
    found = []
    for order in ORDERS:
        nets = [load(*pair) for pair in pairs[::order]]
        found.append(in_turn(nets, list(inputs(pairs[0][0])), seconds / len(ORDERS))[::order])
    first, second = (statistics.geometric_mean(times) for times in zip(*found, strict=True))
    return first, second


def in_turn(nets: list[Any], mats: list[Any], seconds: float) -> list[float]:
    """Median seconds of each net, runs in turn."""
    times: list[list[float]] = [[] for _ in nets]
    for net in nets:
        run(net, mats)
    began = time.perf_counter()
    while len(times[0]) < 5 or time.perf_counter() - began < seconds:
        for net, found in zip(nets, times, strict=True):
            found.append(run(net, mats))
    return [statistics.median(found) for found in times]


def main() -> int:
    """The command line; exit status 1 when a network is slower than 1.05 times pnnx's, or none was compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--zoo", type=Path, default=Path("build/zoo"), help="folder of the networks (default %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("build/networks"), help="folder of the results (default %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="at least, for each network (default %(default)s)")
    parser.add_argument("--only", help="networks whose name contains this")
    options = parser.parse_args()
    ratios: dict[str, float] = {}
    for model in sorted(options.zoo.glob("*.onnx")):
        ours = options.work / model.stem / "net"
        theirs = options.work / "peers" / "pnnx" / model.stem / f"{model.stem}.ncnn"
        if options.only and options.only not in model.stem:
            continue
        try:
            pairs = [(Path(f"{stem}.param"), Path(f"{stem}.bin")) for stem in (ours, theirs)]
            mine, other = compare(pairs, options.seconds)
        except (ValueError, OSError) as error:
            print(f"{model.stem:42} no comparison: {error}", flush=True)
            continue
        ratios[model.stem] = mine / other
        print(
            f"{model.stem:42} mconv {mine * 1e3:8.1f} ms  pnnx {other * 1e3:8.1f} ms  ratio {mine / other:.3f}",
            flush=True,
        )
    if not ratios:
        print(f"nothing to compare in {options.work}: benchmarks/networks.py with --work {options.work} goes before")
        return 1
    worst = max(ratios, key=lambda name: ratios[name])
    print(f"median ratio {statistics.median(ratios.values()):.3f}, worst {ratios[worst]:.3f} ({worst})")
    return int(any(ratio > 1.05 for ratio in ratios.values()))


if __name__ == "__main__":
    sys.exit(main())
