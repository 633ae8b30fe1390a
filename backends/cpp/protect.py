"""Protection of the weights: sealing, the order and gaps that tell one build from another, keys.

Sealed weights are one ChaCha20-Poly1305 (RFC 8439) over the whole blob, nothing of our own making::

    nonce[12] | trace[20] | ciphertext | tag[16]

The trace is the build's mark and is authenticated with the weights. One tag over everything: no part can be changed,
cut off, moved, or taken from another build. The nonce is a keyed BLAKE2b of trace and plaintext (a synthetic nonce, as
in SIV): the same input gives the same bytes, and a nonce can repeat under one key only for the same plaintext, whose
ciphertext is then the same too and tells nothing new.

The seed of a build belongs to the developer: it stays in map.json and is not part of what is shipped. From it follow
the order of the weights in the blob and the gaps between them, whose content looks like weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir.errors import Problem, UsageError
from mconv.ir.record import Record
from mconv.ir.types import Array

from ..base import Chunk
from .chacha import PIECE, keystream, sealed

KEY_BYTES = 32
HEAD = 32
OVERHEAD = 48
"""Bytes that sealing adds: nonce, trace, tag."""


class Build(Record):
    """One build of one model; ``seed`` (32 bytes) tells it from others and is the developer's secret."""

    seed: bytes

    @property
    def trace(self) -> bytes:
        """20 bytes that stand in the sealed weights and lead back to the seed, but not to what follows from it."""
        return _hash(self.seed, b"trace", 20)

    def mark(self, index: int, size: int) -> bytes:
        """The content of a gap: floats of the sizes that weights have, ``size`` bytes of them (a multiple of 4)."""
        words = _random(self, f"gap {index}", size // 4).astype(np.uint32)
        exponent = 118 + (words >> 23) % 6  # magnitudes from 2^-9 to 2^-3
        return (words & 0x807FFFFF | exponent << 23).astype("<u4").tobytes()

    def as_json(self, gaps: int) -> dict[str, Any]:
        """For map.json, which `mconv attack --trace` reads."""
        return {"seed": self.seed.hex(), "trace": self.trace.hex(), "gaps": gaps}


class Placement(Record):
    """Where arrays lie in the blob: ``offsets`` in the order in which they were given, ``order`` as they lie.

    ``gaps`` are (offset, bytes) of what lies between; a gap of the build's marks is one of index 0, 1, ...
    """

    offsets: tuple[int, ...]
    order: tuple[int, ...]
    gaps: tuple[tuple[int, int], ...]
    size: int


def _hash(key: bytes, label: bytes, size: int, chunks: Iterable[Chunk] = ()) -> bytes:
    """BLAKE2b keyed with ``key``; the label keeps the uses of one key apart."""
    import hashlib

    state = hashlib.blake2b(key=key, digest_size=size, person=label)
    for chunk in chunks:
        state.update(chunk)
    return state.digest()


def build_from(seed: str | None, content: Iterable[Chunk]) -> Build:
    """The build of a seed and of a model, whose weights ``content`` are.

    Without a seed it follows from the content alone: the same model gives the same bytes, and all copies of it are
    one build. A seed for each customer makes copies that can be told apart.
    """
    label = b"" if seed is None else seed.encode()
    key = _hash(b"", b"seed", 32, (label,)) if seed is not None else b""
    return Build(_hash(key, b"build", 32, content))


def _random(build: Build, label: str, count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """``count`` numbers of 64 bits, the same for the same build and label on every machine."""
    key = _hash(build.seed, b"random", 32, (label.encode(),))
    return keystream(key, bytes(12), 0, -(-count // 8)).view("<u8").reshape(-1)[:count]


def permutation(build: Build, label: str, n: int) -> Array:
    """int64[n]: an order of n things, for each label another."""
    return np.argsort(_random(build, f"order {label}", n), kind="stable").astype(np.int64)


def place(sizes: Sequence[int], build: Build | None, align: int = 64) -> Placement:
    """Offsets, multiples of ``align``, for arrays of these sizes (bytes).

    With a build they lie in its order, with a gap of one to four times ``align`` behind each; without one as they come.
    """
    count = len(sizes)
    order = range(count) if build is None else [int(i) for i in permutation(build, "blob", count)]
    lengths = [0] * count if build is None else [align * (1 + int(r % 4)) for r in _random(build, "gaps", count)]
    offsets, gaps, at = [0] * count, [], 0
    for place, index in enumerate(order):
        offsets[index] = at
        at += sizes[index]
        end = -(-at // align) * align + lengths[place]
        if end > at:
            gaps.append((at, end - at))
        at = end
    return Placement(tuple(offsets), tuple(order), tuple(gaps), at)


def laid_out(arrays: Sequence[Chunk], placement: Placement, build: Build | None) -> list[Chunk]:
    """The blob in pieces, as they follow each other: arrays in their order, gaps of marks (or of zeros) between."""
    pieces: list[Chunk] = []
    gaps = dict(placement.gaps)
    marks = 0
    for index in placement.order:
        array = memoryview(arrays[index])
        pieces.append(array.cast("B") if array.nbytes else b"")
        size = gaps.get(placement.offsets[index] + array.nbytes, 0)
        if size and build is not None:
            # up to the next multiple of 4 the gap holds zeros: a mark is a row of floats
            odd = size % 4
            pieces.append(bytes(odd) + build.mark(marks, size - odd))
            marks += 1
        elif size:
            pieces.append(bytes(size))
    return pieces


def seal(blob: Sequence[Chunk], key: bytes, build: Build) -> Iterator[bytes]:
    """The sealed blob, piece by piece. ``blob`` is walked twice: for the nonce, and to be encrypted."""
    _check(key, "the key")
    nonce = _hash(key, b"nonce", 12, (build.trace, *blob))
    yield nonce + build.trace
    yield from sealed(_in_pieces(blob), key, nonce, build.trace)


def _in_pieces(blob: Sequence[Chunk]) -> Iterator[bytes]:
    """The same bytes in pieces of PIECE bytes."""
    held = bytearray()
    for chunk in blob:
        view = memoryview(chunk)
        view = view.cast("B") if view.nbytes else view
        at = 0
        while at < view.nbytes:
            take = min(PIECE - len(held), view.nbytes - at)
            held += view[at : at + take]
            at += take
            if len(held) == PIECE:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)


def new_key() -> bytes:
    """32 random bytes from the system."""
    import secrets

    return secrets.token_bytes(KEY_BYTES)


def read_key(path: Path) -> bytes:
    """The key in a file: 32 bytes, or 64 hexadecimal digits. Raises UsageError (MC127)."""
    try:
        with path.open("rb") as file:
            content = file.read(200)
    except OSError as error:
        hint = "`openssl rand 32 > FILE` makes one"
        raise UsageError(Problem("MC127", f"cannot read the key '{path}': {error.strerror}", hint=hint)) from error
    if len(content) != KEY_BYTES:
        try:
            content = bytes.fromhex(content.decode("ascii").strip())
        except ValueError:
            content = b""
    return _check(content, f"'{path}'")


def _check(key: bytes, what: str) -> bytes:
    if len(key) != KEY_BYTES:
        hint = "`openssl rand 32 > FILE` makes one"
        raise UsageError(Problem("MC127", f"{what} is not a key: 32 bytes, or 64 hexadecimal digits", hint=hint))
    if len(set(key)) < 8:
        raise UsageError(Problem("MC127", f"{what} is not random: of its 32 bytes only {len(set(key))} differ"))
    return key


def embedded_key_source(key: bytes, build: Build) -> str:
    """C++ of ``embedded_key(unsigned char key[32])`` for a key that travels in the program: obfuscation, no secret.

    Each word of the key is the sum and exclusive or of three shares, read through volatile so that no compiler puts
    them together beforehand. The shares lie in three arrays, each in an order of its own.
    """
    _check(key, "the key")
    count = KEY_BYTES // 4
    words = np.frombuffer(key, "<u4").astype(np.uint64)
    random = _random(build, "shares", 2 * count).astype(np.uint32).astype(np.uint64)
    first, second = random[:count], random[count:]
    third = (words ^ first) - second & np.uint64(0xFFFFFFFF)
    orders = [permutation(build, f"shares {i}", count) for i in range(3)]
    lines = ["static void embedded_key(unsigned char key[32]) {"]
    for name, share, order in zip("abc", (first, second, third), orders, strict=True):
        placed = np.empty(count, np.uint64)
        placed[order] = share
        values = ", ".join(f"0x{int(value):08x}u" for value in placed)
        lines.append(f"    static volatile const unsigned {name}[{count}] = {{{values}}};")
    lines.append(f"    unsigned words[{count}];")
    for i, (a, b, c) in enumerate(zip(*orders, strict=True)):
        lines.append(f"    words[{i}] = a[{a}] ^ (b[{b}] + c[{c}]);")
    return "\n".join([*lines, "    memcpy(key, words, 32);", "    wipe(words, sizeof words);", "}"]) + "\n"
