"""What a body of control flow reads of the graph around it: constants are copied, the rest comes in as more inputs."""

from __future__ import annotations

from mconv.ir import Builder, Value

from . import errors
from .items import Item, LoopList, TensorList


class Captures:
    """The values of an outer graph that the graph of ``builder`` takes as its last inputs, in order."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.values: list[Value] = []
        self._inside: dict[Value, Value] = {}

    def take(self, item: Item) -> Item:
        """An item of the outer graph as one of the inner."""
        if isinstance(item, Value):
            return self.value(item)
        if isinstance(item, TensorList):
            stack = None if item.stack is None else self.value(item.stack)
            return TensorList(item.dtype, item.element, self.value(item.size), stack)
        if isinstance(item, LoopList):
            raise errors.loop("a list that a loop writes to is also handled by control flow inside of it")
        return item

    def value(self, value: Value) -> Value:
        """A value of the outer graph as one of the inner."""
        if value not in self._inside:
            graph = self.builder.graph
            if value.data is not None:
                self._inside[value] = graph.add_constant(value.data, value.name)
            else:
                self._inside[value] = graph.add_input(self._free(value.name), value.type)
                self.values.append(value)
        return self._inside[value]

    def _free(self, name: str) -> str:
        """A name that no value of the inner graph has."""
        found, count = f"outer_{name}", 0
        while True:
            try:
                self.builder.graph.value(found)
            except KeyError:
                return found
            found, count = f"outer_{name}_{count}", count + 1
