"""From networks of layers to the intermediate representation: walks calls in order and lets handlers translate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mconv.ir import Builder, DType, Graph, Origin, Problem, Value, ops
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError
from mconv.ir.op import TypeMismatch

from ..problems import Problems
from . import errors
from .config import Call, Layer, Network, Ref, flat, mapped
from .inputs import Declared, InputTypes, check_size, declared_shape
from .node import KerasNode
from .registry import Handler, handler_of
from .settings import WIDE, dtype_of
from .weights import SlotsOf, Weights

MAX_DEPTH = 24
BROKEN = (TypeMismatch, ValueError, TypeError, IndexError, KeyError, ArithmeticError, RecursionError, MemoryError,
          AttributeError)  # fmt: skip
"""What a handler may meet in a model whose pieces do not fit together."""
_FATAL = frozenset({"MC297"})
"""Problems after which nothing more is looked for."""
MOST_CALLS = 200_000
STATEFUL = "the states of stateful layers begin as zeros in each call"
NARROW = "layers of 16-bit floats are computed in 32 bits, and what they return is rounded"


class Lost(Exception):
    """A value is needed whose own layer could not be translated; that cause has been noted."""


class Translation:
    """The translation of one model. Everything that cannot be translated is collected and raised at the end."""

    def __init__(
        self, network: Network, weights: Weights, slots_of: SlotsOf, inputs: InputTypes, version: int, file: str
    ) -> None:
        self.network, self.weights, self.slots_of = network, weights, slots_of
        self.inputs, self.version, self.file = inputs, version, file
        self.problems = Problems()
        self.masks: dict[Value, Value] = {}
        self.narrow: dict[Value, DType] = {}
        self.builder = Builder(Graph(_identifier(network.name)))
        self._notes: dict[str, list[str]] = {}
        self._path: list[str] = []
        self._calls = 0

    def graph(self) -> Graph:
        """The model's graph; raises UsageError, UnreadableError or UnsupportedError."""
        network, graph = self.network, self.builder.graph
        self._scan(network)
        self.problems.throw()
        declared = [self._declared(network, ref) for ref in network.inputs]
        given = list[Value]()
        for each, type in zip(declared, self.inputs.types(declared), strict=True):
            check_size(type, f"input '{each.name}'")
            given.append(graph.add_input(each.name, type))
        results = self._run(network, given)
        self.problems.throw()
        for value, name in zip(results, unique([ref.layer for ref in network.outputs]), strict=True):
            if value is None:
                raise errors.bad_graph(f"nothing makes output '{name}'")
            if value in self.narrow:
                value = self.builder.add(ops.Cast(self.narrow[value]), value)
            self.builder.output(value, name)
        graph.notes += [
            what + (f" ({', '.join(places[:4])})" if places else "") for what, places in self._notes.items()
        ]
        return graph

    def note(self, what: str, place: str = "") -> None:
        """Tell the person something about what is read; what is told of several places is told once."""
        places = self._notes.setdefault(what, [])
        if place and place not in places:
            places.append(place)

    def _scan(self, network: Network) -> None:
        """Note every layer that cannot be read at all, also those that no output needs."""
        stack = list(network.layers.values())
        while stack:
            layer = stack.pop()
            stack += [item for group in layer.inner.values() for item in group]
            if layer.network is not None:
                stack += layer.network.layers.values()
            try:
                self.known(layer)
            except MconvError as error:
                self._note_problems(error, self._origin(layer))

    def known(self, layer: Layer) -> Handler | None:
        """The handler of a layer; None for models and inputs. MC390 to MC392 where it cannot be read."""
        if layer.cls == "Lambda" and not layer.operation:
            raise errors.stored_code(f"the Lambda layer '{layer.name}'")
        if layer.network is not None or layer.cls == "InputLayer":
            return None
        handler = handler_of(layer)
        if handler is not None and not layer.foreign:
            return handler
        if layer.foreign:
            home = f" of {layer.module}" if layer.module else ""
            raise errors.custom(f"'{layer.registered or layer.cls}'{home}")
        if not layer.module and layer.cls not in _UNREAD:
            raise errors.custom(f"'{layer.cls}'")
        raise errors.not_read(f"the {'operation' if layer.operation else 'layer'} {layer.cls}")

    # Networks ------------------------------------------------------------------------------------------------

    def _declared(self, network: Network, ref: Ref) -> Declared:
        layer = network.layers.get(ref.layer)
        if layer is None or layer.cls != "InputLayer":
            raise errors.bad_graph(f"'{ref.layer}' is no input of model '{network.name}'")
        config = layer.config
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if config.get("sparse") or config.get("ragged"):
            raise errors.form(f"the input '{layer.name}' of sparse or ragged tensors")
        if config.get("input_tensor") is not None or config.get("optional"):
            raise errors.form(f"the input '{layer.name}' that may be absent")
        if config.get("dtype") == "string":
            raise errors.element_type(f"input '{layer.name}' holds texts")
        dtype = dtype_of(config.get("dtype", "float32"), f"input '{layer.name}'")
        return Declared(layer.name, dtype, declared_shape(shape, layer.name))

    def _run(self, network: Network, given: Sequence[Value | None]) -> list[Value | None]:
        """The outputs of a network on these inputs; None for those that could not be translated."""
        if len(self._path) > MAX_DEPTH:
            raise errors.endless(f"models are nested more than {MAX_DEPTH} deep")
        if len(given) != len(network.inputs):
            what = f"model '{network.name}' takes {len(network.inputs)} inputs, {len(given)} are given"
            raise errors.misfit(what)
        env: dict[tuple[str, int], list[Value | None]] = {}
        for ref, value in zip(network.inputs, given, strict=True):
            env[ref.layer, ref.node] = [self._input(network, ref, value)]
        for layer, index in _order(network, env):
            self._calls += 1
            if self._calls > MOST_CALLS:
                raise errors.endless("the models unfold into too many layers")
            env[layer.name, index] = self._call(layer, layer.calls[index], env)
        return [_result(env, ref) for ref in network.outputs]

    def _input(self, network: Network, ref: Ref, value: Value | None) -> Value | None:
        """A value as an InputLayer passes it on: in its type, 16-bit floats widened."""
        layer = network.layers[ref.layer]
        if value is None or layer.cls != "InputLayer":
            return value
        name = layer.config.get("dtype", "float32")
        dtype = dtype_of(name, f"input '{layer.name}'") if name != "string" else value.type.dtype
        wanted = WIDE.get(dtype, dtype)
        if value.type.dtype is wanted:
            return value
        made = self.builder.add(ops.Cast(wanted), value)
        if value in self.masks:
            self.masks[made] = self.masks[value]
        return made

    def _call(self, layer: Layer, call: Call, env: Mapping[tuple[str, int], list[Value | None]]) -> list[Value | None]:
        """The results of one call; none where it could not be translated."""
        builder, before = self.builder, self.builder.origin
        builder.origin = origin = self._origin(layer)
        try:
            args, kwargs = (mapped(part, lambda ref: _needed(env, ref)) for part in (call.args, call.kwargs))
            return self.apply(layer, args, kwargs)
        except MconvError as error:
            if any(problem.code in _FATAL for problem in error.problems):
                raise
            self._note_problems(error, origin)
        except Lost:
            pass
        except BROKEN as error:
            self._note_problems(errors.misfit(f"{layer.cls} '{layer.name}': {error}"), origin)
        finally:
            builder.origin = before
        return []

    def apply(self, layer: Layer, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Value | None]:
        """The results of a layer, operation or model called with these arguments."""
        if layer.network is not None:
            return self._model(layer, layer.network, args, kwargs)
        if layer.cls == "InputLayer":
            return list(flat(args, Value))
        handler = self.known(layer)
        assert handler is not None
        node = KerasNode(layer, self._cast(layer, args), kwargs, self)
        found = handler.function(node, self.builder)
        self.check_read(node, handler.ignores)
        results: list[Value | None] = [found] if isinstance(found, Value) else list(found)
        for value in results:
            if value is not None:
                check_size(value.type, f"the result of '{layer.name}'")
        self._mask(node, handler, results)
        self._name(layer, results, node)
        return results

    def _model(self, layer: Layer, network: Network, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Value | None]:
        if any(isinstance(v, Value) for v in flat(kwargs, Value)):
            raise errors.form(f"the model '{layer.name}' called with tensors by name")
        self._path.append(layer.name)
        try:
            return self._run(network, list(flat(args[:1] or args, Value)))
        finally:
            self._path.pop()

    def _cast(self, layer: Layer, args: Sequence[Any]) -> list[Any]:
        """Arguments with their floats in the type that the layer computes in. Operations take them as they are."""
        if layer.operation or "dtype" not in layer.config or layer.cls in _UNCAST:
            return list(args)
        dtype = dtype_of(layer.config["dtype"], f"{layer.cls} '{layer.name}'", computed=True)
        dtype = WIDE.get(dtype, dtype)
        if not dtype.is_float:
            return list(args)

        def cast(data: Any) -> Any:
            if isinstance(data, Value):
                if not data.type.dtype.is_float or data.type.dtype is dtype:
                    return data
                made = self.builder.add(ops.Cast(dtype), data)
                if data in self.masks:
                    self.masks[made] = self.masks[data]
                return made
            if isinstance(data, list):
                return [cast(item) for item in data]
            return {key: cast(item) for key, item in data.items()} if isinstance(data, dict) else data

        return [cast(item) for item in args]

    @staticmethod
    def check_read(node: KerasNode, ignores: Mapping[str, str]) -> None:
        """MC394 where a setting or an argument was read by nobody."""
        left = [key for key in node.settings.unread() if key not in ignores and key != "dtype"]
        if left:
            raise errors.option(f"{node.settings.what}: the setting {', '.join(left)} is not understood")
        unread = [name for name in node.unread() if name not in ignores]
        if unread:
            raise errors.option(f"{node.settings.what}: {', '.join(unread)} of its call is not understood")

    def _mask(self, node: KerasNode, handler: Handler, results: Sequence[Value | None]) -> None:
        """Let the results carry the mask that the layer passes on."""
        mask = node.mask_out
        if handler.mask == "pass" and node.xs:
            mask = self.masks.get(node.xs[0])
        first = results[0] if results else None
        if mask is not None and first is not None and first not in self.masks:
            self.masks[first] = mask

    def _name(self, layer: Layer, results: Sequence[Value | None], node: KerasNode) -> None:
        """Name what a layer makes after it, and remember where it is narrower than it is computed."""
        narrow = node.settings.narrow if not layer.operation and "dtype" in layer.config else None
        for index, value in enumerate(results):
            if value is None or value.producer is None:
                continue
            name = "/".join([*self._path, layer.name]) + (f".{index}" if index else "")
            if not any(value is x for x in node.xs):
                self.builder.graph.rename(value, name, evict=False)
            if narrow in WIDE and value.type.dtype.is_float:
                self.note(NARROW)
                self.narrow[value] = narrow

    # Problems ------------------------------------------------------------------------------------------------

    def _origin(self, layer: Layer) -> Origin:
        kind = "operation" if layer.operation else "layer"
        return Origin(self.file, f"{kind} '{'/'.join([*self._path, layer.name])}' ({layer.cls})")

    def _note_problems(self, error: MconvError, origin: Origin) -> None:
        if not isinstance(error, UnreadableError | UnsupportedError):
            raise error
        kind = UnreadableError if isinstance(error, UnreadableError) else UnsupportedError
        placed = [p if p.where else Problem(p.code, p.what, str(origin), p.types, p.hint) for p in error.problems]
        self.problems.add(kind, placed)


_UNCAST = frozenset({"Embedding", "ReversibleEmbedding", "CategoryEncoding", "Discretization"})
_UNREAD = frozenset({
    "LocallyConnected1D", "LocallyConnected2D", "MaxoutDense", "Highway", "TimeDistributedDense", "DenseFeatures",
    "Hashing", "HashedCrossing", "IntegerLookup", "StringLookup", "TextVectorization", "IndexLookup", "RandomCrop",
    "FeatureSpace", "Pipeline", "MelSpectrogram", "STFTSpectrogram", "ReversibleEmbedding", "RandomFourierFeatures",
    "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "AutoContrast", "Equalization", "Solarization",
    "ConvRecurrent2D", "ParametricSoftplus", "SReLU", "ClassMethod", "InstanceMethod", "InstanceProperty",
    "AbstractRNNCell", "CenteredCrop", "ConvLSTMCell", "MaxNumBoundingBoxes", "VariableDictionary",
})  # fmt: skip
"""Keras's own classes that are not read, for files that do not tell a class's module."""


def _order(network: Network, env: Mapping[tuple[str, int], Any]) -> Iterator[tuple[Layer, int]]:
    """The calls that the outputs need, each after those that it needs itself. MC295 for circles and gaps."""
    done = set(env)
    open_ = set[tuple[str, int]]()
    stack: list[tuple[tuple[str, int], bool]] = [((r.layer, r.node), False) for r in reversed(network.outputs)]
    while stack:
        key, ready = stack.pop()
        if ready:
            open_.discard(key)
            done.add(key)
            yield network.layers[key[0]], key[1]
            continue
        if key in done:
            continue
        if key in open_:
            raise errors.bad_graph(f"layer '{key[0]}' needs its own result")
        layer = network.layers.get(key[0])
        if layer is None or not 0 <= key[1] < len(layer.calls):
            raise errors.bad_graph(f"there is no call {key[1]} of a layer '{key[0]}' in model '{network.name}'")
        open_.add(key)
        stack.append((key, True))
        call = layer.calls[key[1]]
        needed = dict.fromkeys((r.layer, r.node) for part in (call.args, call.kwargs) for r in flat(part, Ref))
        for each in reversed(needed):
            if each in open_:
                raise errors.bad_graph(f"layer '{each[0]}' needs its own result")
            stack.append((each, False))


def _needed(env: Mapping[tuple[str, int], list[Value | None]], ref: Ref) -> Value:
    value = _result(env, ref)
    if value is None:
        raise Lost
    return value


def _result(env: Mapping[tuple[str, int], list[Value | None]], ref: Ref) -> Value | None:
    found = env[ref.layer, ref.node]
    if not found:
        return None
    if not 0 <= ref.tensor < len(found):
        raise errors.bad_graph(f"layer '{ref.layer}' has {len(found)} results, and no result {ref.tensor}")
    return found[ref.tensor]


def unique(names: Sequence[str]) -> list[str]:
    """Names made unique: name, name_1, ..."""
    taken, used, result = set(names), set[str](), list[str]()
    for name in names:
        free, index = name, 0
        while free in used or (index and free in taken):
            index += 1
            free = f"{name}_{index}"
        used.add(free)
        result.append(free)
    return result


def _identifier(name: str) -> str:
    plain = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return plain if plain[:1].isalpha() or plain[:1] == "_" else f"model_{plain}"
