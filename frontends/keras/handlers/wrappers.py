"""Layers around one other layer."""

from __future__ import annotations

from mconv.ir import Builder, Symbol, Value, ops
from mconv.ir.types import Dim

from .. import errors
from ..config import Layer
from ..node import KerasNode
from ..registry import keras
from ..weights import Slots, SlotsOf


def _wrapped_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    inner = layer.inner.get("layer", [])
    own = (("vector_u", False),) if layer.cls == "SpectralNormalization" else ()
    return Slots(own, (("layer", slots_of(inner[0])),) if inner else ())


def _inner(n: KerasNode) -> Layer:
    n.settings.get("layer")
    inner = n.layer.inner.get("layer", [])
    if len(inner) != 1:
        raise errors.misfit(f"{n.settings.what} is around no layer")
    return inner[0]


@keras("TimeDistributed", weights=_wrapped_slots, mask="pass")
def time_distributed(n: KerasNode, g: Builder) -> list[Value | None]:
    """TimeDistributed: steps become part of the batch, and come back from it."""
    inner, x = _inner(n), n.only()
    if x.type.rank < 3:
        raise errors.misfit(f"{n.settings.what} of {x.type}")
    batch, steps, *rest = x.type.shape
    if any(isinstance(d, Symbol) for d in rest):
        raise errors.needs_static(f"the sizes of a step of {n.settings.what}")
    flat = g.add(ops.Reshape((-1, *(d for d in rest if isinstance(d, int)))), x)
    found = n.translation.apply(inner, [flat], {})
    return [None if y is None else _restored(n, g, y, x, batch, steps) for y in found]


def _restored(n: KerasNode, g: Builder, y: Value, x: Value, batch: Dim, steps: Dim) -> Value:
    """y [batch * steps, ...] as [batch, steps, ...]."""
    tail = y.type.shape[1:]
    if any(isinstance(d, Symbol) for d in tail):
        raise errors.needs_static(f"the sizes that {n.settings.what} makes")
    sizes = [d for d in tail if isinstance(d, int)]
    if isinstance(steps, int):
        return g.add(ops.Reshape((batch if isinstance(batch, int) else -1, steps, *sizes)), y)
    if isinstance(batch, int):
        return g.add(ops.Reshape((batch, -1, *sizes)), y)
    front = g.add(ops.Slice((0,), (2,), (0,), (1,)), g.add(ops.Shape(), x))
    whole = g.add(ops.Concat(0), front, g.constant(sizes)) if sizes else front
    return g.add(ops.Reshape(None), y, whole)


@keras("SpectralNormalization", weights=_wrapped_slots, ignores={"power_iterations": "of training"})
def spectral_normalization(n: KerasNode, g: Builder) -> list[Value | None]:
    """SpectralNormalization, which scales weights while a model is trained."""
    return n.translation.apply(_inner(n), [n.only()], {})


@keras("Wrapper", weights=_wrapped_slots, mask="pass")
def wrapper(n: KerasNode, g: Builder) -> Value:
    """Wrapper by itself calls nothing."""
    raise errors.form(f"{n.settings.what}, which says nothing of what it does")
