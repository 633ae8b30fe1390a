"""The weights that layers ask for: those of the .caffemodel, or random ones of a sane scale."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from mconv.ir import Problem
from mconv.ir.types import Array

from . import errors
from .caffemodel import Blob
from .net import Layer, Net, text_of
from .prototxt import Message

MOST_RANDOM = 1 << 30
"""Random numbers that are made for one net."""
MOST_TOLD = 8
"""Layers whose blobs do not fit that are told one by one."""


class Weights:
    """Gives layers their blobs. What does not fit is collected, so that all of it is told at once."""

    def __init__(self, net: Net, blobs: Mapping[str, Sequence[Blob]] | None, seed: int | None, source: str) -> None:
        self.net, self.source = net, source
        self._blobs, self._seed = blobs, seed
        self._made = 0
        self.misfits: list[Problem] = []
        self.used: dict[tuple[str, int], Array] = {}
        """What was given out, by layer and place: what a .caffemodel with random weights would hold."""

    def count(self, layer: Layer) -> int | None:
        """How many blobs the .caffemodel has for a layer; None where weights are random or the layer is not there."""
        found = None if self._blobs is None else self._blobs.get(layer.name)
        return None if found is None else len(found)

    def get(self, layer: Layer, index: int, shape: Sequence[int], role: str) -> Array:
        """Blob ``index`` of a layer, f32 in this shape.

        ``role`` says what random numbers would be like: weight, bias, slope, scale, mean, variance or factor.
        Raises UsageError MC235 where there are no weights; where they do not fit, zeros are given and it is noted.
        """
        if min(shape, default=1) < 0 or math.prod(shape) >= 2**31:
            raise errors.too_large(f"weights of sizes {list(shape)}")
        if self._blobs is not None:
            array = self._stored(layer, index, tuple(shape))
        elif self._seed is not None:
            array = self._random(layer, index, tuple(shape), role)
        else:
            raise errors.no_weights(f"there are no weights: {self.source} is not there")
        self.used[layer.name, index] = array
        return array

    def _stored(self, layer: Layer, index: int, shape: tuple[int, ...]) -> Array:
        assert self._blobs is not None
        blobs = self._blobs.get(layer.name, ())
        if index < len(blobs):
            blob = blobs[index]
            if _bare(blob.shape) == _bare(shape):
                return blob.data.astype(np.float32, copy=False).reshape(shape)
            found = str(list(blob.shape))
        else:
            found = f"{len(blobs)} blobs" if blobs else "nothing under that name"
        what = f"layer '{layer.name}': blob {index} should be {list(shape)}, and {self.source} has {found}"
        self.misfits.append(errors.misfit_problem(what, self.net.where(layer)))
        return np.broadcast_to(np.float32(0), shape)

    def told(self) -> list[Problem]:
        """The misfits, the first few one by one."""
        if len(self.misfits) <= MOST_TOLD:
            return self.misfits
        more = len(self.misfits) - MOST_TOLD
        layers = sorted({p.where for p in self.misfits[MOST_TOLD:]})[:4]
        rest = errors.misfit_problem(f"{more} more blobs of {self.source} do not fit", "; ".join(layers))
        return [*self.misfits[:MOST_TOLD], rest]

    def _random(self, layer: Layer, index: int, shape: tuple[int, ...], role: str) -> Array:
        size = math.prod(shape)
        self._made += size
        if self._made > MOST_RANDOM:
            raise errors.too_large(f"the net has more than {MOST_RANDOM} weights")
        assert self._seed is not None
        name = _shared_name(layer, index, self.net.file) or f"{layer.name}/{index}"
        chance = np.random.default_rng([self._seed, zlib.crc32(name.encode()), size])
        return _numbers(chance, shape, role)


def _numbers(chance: np.random.Generator, shape: tuple[int, ...], role: str) -> Array:
    """Random numbers with which values neither vanish nor grow over many layers."""
    normal = chance.standard_normal
    if role == "weight":
        inputs = max(1, math.prod(shape[1:]))
        return normal(shape, dtype=np.float32) * np.float32(math.sqrt(2 / inputs))
    if role in ("bias", "mean"):
        return normal(shape, dtype=np.float32) * np.float32(0.1)
    if role == "factor":
        return np.ones(shape, np.float32)  # the statistics are meant as they are
    low, high = {"slope": (0.1, 0.4), "scale": (0.8, 1.2), "variance": (0.5, 1.5)}[role]
    return chance.uniform(low, high, shape).astype(np.float32)


def _shared_name(layer: Layer, index: int, file: str) -> str:
    """The name under which several layers share a blob, '' where it has none."""
    params = layer.message.all("param")
    if index >= len(params) or not isinstance(params[index].value, Message):
        return ""
    name = text_of(params[index].value, "ParamSpec", "name", file)
    return f"shared {name}" if name else ""


def _bare(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without the ones in front: old files hold all blobs with four sizes."""
    sizes = tuple(shape)
    while sizes and sizes[0] == 1:
        sizes = sizes[1:]
    return sizes
