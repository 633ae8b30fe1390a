"""What a network consists of once it is lowered: steps, and weights that are prepared when a model is created."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mconv.ir import Node
from mconv.ir.record import Record

from .view import Buffer

if TYPE_CHECKING:
    from .stream import Rows


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
    """How it can compute a range of rows (``stream.Rows``); None where it cannot."""


class Prepared(Record):
    """Weights in another form, made from those in the blob when a model is created: ``text`` calls what makes them."""

    buffer: Buffer
    source: Buffer
    text: str
