"""One form for the configurations of all versions of Keras: networks of layers, each with its calls.

A Sequential model becomes a network whose layers call one another in turn. Nothing here knows what a layer means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice, pairwise
from typing import Any

from mconv.ir.record import Record

from . import errors, legacy

MOST_LAYERS = 100_000
MOST_ENDS = 4096
"""Inputs, or outputs, of a model."""
MAX_DEPTH = 24
"""Models within models, and layers within layers."""
NETWORKS = frozenset({"Functional", "Model", "Sequential"})
HOMES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras", "builtins")
"""Packages whose classes are Keras's own."""
_TYPED_OPERATIONS = frozenset(
    {"Cast", "SaturateCast", "OneHot", "ZerosLike", "OnesLike", "Cumsum", "Prod", "ConvertToTensor", "Full", "Arange"}
)
"""Operations with an element type among their settings."""
_ROLES = ("layer", "forward_layer", "backward_layer", "cell", "cells")
"""Settings that hold layers."""


class Ref(Record):
    """Result ``tensor`` of call ``node`` of a layer."""

    layer: str
    node: int
    tensor: int


class Call(Record):
    """One call of a layer: positional and keyword arguments, with Refs where tensors stand."""

    args: Any
    kwargs: Any


class Layer:
    """A layer, operation or model as it is configured.

    ``address`` is the place of its weights in a .keras file; ``inner`` are the layers that it wraps, by setting;
    ``network`` is there for models. ``operation`` tells that it is a function of keras.ops.
    """

    def __init__(self, cls: str, name: str, config: Mapping[str, Any], address: str) -> None:
        self.cls, self.name, self.config, self.address = cls, name, config, address
        self.module = ""
        self.registered = ""
        self.operation = False
        self.build: Any = None
        self.calls: list[Call] = []
        self.inner: dict[str, list[Layer]] = {}
        self.network: Network | None = None

    @property
    def trainable(self) -> bool:
        """False where its weights are frozen, which changes their order in HDF5 files."""
        return self.config.get("trainable") is not False

    @property
    def foreign(self) -> bool:
        """Whether its class is somebody else's."""
        if ">" in self.registered or ">" in self.cls:
            return True
        return bool(self.module) and not any(self.module == h or self.module.startswith(f"{h}.") for h in HOMES)


class Network:
    """A model: its layers by name, in the file's order, and which results come in and go out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.layers: dict[str, Layer] = {}
        self.inputs: list[Ref] = []
        self.outputs: list[Ref] = []


def snake(name: str) -> str:
    """A class's name as Keras 3 writes it in paths."""
    name = {"GroupQueryAttention": "GroupedQueryAttention"}.get(name, name)
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


class Normaliser:
    """Reads configurations written by one version of Keras (1, 2 or 3)."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._count = 0

    def model(self, data: Any) -> Network:
        """The model of a file; raises UnreadableError, or MC395 for a model that is connected by code."""
        try:
            layer = self._layer(_untupled(data) if self.version < 3 else data, "", 0)
        except RecursionError:
            raise errors.endless("the configuration is nested too deeply") from None
        if layer.network is not None:
            return layer.network
        if layer.foreign or "layers" not in layer.config:
            if "layers" in layer.config or "Model" in layer.cls or layer.foreign:
                raise errors.subclassed(layer.cls)
            raise errors.no_config(f"the configuration is that of a {layer.cls}, not of a model")
        raise errors.subclassed(layer.cls)

    def layer(self, data: Any) -> Layer:
        """A layer that stands alone: one that serves as an activation."""
        return self._layer(data, "", 0)

    def _layer(self, data: Any, address: str, depth: int) -> Layer:
        if depth > MAX_DEPTH:
            raise errors.endless(f"more than {MAX_DEPTH} models or layers are nested in one another")
        if not isinstance(data, dict) or not isinstance(data.get("class_name"), str):
            raise errors.no_config("a layer has no class_name")
        self._count += 1
        if self._count > MOST_LAYERS:
            raise errors.endless(f"the model has more than {MOST_LAYERS} layers")
        cls, config = data["class_name"], data.get("config", {})
        if cls == "Sequential" and isinstance(config, list):
            config = {"name": "sequential", "layers": config}
        if not isinstance(config, dict):
            raise errors.no_config(f"the settings of a {cls} are no dictionary")
        config = legacy.upgraded(cls, config, self.version)
        cls = legacy.renamed(cls, config, self.version)
        name = config.get("name", data.get("name", cls))
        layer = Layer(cls, name if isinstance(name, str) else cls, config, address)
        layer.module = _text(data.get("module"))
        layer.registered = _text(data.get("registered_name"))
        known = legacy.of_applications(cls, layer.module, config)
        if known:
            layer.cls, layer.registered = known, ""
        layer.build = data.get("build_config")
        layer.operation = self.version == 3 and _is_operation(layer)
        if layer.cls in NETWORKS and "layers" in config and not layer.foreign:
            layer.network = self._network(layer, depth)
        else:
            self._wrapped(layer, depth)
        return layer

    def _wrapped(self, layer: Layer, depth: int) -> None:
        """The layers among the settings."""
        for role in _ROLES:
            found: Any = layer.config.get(role)
            items: list[Any] = found if isinstance(found, list) else [found]
            if not all(isinstance(i, dict) and "class_name" in i for i in items):
                continue
            place = {"layer": "forward_layer" if layer.cls == "Bidirectional" else "layer"}.get(role, role)
            counter = _Counter()
            inner = []
            for item in items:
                part = counter(snake(str(item["class_name"]))) if role == "cells" else ""
                address = "/".join(filter(None, (layer.address, place, part)))
                inner.append(self._layer(item, address, depth + 1))
            layer.inner[role] = inner

    # Models --------------------------------------------------------------------------------------------------

    def _network(self, model: Layer, depth: int) -> Network:
        items = model.config["layers"]
        if not isinstance(items, list):
            raise errors.no_config(f"the layers of model '{model.name}' are no list")
        network = Network(model.name)
        counter = _Counter()
        data_of: dict[str, Any] = {}
        for item in items:
            cls = item.get("class_name") if isinstance(item, dict) else None
            layer = self._layer(item, "", depth + 1)
            counted = not layer.operation and not (model.cls == "Sequential" and cls == "InputLayer")
            if counted:
                _readdress(layer, "/".join(filter(None, (model.address, "layers", counter(snake(str(cls)))))))
            if isinstance(item.get("name"), str):
                layer.name = item["name"]
            if layer.name in network.layers:
                raise errors.bad_graph(f"two layers are named '{layer.name}'")
            network.layers[layer.name] = layer
            data_of[layer.name] = item
        if not network.layers:
            raise errors.no_config(f"model '{model.name}' has no layers")
        if model.cls == "Sequential":
            _chain(network, model)
        else:
            _connect(network, model, data_of)
        return network


def _readdress(layer: Layer, address: str) -> None:
    """Give a layer, and all that it holds, its place in a .keras file."""
    old = layer.address

    def moved(inner: Layer) -> None:
        inner.address = f"{address}{inner.address.removeprefix(old)}" if old else f"{address}/{inner.address}"
        for group in inner.inner.values():
            for item in group:
                moved(item)
        if inner.network is not None:
            for item in inner.network.layers.values():
                if item.address:
                    moved(item)

    for group in layer.inner.values():
        for item in group:
            moved(item)
    if layer.network is not None:
        for item in layer.network.layers.values():
            if item.address:
                moved(item)
    layer.address = address


def _chain(network: Network, model: Layer) -> None:
    """Let the layers of a Sequential model call one another."""
    layers = list(network.layers.values())
    if layers[0].cls != "InputLayer":
        given = _input_of(layers[0], model)
        layers.insert(0, given)
        network.layers = {layer.name: layer for layer in layers}
    for before, layer in pairwise(layers):
        layer.calls = [Call([Ref(before.name, 0, 0)], {})]
    network.inputs = [Ref(layers[0].name, 0, 0)]
    network.outputs = [Ref(layers[-1].name, 0, 0)]


def _input_of(first: Layer, model: Layer) -> Layer:
    """The input layer that a Sequential model without one has."""
    config = first.config
    shape = config.get("batch_input_shape", config.get("batch_shape"))
    if shape is None and isinstance(config.get("input_shape"), list):
        shape = [None, *config["input_shape"]]
    if shape is None and isinstance(config.get("input_dim"), int) and first.cls != "Embedding":
        length = [config.get("input_length")] if "input_length" in config else []
        shape = [None, *length, config["input_dim"]]
    dtype: Any = config.get("input_dtype", config.get("dtype", "float32"))
    if first.network is not None and first.network.inputs:
        inner = first.network.layers[first.network.inputs[0].layer].config
        shape = inner.get("batch_shape", inner.get("batch_input_shape")) if shape is None else shape
        dtype = inner.get("dtype", dtype)
    for build in (model.config.get("build_input_shape"), _shape_in(model.build), _shape_in(first.build)):
        shape = build if shape is None else shape
    if shape is None and first.cls == "Embedding":
        shape = [None, config.get("input_length")]
    return Layer("InputLayer", f"{first.name}_input", {"batch_shape": shape, "dtype": dtype}, "")


def _shape_in(build: Any) -> Any:
    return build.get("input_shape") if isinstance(build, dict) else None


# Functional models -------------------------------------------------------------------------------------------


def _connect(network: Network, model: Layer, data_of: Mapping[str, Any]) -> None:
    references = list[Ref]()
    for name, layer in network.layers.items():
        nodes = data_of[name].get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise errors.no_config(f"the inbound_nodes of layer '{name}' are no list")
        layer.calls = [_call(node, network, references) for node in nodes]
    network.inputs, network.outputs = (
        _ends(model.config.get(side), model) for side in ("input_layers", "output_layers")
    )
    if not network.outputs:
        raise errors.no_config(f"model '{model.name}' returns nothing")
    shifts = _shifts(network, data_of, [*references, *network.outputs])
    network.outputs = [_shifted(ref, shifts["ends"]) for ref in network.outputs]
    for layer in network.layers.values():
        if shifts["calls"]:
            layer.calls = [Call(*(mapped(part, lambda ref: _shifted(ref, shifts["calls"])) for part in
                                  (call.args, call.kwargs))) for call in layer.calls]  # fmt: skip


def _shifts(network: Network, data_of: Mapping[str, Any], references: list[Ref]) -> dict[str, dict[str, int]]:
    """By how much the numbers of models' calls are too large.

    A model that is built from inputs counts their link to its outputs as call 0. Keras 3 counts it in the outputs
    of the model around it only, and not for Sequential models; Keras 1 and 2 count it everywhere, except for
    Sequential models that were not built.
    """
    calls: dict[str, int] = {}
    ends: dict[str, int] = {}
    used: dict[str, set[int]] = {}
    for ref in references:
        used.setdefault(ref.layer, set()).add(ref.node)
    for name, layer in network.layers.items():
        if layer.network is None:
            continue
        newer = any(isinstance(node, dict) and "args" in node for node in data_of[name].get("inbound_nodes", []))
        if newer:
            ends[name] = int(layer.cls != "Sequential")
        elif 0 not in used.get(name, {0}):
            calls[name] = ends[name] = 1
    return {"calls": calls, "ends": ends}


def _shifted(ref: Ref, shifts: Mapping[str, int]) -> Ref:
    return Ref(ref.layer, ref.node - shifts.get(ref.layer, 0), ref.tensor)


def _call(node: Any, network: Network, references: list[Ref]) -> Call:
    if isinstance(node, dict) and "args" in node:
        args, kwargs = (revived(node.get(key, empty)) for key, empty in (("args", []), ("kwargs", {})))
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise errors.no_config("the arguments of a call are no list")
        return Call(args, kwargs)
    return _older_call(node, network, references)


def _older_call(node: Any, network: Network, references: list[Ref]) -> Call:
    """Keras 1 and 2: [layer, node, tensor, other arguments] for each tensor of the first argument."""
    extra: dict[str, Any] = {}

    def tensor(item: Any) -> Any:
        if len(item) > 3 and isinstance(item[3], dict):
            extra.update(item[3])
        if item[0] == "_CONSTANT_VALUE":
            return item[2]
        found = Ref(item[0], item[1], item[2])
        references.append(found)
        return found

    def first(data: Any) -> Any:
        if isinstance(data, dict):
            return {key: first(data[key]) for key in data}
        if isinstance(data, list):
            leaf = len(data) in (3, 4) and isinstance(data[0], str) and isinstance(data[1], int)
            return tensor(data) if leaf else [first(item) for item in data]
        raise errors.no_config("a call names no layer")

    def other(data: Any) -> Any:
        if isinstance(data, dict):
            if data.get("class_name") in _SPECIAL:
                return revived(data)
            if set(data) == {"start", "stop", "step"}:
                return slice(*(other(data[key]) for key in ("start", "stop", "step")))
            return {key: other(value) for key, value in data.items()}
        if isinstance(data, list):
            if len(data) == 3 and data[0] in network.layers and all(type(i) is int for i in data[1:]):
                return tensor(data)
            return [other(item) for item in data]
        return data

    given = first(node)
    kwargs = other(extra)
    given = given[0] if isinstance(given, list) and len(given) == 1 else given
    return Call([given], kwargs)


def _ends(data: Any, model: Layer) -> list[Ref]:
    """The results that input_layers or output_layers name; those of a dictionary by its keys."""

    def walk(item: Any) -> Iterator[Ref]:
        if isinstance(item, list) and len(item) == 3 and isinstance(item[0], str):
            if not all(type(i) is int for i in item[1:]):
                raise errors.no_config(f"model '{model.name}' has inputs or outputs that are no results of layers")
            yield Ref(*item)
        elif isinstance(item, dict):
            for key in sorted(item, key=str):
                yield from walk(item[key])
        elif isinstance(item, list):
            for part in item:
                yield from walk(part)
        else:
            raise errors.no_config(f"model '{model.name}' has inputs or outputs that are no results of layers")

    found = list(islice(walk(data), MOST_ENDS + 1))
    if len(found) > MOST_ENDS:
        raise errors.endless(f"model '{model.name}' has more than {MOST_ENDS} inputs or outputs")
    return found


# Values ------------------------------------------------------------------------------------------------------


class Constant(Record):
    """An array that stands in a configuration."""

    value: Any
    dtype: str


_SPECIAL = frozenset(
    {"__keras_tensor__", "__slice__", "__ellipsis__", "__tensor__", "__numpy__", "__lambda__", "__bytes__"}
)


def revived(data: Any) -> Any:
    """A value of Keras 3's JSON: tensors as Refs, slices and the ellipsis as Python has them, arrays as Constants."""
    if isinstance(data, list):
        return [revived(item) for item in data]
    if not isinstance(data, dict):
        return data
    cls, given = data.get("class_name"), data.get("config")
    if cls not in _SPECIAL:
        return {key: revived(value) for key, value in data.items()}
    config: dict[str, Any] = given if isinstance(given, dict) else {}
    if cls == "__keras_tensor__":
        history: Any = config.get("keras_history")
        sound = isinstance(history, list) and len(history) == 3 and isinstance(history[0], str)
        if not sound or not all(type(i) is int for i in history[1:]):
            raise errors.no_config("a call's argument is the result of no layer")
        return Ref(*history)
    if cls == "__slice__":
        return slice(*(revived(config.get(key)) for key in ("start", "stop", "step")))
    if cls == "__ellipsis__":
        return ...
    if cls == "__lambda__":
        raise errors.stored_code("an argument of a call")
    if cls == "__bytes__":
        return str(config.get("value"))
    return Constant(config.get("value"), str(config.get("dtype", "float32")))


def mapped(data: Any, function: Callable[[Ref], Any]) -> Any:
    """``data`` with ``function`` of each Ref in its place."""
    if isinstance(data, Ref):
        return function(data)
    if isinstance(data, list):
        return [mapped(item, function) for item in data]
    if isinstance(data, dict):
        return {key: mapped(value, function) for key, value in data.items()}
    if isinstance(data, slice):
        return slice(*(mapped(part, function) for part in (data.start, data.stop, data.step)))
    return data


def flat(data: Any, kind: type) -> Iterator[Any]:
    """What is of ``kind`` in nested lists and dictionaries, in Keras's order (dictionaries by their keys)."""
    if isinstance(data, kind):
        yield data
    elif isinstance(data, list | tuple):
        for item in data:
            yield from flat(item, kind)
    elif isinstance(data, dict):
        for key in sorted(data, key=str):
            yield from flat(data[key], kind)
    elif isinstance(data, slice):
        yield from flat([data.start, data.stop, data.step], kind)


def _untupled(data: Any) -> Any:
    """Keras 2's JSON with lists where it marks tuples and shapes."""
    if isinstance(data, list):
        return [_untupled(item) for item in data]
    if isinstance(data, dict):
        if data.get("class_name") in ("__tuple__", "TensorShape") and "items" in data:
            return _untupled(data["items"])
        return {key: _untupled(value) for key, value in data.items()}
    return data


class _Counter:
    """Names made unique as Keras does in paths: name, name_1, name_2."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        count = self._seen.get(name, -1) + 1
        self._seen[name] = count
        return f"{name}_{count}" if count else name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_operation(layer: Layer) -> bool:
    """Functions of keras.ops: by their module, or in HDF5 files, which do not tell it, by what settings they lack."""
    if layer.module:
        return ".ops" in layer.module and layer.module.startswith("keras.")
    if layer.cls == "InputLayer" or {"trainable", "layers"} & set(layer.config):
        return False
    return "dtype" not in layer.config or layer.cls in _TYPED_OPERATIONS
