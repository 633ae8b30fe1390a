"""SavedModels of TensorFlow 1 and 2, modules and functions in memory, against TensorFlow itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mconv.frontends import load
from mconv.frontends.tensorflow.saved_model import open_saved_model
from mconv.ir import Graph
from mconv.ir.errors import UnreadableError, UsageError
from mconv.ir.interpreter import run

tf = pytest.importorskip("tensorflow")

X = np.random.default_rng(5).standard_normal((4, 3)).astype(np.float32)


class Affine(tf.Module):
    """Two functions of one variable."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2) / 3, name="w")
        self.shift = tf.constant([0.5, -1.0])

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x")])
    def __call__(self, x):
        """One result."""
        return tf.nn.relu(x @ self.w + self.shift)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x")])
    def both(self, x):
        """Two results, by name."""
        return {"sum": tf.reduce_sum(x, 1), "product": x @ self.w}


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("module")
    each = Affine()
    tf.saved_model.save(each, str(folder), {"serving_default": each.__call__, "both": each.both})
    return folder


def both(each: Affine) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in each.both(X).items()}


def same(graph: Graph, expected: dict[str, np.ndarray], x: np.ndarray = X) -> None:
    (name,) = (value.name for value in graph.inputs)
    found = run(graph, {name: x})
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-5 * np.abs(value).max())


def test_the_usual_signature(module):
    graph = load(module)
    assert [str(v.type) for v in graph.inputs] == ["f32[batch,3]"]
    same(graph, {"output_0": Affine()(X).numpy()})


def test_a_signature_by_name_and_the_file_in_the_folder(module):
    same(load(module / "saved_model.pb", signature="both"), both(Affine()))


def test_a_signature_that_is_not_there(module):
    with pytest.raises(UsageError, match=r"MC125 .* no signature 'none'[\s\S]*both, serving_default"):
        load(module, signature="none")


def test_values_cut_out_of_a_saved_model(module):
    tensor = open_saved_model(module, None).outputs["output_0"].removesuffix(":0")
    graph = load(module, inputs=["serving_default_x"], outputs=[tensor])
    same(graph, {tensor: Affine()(X).numpy()})


@pytest.mark.parametrize("way", ["save", "export"])
def test_keras_writes_saved_models_in_two_ways(way, tmp_path):
    keras = pytest.importorskip("keras")
    layers = [keras.layers.Input((6, 6, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
    model = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(2)])
    x = np.random.default_rng(1).standard_normal((2, 6, 6, 3)).astype(np.float32)
    if way == "save":
        tf.saved_model.save(model, str(tmp_path))
    else:
        model.export(tmp_path, verbose=False)
    same(load(tmp_path), {"output_0": model(x).numpy()}, x)


@pytest.mark.parametrize("resource", [False, True])
def test_variables_of_tensorflow_1(resource, tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        w = v1.get_variable("w", [3, 2], use_resource=resource)
        y = tf.identity(tf.matmul(x, w), name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
        expected = session.run(y, {x: X})
    same(load(tmp_path / "m"), {"y": expected})


def test_large_checkpoints_of_many_keys(tmp_path):
    """The index takes several blocks, and keys share their beginnings."""
    many = tf.Module()
    many.parts = [tf.Variable(tf.random.normal([3, 3])) for _ in range(300)]

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x")])
    def total(x):
        return sum(x @ part for part in many.parts)

    many.total = total
    tf.saved_model.save(many, str(tmp_path))
    same(load(tmp_path), {"output_0": total(X).numpy()})


@pytest.mark.parametrize("damage", ["cut", "no index", "no data", "bits"])
def test_damaged_checkpoints_are_told(damage, module, tmp_path):
    import shutil

    folder = tmp_path / "m"
    shutil.copytree(module, folder)
    index, data = folder / "variables/variables.index", folder / "variables/variables.data-00000-of-00001"
    if damage == "no data":
        data.unlink()
    elif damage == "no index":
        index.unlink()
    elif damage == "cut":
        data.write_bytes(data.read_bytes()[:10])
    else:
        index.write_bytes(bytes(b ^ 0x55 for b in index.read_bytes()))
    with pytest.raises(UnreadableError, match=r"MC24[69]"):
        load(folder)


# In memory ----------------------------------------------------------------------------------------------------


def test_a_module():
    same(load(Affine()), {"output_0": Affine()(X).numpy()})


def test_a_modules_function_by_name():
    each = Affine()
    same(load(each, signature="both"), both(each))


def test_a_function_and_a_concrete_one():
    each = Affine()
    same(load(each.both), both(each))
    concrete = tf.function(lambda x: each(x) * 2).get_concrete_function(tf.TensorSpec([4, 3], name="x"))
    same(load(concrete), {"output_0": each(X).numpy() * 2})


def test_a_function_without_a_signature_is_refused():
    with pytest.raises(UsageError, match="MC125 the function's inputs are not known"):
        load(tf.function(lambda x: x + 1))
