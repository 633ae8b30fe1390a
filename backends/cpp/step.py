"""What a network consists of once it is lowered: steps, and weights that are prepared when a model is created."""

from __future__ import annotations

from collections.abc import Mapping

from mconv.ir import Node
from mconv.ir.record import Record

from .view import BLOCK, Buffer, View


class Source(Record):
    """An image that a step reads: row y of the result needs rows y * stride - pad to y * stride - pad + span - 1."""

    view: View
    rows: int
    stride: int = 1
    pad: int = 0
    span: int = 1

    def needed(self, begin: int, end: int) -> tuple[int, int]:
        """The rows [low, high) that result rows [begin, end) read, as far as they are there."""
        low = max(begin * self.stride - self.pad, 0)
        return min(low, self.rows), max(min((end - 1) * self.stride - self.pad + self.span, self.rows), 0)


class Rows(Record):
    """How a step computes rows of its result from those of ``x``. Without ``sources`` it can compute all of them only.

    ``residual`` is read at the result's own rows. In the step's text stand $y0 and $y1 for the rows to compute; for x,
    the result and the residual $xs, $ys, $rs for the elements from block to block, and $xring, $yring, $rring for the
    rows that the buffer keeps (0: all).
    """

    rows: int
    result: View
    x: View
    sources: tuple[Source, ...] = ()
    residual: View | None = None

    def reads(self) -> tuple[Source, ...]:
        """Everything that is read row by row."""
        if self.residual is None:
            return self.sources
        return (*self.sources, Source(self.residual, self.rows))

    def filled(self, text: str, rings: Mapping[Buffer, int], begin: str, end: str) -> str:
        """The step's text for these rings and rows."""
        for letter, view in (("x", self.x), ("y", self.result), ("r", self.residual)):
            ring = 0 if view is None else rings.get(view.buffer, 0)
            stride = 0 if view is None else block_stride(view, ring) if ring else _stride(view)
            text = text.replace(f"${letter}ring", str(ring)).replace(f"${letter}s", str(stride))
        return text.replace("$y0", begin).replace("$y1", end)


def _stride(view: View) -> int:
    return 0 if view.block is None else view.block_stride


def block_stride(view: View, rows: int) -> int:
    """Elements between the blocks of an image of which ``rows`` rows are kept."""
    return rows * view.shape[3] * BLOCK


class Step(Record):
    """One call of a kernel (or a few that belong together).

    ``text`` is the body of its C++ function. ``reads`` and ``writes`` are the buffers it touches, ``scratch`` the bytes
    that each worker needs beside. ``node`` is what it computes, ``covers`` the further nodes fused into it.
    """

    text: str
    reads: tuple[Buffer, ...]
    writes: tuple[Buffer, ...]
    scratch: int = 0
    node: Node | None = None
    what: str = ""
    covers: tuple[Node, ...] = ()
    flops: int = 0
    stream: Rows | None = None
    """How it can compute a range of rows ; None where it cannot."""


class Prepared(Record):
    """Weights in another form, made from those in the blob when a model is created: ``text`` calls what makes them."""

    buffer: Buffer
    source: Buffer
    text: str
