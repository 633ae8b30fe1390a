"""Functions, branches and loops of both kinds, and lists of tensors, against TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mconv.frontends.tensorflow import reader
from mconv.ir import Graph, ops
from mconv.ir.interpreter import run
from mconv.ir.verify import verify

from .models import differs, random, raw, tf, v1

f = random


@pytest.fixture(params=[1, 2])
def control(request: pytest.FixtureRequest) -> Iterator[int]:
    """Both kinds of control flow: nodes of TensorFlow 1, functions of TensorFlow 2."""
    was = v1.control_flow_v2_enabled()
    (v1.enable_control_flow_v2 if request.param == 2 else v1.disable_control_flow_v2)()
    yield request.param
    (v1.enable_control_flow_v2 if was else v1.disable_control_flow_v2)()


def agree(
    folder: Path, make: Callable[..., Sequence[Any]], *feeds: Mapping[str, np.ndarray], unknown: bool = False
) -> Graph:
    """Read what is made, run it on each of the feeds, and compare with TensorFlow."""
    graph = tf.Graph()
    with graph.as_default():
        places = [v1.placeholder(a.dtype, [None] * a.ndim if unknown else a.shape, n) for n, a in feeds[0].items()]
        names = []
        for i, result in enumerate(make(*places)):
            names.append(f"out_{i}")
            tf.identity(result, names[-1])
    path = folder / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    found = reader.read(path, outputs=names)
    verify(found)
    with v1.Session(graph=graph) as session:
        for given in feeds:
            wanted = session.run([f"{n}:0" for n in names], {f"{n}:0": a for n, a in given.items()})
            ours = run(found, {v.name: given[v.name] for v in found.inputs})
            wrong = [
                f"{name}: {told}"
                for name, array in zip(names, wanted, strict=True)
                if (told := differs(ours[name], np.asarray(array), 1e-5))
            ]
            assert not wrong, "\n".join(wrong)
    return found


def kinds(graph: Graph) -> list[str]:
    return [type(n.op).__name__ for n in graph.nodes]


# Branches ----------------------------------------------------------------------------------------------------


def test_a_branch_becomes_an_if(tmp_path: Path, control: int) -> None:
    def make(x: Any, y: Any) -> Sequence[Any]:
        inner = lambda: v1.cond(y[0] > 0, lambda: tf.sin(x), lambda: tf.zeros_like(x))  # noqa: E731
        return [
            v1.cond(tf.reduce_sum(x) > 0, lambda: x * 2 + 1, inner),
            v1.cond(y[0] < 0, lambda: tf.constant(1.0), lambda: tf.constant(2.0)),
        ]

    x, y = np.abs(f((2, 3))), np.ones(1, np.float32)
    graph = agree(tmp_path, make, {"x": x, "y": y}, {"x": -x, "y": y}, {"x": -x, "y": -y})
    assert kinds(graph).count("If") == 2


def test_a_branch_whose_condition_is_known_is_taken(tmp_path: Path, control: int) -> None:
    def make(x: Any) -> Sequence[Any]:
        training = v1.placeholder_with_default(False, [], "training")
        refused = lambda: tf.random.uniform([2, 3]) * x  # noqa: E731
        return [v1.cond(training, refused, lambda: x + 1), v1.cond(training, lambda: x, lambda: -x) * 2]

    graph = agree(tmp_path, make, {"x": f((2, 3))})
    assert kinds(graph) == ["Add", "Neg", "Mul"]
    assert any("default" in note for note in graph.notes)


def test_branches_on_a_number_and_on_nothing(tmp_path: Path) -> None:
    @tf.function
    def chosen(x: Any, i: Any) -> Any:
        return tf.cond(i > 0, lambda: x + 1, lambda: x - 1)

    agree(tmp_path, lambda x, i: [chosen(x, i)], {"x": f((2,)), "i": np.int32(1) * np.ones((), np.int32)})


# Functions ---------------------------------------------------------------------------------------------------


def test_functions_are_inlined_with_their_names(tmp_path: Path) -> None:
    @tf.function
    def inner(x: Any, w: Any) -> Any:
        left, right = tf.split(tf.nn.relu(x), 2, axis=1)
        return tf.matmul(right, w), left

    @tf.function
    def outer(x: Any) -> Any:
        product, left = inner(x, tf.constant(f((2, 3))))
        return tf.reduce_sum(product, axis=1) + tf.reduce_sum(left, axis=1)

    graph = agree(tmp_path, lambda x: [outer(x), outer(x * 2)], {"x": f((3, 4))})
    assert kinds(graph).count("MatMul") == 2
    places = [n.origin.place for n in graph.nodes if isinstance(n.op, ops.MatMul)]
    assert all("PartitionedCall" in place and place.endswith("MatMul'") for place in places)


# Loops -------------------------------------------------------------------------------------------------------


def cell(x: Any, h: Any) -> Any:
    return tf.tanh(tf.matmul(tf.concat([x, h], 1), tf.constant(f((8, 3)))))


def layer(x: Any, lengths: Any) -> Sequence[Any]:
    steps = tf.shape(x)[1]
    inputs = tf.TensorArray(tf.float32, size=steps).unstack(tf.transpose(x, [1, 0, 2]))
    outputs = tf.TensorArray(tf.float32, size=steps)

    def turn(t: Any, outputs: Any, h: Any) -> Any:
        new = tf.where((t < lengths)[:, None], cell(inputs.read(t), h), h)
        return t + 1, outputs.write(t, new), new

    start = (tf.constant(0), outputs, tf.zeros([tf.shape(x)[0], 3]))
    t, outputs, h = tf.while_loop(lambda t, *_: t < steps, turn, start)
    return [outputs.stack(), h, t + 0]


@pytest.mark.parametrize("unknown", [False, True])
def test_a_recurrent_layer_is_a_loop_that_counts(tmp_path: Path, control: int, unknown: bool) -> None:
    feeds = {"x": f((2, 6, 5)), "lengths": np.array([3, 6], np.int32)}
    graph = agree(tmp_path, layer, feeds, unknown=unknown)
    (loop,) = (n for n in graph.nodes if isinstance(n.op, ops.Loop))
    assert isinstance(loop.op, ops.Loop)
    body, states = loop.op.body, loop.op.states
    assert states == 1, "the counter is the iteration, and the list a scan"
    assert loop.operand("condition") is None
    assert body.outputs[0].data is not None
    assert len(body.outputs) == 3
    gathers = [n for n in body.nodes if isinstance(n.op, ops.Gather)]
    assert [n.operands[0] in body.inputs for n in gathers] == [True]
    assert loop.results[1].type.shape[0] == graph.inputs[0].type.shape[1]


def test_the_last_step_alone_is_no_list(tmp_path: Path) -> None:
    """Keras keeps one place, which every turn writes, where only the last result is wanted."""

    def make(x: Any) -> Sequence[Any]:
        outputs = tf.TensorArray(tf.float32, size=1, element_shape=[2, 3])

        def turn(t: Any, outputs: Any, h: Any) -> Any:
            new = cell(x[:, t], h)
            return t + 1, outputs.write(0, new), new

        _, outputs, _ = tf.while_loop(lambda t, *_: t < 6, turn, (tf.constant(0), outputs, tf.zeros([2, 3])))
        return [outputs.stack()[0]]

    graph = agree(tmp_path, make, {"x": f((2, 6, 5))})
    (loop,) = (n for n in graph.nodes if isinstance(n.op, ops.Loop))
    assert len(loop.results) == 1


def test_loops_in_loops_with_branches_and_open_ends(tmp_path: Path, control: int) -> None:
    def make(x: Any, n: Any) -> Sequence[Any]:
        def turn(i: Any, a: Any) -> Any:
            inner = lambda j, b: (j + 1, b + tf.cast(i * j, tf.float32) * x)  # noqa: E731
            _, b = v1.while_loop(lambda j, b: j < i, inner, [0, a])
            return i + 1, v1.cond(tf.equal(i % 2, 0), lambda: b * 0.5, lambda: b + 1)

        going = lambda i, a: tf.logical_and(i < n, tf.reduce_sum(a) < 1000.0)  # noqa: E731
        i, a = v1.while_loop(going, turn, [0, x])
        return [a, tf.cast(i, tf.float32)]

    x = np.abs(f((2, 3)))
    agree(tmp_path, make, *({"x": x, "n": np.array(n, np.int32)} for n in (0, 5, 9)))


def test_counting_from_and_to_anything(tmp_path: Path, control: int) -> None:
    def make(x: Any, n: Any, m: Any) -> Sequence[Any]:
        going = lambda i, a: tf.logical_and(i < n, i < m)  # noqa: E731
        i, a = v1.while_loop(going, lambda i, a: (i + 1, a * 2 + tf.cast(i, tf.float32)), [n - 3, x])
        return [a, tf.cast(i, tf.float32)]

    def numbers(n: int, m: int) -> dict[str, np.ndarray]:
        return {"x": f((2,)), "n": np.array(n, np.int32), "m": np.array(m, np.int32)}

    graph = agree(tmp_path, make, numbers(5, 9), numbers(5, 4), numbers(5, 1))
    (loop,) = (n for n in graph.nodes if isinstance(n.op, ops.Loop))
    assert loop.operand("trip_count") is not None


def test_lists_that_are_read_and_written_in_any_order(tmp_path: Path, control: int) -> None:
    def make(x: Any) -> Sequence[Any]:
        kept = tf.TensorArray(tf.float32, size=5, element_shape=[3], clear_after_read=False)
        kept = kept.write(0, x[0])

        def turn(t: Any, kept: Any) -> Any:
            return t + 1, kept.write(t, kept.read(t - 1) * 2 + x[t])

        _, kept = tf.while_loop(lambda t, _: t < 5, turn, (tf.constant(1), kept))
        return [kept.stack(), tf.cast(kept.size(), tf.float32), kept.gather([3, 1])]

    if control == 1:
        pytest.skip("TensorFlow 1's arrays are written once")
    agree(tmp_path, make, {"x": f((5, 3))})


def test_lists_outside_of_loops(tmp_path: Path) -> None:
    def make(x: Any) -> Sequence[Any]:
        whole = raw.TensorListFromTensor(tensor=x, element_shape=tf.constant([3], tf.int32))
        more = raw.TensorListPushBack(input_handle=whole, tensor=x[0] * 2)
        changed = raw.TensorListSetItem(input_handle=more, index=1, item=x[3])
        shape = tf.constant([3], tf.int32)
        return [
            raw.TensorListStack(input_handle=changed, element_shape=shape, element_dtype=tf.float32),
            raw.TensorListLength(input_handle=more),
            raw.TensorListGetItem(input_handle=whole, index=2, element_shape=shape, element_dtype=tf.float32),
            raw.TensorListGather(input_handle=whole, indices=[1, 0], element_shape=shape, element_dtype=tf.float32),
            raw.TensorListElementShape(input_handle=whole, shape_type=tf.int32),
        ]

    agree(tmp_path, make, {"x": f((5, 3))})


def test_what_is_left_over_inside_of_a_loop_is_no_output(tmp_path: Path) -> None:
    was = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    graph = tf.Graph()
    with graph.as_default():
        x = v1.placeholder(tf.float32, [3], "x")

        def turn(i: Any, a: Any) -> Any:
            tf.identity(a * 3, "unread")
            return i + 1, a * 2

        tf.identity(v1.while_loop(lambda i, a: i < 3, turn, [0, x])[1], "out")
    path = tmp_path / "model.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    (v1.enable_control_flow_v2 if was else v1.disable_control_flow_v2)()
    assert reader.read(path).output_names == ("out",)
