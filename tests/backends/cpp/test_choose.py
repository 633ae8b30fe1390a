"""The choice of algorithms: what was measured to be faster is chosen."""

from __future__ import annotations

import pytest

from mconv.backends.cpp.choose import convolution_algorithm, is_stem, pointwise_algorithm


@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "want"),
    [
        *(
            (64, 64, 56, "winograd4"),
            (128, 128, 28, "winograd4"),
            (256, 256, 14, "winograd4"),
            (16, 16, 56, "winograd4"),
        ),
        *((512, 512, 7, "winograd2"), (256, 256, 8, "winograd2"), (512, 512, 3, "direct"), (512, 512, 1, "direct")),
        (3, 64, 224, "direct"),
    ],
)
def test_convolution(inputs: int, outputs: int, size: int, want: str) -> None:
    assert convolution_algorithm(inputs, outputs, (size, size), (3, 3)) == want


def test_only_a_plain_3x3_has_another_algorithm() -> None:
    assert convolution_algorithm(64, 64, (56, 56), (3, 3), (2, 2)) == "direct"
    assert convolution_algorithm(64, 64, (56, 56), (3, 3), (1, 1), (2, 2)) == "direct"
    assert convolution_algorithm(64, 64, (56, 56), (5, 5)) == "direct"


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
