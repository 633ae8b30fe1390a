"""ChaCha20-Poly1305 of RFC 8439 over numpy arrays: the standard's bytes, a hundred million of them a second.

Many blocks are computed at once, one to an element of each array. Times depend on the data's size only as far as
numpy's do; this side runs on the developer's machine, where nobody measures it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

Words = np.ndarray[Any, np.dtype[np.uint32]]
Limbs = list[np.ndarray[Any, np.dtype[np.uint64]]]

PIECE = 1 << 20
"""Bytes that are worked on at once: small enough for the arrays to stay in the cache."""

_START = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)
_LANES = 1 << 13
_PRIME = (1 << 130) - 5
_CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
_MASK = np.uint64((1 << 26) - 1)
_LIMB = np.uint64(26)


def keystream(key: bytes, nonce: bytes, first: int, blocks: int) -> Words:
    """uint32[blocks, 16]: the blocks of section 2.3 with the counters ``first``, ``first`` + 1, ..."""
    start = [*_START, *np.frombuffer(key, "<u4").tolist(), 0, *np.frombuffer(nonce, "<u4").tolist()]
    counters = (np.arange(blocks, dtype=np.uint64) + np.uint64(first)).astype(np.uint32)
    x = np.empty((16, blocks), np.uint32)
    x[:] = np.array(start, np.uint32)[:, None]
    x[12] = counters
    spare = np.empty(blocks, np.uint32)
    rows = list(x)
    for _ in range(10):
        for column in range(4):
            _quarter(rows, column, 4 + column, 8 + column, 12 + column, spare)
        for column in range(4):
            b, c, d = ((column + step) % 4 for step in (1, 2, 3))
            _quarter(rows, column, 4 + b, 8 + c, 12 + d, spare)
    x += np.array(start, np.uint32)[:, None]
    x[12] += counters
    return np.ascontiguousarray(x.T)


def _quarter(rows: list[Words], a: int, b: int, c: int, d: int, spare: Words) -> None:
    """The quarter round of section 2.1, in place."""
    for into, add, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        np.add(rows[into], rows[add], out=rows[into])
        np.bitwise_xor(rows[turned], rows[into], out=rows[turned])
        np.right_shift(rows[turned], 32 - bits, out=spare)
        np.left_shift(rows[turned], bits, out=rows[turned])
        np.bitwise_or(rows[turned], spare, out=rows[turned])


def encrypted(pieces: Iterable[bytes], key: bytes, nonce: bytes) -> Iterator[bytes]:
    """Each piece XOR the keystream, from block 1 on; all pieces but the last are whole blocks of 64 bytes."""
    counter = 1
    for piece in pieces:
        blocks = -(-len(piece) // 64)
        stream = keystream(key, nonce, counter, blocks).view(np.uint8).reshape(-1)[: len(piece)]
        yield (np.frombuffer(piece, np.uint8) ^ stream).tobytes()
        counter += blocks


class Poly1305:
    """The authenticator of section 2.5, fed in pieces; each piece is padded with zeros to 16 bytes, as the AEAD wants.

    A large piece is summed in lanes: lane i takes every n-th block and multiplies by r^n, and the lanes' sums are
    joined with r^(n - i). Numbers lie in five limbs of 26 bits.
    """

    def __init__(self, key: bytes) -> None:
        self._r = int.from_bytes(key[:16], "little") & _CLAMP
        self._pad = int.from_bytes(key[16:32], "little")
        self._sum = 0
        self._far = _limbs(pow(self._r, _LANES, _PRIME))
        weights = [1]
        for _ in range(_LANES):
            weights.append(weights[-1] * self._r % _PRIME)
        self._powers = weights[:0:-1]
        """r^n, ..., r^1."""

    def update(self, piece: bytes) -> None:
        """The blocks of one piece."""
        whole = len(piece) // (16 * _LANES) * (16 * _LANES)
        if whole:
            words = np.frombuffer(piece, "<u8", whole // 8).reshape(-1, _LANES, 2)
            lanes = self._in_lanes(words)
            self._sum = self._sum * pow(self._r, whole // 16, _PRIME) % _PRIME
            for value, power in zip(lanes, self._powers, strict=True):
                self._sum += value * power
            self._sum %= _PRIME
        rest = memoryview(piece)[whole:]
        for at in range(0, len(rest), 16):
            block = int.from_bytes(rest[at : at + 16], "little") | 1 << 128
            self._sum = (self._sum + block) * self._r % _PRIME

    def _in_lanes(self, words: np.ndarray[Any, np.dtype[np.uint64]]) -> list[int]:
        """For each lane the sum over its blocks of block * r^(n * blocks that follow in the lane)."""
        total: Limbs = [np.zeros(_LANES, np.uint64) for _ in range(5)]
        for step, (low, high) in enumerate(zip(words[:, :, 0], words[:, :, 1], strict=True)):
            if step:
                total = self._times_far(total)
            total[0] += low & _MASK
            total[1] += (low >> _LIMB) & _MASK
            total[2] += (low >> np.uint64(52) | high << np.uint64(12)) & _MASK
            total[3] += (high >> np.uint64(14)) & _MASK
            total[4] += high >> np.uint64(40) | np.uint64(1 << 24)
        columns = [limb.tolist() for limb in total]
        return [a + (b << 26) + (c << 52) + (d << 78) + (e << 104) for a, b, c, d, e in zip(*columns, strict=True)]

    def _times_far(self, total: Limbs) -> Limbs:
        """``total`` * r^n, carried so that limbs keep under 27 bits."""
        far = self._far
        made: Limbs = []
        for k in range(5):
            limb = total[0] * far[k]
            for i in range(1, 5):
                # a limb above the fifth counts 2^130 = 5
                limb += total[i] * (far[k - i] if i <= k else far[k - i + 5] * np.uint64(5))
            made.append(limb)
        for k in (0, 1, 2, 3, 4, 0):
            carry = made[k] >> _LIMB
            made[k] &= _MASK
            made[(k + 1) % 5] += carry * np.uint64(5) if k == 4 else carry
        return made

    def tag(self) -> bytes:
        """The 16 bytes."""
        return ((self._sum + self._pad) % (1 << 128)).to_bytes(16, "little")


def _limbs(number: int) -> list[np.uint64]:
    return [np.uint64(number >> 26 * i & ((1 << 26) - 1)) for i in range(5)]


def sealed(pieces: Iterable[bytes], key: bytes, nonce: bytes, extra: bytes) -> Iterator[bytes]:
    """The ciphertext of section 2.8, piece by piece, then its tag. Pieces are whole blocks of 64 bytes but the last."""
    poly = Poly1305(keystream(key, nonce, 0, 1).tobytes())
    poly.update(extra)
    size = 0
    for piece in encrypted(pieces, key, nonce):
        poly.update(piece)
        size += len(piece)
        yield piece
    poly.update(len(extra).to_bytes(8, "little") + size.to_bytes(8, "little"))
    yield poly.tag()
