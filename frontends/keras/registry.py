"""Handlers: the functions that translate one class of layer (or operation of keras.ops) each, found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mconv.ir import Builder
from mconv.ir.record import NOTHING, Record

from ..handlers import Handlers
from . import legacy
from .config import Layer
from .weights import Slots, SlotsOf

if TYPE_CHECKING:
    from .node import KerasNode

Function = Callable[["KerasNode", Builder], Any]
"""Returns a Value, or a list of Values for layers with several results."""
WeightsOf = Callable[[Layer, SlotsOf], Slots]


class Handler(Record):
    """A translation. ``weights`` tells a layer's variables; ``ignores`` maps settings that do not matter to why.

    ``mask`` says what becomes of a mask: 'pass' hands it on, 'stop' drops it as Keras does (with a warning), 'read'
    leaves it to the handler.
    """

    function: Function
    weights: WeightsOf | None
    ignores: Mapping[str, str] = NOTHING
    mask: str = "stop"


_PACKAGE = "mconv.frontends.keras.handlers"
LAYERS, OPERATIONS = Handlers[Handler](_PACKAGE), Handlers[Handler](_PACKAGE)


def keras(
    *names: str, weights: WeightsOf | None = None, ignores: Mapping[str, str] | None = None, mask: str = "stop"
) -> Callable[[Function], Function]:
    """Register a handler for one class of layers, or for several that are translated alike."""

    def register(function: Function) -> Function:
        LAYERS.enter(names, Handler(function, weights, ignores or {}, mask))
        return function

    return register


def operation(*names: str, ignores: Mapping[str, str] | None = None) -> Callable[[Function], Function]:
    """Register a handler for one operation of keras.ops, or for several that are translated alike."""

    def register(function: Function) -> Function:
        OPERATIONS.enter(names, Handler(function, None, ignores or {}))
        return function

    return register


def handler_of(layer: Layer) -> Handler | None:
    """The handler of a layer or operation, or None."""
    return (OPERATIONS if layer.operation else LAYERS).get(layer.cls)


def slots_reader(version: int) -> SlotsOf:
    """The function that tells the variables of a layer written by one version of Keras."""

    def slots_of(layer: Layer) -> Slots:
        found = Slots()
        handler = handler_of(layer)
        old = legacy.gates(layer.cls) if version == 1 else None
        if old is not None:
            found = Slots(tuple((name, True) for name in old))
        elif layer.network is not None:
            inner = [item for item in layer.network.layers.values() if item.address]
            found = Slots((), tuple((item.address[len(layer.address) + 1 :], slots_of(item)) for item in inner))
        elif handler is not None and handler.weights is not None:
            found = handler.weights(layer, slots_of)
        return found if layer.trainable else found.replace(frozen=True)

    return slots_of
