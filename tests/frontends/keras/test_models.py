"""Each small model as .keras, as .h5 and as an object, read and run by the interpreter: compared with Keras."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytest.importorskip("h5py", reason="h5py is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras: Any = pytest.importorskip("keras", reason="keras is not installed", exc_type=ImportError)

from mconv import frontends
from mconv.ir.errors import UnsupportedError
from mconv.ir.interpreter import run

from .models import MODELS, NOT_AS_H5, build, feeds

pytestmark = pytest.mark.filterwarnings("ignore")
LIVE = 4
"""Every so many models are also read as an object."""
TOLERANCE = 1e-5


def results(made: Any, arrays: list[Any]) -> list[Any]:
    found = made(arrays if len(arrays) > 1 else arrays[0], training=False)
    return [np.asarray(v) for v in keras.tree.flatten(found)]


def agree(source: Any, arrays: list[Any], wanted: list[Any]) -> None:
    graph = frontends.load(source)
    found = list(run(graph, {v.name: a for v, a in zip(graph.inputs, arrays, strict=True)}).values())
    assert [(a.shape, a.dtype) for a in found] == [(a.shape, a.dtype) for a in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        error = np.abs(ours.astype(np.float64) - theirs).max() / max(np.abs(theirs).max(), 1e-30)
        assert error < TOLERANCE


@pytest.mark.parametrize("name", MODELS)
def test_the_reader_means_what_keras_does(name: str, tmp_path: Path) -> None:
    made = build(name, keras)
    arrays = feeds(made)
    wanted = results(made, arrays)
    for suffix in (".keras", ".h5"):
        if suffix == ".h5" and name in NOT_AS_H5:
            continue
        made.save(tmp_path / f"m{suffix}")
        agree(tmp_path / f"m{suffix}", arrays, wanted)
    if list(MODELS).index(name) % LIVE == 0 or "nested" in name or "frozen" in name:
        agree(made, arrays, wanted)


def test_there_are_enough_models() -> None:
    assert len(MODELS) >= 90


def test_nothing_of_keras_is_imported(tmp_path: Path) -> None:
    import subprocess
    import sys

    build("sequential", keras).save(tmp_path / "m.keras")
    code = (
        "import sys; from mconv import frontends; frontends.load(sys.argv[1]);"
        "print(sorted({'keras', 'tensorflow', 'tf_keras'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.keras")], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_names_are_those_of_the_layers() -> None:
    graph = frontends.load(build("two_outputs", keras))
    assert [v.name for v in graph.inputs] == ["x"]
    assert graph.output_names == ("left", "right")
    assert str(graph.inputs[0].type) == "f32[batch,4]"
    assert "trunk" in {v.name for node in graph.nodes for v in node.results}


def test_weights_are_views_of_the_file(tmp_path: Path) -> None:
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"m{suffix}"
        build("dense", keras).save(path)
        graph = frontends.load(path)
        for value in graph.constants:
            base = value.constant
            while isinstance(base, np.ndarray) and base.base is not None:
                base = base.base
            assert not isinstance(base, np.ndarray)


def test_mixed_precision_is_computed_in_32_bits_and_told(tmp_path: Path) -> None:
    x = keras.Input((4,), name="x", dtype="float16")
    made = keras.Model(x, keras.layers.Dense(3, dtype="mixed_float16", name="d")(x))
    made.save(tmp_path / "m.keras")
    graph = frontends.load(tmp_path / "m.keras")
    assert [str(v.type) for v in (*graph.inputs, *graph.outputs)] == ["f16[batch,4]", "f16[batch,3]"]
    assert any("16-bit" in note for note in graph.notes)
    array = np.linspace(-1, 1, 8, dtype=np.float16).reshape(2, 4)
    assert np.abs(run(graph, {"x": array})["d"] - np.asarray(made(array))).max() < 2e-3


def test_stateful_layers_are_noted() -> None:
    assert any("begin as zeros" in note for note in frontends.load(build("lstm_stateful", keras)).notes)


def test_keras_runs_the_file_for_the_comparison(tmp_path: Path) -> None:
    from mconv.frontends.keras.runtime import run as run_keras

    made = build("lstm_initial_state", keras)
    arrays = feeds(made)
    wanted = results(made, arrays)
    given = dict(zip(("x", "h", "c"), arrays, strict=True))
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"m{suffix}"
        made.save(path)
        names = frontends.load(path).output_names
        found = run_keras({".keras": str(path)}, given, [*names, "nobody"])
        assert list(found) == list(names)
        for name, theirs in zip(names, wanted, strict=True):
            assert np.allclose(found[name], theirs, atol=1e-6)


def test_channels_first_is_as_channels_last(tmp_path: Path) -> None:
    """TensorFlow's kernels have channels last alone: the same weights in both forms give the same numbers."""
    layers = keras.layers
    makers = [
        lambda form: layers.Conv2D(5, 3, strides=2, padding="same", data_format=form, name="l"),
        lambda form: layers.Conv2DTranspose(5, 3, strides=2, padding="same", data_format=form, name="l"),
        lambda form: layers.DepthwiseConv2D(3, data_format=form, name="l"),
        lambda form: layers.SeparableConv2D(5, 3, padding="same", data_format=form, name="l"),
        lambda form: layers.AveragePooling2D(3, strides=2, padding="same", data_format=form, name="l"),
        lambda form: layers.MaxPooling2D(2, data_format=form, name="l"),
        lambda form: layers.GlobalAveragePooling2D(data_format=form, name="l"),
        lambda form: layers.ZeroPadding2D((1, 2), data_format=form, name="l"),
        lambda form: layers.Cropping2D((1, 2), data_format=form, name="l"),
        lambda form: layers.UpSampling2D(2, data_format=form, name="l"),
        lambda form: layers.Flatten(data_format=form, name="l"),
    ]
    array = np.random.default_rng(0).normal(0, 1, (2, 8, 9, 4)).astype(np.float32)
    for make in makers:
        x = keras.Input((8, 9, 4), name="x")
        last = keras.Model(x, make("channels_last")(x))
        wanted = np.asarray(last(array))
        path = tmp_path / "m.keras"
        last.save(path)
        turned = frontends.load(_rewritten(path))
        found = run(turned, {"x": array.transpose(0, 3, 1, 2)})["l"]
        found = found.transpose(0, 2, 3, 1) if found.ndim == 4 else found
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def _rewritten(path: Path) -> Path:
    """The file with its configuration's channels first."""
    import json
    import zipfile

    new = path.with_name("turned.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as made:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data.replace(b"channels_last", b"channels_first"))
                config["config"]["layers"][0]["config"]["batch_shape"] = [None, 4, 8, 9]
                data = json.dumps(config).encode()
            made.writestr(name, data)
    return new


def test_a_live_subclassed_model_is_refused_with_a_way_out() -> None:
    class Net(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnsupportedError, match=r"MC395 'Net' is a subclassed model[\s\S]*SavedModel"):
        frontends.load(Net())
