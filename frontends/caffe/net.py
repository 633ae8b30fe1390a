"""The net as the .prototxt has it: layers of the newest form (V0 and V1 are upgraded), and the inputs at its head."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mconv.ir.record import Record

from . import errors, schema
from .prototxt import Field, Message, Scalar

MOST_LAYERS = 20_000

_V1_TYPES = {
    "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "CROP": "Crop", "DATA": "Data",
    "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss", "ELTWISE": "Eltwise", "EXP": "Exp", "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN",
    "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN",
    "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence", "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "SLICE": "Slice", "TANH": "TanH",
    "WINDOW_DATA": "WindowData", "THRESHOLD": "Threshold",
}  # fmt: skip

_V0_TYPES = {
    "accuracy": "Accuracy", "bnll": "BNLL", "concat": "Concat", "conv": "Convolution", "data": "Data",
    "dropout": "Dropout", "euclidean_loss": "EuclideanLoss", "flatten": "Flatten", "hdf5_data": "HDF5Data",
    "hdf5_output": "HDF5Output", "hinge_loss": "HingeLoss", "im2col": "Im2col", "images": "ImageData",
    "infogain_loss": "InfogainLoss", "innerproduct": "InnerProduct", "lrn": "LRN",
    "multinomial_logistic_loss": "MultinomialLogisticLoss", "padding": "Padding", "pool": "Pooling", "relu": "ReLU",
    "sigmoid": "Sigmoid", "softmax": "Softmax", "softmax_loss": "SoftmaxWithLoss", "split": "Split", "tanh": "TanH",
    "window_data": "WindowData",
}  # fmt: skip

_V0_FIELDS = {
    "Convolution": ("convolution_param", {"num_output": "num_output", "biasterm": "bias_term", "pad": "pad",
                    "weight_filler": "weight_filler", "bias_filler": "bias_filler", "kernelsize": "kernel_size",
                    "group": "group", "stride": "stride"}),
    "InnerProduct": ("inner_product_param", {"num_output": "num_output", "biasterm": "bias_term",
                     "weight_filler": "weight_filler", "bias_filler": "bias_filler"}),
    "Pooling": ("pooling_param", {"pool": "pool", "pad": "pad", "kernelsize": "kernel_size", "stride": "stride"}),
    "LRN": ("lrn_param", {"local_size": "local_size", "alpha": "alpha", "beta": "beta", "k": "k"}),
    "Dropout": ("dropout_param", {"dropout_ratio": "dropout_ratio"}),
    "Concat": ("concat_param", {"concat_dim": "concat_dim"}),
    "Padding": ("padding_param", {"pad": "pad"}),
}  # fmt: skip
"""V0 had the parameters of all layers side by side: where they are now, and what they are called."""
_V0_IGNORED = {"name", "type", "blobs_lr", "weight_decay", "blobs"}


class Layer(Record):
    """One layer. ``line`` and ``column`` are where it begins."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Message
    line: int
    column: int
    kind: str = "LayerParameter"

    def param(self, name: str) -> Message | None:
        """A message in the layer, e.g. its ``convolution_param``."""
        found = self.message.all(name)
        return found[0].value if found and isinstance(found[0].value, Message) else None


class Head(Record):
    """An input at the head of a net: ``input: "data"``, with its sizes where they are given."""

    name: str
    shape: tuple[int, ...] | None
    line: int


class Net(Record):
    """All of a .prototxt."""

    file: str
    heads: tuple[Head, ...]
    layers: tuple[Layer, ...]
    state: Message | None

    def where(self, layer: Layer) -> str:
        """The layer's place, for people."""
        return f"{self.file}:{layer.line} ({layer.type} '{layer.name}')"


def net_of(message: Message, file: str) -> Net:
    """The net in a message. UnreadableError MC232, MC236 or MC238."""
    plain = Message([f for f in message.fields if f.name not in ("layer", "layers")])
    schema.check(plain, "NetParameter", file)
    entries = [f for f in message.fields if f.name in ("layer", "layers")]
    if len(entries) > MOST_LAYERS:
        raise errors.too_large(f"{file} has {len(entries)} layers, and at most {MOST_LAYERS} are read")
    if len({f.name for f in entries}) > 1:
        other = next(f for f in entries if f.name != entries[0].name)
        raise errors.bad_field("layers of the old form ('layers') and of the new ('layer') in one net",
                               f"{file}:{other.line}:{other.column}")  # fmt: skip
    layers = tuple(_layer(f, file) for f in entries)
    states = message.all("state")
    return Net(file, _heads(message, file), layers, states[0].value if states else None)


def text_of(message: Message, kind: str, name: str, file: str) -> str:
    """A text in a message, '' where it is not given."""
    found = message.all(name)
    return str(schema.value_of(found[-1], schema.spec_of(kind, name), file)) if found else ""


def numbers_of(message: Message, kind: str, name: str, file: str) -> tuple[int, ...]:
    """The integers of a field that repeats."""
    spec = schema.spec_of(kind, name)
    return tuple(int(schema.value_of(f, spec, file)) for f in message.all(name))


def shape_of(message: Message, file: str) -> tuple[int, ...]:
    """The sizes of a BlobShape."""
    schema.check(message, "BlobShape", file)
    return numbers_of(message, "BlobShape", "dim", file)


def _heads(message: Message, file: str) -> tuple[Head, ...]:
    names = [(schema.value_of(f, schema.spec_of("NetParameter", "input"), file), f.line) for f in message.all("input")]
    shapes = [shape_of(f.value, file) for f in message.all("input_shape")]
    dims = numbers_of(message, "NetParameter", "input_dim", file)
    given = message.all("input_dim") or message.all("input_shape") or message.all("input")
    where = f"{file}:{given[0].line}:{given[0].column}" if given else file
    if dims and shapes:
        raise errors.bad_field("the inputs have both input_dim and input_shape", where)
    if dims:
        if len(dims) != 4 * len(names):
            raise errors.bad_field(f"{len(dims)} input_dim for {len(names)} inputs, which take four each", where)
        shapes = [dims[i : i + 4] for i in range(0, len(dims), 4)]
    if len(shapes) not in (0, len(names)):
        raise errors.bad_field(f"{len(shapes)} input_shape for {len(names)} inputs", where)
    told = shapes or [None] * len(names)  # type: ignore[list-item]
    return tuple(Head(name, shape, line) for (name, line), shape in zip(names, told, strict=True))


def _layer(field: Field, file: str) -> Layer:
    where = f"{file}:{field.line}:{field.column}"
    if not isinstance(field.value, Message):
        raise errors.bad_field(f"'{field.name}' is a message in braces, not {field.value.text[:60]}", where)
    message = field.value
    if field.name == "layers":
        return _old_layer(message, field, file)
    name, type = (text_of(message, "LayerParameter", each, file) for each in ("name", "type"))
    if not type:
        raise errors.bad_field(f"layer '{name}' has no type", where)
    bottoms, tops = (_texts(message, each, file) for each in ("bottom", "top"))
    return Layer(name, type, bottoms, tops, message, field.line, field.column)


def _texts(message: Message, name: str, file: str) -> tuple[str, ...]:
    spec = schema.spec_of("LayerParameter", name)
    return tuple(str(schema.value_of(f, spec, file)) for f in message.all(name))


def _old_layer(message: Message, field: Field, file: str) -> Layer:
    """A layer of the form V1, or of V0, whose parameters are in a message 'layer' within."""
    where = f"{file}:{field.line}:{field.column}"
    bottoms, tops = (_texts(message, each, file) for each in ("bottom", "top"))
    inner = message.all("layer")
    if inner and isinstance(inner[0].value, Message):
        return _oldest_layer(message, inner[0].value, bottoms, tops, file)
    name = text_of(message, "V1LayerParameter", "name", file)
    types = message.all("type")
    if not types or not isinstance(types[0].value, Scalar):
        raise errors.bad_field(f"layer '{name}' has no type", where)
    word = types[0].value
    # texts, too: nets were edited by hand when the form changed
    type = _V1_TYPES.get(word.text, word.text) if word.kind != "number" else f"number {word.text}"
    kept = [f for f in message.fields if f.name != "type"]
    return Layer(name, type, bottoms, tops, Message(kept, message.line, message.column), field.line, field.column,
                 "V1LayerParameter")  # fmt: skip


def _oldest_layer(outer: Message, inner: Message, bottoms: Sequence[str], tops: Sequence[str], file: str) -> Layer:
    schema.check(Message([f for f in inner.fields if f.name != "blobs"]), "V0LayerParameter", file)
    name, word = (text_of(inner, "V0LayerParameter", each, file) for each in ("name", "type"))
    type = _V0_TYPES.get(word, word)
    param, names = _V0_FIELDS.get(type, ("", {}))
    data = type.endswith("Data")
    fields = [f for f in outer.fields if f.name in ("include", "exclude", "bottom", "top")]
    moved = []
    for each in inner.fields:
        if each.name in names:
            moved.append(each.replace(name=names[each.name]))
        elif each.name not in _V0_IGNORED and not data:
            raise errors.bad_field(
                f"'{each.name}' is no parameter of a layer '{word}'", f"{file}:{each.line}:{each.column}"
            )
    if moved:
        fields.append(Field(param, Message(moved, inner.line, inner.column), inner.line, inner.column))
    message = Message(fields, outer.line, outer.column)
    return Layer(name, type, tuple(bottoms), tuple(tops), message, outer.line, outer.column)


def plain(name: str) -> str:
    """A name with nothing in it that would have to be quoted."""
    return re.sub(r"[^\w.]", "_", name)
