"""The choice of algorithms: what was measured to be faster is chosen."""

from __future__ import annotations

import pytest

from mconv.backends.cpp.choose import is_stem, pointwise_algorithm, winograd_tile


@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "want"),
    [
        *((64, 64, 224, 6), (128, 128, 112, 6), (32, 32, 112, 6)),
        *((512, 512, 14, 5), (256, 256, 14, 5), (128, 32, 14, 5), (48, 192, 13, 5)),
        *((64, 64, 56, 4), (512, 512, 28, 4), (128, 128, 28, 4), (128, 32, 56, 4), (16, 16, 56, 4)),
        *((512, 512, 7, 2), (256, 256, 8, 2), (512, 512, 3, 0), (512, 512, 1, 0)),
        (3, 64, 224, 0),
    ],
)
def test_convolution(inputs: int, outputs: int, size: int, want: int) -> None:
    assert winograd_tile(inputs, outputs, (size, size), (3, 3)) == want


def test_only_a_plain_3x3_has_another_algorithm() -> None:
    assert winograd_tile(64, 64, (56, 56), (3, 3), (2, 2)) == 0
    assert winograd_tile(64, 64, (56, 56), (3, 3), (1, 1), (2, 2)) == 0
    assert winograd_tile(64, 64, (56, 56), (5, 5)) == 0


@pytest.mark.parametrize(
    ("inputs", "outputs", "pixels", "want"),
    [
        *((256, 1024, 196, "strassen"), (768, 3072, 197, "strassen"), (160, 960, 49, "plain")),
        *((64, 256, 3136, "plain"), (384, 64, 196, "plain"), (2048, 1000, 1, "plain"), (144, 24, 3136, "plain")),
    ],
)
def test_pointwise(inputs: int, outputs: int, pixels: int, want: str) -> None:
    assert pointwise_algorithm(inputs, outputs, pixels) == want


def test_a_first_layer_of_a_large_window() -> None:
    assert is_stem(3, 64, (7, 7), (2, 2), (1, 1))
    assert not is_stem(3, 64, (3, 3), (2, 2), (1, 1))
    assert not is_stem(3, 64, (7, 7), (1, 1), (1, 1))
    assert not is_stem(3, 64, (11, 11), (2, 2), (1, 1))
    assert not is_stem(3, 64, (7, 7), (2, 2), (2, 2))
