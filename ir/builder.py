"""Adds operators to a graph: infers types, follows shape arithmetic, turns known operands into attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .contents import content_of, follow, has_rule, is_number
from .graph import NOWHERE, Graph, Node, Origin, Value
from .op import Op
from .types import Array, DType, TensorType

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Builder"]


class Builder:
    """Appends to ``graph``. ``origin`` is given to every node added until it is set anew.

    ``at`` is the node in whose place the added ones stand in the graph's order (a rewrite's root).
    """

    def __init__(self, graph: Graph | None = None) -> None:
        self.graph = graph if graph is not None else Graph()
        self.origin: Origin = NOWHERE
        self.at: Node | None = None
        self._contents: dict[Value, Array] = {}

    def input(self, name: str, dtype: DType, shape: Sequence[object]) -> Value:
        """Add an input of the graph; ``shape`` holds integers and Symbols."""
        return self.graph.add_input(name, TensorType(dtype, tuple(shape)))  # type: ignore[arg-type]

    def constant(self, data: ArrayLike, dtype: DType | None = None, name: str = "c") -> Value:
        """A constant; Python floats become f32 and integers i64 unless ``dtype`` says otherwise."""
        array = np.asarray(data, dtype=None if dtype is None else dtype.numpy)
        if dtype is None and not isinstance(data, np.ndarray | np.generic) and array.dtype == np.float64:
            array = array.astype(np.float32)
        return self.graph.add_constant(array, name)

    def output(self, value: Value, name: str) -> None:
        """Return ``value`` from the graph under ``name``."""
        self.graph.add_output(value, name)

    def add(self, op: Op, *operands: Value | None, name: str = "", result_names: Sequence[str] = ()) -> Value:
        """Add an operator with one result (or of which only the first matters) and return that."""
        return self.add_all(op, *operands, name=name, result_names=result_names)[0]

    def add_all(
        self, op: Op, *operands: Value | None, name: str = "", result_names: Sequence[str] = ()
    ) -> tuple[Value, ...]:
        """Add an operator and return all its results.

        Shape arithmetic whose operands are known becomes a constant at once, without a node.
        Raises TypeMismatch where the operands do not fit.
        """
        op, operands = self._absorb(op, operands)
        types = tuple(None if v is None else v.type for v in operands)
        found = self._follow(op, operands, types)
        if found is not None and all(is_number(content) for content in found):
            dtypes = [t.dtype for t in op.infer(*types, *(None,) * (len(op.operands()) - len(types)))]
            stem = (result_names[0] if result_names else "") or name or type(op).__name__.lower()
            return tuple(
                self.graph.add_constant(np.array(content.tolist(), dtype=d.numpy).reshape(content.shape), stem)
                for content, d in zip(found, dtypes, strict=True)
            )
        node = self.graph.add(op, operands, name=name, result_names=result_names, origin=self.origin, at=self.at)
        if found is not None:
            self._contents.update(zip(node.results, found, strict=True))
        if type(op).refine is not Op.refine:
            self._refine(node)
        return node.results

    def content(self, value: Value) -> Array | None:
        """What is known of a small tensor, as an object array of numbers and Symbols; else None."""
        return self._contents.get(value) if value.data is None else content_of(value.data)

    def _follow(
        self, op: Op, operands: Sequence[Value | None], types: tuple[TensorType | None, ...]
    ) -> tuple[Array, ...] | None:
        if not has_rule(op):
            return None
        return follow(op, types, [None if v is None else self.content(v) for v in operands])

    def _refine(self, node: Node) -> None:
        contents = [None if v is None else self.content(v) for v in node.operands]
        types = node.op.refine(node.operand_types, contents, [v.type for v in node.results])
        for value, type in zip(node.results, types, strict=True):
            if type != value.type:
                self.graph.set_type(value, type)

    def _absorb(self, op: Op, operands: tuple[Value | None, ...]) -> tuple[Op, tuple[Value | None, ...]]:
        result = list(operands)
        for index, place in enumerate(op.operands()):
            value = result[index] if index < len(result) else None
            if not place.attribute or value is None:
                continue
            content = value.data if value.data is not None else self._contents.get(value)
            if content is None:
                continue
            types = tuple(None if v is None else v.type for v in operands)
            absorbed = op.absorb(place.name, content, types)
            if absorbed is not None:
                op, result[index] = absorbed, None
        while result and result[-1] is None:
            result.pop()
        return op, tuple(result)
