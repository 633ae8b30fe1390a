"""A reduced net as text and weights again: what a runtime is given where it could not take the files as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mconv.ir.types import Array

from . import schema
from .caffemodel import messages
from .inference import Inference
from .net import Layer
from .prototxt import Field, Message, Scalar

_UNNEEDED = {"name", "type", "bottom", "top", "include", "exclude", "phase", "param", "blobs_lr", "weight_decay",
             "loss_weight", "propagate_down", "blob_share_mode", "transform_param", "loss_param"}  # fmt: skip


EXPLICIT = {
    "PriorBox": ("prior_box_param", ("flip", "clip")),
    "DetectionOutput": ("detection_output_param", ("share_location", "background_label_id")),
}
"""Fields that are written also where they have Caffe's default: OpenCV has another, or none."""


def as_prototxt(part: Inference, inputs: Mapping[str, Sequence[int]]) -> str:
    """The layers that run, in the newest form, behind inputs of these sizes."""
    lines: list[str] = []
    for name, shape in inputs.items():
        dims = "".join(f" dim: {size}" for size in shape)
        lines.append(f"input: {_quoted(name)}\ninput_shape {{{dims} }}")
    lines += [_layer(layer) for layer in part.layers if layer.type != "Input"]
    return "\n".join(lines) + "\n"


def _layer(layer: Layer) -> str:
    parts = [f"name: {_quoted(layer.name)} type: {_quoted(layer.type)}"]
    parts += [f"bottom: {_quoted(name)}" for name in layer.bottoms] + [f"top: {_quoted(name)}" for name in layer.tops]
    parts += _fields(_explicit(layer))
    return f"layer {{ {' '.join(parts)} }}"


def _explicit(layer: Layer) -> Message:
    """The fields that say what a layer computes."""
    fields = [f for f in layer.message.fields if f.name not in _UNNEEDED]
    name, wanted = EXPLICIT.get(layer.type, ("", ()))
    for index, field in enumerate(fields):
        if field.name == name and isinstance(field.value, Message):
            kind = schema.spec_of(layer.kind, name).type
            missing = [schema.spec_of(kind, each) for each in wanted if not field.value.all(each)]
            more = [Field(s.name, Scalar("word", s.default or "", 0, 0), 0, 0) for s in missing]
            fields[index] = field.replace(value=Message([*field.value.fields, *more]))
    return Message(fields)


def _fields(message: Message) -> list[str]:
    result = []
    for field in message.fields:
        if isinstance(field.value, Message):
            result.append(f"{field.name} {{ {' '.join(_fields(field.value))} }}")
        else:
            result.append(f"{field.name}: {_scalar(field.value)}")
    return result


def _scalar(scalar: Scalar) -> str:
    return _quoted(scalar.text) if scalar.kind == "string" else scalar.text


def _quoted(text: str) -> str:
    return '"' + re.sub(r'[\\"\n]', lambda m: {"\n": "\\n"}.get(m[0], "\\" + m[0]), text) + '"'


def as_caffemodel(blobs: Mapping[str, Sequence[Array]]) -> bytes:
    """A NetParameter of layers that have these blobs."""
    net: Any = messages()["NetParameter"](name=b"net")
    for name, arrays in blobs.items():
        layer = net.layer.add(name=name.encode())
        for array in arrays:
            blob = layer.blobs.add(data=[np.ascontiguousarray(array, "<f4").tobytes()])
            blob.shape.dim.extend(array.shape)
    data: bytes = net.SerializeToString()
    return data
