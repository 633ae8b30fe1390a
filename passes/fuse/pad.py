"""Zero padding becomes the padding of the operator that reads it."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import AveragePool, Conv, Pad

from ..pattern import Match, pat
from ..rewrite import Add, rule


def _spatial(m: Match) -> tuple[int, ...]:
    pad = m.op(Pad)
    rank = m["x"].type.rank
    pads = pad.pads
    m.require(pads is not None and pad.mode == "constant" and pad.value == 0, "it does not pad with zeros")
    assert pads is not None
    m.require(min(pads) >= 0, "it crops")
    m.require(not any((*pads[:2], *pads[rank : rank + 2])), "it pads batch or channels")
    return (*pads[2:rank], *pads[rank + 2 :])


@rule(pat(Conv, pat(Pad, "x"), "w", "b"))
def fold_pad_into_conv(m: Match, add: Add) -> Value:
    """Conv(Pad(x)) with zeros is one Conv with larger pads."""
    op = m.op(Conv)
    pads = tuple(a + b for a, b in zip(op.pads, _spatial(m), strict=True))
    return add(op.replace(pads=pads), m["x"], m["w"], m.get("b"))


@rule(pat(AveragePool, pat(Pad, "x")))
def fold_pad_into_average_pool(m: Match, add: Add) -> Value:
    """AveragePool(Pad(x)) with zeros is one AveragePool that counts its padding."""
    op = m.op(AveragePool)
    pads = _spatial(m)
    m.require(not any(op.pads) or op.count_include_pad, "the pool's own padding is not counted")
    m.require(not op.ceil_mode, "windows beyond the edge are divided differently")
    joined = tuple(a + b for a, b in zip(op.pads, pads, strict=True))
    kernel = (*op.kernel, *op.kernel)
    m.require(all(p < k for p, k in zip(joined, kernel, strict=True)), "the padding is as large as the kernel")
    return add(op.replace(pads=joined, count_include_pad=True), m["x"])


PADS = (fold_pad_into_conv, fold_pad_into_average_pool)
