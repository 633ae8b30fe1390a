"""What of a net runs when it is used: the layers of phase TEST, without those that load data, judge or train.

SoftmaxWithLoss becomes Softmax and SigmoidCrossEntropyLoss Sigmoid, as everyone writes them into deploy.prototxt by
hand; other losses, Accuracy and Silence are left out. Blobs that only such layers read become outputs.
"""

from __future__ import annotations

from typing import Any

from mconv.ir.record import Record

from . import schema
from .net import Layer, Net
from .prototxt import Message

DATA = frozenset({
    "Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "AnnotatedData", "VideoData", "DummyData",
    "ImageSegData", "DenseImageData", "MultiLabelData", "ImageDataMultiLabel",
})  # fmt: skip
"""Layers that load data; their first top is the picture, the others are labels."""
JUDGES = frozenset({
    "Accuracy", "HDF5Output", "DetectionEvaluate", "EuclideanLoss", "HingeLoss", "InfogainLoss", "ContrastiveLoss",
    "MultinomialLogisticLoss", "MultiBoxLoss", "SmoothL1Loss", "SmoothL1LossOHEM", "TripletLoss", "CenterLoss",
    "L1Loss", "RegionLoss", "Yolov3", "YoloLoss", "SoftmaxWithLossOHEM", "FocalLoss",
})  # fmt: skip
"""Layers that tell how good the net is; what they read is what the net gives."""
REPLACED = {"SoftmaxWithLoss": "Softmax", "SoftmaxLoss": "Softmax", "SigmoidCrossEntropyLoss": "Sigmoid"}


class Inference(Record):
    """The layers that run, the data layers' tops that they read, and the blobs that Silence takes."""

    layers: tuple[Layer, ...]
    data: tuple[tuple[str, Layer], ...]
    silenced: frozenset[str]
    dropped: tuple[Layer, ...]


def reduce(net: Net) -> Inference:
    """The part of the net that runs in phase TEST."""
    kept = [layer for layer in net.layers if _included(layer, net)]
    if not any(layer.type in DATA for layer in kept) and not net.heads:
        there = {top for layer in kept for top in layer.tops}
        others = [each for each in net.layers if each.type in DATA and not there & set(each.tops)]
        kept = others[:1] + kept  # the data may be loaded in phase TRAIN only
    loaders = [layer for layer in kept if layer.type in DATA]
    labels = {top for layer in loaders for top in layer.tops[1:]}
    layers = [layer for layer in kept if layer.type not in DATA]
    running = [layer for layer in layers if layer.type not in JUDGES and layer.type != "Silence"]
    silenced = frozenset(b for layer in layers if layer.type == "Silence" for b in layer.bottoms)
    running = _without_repeats(_without_labels(running, labels))
    read = {bottom for layer in running for bottom in layer.bottoms}
    data = tuple((top, layer) for layer in loaders for top in layer.tops if top in read)
    lines = {(layer.line, layer.column) for layer in running}
    dropped = tuple(layer for layer in net.layers if (layer.line, layer.column) not in lines)
    return Inference(tuple(running), data, silenced, dropped)


def _replaced(layer: Layer) -> Layer:
    """A loss as the layer that gives what it judges."""
    tops = layer.tops[:1] or (layer.name,)  # Caffe names a loss's top itself where none is given
    param = "softmax_param" if REPLACED[layer.type] == "Softmax" else ""
    fields = [f for f in layer.message.fields if f.name == param]
    message = Message(fields, layer.message.line, layer.message.column)
    new: Layer = layer.replace(type=REPLACED[layer.type], bottoms=layer.bottoms[:1], tops=tops, message=message)
    return new


def _without_repeats(layers: list[Layer]) -> list[Layer]:
    """The losses replaced; one that would repeat another layer, or the net's own Softmax of the blob, is left out."""
    seen = {(layer.type, layer.bottoms) for layer in layers if layer.type not in REPLACED}
    result = []
    for layer in layers:
        if layer.type not in REPLACED:
            result.append(layer)
            continue
        new = _replaced(layer)
        if (new.type, new.bottoms) not in seen:
            seen.add((new.type, new.bottoms))
            result.append(new)
    return result


def _without_labels(running: list[Layer], labels: set[str]) -> list[Layer]:
    """Leaves out what only prepares labels: layers that read nothing else, and whose tops no other layer needs."""
    tainted = set(labels)
    preparing: list[int] = []
    for index, layer in enumerate(running):
        if layer.bottoms and all(b in tainted for b in layer.bottoms):
            tainted.update(layer.tops)
            preparing.append(index)
    left_out = set(preparing)
    spared = [layer for index, layer in enumerate(running) if index not in left_out]
    needed = {b for each in spared for b in (each.bottoms[:1] if each.type in REPLACED else each.bottoms)}
    for index in reversed(preparing):
        if needed & set(running[index].tops):
            needed.update(running[index].bottoms)
            left_out.discard(index)
    return [layer for index, layer in enumerate(running) if index not in left_out]


# Which layers the state includes -------------------------------------------------------------------------------


def _included(layer: Layer, net: Net) -> bool:
    """Caffe's rule: in where any include rule holds, or where there is none and no exclude rule holds."""
    include = [_fields(f.value, "NetStateRule", net.file) for f in layer.message.all("include")]
    exclude = [_fields(f.value, "NetStateRule", net.file) for f in layer.message.all("exclude")]
    state = _fields(net.state, "NetState", net.file) if net.state is not None else {}
    if include:
        return any(_meets(rule, state) for rule in include)
    return not any(_meets(rule, state) for rule in exclude)


def _meets(rule: dict[str, list[Any]], state: dict[str, list[Any]]) -> bool:
    level = state.get("level", [0])[-1]
    stages = set(state.get("stage", []))
    return (
        rule.get("phase", ["TEST"])[-1] == "TEST"
        and level >= rule.get("min_level", [level])[-1]
        and level <= rule.get("max_level", [level])[-1]
        and stages.issuperset(rule.get("stage", []))
        and not stages & set(rule.get("not_stage", []))
    )


def _fields(message: Any, kind: str, file: str) -> dict[str, list[Any]]:
    """A message of scalars, as lists by name."""
    if not isinstance(message, Message):
        return {}
    schema.check(message, kind, file)
    result: dict[str, list[Any]] = {}
    for field in message.fields:
        result.setdefault(field.name, []).append(schema.value_of(field, schema.spec_of(kind, field.name), file))
    return result
