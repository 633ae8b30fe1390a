"""Layers in forms that mconv does not write itself, read and computed as the ncnn runtime computes them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from mconv.frontends import load
from mconv.ir.interpreter import run as interpret
from mconv.ir.types import Array

TAG = struct.pack("<I", 0)


def numbers(*shape: int, seed: int = 0) -> Array:
    """Normally distributed floats."""
    return np.random.default_rng(seed + sum(shape)).standard_normal(shape).astype(np.float32)


def tagged(*shape: int) -> bytes:
    """Weights with a tag."""
    return TAG + numbers(*shape).tobytes()


def net(folder: Path, inputs: list[tuple[int, ...]], line: str, weights: bytes = b"", outputs: int = 1) -> Path:
    """A net of one layer: ``line`` is its type and parameters."""
    kind, _, params = line.partition(" ")
    names = [f"in{i}" for i in range(len(inputs))]
    keys = ((), (0,), (0, 1), (0, 1, 2), (0, 1, 11, 2))
    lines = [
        f"Input {name} 0 1 {name} " + " ".join(f"{k}={d}" for k, d in zip(keys[len(s)], reversed(s), strict=True))
        for name, s in zip(names, inputs, strict=True)
    ]
    made = [f"out{i}" for i in range(outputs)]
    lines.append(f"{kind} layer {len(names)} {outputs} {' '.join(names + made)} {params}")
    path = folder / "net.param"
    path.write_text(f"7767517\n{len(lines)} {len(names) + outputs}\n" + "\n".join(lines) + "\n")
    path.with_suffix(".bin").write_bytes(weights)
    return path


B, B8 = numbers(4).tobytes(), numbers(8).tobytes()  # biases
LAYERS: dict[str, tuple[list[tuple[int, ...]], str, bytes, int]] = {
    "bias": ([(4, 3, 5)], "Bias 0=4", numbers(4).tobytes(), 1),
    "scale": ([(4, 3, 5)], "Scale 0=4 1=1", numbers(8).tobytes(), 1),
    "scale of rows": ([(4, 5)], "Scale 0=4", numbers(4).tobytes(), 1),
    "scale by a blob": ([(4, 3, 5), (4,)], "Scale 0=-233", b"", 1),
    "bnll": ([(4, 3)], "BNLL", b"", 1),
    "power": ([(4, 3)], "Power 0=2.0 1=0.5 2=1.5", b"", 1),
    "exp": ([(4, 3)], "Exp 0=2.0 1=0.5 2=0.1", b"", 1),
    "exp of e": ([(4, 3)], "Exp", b"", 1),
    "dropout": ([(4, 3)], "Dropout 0=0.5", b"", 1),
    "threshold": ([(4, 3)], "Threshold 0=0.2", b"", 1),
    "eltwise product": ([(4, 3), (4, 3), (4, 3)], "Eltwise 0=0", b"", 1),
    "eltwise sum": ([(4, 3), (4, 3)], "Eltwise 0=1 -23301=2,1.0,-0.5", b"", 1),
    "eltwise maximum": ([(4, 3), (4, 3)], "Eltwise 0=2", b"", 1),
    "outer broadcast": ([(4, 3, 5), (4,)], "BinaryOp 0=0", b"", 1),
    "outer broadcast of a matrix": ([(4, 3), (4, 3, 5)], "BinaryOp 0=1", b"", 1),
    "inner broadcast of a vector": ([(4, 3, 5), (5,)], "BinaryOp 0=2", b"", 1),
    "four and three dimensions": ([(2, 3, 4, 5), (2, 3, 4)], "BinaryOp 0=4", b"", 1),
    "reversed": ([(4, 3)], "BinaryOp 0=7 1=1 2=2.5", b"", 1),
    "expm1": ([(4, 3)], "UnaryOp 0=21", b"", 1),
    "trunc": ([(4, 3)], "UnaryOp 0=19", b"", 1),
    "conv, short": ([(3, 8, 8)], "Convolution 0=4 1=3 6=108", tagged(108), 1),
    "conv, same upper": ([(3, 8, 7)], "Convolution 0=4 1=3 3=2 4=-233 6=108", tagged(108), 1),
    "conv, same lower": ([(3, 8, 7)], "Convolution 0=4 1=3 3=2 4=-234 5=1 6=108", tagged(108) + B, 1),
    "conv, filled": ([(3, 8, 8)], "Convolution 0=4 1=3 4=1 6=108 18=1.5", tagged(108), 1),
    "conv, activation": ([(3, 8, 8)], "Convolution 0=4 1=3 6=108 9=2 -23310=1,0.1", tagged(108), 1),
    "conv, hard swish": ([(3, 8, 8)], "Convolution 0=4 1=3 6=108 9=6 10=0.2,0.5", tagged(108), 1),
    "deconv, same": ([(3, 5, 5)], "Deconvolution 0=4 1=4 3=2 4=-233 6=192 20=10", tagged(192), 1),
    "inner product of everything": ([(3, 2, 2)], "InnerProduct 0=4 1=1 2=48", tagged(48) + numbers(4).tobytes(), 1),
    "inner product of rows": ([(3, 4)], "InnerProduct 0=5 2=20 9=1", tagged(20), 1),
    "gemm of blobs": ([(3, 4), (4, 5)], "Gemm", b"", 1),
    "gemm, turned": ([(4, 3), (5, 4)], "Gemm 0=0.5 2=1 3=1", b"", 1),
    "gemm, constant a": ([(4, 5)], "Gemm 4=1 7=3 9=4", tagged(12), 1),
    "gemm, c of rows": ([(3, 4)], "Gemm 1=2.0 5=1 6=1 7=3 8=5 9=4 10=1", tagged(20) + tagged(3), 1),
    "gemm, c of all": ([(3, 4)], "Gemm 3=1 5=1 6=1 7=3 8=5 9=4 10=3", tagged(20) + tagged(15), 1),
    "gemm, turned result": ([(3, 4)], "Gemm 3=1 5=1 6=1 8=5 9=4 10=4 14=1", tagged(20) + tagged(5), 1),
    "matmul, turned": ([(2, 3, 4), (2, 5, 4)], "MatMul 0=1", b"", 1),
    "matmul of a vector": ([(4,), (2, 4, 5)], "MatMul", b"", 1),
    "einsum": ([(2, 3, 4), (2, 4, 5)], "Einsum -23300=12," + ",".join(str(ord(c)) for c in "ijm,imk->ijk"), b"", 1),
    "full pool": ([(3, 8, 7)], "Pooling 0=0 1=3 2=2 3=1", b"", 1),
    "full average": ([(3, 8, 7)], "Pooling 0=1 1=3 2=2 3=1", b"", 1),
    "full average, counted": ([(3, 8, 7)], "Pooling 0=1 1=3 2=2 3=1 6=1", b"", 1),
    "same average": ([(3, 8, 7)], "Pooling 0=1 1=3 2=2 5=2", b"", 1),
    "same lower maximum": ([(3, 8, 7)], "Pooling 0=0 1=3 2=2 5=3", b"", 1),
    "adaptive": ([(3, 8, 6)], "Pooling 0=1 7=1 8=3 18=4", b"", 1),
    "adaptive, uneven": ([(3, 8, 7)], "Pooling 0=1 7=1 8=3 18=5", b"", 1),
    "pool 1d": ([(3, 9)], "Pooling1D 0=1 1=3 2=2 5=1", b"", 1),
    "global": ([(3, 8, 7)], "Pooling 0=1 4=1", b"", 1),
    "reshape, rest": ([(4, 3, 5)], "Reshape 0=-1 1=2", b"", 1),
    "reshape, copied": ([(4, 3, 5)], "Reshape 0=0 1=-1", b"", 1),
    "reshape, four": ([(4, 3, 5)], "Reshape 0=5 1=3 11=2 2=2", b"", 1),
    "reshape by expression": ([(4, 3, 5)], 'Reshape 6="*(0w,2),-1"', b"", 1),
    "squeeze": ([(1, 3, 1)], "Squeeze 0=1 1=1 2=1", b"", 1),
    "squeeze axes": ([(1, 3, 1)], "Squeeze -23303=1,-1", b"", 1),
    "expand": ([(3, 5)], "ExpandDims -23303=2,0,-1", b"", 1),
    "flatten": ([(4, 3, 5)], "Flatten", b"", 1),
    "permute": ([(4, 3, 5)], "Permute 0=4", b"", 1),
    "slice evenly": ([(6, 3)], "Slice -23300=3,-233,-233,-233", b"", 3),
    "slice at": ([(6, 3)], "Slice 1=0 -23302=2,2,-1", b"", 3),
    "crop ranges": ([(4, 6, 5)], "Crop -23309=2,1,-3 -23310=2,3,-233 -23311=2,0,2", b"", 1),
    "crop offsets": ([(4, 6, 5)], "Crop 0=1 1=2 2=1 3=3 4=2 5=-233", b"", 1),
    "crop offsets back": ([(4, 6, 5)], "Crop 0=1 1=2 3=-233 4=-233 5=-233 6=1 7=1", b"", 1),
    "crop as large as": ([(4, 6, 5), (2, 3, 4)], "Crop 0=1 1=2 2=1", b"", 1),
    "pad": ([(4, 6, 5)], "Padding 0=1 1=2 2=3 3=0 4=0 5=0.5", b"", 1),
    "pad, reflected": ([(4, 6, 5)], "Padding 0=1 1=2 2=3 3=0 4=2", b"", 1),
    "tile an axis": ([(4, 3)], "Tile 0=1 1=3", b"", 1),
    "tile fewer": ([(4, 3)], "Tile -23302=1,2", b"", 1),
    "tile more": ([(3,)], "Tile -23302=2,2,3", b"", 1),
    "shuffle": ([(6, 2, 2)], "PixelShuffle 0=1", b"", 1),
    "reorg": ([(2, 4, 6)], "Reorg 0=2", b"", 1),
    "reorg, dcr": ([(2, 4, 6)], "Reorg 0=2 1=1", b"", 1),
    "shuffle channels": ([(6, 2, 2)], "ShuffleChannel 0=2 1=1", b"", 1),
    "lrn": ([(6, 2, 2)], "LRN 1=3 2=0.5", b"", 1),
    "mvn": ([(6, 2, 3)], "MVN 0=1 1=1", b"", 1),
    "mvn, mean only": ([(6, 2, 3)], "MVN 0=0 1=0", b"", 1),
    "normalize positions": ([(6, 2, 3)], "Normalize 0=0 4=1 1=0 2=1e-4 3=6", numbers(6).tobytes(), 1),
    "normalize all": ([(6, 2, 3)], "Normalize 0=1 4=1 1=1 3=1 9=1", numbers(1).tobytes(), 1),
    "normalize channels": ([(6, 2, 3)], "Normalize 0=1 4=0 1=1 3=1 9=2", numbers(1).tobytes(), 1),
    "softmax": ([(6, 2, 3)], "Softmax 0=-1 1=1", b"", 1),
    "reduce everything": ([(6, 2, 3)], "Reduction 0=3", b"", 1),
    "reduce, times": ([(6, 2, 3)], "Reduction 0=0 1=0 2=0.5 -23303=2,0,-1 5=1", b"", 1),
    "layer norm of two": ([(6, 2, 3)], "LayerNorm 0=6", numbers(12).tobytes(), 1),
    "group norm of a vector": ([(6,)], "GroupNorm 0=2 1=6 3=0", b"", 1),
    "interp, scale": ([(3, 4, 5)], "Interp 0=1 1=2.0 2=3.0", b"", 1),
    "interp, bilinear": ([(3, 4, 5)], "Interp 0=2 1=2.0 2=2.0", b"", 1),
    "interp, like": ([(3, 4, 5), (1, 9, 7)], "Interp 0=2 5=1", b"", 1),
    "interp of a vector": ([(3,)], "Interp 0=2 3=4 4=5", b"", 1),
    "attention": (
        [(7, 8)], "MultiHeadAttention 0=8 1=2 2=64", (tagged(64) + B8) * 4, 1,
    ),
    "cross attention": (
        [(7, 8), (5, 6)], "MultiHeadAttention 0=8 1=2 2=64 3=6 4=6",
        tagged(64) + B8 + (tagged(48) + B8) * 2 + tagged(64) + B8, 1,
    ),
    "masked attention": (
        [(7, 8), (7, 7)], "MultiHeadAttention 0=8 1=2 2=64 5=1", (tagged(64) + B8) * 4, 1,
    ),
    "prelu of rows": ([(4, 5)], "PReLU 0=4", numbers(4).tobytes(), 1),
    "noop": ([(4, 5)], "Noop", b"", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str, tmp_path: Path) -> None:
    pytest.importorskip("ncnn")
    from mconv.backends.ncnn.runtime import run

    inputs, line, weights, outputs = LAYERS[name]
    path = net(tmp_path, inputs, line, weights, outputs)
    feeds = {f"in{i}": numbers(1, *shape, seed=i) for i, shape in enumerate(inputs)}
    graph = load(path)
    read = interpret(graph, feeds)
    made = run({".param": str(path), ".bin": str(path.with_suffix(".bin"))}, feeds, list(read))
    for key, array in read.items():
        assert array.shape == (1, *made[key].shape), (array.shape, made[key].shape)
        np.testing.assert_allclose(array[0], made[key], rtol=2e-4, atol=2e-5)


def test_half_and_codebook_weights(tmp_path: Path) -> None:
    weight = numbers(4, 5)
    half = struct.pack("<I", 0x01306B47) + weight.astype(np.float16).tobytes()
    table = np.linspace(-1, 1, 256, dtype=np.float32)
    codes = np.arange(20, dtype=np.uint8) * 7
    book = struct.pack("<I", 1) + table.tobytes() + codes.tobytes()
    for data, expected in ((half, weight.astype(np.float16)), (book, table[codes].reshape(4, 5))):
        graph = load(net(tmp_path, [(5,)], "InnerProduct 0=4 2=20", data))
        np.testing.assert_array_equal(graph.constants[0].constant, expected.astype(np.float32))
