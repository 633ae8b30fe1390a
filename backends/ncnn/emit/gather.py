"""Gather: lookups in a constant table by Embed, constant indices by Crop."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mconv.ir import DType, Node, Value
from mconv.ir.ops import Gather
from mconv.ir.types import product

from ..backend import ncnn
from ..net import Blob, Net, Param, numbers
from ..shapes import around
from .movement import concat, cut, flip

MOST_PIECES = 64


def _is_lookup(node: Node) -> bool:
    assert isinstance(node.op, Gather)
    return node.inputs[0].data is not None and node.op.axis == 0


def _is_table(value: Value | None) -> bool:
    return value is not None and value.data is not None


def indices_that_ncnn_can_take(node: Node) -> bool | str:
    """the indices are constant, or an integer input of the model that only looks up rows of constant tables."""
    assert isinstance(node.op, Gather)
    x, indices = node.inputs
    if indices.data is not None:
        size = x.type.shape[node.op.axis]
        if not isinstance(size, int):
            return "the size of the axis must be known; fix it with --input-shape"
        places = [int(i) % size for i in indices.data.reshape(-1)]
        return True if len(_runs(places)) <= MOST_PIECES else f"its indices fall into {len(_runs(places))} pieces"
    if not _is_lookup(node) or not x.type.dtype.is_float:
        return "its indices are computed, and ncnn looks up rows of constant tables only"
    if indices.producer is not None:
        return "its indices are computed by the model, and ncnn's Embed reads integers, not floats"
    if indices.type.dtype not in (DType.I32, DType.I64):
        return f"its indices are {indices.type.dtype.value}"
    lookups = all(isinstance(reader.op, Gather) and _is_lookup(reader) for reader in indices.readers)
    return True if lookups else f"%{indices.name} is read as integers here and as numbers elsewhere"


@ncnn.emits(Gather, where=(indices_that_ncnn_can_take,))
def gather(node: Node, net: Net) -> None:
    """Embed, or pieces cut out and put together."""
    assert isinstance(node.op, Gather)
    x, indices = node.inputs
    if indices.data is None:
        _embed(node, net)
        return
    form = around(x.type.shape, node.op.axis)
    size = form[1]
    assert isinstance(size, int)
    blob = net.shaped(x, form)
    places = [int(i) % size for i in indices.data.reshape(-1)]
    pieces = [_piece(net, blob, run, size, number) for number, run in enumerate(_runs(places))]
    net.give(node.result, pieces[0] if len(pieces) == 1 else concat(net, pieces, 1))


def _embed(node: Node, net: Net) -> None:
    table, indices = node.inputs
    rows, *rest = table.type.static_shape
    width = math.prod(rest)
    count = product(indices.type.shape)
    params: dict[int, Param] = {0: width, 1: rows, 2: 0, 3: rows * width, 18: 0}
    weight = numbers(table.constant, tagged=True)
    net.note(f"'{indices.name}' is read as int32, not as floats: fill its Mat with int32 (ncnn's Embed wants them)")
    net.give(node.result, net.layer("Embed", [net.shaped(indices, (count,))], (count, width), params, [weight]))


def _runs(places: Sequence[int]) -> list[tuple[int, int, int]]:
    """Runs of places that follow one another: start, how many, and in steps of 1 or -1."""
    runs: list[tuple[int, int, int]] = []
    for place in places:
        if runs:
            start, count, step = runs[-1]
            if count == 1 and abs(place - start) == 1:
                runs[-1] = (start, 2, place - start)
                continue
            if count > 1 and place == start + count * step:
                runs[-1] = (start, count + 1, step)
                continue
        runs.append((place, 1, 1))
    return runs


def _piece(net: Net, x: Blob, run: tuple[int, int, int], size: int, number: int) -> Blob:
    start, count, step = run
    if step < 0:
        x = flip(net, x, (1,), suffix=f"flip{number}")
        start = size - 1 - start
    return cut(net, x, 1, start, start + count, suffix=f"piece{number}")
