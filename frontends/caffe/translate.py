"""From layers to the intermediate representation: goes through the net in order and calls handlers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mconv.ir import Builder, DType, Graph, Origin, Problem, Shape, TensorType, Value
from mconv.ir.errors import MconvError, UnreadableError, UnsupportedError
from mconv.ir.op import TypeMismatch

from ..problems import Problems
from . import errors, schema
from .inference import Inference
from .net import Layer, Net, plain, shape_of
from .node import CaffeNode
from .prototxt import Scalar
from .registry import HANDLERS, IGNORED, Handler
from .weights import Weights

MOST_ELEMENTS = 2**31 - 1
"""Elements of a blob, Caffe's own bound."""
BROKEN = (TypeMismatch, ValueError, TypeError, IndexError, ArithmeticError, RecursionError, MemoryError, AttributeError)
"""What a handler may meet in a net whose pieces do not fit together."""
_FATAL = frozenset({"MC235"})
"""Problems after which nothing more is looked for."""
GUESS = "1,3,224,224"


class Translation:
    """The translation of one net. Everything that cannot be translated is collected and raised at the end."""

    def __init__(self, net: Net, part: Inference, weights: Weights, shapes: Mapping[str, Shape]) -> None:
        self.net, self.part, self.weights = net, part, weights
        self.shapes = dict(shapes)
        self.b = Builder(Graph(plain(net.file.rpartition(".")[0]) or "main"))
        self.problems = Problems()
        self._values: dict[str, Value | None] = {}
        self._read: set[str] = set()
        self._owned: set[Value] = set()
        self._told: dict[str, None] = {}

    def graph(self) -> Graph:
        """The graph; its outputs are the blobs that no layer reads, in the order in which they are made."""
        self._refuse_unknown()
        self._heads()
        for layer in self.part.layers:
            if layer.type != "Input":
                self._layer(layer)
        if self.weights.misfits:
            raise UnreadableError(self.weights.told())
        self.problems.throw()
        outputs = [name for name in self._values if name not in self._read | self.part.silenced]
        if not outputs:
            raise errors.wiring("the net gives nothing: a layer reads each of its blobs", self.net.file)
        for name in outputs:
            value = self._values[name]
            assert value is not None
            self.b.output(value, name)
        graph = self.b.graph
        graph.notes += self._notes()
        return graph

    def _refuse_unknown(self) -> None:
        """UnsupportedError with all layer types that are not read, each where it stands first."""
        for layer in self.part.layers:
            if layer.type == "Input" or HANDLERS.get(layer.type) is not None:
                continue
            where = self.net.where(layer)
            if layer.type == "Python":
                error = errors.python_layer(_python(layer, self.net.file), where)
            else:
                error = errors.not_read(layer.type, where)
            self.problems.add(UnsupportedError, error.problems)
        self.problems.throw()

    def note(self, what: str) -> None:
        """Tell the person something about what is read, once."""
        self._told[what] = None

    def _notes(self) -> list[str]:
        kinds = ", ".join(sorted({layer.type for layer in self.part.dropped}))
        count = len(self.part.dropped)
        dropped = [f"{count} layer{'s' * (count > 1)} of training and testing left out: {kinds}"] if count else []
        return dropped + list(self._told)

    # Inputs ----------------------------------------------------------------------------------------------------

    def _heads(self) -> None:
        heads: list[tuple[str, Sequence[int] | None, str]] = [
            (head.name, head.shape, f"{self.net.file}:{head.line}") for head in self.net.heads
        ]
        for layer in self.part.layers:
            if layer.type == "Input":
                heads += self._input_layer(layer)
        heads += [(top, _data_shape(layer, top, self.net), self.net.where(layer)) for top, layer in self.part.data]
        names = [name for name, _, _ in heads]
        for name in self.shapes:
            if name not in names:
                raise errors.no_such_input(name, ", ".join(names) or "(none)")
        for name, shape, where in heads:
            if name in self._values:
                raise errors.wiring(f"blob '{name}' is made twice", where)
            type = self._input_type(name, shape, where)
            self._values[name] = self.b.graph.add_input(name, type)

    def _input_layer(self, layer: Layer) -> list[tuple[str, Sequence[int] | None, str]]:
        where = self.net.where(layer)
        schema.check(layer.message, layer.kind, self.net.file)
        param = layer.param("input_param")
        shapes = [shape_of(f.value, self.net.file) for f in param.all("shape")] if param is not None else []
        if len(shapes) not in (0, 1, len(layer.tops)):
            raise errors.misfit(f"Input has {len(shapes)} shapes for {len(layer.tops)} tops", where)
        told = shapes * len(layer.tops) if len(shapes) == 1 else shapes or [None] * len(layer.tops)  # type: ignore[list-item]
        return [(top, shape, where) for top, shape in zip(layer.tops, told, strict=True)]

    def _input_type(self, name: str, shape: Sequence[int] | None, where: str) -> TensorType:
        given = self.shapes.get(name)
        if given is None and (shape is None or min(shape, default=1) <= 0):
            guess = GUESS if shape is None else ",".join(str(d) if d > 0 else "1" for d in shape)
            raise errors.tell_shape(name, where, guess)
        type = TensorType(DType.F32, tuple(given if given is not None else shape or ()))
        _check_size(type, f"input '{name}'", where)
        return type

    # Layers ----------------------------------------------------------------------------------------------------

    def _layer(self, layer: Layer) -> None:
        where = self.net.where(layer)
        results: Sequence[Value] | None = None
        try:
            bottoms = self._bottoms(layer, where)
            self.b.origin = Origin(f"{self.net.file}:{layer.line}", f"{layer.type} '{layer.name}'")
            results = None if bottoms is None else self._handled(layer, bottoms)
        except MconvError as error:
            if error.code in _FATAL:
                raise
            self._note(error, where)
        except BROKEN as error:
            self._note(errors.misfit(f"{layer.type}: {error}"), where)
        self._bind(layer, results, where)

    def _note(self, error: MconvError, where: str) -> None:
        kind = UnreadableError if isinstance(error, UnreadableError) else UnsupportedError
        placed = [p if p.where else Problem(p.code, p.what, where, p.types, p.hint) for p in error.problems]
        self.problems.add(kind, placed)

    def _bottoms(self, layer: Layer, where: str) -> list[Value] | None:
        """The values that a layer reads; None where one could not be made, whose cause has been noted."""
        values = []
        for name in layer.bottoms:
            if name not in self._values:
                raise errors.wiring(f"nobody makes blob '{name}' before it is read", where)
            self._read.add(name)
            values.append(self._values[name])
        present = [v for v in values if v is not None]
        return present if len(present) == len(values) else None

    def _handled(self, layer: Layer, bottoms: list[Value]) -> list[Value]:
        schema.check(layer.message, layer.kind, self.net.file)
        handler = HANDLERS.get(layer.type)
        assert handler is not None
        node = CaffeNode(layer, bottoms, self)
        found = handler.function(node, self.b)
        self._check_fields(node, handler)
        results = [found] if isinstance(found, Value) else list(found)
        if len(results) < len(layer.tops):
            raise errors.misfit(f"{layer.type} makes {len(results)} tops, not {len(layer.tops)}")
        for name, value in zip(layer.tops, results, strict=False):
            _check_size(value.type, f"blob '{name}'")
        return results

    def _check_fields(self, node: CaffeNode, handler: Handler) -> None:
        for field in node.fields.unread():
            if field.name not in IGNORED and field.name not in handler.ignores:
                what = f"{node.type}'s field {field.name} is not understood"
                raise errors.not_understood(what, f"{self.net.file}:{field.line}:{field.column}")

    def _bind(self, layer: Layer, results: Sequence[Value] | None, where: str) -> None:
        seen: set[str] = set()
        for index, name in enumerate(layer.tops):
            if name in seen or (name in self._values and name not in layer.bottoms):
                self._note(errors.wiring(f"blob '{name}' is made twice", where), where)
                continue
            seen.add(name)
            if name in self._values:  # in place: what comes after reads the new content
                self._read.discard(name)
                del self._values[name]  # it stands among the outputs where it was made last
            value = None if results is None else results[index]
            self._values[name] = value
            self._name(value, name)

    def _name(self, value: Value | None, name: str) -> None:
        """The blob's name for its value, as long as that has none yet: Split and Dropout make no new one."""
        if value is not None and value.producer is not None and value not in self._owned:
            self._owned.add(value)
            self.b.graph.rename(value, name)


def _check_size(type: TensorType, what: str, where: str = "") -> None:
    known = 1
    for dim in type.shape:
        if isinstance(dim, int) and dim < 0:
            raise errors.misfit(f"{what} has {dim} elements along an axis", where)
        known *= dim if isinstance(dim, int) else 1
    if known > MOST_ELEMENTS:
        raise errors.too_large(f"{what} has more than {MOST_ELEMENTS} elements", where)


def _data_shape(layer: Layer, top: str, net: Net) -> tuple[int, ...] | None:
    """The sizes of what a data layer loads, where it says them all."""
    for name in ("memory_data_param", "dummy_data_param"):
        param = layer.param(name)
        if param is None or layer.kind != "LayerParameter":
            continue
        shapes = param.all("shape")
        index = layer.tops.index(top)
        if shapes:
            return shape_of(shapes[min(index, len(shapes) - 1)].value, net.file)
        kind = schema.spec_of("LayerParameter", name).type
        names = ("batch_size" if name == "memory_data_param" else "num", "channels", "height", "width")
        found = [[int(schema.value_of(f, schema.spec_of(kind, n), net.file)) for f in param.all(n)] for n in names]
        if all(found):
            return tuple(each[min(index, len(each) - 1)] for each in found)
    return None


def _python(layer: Layer, file: str) -> str:
    """What a Python layer would run."""
    param = layer.param("python_param")
    names = []
    for name in ("module", "layer"):
        found = param.all(name) if param is not None else []
        if found and isinstance(found[0].value, Scalar):
            names.append(found[0].value.text)
    named = f" (Python: {'.'.join(names)})" if names else ""
    return f"layer '{layer.name}' is code in Python{named}, which is not run"
