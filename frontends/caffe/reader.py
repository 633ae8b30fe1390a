"""A Caffe net as a graph of the intermediate representation."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path

from mconv.ir import Graph, Shape

from . import caffemodel, errors
from .inference import reduce
from .net import Net, net_of
from .prototxt import MAX_BYTES, parse
from .translate import BROKEN, Translation
from .weights import Weights


def read(
    path: Path,
    *,
    input_shapes: Mapping[str, Shape] | None = None,
    dims: Mapping[str, int] | None = None,
    weights: Path | None = None,
    random_weights: int | None = None,
) -> Graph:
    """Read ``path``, a .prototxt or the .caffemodel beside it, as the net that runs in phase TEST.

    The weights are ``weights``, or the .caffemodel of the same stem, or random (deterministic, by the seed). Inputs and
    outputs have their blobs' names; ``input_shapes`` gives inputs other sizes. Raises UsageError, UnreadableError
    (MC230 to MC239) or UnsupportedError, which tells everything in the net that cannot be expressed.
    """
    for name in dims or {}:
        raise errors.no_such_dimension(name)
    graph, _ = translated(Path(path), input_shapes or {}, weights, random_weights)
    return graph


def translated(
    path: Path, shapes: Mapping[str, Shape], weights: Path | None = None, seed: int | None = None
) -> tuple[Graph, Weights]:
    """The graph of a net, and the weights that it was given."""
    if path.suffix == ".caffemodel":
        path, weights = _beside(path), weights or path
    net = net_in(path)
    stored = weights if weights is not None else path.with_suffix(".caffemodel")
    given = weights is not None or (seed is None and stored.is_file())
    blobs = caffemodel.load(stored) if given else None
    source = Weights(net, blobs, seed, stored.name)
    try:
        return Translation(net, reduce(net), source, shapes).graph(), source
    except BROKEN as error:  # outside of any single layer
        raise errors.misfit(f"{path.name} is unsound: {error}") from error


def net_in(path: Path) -> Net:
    """The net of a .prototxt, checked but not reduced."""
    return net_of(parse(_text(path), path.name), path.name)


def _beside(path: Path) -> Path:
    prototxt = path.with_suffix(".prototxt")
    if not prototxt.is_file():
        raise errors.no_prototxt(
            f"{path.name} holds weights; {prototxt.name}, which says what the net is, is not there"
        )
    return prototxt


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise errors.too_large(f"{path.name} has more than {MAX_BYTES >> 20} MB")
        data = path.read_bytes()
    except OSError as error:
        raise errors.not_text(f"{path.name} cannot be opened: {error.strerror}") from None
    if b"\0" in data:
        raise errors.not_text(f"{path.name} is no text")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # comments in other encodings; names in them are told as they come
