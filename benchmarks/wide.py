"""A model's outputs in 64 bits, and which comparisons of 32-bit runtimes they show to say nothing.

Rounding grows in a deep network, and how much depends on what it is fed: some networks, with their random weights above
all, amplify it on noise or on a photograph so much that a runtime is as far from the exact result as from another
runtime. Where onnxruntime is itself further from 64 bits than a part of the limit, the feed is *unsound* for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

PART = 1 / 3
"""Of the limit of errors: what onnxruntime may be off 64 bits where a difference to it is to say something."""


def in_64_bits(path: Path, feeds: Sequence[Any]) -> list[Any]:
    """The outputs by ONNX's own reference evaluator, of the model with 64-bit floats for its 32-bit ones."""
    model = onnx.load(str(path))
    arrays = [array.astype(np.float64) if array.dtype == np.float32 else array for array in feeds]
    fixed = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in fixed]
    return ReferenceEvaluator(_widened(model)).run(None, dict(zip(names, arrays, strict=True)))


def _widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, in place, with doubles for floats: its constants, its inputs and outputs, what it casts to."""
    graph = model.graph
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    for tensor in [*graph.initializer, *(a.t for a in attributes if a.type == onnx.AttributeProto.TENSOR)]:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for node in graph.node:
        strides = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "strides"), [1])
        for place, attribute in enumerate(node.attribute):
            if attribute.name == "ceil_mode" and set(strides) == {1}:
                del node.attribute[place]  # it changes nothing, but the evaluator would pad for it
                break
    for attribute in attributes:
        if attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
            attribute.i = onnx.TensorProto.DOUBLE
    for value in [*graph.input, *graph.output]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    del graph.value_info[:]
    return model


def unsound(errors: Mapping[str, float], references: Mapping[str, float], limit: float) -> set[str]:
    """The feeds with an error over the limit where the reference has its part: ``references`` are its own errors."""
    return {feed for feed, error in errors.items() if not error <= limit and references.get(feed, 0.0) > limit * PART}


def judged(errors: Mapping[str, float], references: Mapping[str, float], limit: float) -> float:
    """The largest error of those feeds that say something; of all, where none does."""
    left = [error for feed, error in errors.items() if feed not in unsound(errors, references, limit)]
    return max(left or errors.values(), default=float("nan"))
