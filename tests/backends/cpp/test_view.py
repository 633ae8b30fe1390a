"""Views against numpy: a chain of reshapes, transposes and slices leads to the elements that it does in numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mconv.backends.cpp.net import to_blocks
from mconv.backends.cpp.view import (
    BLOCK,
    Buffer,
    View,
    blocked_elements,
    blocked_strides,
    join,
    part,
    reshaped,
    row_major,
    transposed,
)
from mconv.ir import DType

SEEDS = range(150)


def read(view: View, memory: Any) -> Any:
    """The tensor that a view shows, element by element from its strides."""
    places = np.full(view.shape, view.offset)
    for axis, (size, stride) in enumerate(zip(view.shape, view.strides, strict=True)):
        steps = np.arange(size)
        along = steps // BLOCK * stride + steps % BLOCK if axis == view.block else steps * stride
        places = places + along.reshape([-1 if a == axis else 1 for a in range(len(view.shape))])
    return memory[places]


def fresh(shape: tuple[int, ...], block: int | None) -> tuple[View, Any, Any]:
    """A view of a new buffer, the buffer, and the tensor in it."""
    tensor = np.arange(1, math.prod(shape) + 1, dtype=np.float32).reshape(shape)
    memory = tensor.reshape(-1) if block is None else to_blocks(tensor, block)
    strides = row_major(shape) if block is None else blocked_strides(shape, block)
    buffer = Buffer("arena", memory.nbytes, 0)
    return View(buffer, DType.F32, shape, strides, 0, block), memory, tensor


def some_shape(random: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(n) for n in random.choice([1, 2, 3, 4, 5, 16, 20, 32, 48], int(random.integers(1, 5))))


def other_shape(shape: tuple[int, ...], random: np.random.Generator) -> tuple[int, ...]:
    """Another shape of as many elements: axes joined and split, ones put in."""
    axes = list(shape)
    for _ in range(int(random.integers(1, 4))):
        at = int(random.integers(len(axes)))
        kind = random.integers(3)
        if kind == 0 and at + 1 < len(axes):
            axes[at : at + 2] = [axes[at] * axes[at + 1]]
        elif kind == 1:
            factors = [f for f in (2, 3, 4, 5, 16) if axes[at] % f == 0]
            if factors:
                factor = int(random.choice(factors))
                axes[at : at + 1] = [axes[at] // factor, factor]
        else:
            axes.insert(at, 1)
    return tuple(axes)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_chain_of_views_shows_what_numpy_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = some_shape(random)
    block = None if random.random() < 0.3 else int(random.integers(len(shape)))
    view, memory, tensor = fresh(shape, block)
    np.testing.assert_array_equal(read(view, memory), tensor)
    for _ in range(4):
        kind, found = random.integers(3), None
        if kind == 0:
            perm = [int(a) for a in random.permutation(len(view.shape))]
            found, wanted = transposed(view, perm), tensor.transpose(perm)
        elif kind == 1:
            axis = int(random.integers(len(view.shape)))
            begin = int(random.integers(view.shape[axis]))
            size = int(random.integers(1, view.shape[axis] - begin + 1))
            found, wanted = part(view, axis, begin, size), tensor.take(range(begin, begin + size), axis)
        else:
            to = other_shape(view.shape, random)
            found, wanted = reshaped(view, to), tensor.reshape(to)
        if found is not None:
            view, tensor = found, wanted
            assert view.shape == tensor.shape
            np.testing.assert_array_equal(read(view, memory), tensor)
            check_images(view, memory, tensor)


def check_images(view: View, memory: Any, tensor: Any) -> None:
    """What ``images`` promises: where pixel p of image n has its channels, 16 by 16."""
    found = view.images()
    if found is None or view.block is None or view.channels % BLOCK:
        return
    images, apart, pixels = found
    moved = np.moveaxis(tensor, view.block, 0).reshape(view.channels, images, pixels)
    for image in range(images):
        for pixel in (0, pixels // 2, pixels - 1):
            for b in range(view.blocks):
                at = view.offset + image * apart + b * view.block_stride + pixel * BLOCK
                wanted = moved[b * BLOCK : (b + 1) * BLOCK, image, pixel]
                np.testing.assert_array_equal(memory[at : at + BLOCK], wanted)


def test_what_must_be_possible_is_possible() -> None:
    """Without these, layers would be copied: heads taken apart, tokens as images, whole blocks cut out."""
    tokens, memory, tensor = fresh((1, 10, 64), 2)
    heads = reshaped(tokens, (1, 10, 4, 16))
    assert heads is not None
    np.testing.assert_array_equal(read(heads, memory), tensor.reshape(1, 10, 4, 16))
    image, memory, tensor = fresh((2, 32, 3, 5), 1)
    flat = reshaped(image, (2, 32, 15))
    assert flat is not None
    assert flat.images() == (2, 32 * 15, 15)
    assert transposed(flat, (0, 2, 1)).images() == (2, 32 * 15, 15)
    cut = part(image, 1, 16, 16)
    assert cut is not None
    np.testing.assert_array_equal(read(cut, memory), tensor[:, 16:])


def test_what_cannot_be_shown_is_refused() -> None:
    view, _, _ = fresh((1, 40, 3, 3), 1)
    assert part(view, 1, 8, 16) is None, "a block would be cut"
    assert part(view, 1, 16, 8) is None
    assert part(view, 1, 32, 8) is not None, "the last one is not full anyway"
    assert reshaped(view, (1, 5, 8, 3, 3)) is None
    assert reshaped(view, (1, 40, 8)) is None, "another number of elements"
    planar, _, _ = fresh((4, 6), None)
    assert reshaped(transposed(planar, (1, 0)), (24,)) is None


def test_blocked_memory_holds_every_element_once() -> None:
    for shape, block in (((2, 20, 3), 1), ((1, 7, 33), 2), ((5,), 0), ((3, 17, 2, 2), 1)):
        view, memory, _ = fresh(shape, block)
        assert memory.size == blocked_elements(shape, block)
        assert sorted(read(view, memory).reshape(-1)) == sorted(memory[memory != 0])


def test_joining_axes() -> None:
    assert join([(2, 12), (3, 4), (4, 1)]) == ((24, 1),)
    assert join([(2, 100), (3, 4), (4, 1)]) == ((2, 100), (12, 1))
    assert join([]) == ()
