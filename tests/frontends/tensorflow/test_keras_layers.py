"""Keras's layers by themselves, exported as SavedModels: read without TensorFlow, compared with Keras."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv import frontends
from mconv.ir.interpreter import run

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytest.importorskip("tensorflow", reason="tensorflow is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras: Any = pytest.importorskip("keras", reason="keras is not installed", exc_type=ImportError)

from ..keras.models import MODELS, build, feeds

pytestmark = pytest.mark.filterwarnings("ignore")
TOLERANCE = 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_the_saved_model_means_what_keras_does(name: str, tmp_path: Path) -> None:
    made = build(name, keras)
    arrays = feeds(made)
    wanted = keras.tree.flatten(made(arrays if len(arrays) > 1 else arrays[0], training=False))
    for layer in made.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()  # what is saved begins with the state it has
    made.export(tmp_path, verbose=False)
    graph = frontends.load(tmp_path)
    own = [tensor._keras_history[0].name for tensor in made.inputs]
    given = {v.name: arrays[own.index(v.name) if v.name in own else i] for i, v in enumerate(graph.inputs)}
    found = run(graph, given)
    assert len(found) == len(wanted)
    names = [f"output_{i}" for i in range(len(wanted))]
    names = names if set(names) == set(found) else sorted(found)  # of a dictionary, which is flattened in this order
    for index, theirs in enumerate(np.asarray(value) for value in wanted):
        ours = found[names[index]] if len(wanted) > 1 else next(iter(found.values()))
        assert ours.shape == theirs.shape
        error = np.abs(ours.astype(np.float64) - theirs).max() / max(np.abs(theirs).max(), 1e-30)
        assert error < TOLERANCE
