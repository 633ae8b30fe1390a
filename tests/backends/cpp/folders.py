"""Written folders: a model in which most kernels are, conversion, `make`, the self-test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import onnx
import pytest

import mconv

from .models import model, numbers

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits.onnx"
DRIVER = Path(__file__).with_name("interface_driver.cpp")
PACKAGES = {
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "qemu-aarch64": "qemu-user",
    "clang++": "clang",
    "objdump": "binutils",
    "aarch64-linux-gnu-objdump": "binutils-aarch64-linux-gnu",
    "nm": "binutils",
    "gcc": "gcc",
}


def need(*programs: str) -> None:
    """Skip where a program is missing, and say what to install."""
    missing = [PACKAGES.get(program, program) for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"apt-get install {' '.join(dict.fromkeys(missing))}")


def everything() -> onnx.ModelProto:
    """Convolutions of all kinds, pools, a squeezed scale, attention, LSTM and GRU; early layers run row by row."""
    feeds = {"image": numbers(1, 3, 64, 64), "tokens": numbers(1, 24, 32), "series": numbers(7, 1, 12)}
    constants: dict[str, Any] = {}
    nodes: list[tuple[Any, ...]] = []

    def weight(name: str, *shape: int) -> str:
        fan = max(int(numbers(*shape).size / shape[0]), 1)
        constants[name] = numbers(*shape, seed=len(constants)) / fan**0.5
        return name

    def conv(x: str, y: str, shape: tuple[int, ...], **rest: Any) -> str:
        bias = f"{weight(f'w_{y}', *shape)} {weight(f'b_{y}', shape[0])}"
        nodes.append(("Conv", f"{x} {bias}", y, {"kernel_shape": list(shape[2:]), **rest}))
        return y

    def node(op: str, inputs: str, output: str, **rest: Any) -> str:
        nodes.append((op, inputs, output, rest))
        return output.split()[0]

    x = node("Relu", conv("image", "first", (20, 3, 3, 3), strides=[2, 2], pads=[1] * 4), "r0")
    x = node("HardSwish", conv(x, "rows", (20, 1, 3, 3), group=20, pads=[1] * 4), "r1")
    x = kept = conv(x, "point", (40, 20, 1, 1))
    x = node("Add", f"{conv(x, 'point2', (40, 40, 1, 1))} {kept}", "r2")
    x = conv(x, "rows5", (40, 1, 5, 5), group=40, strides=[2, 2], pads=[2] * 4)
    scale = node("Relu", conv(node("GlobalAveragePool", x, "mean"), "less", (8, 40, 1, 1)), "r3")
    scale = node("HardSigmoid", conv(scale, "more", (40, 8, 1, 1)), "scale")
    x = conv(node("Mul", f"{x} {scale}", "scaled"), "three", (48, 40, 3, 3), pads=[1] * 4)
    x = node("Mul", f"{x} {node('Sigmoid', x, 's')}", "silu")
    left = conv(x, "groups", (48, 12, 3, 3), group=4, pads=[1] * 4)
    right = conv(x, "apart", (33, 48, 3, 3), dilations=[2, 2], pads=[2] * 4)
    x = node("Concat", f"{left} {right}", "both", axis=1)
    x = node("PRelu", f"{x} {weight('slope', 81, 1, 1)}", "bent")
    large = node("MaxPool", x, "large", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    small = node("AveragePool", x, "small", kernel_shape=[2, 2], strides=[2, 2])
    x = node("Add", f"{large} {small}", "pooled")
    x = node("ConvTranspose", f"{x} {weight('up_w', 81, 24, 2, 2)}", "up", strides=[2, 2], kernel_shape=[2, 2])
    constants["none"], constants["scales"] = numbers(0), numbers(4) * 0 + [1, 1, 2, 2]
    constants["scales"] = constants["scales"].astype("float32")
    x = node("Resize", f"{x} none scales", "wide", mode="linear", coordinate_transformation_mode="half_pixel")
    x = conv(x, "seven", (16, 24, 7, 7), strides=[4, 4], pads=[3] * 4)
    x = node("Flatten", node("LeakyRelu", x, "leaky"), "flat")
    parts = [node("Gemm", f"{x} {weight('fc', 16 * 8 * 8, 10)} {weight('fb', 10)}", "scores")]

    constants["ones"], constants["zeros"] = numbers(32) * 0 + 1, numbers(32) * 0
    constants["heads"], constants["back"] = numbers(4, dtype="int64"), numbers(3, dtype="int64")
    constants["heads"][:], constants["back"][:] = [1, 24, 4, 8], [1, 24, 32]
    t = node("LayerNormalization", "tokens ones zeros", "normal")
    for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        made = node("MatMul", f"{t} {weight(f'w_{name}', 32, 32)}", f"{name}0")
        node("Transpose", node("Reshape", f"{made} heads", f"{name}1"), name, perm=perm)
    t = node("Softmax", node("MatMul", "q k", "logits"), "weights", axis=-1)
    t = node("Transpose", node("MatMul", f"{t} v", "mixed"), "mixed1", perm=[0, 2, 1, 3])
    parts.append(node("Gelu", node("Reshape", f"{t} back", "mixed2"), "attended"))
    node("LSTM", f"series {weight('lw', 1, 64, 12)} {weight('lr', 1, 64, 16)}", "long", hidden_size=16)
    node(
        "GRU",
        f"series {weight('gw', 2, 30, 12)} {weight('gr', 2, 30, 10)}",
        "gated",
        hidden_size=10,
        direction="bidirectional",
    )
    parts += ["long", "gated"]
    ends = [node("Flatten", part, f"end{n}", axis=0) for n, part in enumerate(parts)]
    node("Concat", " ".join(ends), "y", axis=1)
    return model(nodes, feeds, constants)[0]


def written(source: onnx.ModelProto | Path, folder: Path, **options: Any) -> str:
    """`mconv SOURCE -t cpp -o FOLDER`; the name of the network."""
    if isinstance(source, onnx.ModelProto):
        path = folder.with_suffix(".onnx")
        onnx.save(source, path)
        source = path
    mconv.convert(source, "cpp", output=folder, verify=False, **options)
    return next(folder.glob("*_weights.bin")).name.removesuffix("_weights.bin")


def make(folder: Path, *arguments: str) -> None:
    """`make` with warnings as errors. AssertionError with what the compiler says."""
    jobs = str(os.cpu_count() or 1)
    command = ["make", "-s", "-j", jobs, "-C", str(folder), *arguments]
    if not any(a.startswith("CXXFLAGS=") for a in arguments):
        command.append("CXXFLAGS=-Werror")
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def tested(folder: Path, *before: str, **environment: str) -> str:
    """What the self-test prints. AssertionError where it fails."""
    command = [*before, str(folder / "selftest")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "ok" in done.stdout
    return done.stdout


def driven(folder: Path, name: str, out: Path, *flags: str) -> None:
    """Compile the driver of the interface with the folder's library, and run it to its end."""
    command = ["g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", *flags, f"-I{folder}"]
    command += [f"-DMODEL={name}", f'-DHEADER="{name}.h"', str(DRIVER), str(folder / f"lib{name}.a")]
    done = subprocess.run([*command, "-o", str(out), "-pthread"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    done = subprocess.run([str(out)], capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n"), (done.stdout + done.stderr)[-3000:]
