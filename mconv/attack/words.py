"""Strings that give a model away: its own names, and the words of frameworks and their operators."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from ..ir import Graph

SHORTEST = 4
"""Letters of a word that is looked for; shorter ones stand in any file by chance."""
SURE = 6
"""Letters from which on a word is counted wherever it stands; a shorter one must stand alone."""

_TOLD = """
    onnx pytorch torch tensorflow tflite keras caffe ncnn openvino mindspore paddle torchvision ultralytics
    Conv2D Conv3D CONV_2D DepthwiseConv2D DepthwiseConv2dNative DEPTHWISE_CONV_2D ConvTranspose Conv2DTranspose
    Convolution ConvolutionDepthWise Deconvolution InnerProduct FullyConnected FULLY_CONNECTED MatMul BatchNorm
    BatchNormalization FusedBatchNorm FusedBatchNormV3 LayerNorm LayerNormalization InstanceNormalization
    GlobalAveragePool AveragePool MaxPool MaxPool2D AvgPool MAX_POOL_2D AVERAGE_POOL_2D Pooling Softmax SOFTMAX
    Sigmoid HardSwish HardSigmoid LeakyRelu Relu6 PRelu Gemm Concat CONCATENATION Reshape Transpose Upsample
    ResizeBilinear PriorBox DetectionOutput NonMaxSuppression LSTM Attention MultiHeadAttention Eltwise BinaryOp
"""
FRAMEWORKS = frozenset(_TOLD.split())
"""Words that tell what a file computes, whatever the model is called."""

_ORDINARY = """
    input inputs output outputs data value values index indices size shape name names type weight weights bias scale
    mean error model const constant float double zero self base block block1 block2 left right main text
"""
_COMMON = frozenset(_ORDINARY.split())
"""Words that also a program without any model may hold."""

_RUN = re.compile(rb"[\x20-\x7e]{4,}")
_TOKEN = re.compile(rb"[A-Za-z0-9_]{4,}")
_PART = re.compile(r"[A-Za-z0-9_]{4,}")
_QUOTED = re.compile(r"'([^']*)'|\((\w+)\)")
_ALONE = frozenset(b"\0\t\n /.:;,\"'-[](){}<>=")


def words_of(graph: Graph) -> set[str]:
    """The names in a graph as it was read: of its values, of its nodes in the source, of their operators and layers."""
    names: set[str] = {value.name for value in (*graph.inputs, *graph.constants)}
    for node in graph.nodes:
        names.add(type(node.op).__name__)
        names.update(value.name for value in node.results)
        # of the origin what stands in quotes and in brackets: the name and the type in the source
        names.update(name for pair in _QUOTED.findall(node.origin.place) for name in pair if name)
    return set(tokens(names))


def tokens(names: Iterable[str]) -> Iterator[str]:
    """The words in names that mean something: no numbers, and none that any program may hold."""
    for name in names:
        for word in _PART.findall(name):
            if not word.isdigit() and word.lower() not in _COMMON and word.strip("_0123456789"):
                yield word


def found_in(data: memoryview, wanted: Collection[str]) -> dict[str, int]:
    """How often each of the wanted words stands in a file."""
    known = {word.encode("utf-8", "ignore") for word in wanted}
    found: dict[str, int] = {}
    for run in _RUN.finditer(data):
        text = run.group()
        for token in _TOKEN.finditer(text):
            word, begin, end = token.group(), run.start() + token.start(), run.start() + token.end()
            hit = _known(word, begin, end, known, data)
            if hit:
                found[hit.decode()] = found.get(hit.decode(), 0) + 1
    return found


def _known(word: bytes, begin: int, end: int, known: set[bytes], data: memoryview) -> bytes | None:
    """The wanted word in this one, also where a length or a tag before or behind it happens to be a letter."""
    for cut in (word, word[1:], word[:-1], word[1:-1]):
        if len(cut) >= SURE and cut in known:
            return cut
    if len(word) >= SHORTEST and word in known:
        before = data[begin - 1] if begin else 0
        after = data[end] if end < len(data) else 0
        # a file of random bytes holds short words; they count between separators, or behind their length
        if (before in _ALONE or before == len(word)) and (after in _ALONE or after < 0x20):
            return word
    return None
