"""scikit-learn's handwritten digits, split the same way every time: three quarters to train, the rest held back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits


def load() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Training images [N, 1, 8, 8] in 0 .. 1, their labels [N], held-back images and labels."""
    found = load_digits()
    images = (found.images[:, None] / 16).astype(np.float32)
    labels = found.target.astype(np.int64)
    order = np.random.default_rng(7).permutation(len(images))
    cut = len(order) * 3 // 4
    train, test = order[:cut], order[cut:]
    return images[train], labels[train], images[test], labels[test]
