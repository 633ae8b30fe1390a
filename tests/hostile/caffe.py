"""Caffe nets, broken: the text cut, flipped and edited, the weights missing, cut, flipped or another net's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from mconv.frontends.caffe.writing import as_caffemodel

from .case import HARMLESS_TOO, REFUSED, Case

NET = b"""name: "small"  # a net
input: "data"
input_shape { dim: 1 dim: 1 dim: 8 dim: 8 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: 'xavier' } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" batch_norm_param { eps: 1e-5 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "pool" bottom: "pool" top: "sum" eltwise_param { coeff: [1, 2] } }
layer { name: "scores" type: "InnerProduct" bottom: "sum" top: "scores" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "scores" top: "prob" }
"""
_random = np.random.default_rng(0)


def _numbers(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.abs(_random.standard_normal(shape)).astype(np.float32) + np.float32(0.1)


BLOBS = {
    "conv": [_numbers(4, 1, 3, 3), _numbers(4)], "norm": [_numbers(4), _numbers(4), _numbers(1)],
    "scores": [_numbers(5, 64), _numbers(5)],
}  # fmt: skip
WEIGHTS = as_caffemodel(BLOBS)


def caffe() -> Iterator[Case]:
    """All cases of .prototxt and .caffemodel."""
    for i in range(21):
        length = len(NET) * i // 21
        # a cut between layers leaves a net that is whole
        yield _case("caffe cut", f".prototxt, {length} bytes", NET[:length], statuses=HARMLESS_TOO)
    for i in range(15):
        length = len(WEIGHTS) * i // 15
        yield _case("caffe cut", f".caffemodel, {length} bytes", weights=WEIGHTS[:length])
    chance = random.Random(9)
    for i in range(30):
        yield _case("caffe flipped bits", f".prototxt {i}", _flipped(NET, chance), statuses=HARMLESS_TOO)
    for i in range(20):
        head = i % 2 == 0  # names and sizes, rather than weights
        data = _flipped(WEIGHTS[:60], chance) + WEIGHTS[60:] if head else _flipped(WEIGHTS, chance)
        yield _case("caffe flipped bits", f".caffemodel {i}", weights=data, statuses=HARMLESS_TOO)
    for name, (old, new) in _EDITS.items():
        assert old in NET, old
        yield _case("caffe net", name, NET.replace(old, new, 1))
    for name, text in _TEXTS.items():
        yield _case("caffe text", name, text)
    for name, data in _files().items():
        yield _case("caffe weights", name, weights=data)
    yield Case("caffe weights", "a .caffemodel alone", partial(_alone, WEIGHTS))
    yield Case(
        "caffe weights", "random, of 10^10 numbers", partial(_write, _LARGE, None), options=("--random-weights", "1")
    )
    missing = ("--weights", "/nonexistent/weights.caffemodel")
    yield Case("caffe weights", "elsewhere, and not there", partial(_write, NET, None), options=missing)


_POOL = b"kernel_size: 2 stride: 2"
_EDITS = {
    "an unknown layer": (b'"Softmax"', b'"Softermax"'),
    "a layer of Python": (b'"Softmax"', b'"Python" python_param { module: "os" layer: "system" param_str: "touch x" }'),
    "a layer without type": (b'type: "ReLU"', b""),
    "a type that is a number": (b'type: "ReLU"', b"type: 18"),
    "a type of 1 MB": (b'"ReLU"', b'"' + b"R" * (1 << 20) + b'"'),
    "control characters in a name": (b'"prob" type: "Softmax"', b'"\\033[2J\\000" type: "Foo"'),
    "a cycle": (b'bottom: "data" top: "conv"', b'bottom: "prob" top: "conv"'),
    "a layer that reads itself": (b'bottom: "sum" top: "scores"', b'bottom: "scores" top: "scores"'),
    "a blob that nobody makes": (b'bottom: "pool" bottom: "pool"', b'bottom: "pool" bottom: "pond"'),
    "a blob made twice": (b'top: "pool"', b'top: "data"'),
    "one top for two": (b'top: "pool"', b'top: "pool" top: "pool"'),
    "a top too many": (b'top: "prob"', b'top: "prob" top: "more"'),
    "no bottom": (b'bottom: "scores"', b""),
    "1000 bottoms too many": (b'bottom: "scores"', b'bottom: "scores" ' * 1000),
    "another bottom": (b'bottom: "scores"', b'bottom: "data"  bottom: "scores"'),
    "an input of 10^12 elements": (b"dim: 8 dim: 8", b"dim: 1000000 dim: 1000000"),
    "an input of 2^62 elements": (b"dim: 8 dim: 8", b"dim: 4611686018427387904 dim: 1"),
    "an input beyond 64 bits": (b"dim: 8 dim: 8", b"dim: 99999999999999999999 dim: 1"),
    "an input of negative size": (b"dim: 8 dim: 8", b"dim: -8 dim: 8"),
    "an input of no size": (b"dim: 8 dim: 8", b"dim: 0 dim: 8"),
    "an input of no axes": (b"dim: 1 dim: 1 dim: 8 dim: 8", b""),
    "an input of 10^5 axes": (b"dim: 1 dim: 1 dim: 8 dim: 8", b"dim: 1 " * 10**5),
    "an input without size": (b"input_shape { dim: 1 dim: 1 dim: 8 dim: 8 }", b""),
    "an input twice": (b'input: "data"', b'input: "data" input: "data" input_shape { dim: 3 }'),
    "input_dim and input_shape": (b'input: "data"', b'input: "data" input_dim: 1'),
    "two sizes for one input": (b"input_shape {", b"input_shape { } input_shape {"),
    "10^9 channels": (b"num_output: 4", b"num_output: 1000000000"),
    "no channels": (b"num_output: 4", b"num_output: 0"),
    "channels that are not said": (b"num_output: 4", b""),
    "channels beyond 32 bits": (b"num_output: 4", b"num_output: 4294967296"),
    "channels of another net": (b"num_output: 4", b"num_output: 7"),
    "a kernel of 0": (b"kernel_size: 3", b"kernel_size: 0"),
    "a kernel of 10^6": (b"kernel_size: 3", b"kernel_size: 1000000"),
    "a kernel of -1": (b"kernel_size: 3", b"kernel_size: -1"),
    "a kernel of three axes": (b"kernel_size: 3", b"kernel_size: [3, 3, 3]"),
    "a kernel of 10^5 axes": (b"kernel_size: 3", b"kernel_size: 3 " * 10**4),
    "a kernel twice": (b"kernel_size: 3", b"kernel_size: 3 kernel_h: 3 kernel_w: 3"),
    "a stride of 0": (b"pad: 1", b"stride: 0"),
    "a pad of 10^9": (b"pad: 1", b"pad: 1000000000"),
    "a dilation of 0": (b"pad: 1", b"dilation: 0"),
    "a dilation of 10^9": (b"pad: 1", b"pad: 1 dilation: 1000000000"),
    "no groups": (b"pad: 1", b"pad: 1 group: 0"),
    "3 groups": (b"pad: 1", b"pad: 1 group: 3"),
    "10^9 groups": (b"pad: 1", b"pad: 1 group: 1000000000"),
    "an axis beyond the last": (b"pad: 1", b"pad: 1 axis: 9"),
    "an unknown field": (b"pad: 1", b"pad: 1 pud: 1"),
    "a field twice": (b"num_output: 4", b"num_output: 4 num_output: 4"),
    "a field of another layer": (b'"Softmax"', b'"Softmax" tile_param { tiles: 2 }'),
    "a text for a number": (b"num_output: 4", b'num_output: "4"'),
    "a number for a text": (b'name: "pool"', b"name: 5"),
    "a message for a number": (b"num_output: 4", b"num_output { a: 4 }"),
    "a number for a message": (b"pooling_param { pool: MAX kernel_size: 2 stride: 2 }", b"pooling_param: 3"),
    "a number of 10^5 digits": (b"num_output: 4", b"num_output: " + b"4" * 10**5),
    "a number of infinite size": (b"num_output: 4", b"num_output: 1e999999999"),
    "statistics of the batch": (b"eps: 1e-5", b"use_global_stats: false"),
    "an unknown pool": (b"pool: MAX", b"pool: MEDIAN"),
    "a pool by chance": (b"pool: MAX", b"pool: STOCHASTIC"),
    "a pool of size 0": (_POOL, b"kernel_size: 0 stride: 2"),
    "a pool of stride 0": (_POOL, b"kernel_size: 2 stride: 0"),
    "a pool of 10^9": (_POOL, b"kernel_size: 1000000000 stride: 2"),
    "a pool with more padding than kernel": (_POOL, b"kernel_size: 2 pad: 2"),
    "a pool beyond the image": (_POOL, b"kernel_size: 1 stride: 7 "),
    "coefficients too few": (b"coeff: [1, 2]", b"coeff: [1]"),
    "coefficients of a product": (b"coeff: [1, 2]", b"coeff: [1, 2] operation: PROD"),
    "10^5 coefficients": (b"coeff: [1, 2]", b"coeff: 1 " * 10**4),
    "10^9 scores": (b"num_output: 5", b"num_output: 1000000000"),
    "scores of another net": (b"num_output: 5", b"num_output: 6"),
    "a score's axis": (b"num_output: 5", b"num_output: 5 axis: -9"),
    "layers of two forms": (b'layer { name: "prob"', b'layers { name: "prob"'),
    "all layers quiet": (b'"Softmax" bottom: "scores" top: "prob"', b'"Silence" bottom: "scores"'),
    "all layers for training": (b'bottom: "data"', b'bottom: "data" include { phase: TRAIN }'),
    "an unknown phase": (b'bottom: "data"', b'bottom: "data" include { phase: DEPLOY }'),
    "a Reshape to 10^12": (b'"Softmax"', b'"Reshape" reshape_param { shape { dim: 1000000000000 } }'),
    "a Reshape of several -1": (b'"Softmax"', b'"Reshape" reshape_param { shape { dim: [-1, -1] } }'),
    "a Reshape of -7": (b'"Softmax"', b'"Reshape" reshape_param { shape { dim: -7 } }'),
    "a Tile of 10^9": (b'"Softmax"', b'"Tile" tile_param { tiles: 1000000000 }'),
    "a Tile of -1": (b'"Softmax"', b'"Tile" tile_param { tiles: -1 }'),
    "a Permute of one axis twice": (b'"Softmax"', b'"Permute" permute_param { order: [0, 0] }'),
    "a Slice at 10^9": (b'"Softmax"', b'"Slice" top: "a" slice_param { slice_point: 1000000000 }'),
    "an Interp to 10^9": (b'"Eltwise" bottom: "pool"', b'"Interp" interp_param { height: 1000000000 width: 9 }'),
    "an Upsample by 10^9": (b'"Eltwise" bottom: "pool"', b'"Upsample" upsample_param { scale: 1e9 }'),
    "an Upsample by nothing": (b'"Eltwise" bottom: "pool"', b'"Upsample" upsample_param { scale: nan }'),
    "a Reorg of 10^9": (b'"Eltwise" bottom: "pool"', b'"Reorg" reorg_param { stride: 1000000000 }'),
    "a Crop beyond": (b'"Eltwise" bottom: "pool"', b'"Crop" bottom: "data" crop_param { offset: 4000000000 }'),
    "an LRN of 10^9": (b'"Eltwise" bottom: "pool"', b'"LRN" lrn_param { local_size: 1000000000 }'),
    "too many prior boxes": (
        b'"Softmax"', b'"PriorBox" bottom: "data" prior_box_param { ' + b"min_size: 1 " * 5000 + b"}",
    ),
    "an Embed of 10^18": (b'"Softmax"', b'"Embed" embed_param { num_output: 1000000000 input_dim: 1000000000 }'),
    "an LSTM of 10^9": (b'"Softmax"', b'"LSTM" recurrent_param { num_output: 1000000000 }'),
    "detections of nothing": (b'"Softmax"', b'"DetectionOutput" detection_output_param { num_classes: 0 }'),
}  # fmt: skip

_HEAD = b'input: "x" input_shape { dim: 1 dim: 9 } '
_TEXTS = {
    "10^5 braces": b"layer{" * 10**5,
    "braces 33 deep": b"layer {" * 33 + b"}" * 33,
    "a million fields": b"a:1\n" * 10**6,
    "a list of a million": b"input_dim: [" + b"1," * 10**6 + b"1]",
    "a comment of 20 MB": b"#" * (20 << 20),
    "a text of 10 MB": b'name: "' + b"x" * (10 << 20),
    "a text that does not end": b'name: "x\nlayer { }',
    "a text of escapes": b'name: "' + b"\\" * 99_999,
    "a zero byte": NET.replace(b"MAX", b"M\0X"),
    "letters outside of UTF-8": NET.replace(b"MAX", b"\xff\xfe\xfd"),
    "a closing brace too many": NET + b"}",
    "a brace that stays open": NET[:-3],
    "a field without value": NET.replace(b"num_output: 4", b"num_output:"),
    "a field without colon": NET.replace(b"num_output: 4", b"num_output 4"),
    "an extension": NET.replace(b"pad: 1", b"[caffe.pad]: 1"),
    "10^5 inputs": b'input: "x" ' * 30_000,
    "30000 layers": _HEAD + b'layer { type: "ReLU" bottom: "x" top: "x" }\n' * 30_000,
    "8000 unknown layers": _HEAD + b"".join(b'layer { type: "U%d" bottom: "x" top: "x" }\n' % i for i in range(8000)),
    "a tower of Splits": _HEAD + b'layer { type: "Split" bottom: "x" ' + b'top: "y" ' * 20_000 + b"}",
    "doubling in each layer": _HEAD + b"".join(
        b'layer { name: "%d" type: "Concat" bottom: "%s" bottom: "%s" top: "b%d" }\n'
        % (i, b"x" if not i else b"b%d" % (i - 1), b"x" if not i else b"b%d" % (i - 1), i)
        for i in range(80)
    ),
    "layers of 2012": b'layers { layer { name: "x" type: "frob" } bottom: "x" top: "y" }' + _HEAD,
    "a solver": b'net: "train_val.prototxt"\nbase_lr: 0.01\nlr_policy: "step"\n',
    "another file's text": b'name: "x"\nversion = 2\n[section]\n',
}  # fmt: skip
_LARGE = _HEAD + b'layer { type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 200000000 } }'


def _files() -> dict[str, bytes | None]:
    def like(**changes: list[np.ndarray]) -> bytes:  # type: ignore[type-arg]
        return as_caffemodel({**BLOBS, **changes})

    chance = random.Random(3)
    return {
        "missing": None,
        "empty": b"",
        "zeros": bytes(4096),
        "noise": chance.randbytes(4096),
        "another layer's": like(conv=BLOBS["scores"]),
        "a layer renamed": WEIGHTS.replace(b"scores", b"sc0res"),
        "a blob too few": like(conv=BLOBS["conv"][:1]),
        "a blob of other sizes": like(conv=[BLOBS["conv"][0].reshape(4, 3, 3, 1)[:, :, :, :, None], BLOBS["conv"][1]]),
        "a number too few": like(scores=[BLOBS["scores"][0][:, :63], BLOBS["scores"][1]]),
        "sizes of 10^12": b"\xa2\x06\x14\x0a\x04conv\x3a\x0c\x3a\x0a\x0a\x08\x80\xa0\x94\xa5\x8d\x1d\x01\x01",
        "a negative size": b"\xa2\x06\x17\x0a\x04conv\x3a\x0f\x3a\x0d\x0a\x0b" + b"\xff" * 9 + b"\x01\x01",
        "a length beyond the file": b"\xa2\x06\xff\xff\xff\xff\x0f" + WEIGHTS,
        "a number that does not end": b"\xa2" + b"\xff" * 50,
        "a million empty layers": b"\xa2\x06\x00" * 1_000_001,
        "floats that are cut": b"\xa2\x06\x0f\x0a\x04conv\x3a\x07\x2a\x05\x00\x00\x80\x3f\x00",
        "integers": b"\xa2\x06\x10\x0a\x04conv\x3a\x08\x50\x03\x62\x04\x00\x00\x00\x00",
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(200),
        "a pickle": b"\x80\x04\x95" + bytes(100),
    }


def _flipped(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.choice((1, 1, 3))):
        broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def _case(
    kind: str,
    name: str,
    text: bytes = NET,
    weights: bytes | None = WEIGHTS,
    statuses: frozenset[int] = REFUSED,
) -> Case:
    return Case(kind, name, partial(_write, text, weights), statuses)


def _write(text: bytes, weights: bytes | None, folder: Path) -> Path:
    path = folder / "net.prototxt"
    path.write_bytes(text)
    if weights is not None:
        path.with_suffix(".caffemodel").write_bytes(weights)
    return path


def _alone(weights: bytes, folder: Path) -> Path:
    path = folder / "net.caffemodel"
    path.write_bytes(weights)
    return path
