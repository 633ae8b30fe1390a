"""The files: text, tags, names, Split layers, fp16, refusals, and that they appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from mconv.backends import get, names, write_all
from mconv.backends.ncnn.writer import TAG_FP16, TAG_FP32, number_text
from mconv.ir import Builder, DType, Graph, Symbol
from mconv.ir.errors import UnsupportedError, UsageError
from mconv.ir.ops import (
    Add,
    BatchNorm,
    Conv,
    Identity,
    Linear,
    MaxPool,
    Mul,
    NonZero,
    Relu,
    Reshape,
    Sigmoid,
    Transpose,
    Unique,
)

from .nets import check, emit, graph_of, numbers, run

GOLDEN = """\
7767517
4 5
Input                    x                        0 1 x 0=5 1=5 11=0 2=3
Convolution              conv                     1 1 x conv 0=2 1=3 2=1 3=1 4=1 5=1 6=54 8=0 9=0 -23310=0 11=3 12=1 13=1 14=1 15=1 16=1 18=0.0e+00 19=0
Split                    conv/split               1 2 conv conv/0 conv/1
BinaryOp                 add                      2 1 conv/0 conv/1 y 0=0 1=0 2=0.0e+00
"""  # noqa: E501


def twice() -> Graph:
    """A convolution whose result is read twice."""
    b = Builder()
    x = b.input("x", DType.F32, (1, 3, 5, 5))
    y = b.add(Conv((1, 1), (1,) * 4, (1, 1)), x, b.constant(numbers(2, 3, 3, 3)), b.constant(numbers(2)), name="conv")
    b.output(b.add(Add(), y, y, name="add"), "y")
    return b.graph


def test_param_text() -> None:
    assert emit(twice()).content(".param").decode() == GOLDEN


def test_bin_holds_tags_and_weights() -> None:
    graph = twice()
    weight, bias = (value.constant for value in graph.constants)
    assert emit(graph).content(".bin") == TAG_FP32 + weight.tobytes() + bias.tobytes()
    half = emit(graph, fp16=True).content(".bin")
    assert half == TAG_FP16 + weight.astype(np.float16).tobytes() + bias.tobytes()


@pytest.mark.parametrize("shape", [(50, 70), (70, 16), (3, 40)])
def test_transposed_weights_are_written_in_order(shape: tuple[int, int]) -> None:
    b = Builder()
    weight = numbers(*shape).T
    b.output(b.add(Linear(), b.input("x", DType.F32, (1, weight.shape[1])), b.constant(weight)), "y")
    assert emit(b.graph).content(".bin") == TAG_FP32 + np.ascontiguousarray(weight).tobytes()


def test_fp16_is_padded_to_words_and_kept_from_overflowing() -> None:
    for weight, tag, size in ((numbers(1, 3), TAG_FP16, 12), (numbers(1, 3) * 1e6, TAG_FP32, 16)):
        b = Builder()
        x = b.input("x", DType.F32, (1, 3))
        b.output(b.add(Linear(), x, b.constant(weight)), "y")
        data = emit(b.graph, fp16=True).content(".bin")
        assert data.startswith(tag)
        assert len(data) == size
    check(twice(), {"x": numbers(1, 3, 5, 5)}, rtol=5e-3, fp16=True)


def test_half_precision_constants_stay_half() -> None:
    b = Builder()
    x = b.input("x", DType.F16, (1, 4))
    b.output(b.add(Linear(), x, b.constant(numbers(2, 4).astype(np.float16))), "y")
    assert emit(b.graph).content(".bin").startswith(TAG_FP16)


@pytest.mark.parametrize("value", [0.1, 1e-5, -1.17549435e-38, 3.4028235e38, 16777217.0, 1 / 3, 0.0, -2.0, 123456.789])
def test_numbers_survive_as_text(value: float) -> None:
    text = number_text(value)
    assert len(text) <= 15
    assert "." in text
    assert np.float32(text) == np.float32(value)


def test_same_input_same_bytes() -> None:
    for suffix in (".param", ".bin"):
        assert emit(twice()).content(suffix) == emit(twice()).content(suffix)


def test_names_of_inputs_and_outputs_hold_whatever_reads_them() -> None:
    b = Builder()
    x = b.input("the input", DType.F32, (1, 4, 4))
    unused = b.input("unused", DType.F32, (3,))
    y = b.add(Relu(), x, name="inner")
    for value, name in ((y, "a"), (y, "b"), (x, "c"), (b.add(Sigmoid(), y), "d"), (unused, "unused")):
        b.output(value, name)
    b.output(b.constant(numbers(2, 3)), "constant")
    artifact = emit(b.graph)
    assert artifact.inputs == ("the_input", "unused")
    assert artifact.outputs == ("a", "b", "c", "d", "unused", "constant")
    assert any("the_input" in note for note in artifact.notes)
    feeds = {"the_input": numbers(1, 4, 4), "unused": numbers(3)}
    found = run(artifact, feeds, artifact.outputs)
    x_ = feeds["the_input"][0]
    np.testing.assert_allclose(found["a"], np.maximum(x_, 0))
    np.testing.assert_allclose(found["b"], found["a"])
    np.testing.assert_allclose(found["c"], x_)
    np.testing.assert_allclose(found["d"], 1 / (1 + np.exp(-found["a"])), rtol=1e-5)


def test_feeds_that_a_mat_cannot_hold() -> None:
    artifact = emit(graph_of(Identity(), [np.arange(3)])[0])
    assert run(artifact, {"x0": np.array([1, 2, 1 << 24])}, ["y0"])["y0"][2] == 1 << 24
    with pytest.raises(UsageError, match="beyond 2"):
        run(artifact, {"x0": np.array([1, 2, (1 << 24) + 1])}, ["y0"])
    with pytest.raises(UsageError, match="cannot hold"):
        run(artifact, {"x0": np.zeros((2, 2, 2, 2, 2), np.float32)}, ["y0"])
    with pytest.raises(UsageError, match="no input"):
        run(artifact, {"y": np.zeros(3, np.float32)}, ["y0"])


def test_inner_values_can_be_looked_at() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (1, 4, 4))
    y = b.add(Relu(), x, result_names=["inner"])
    b.output(b.add(Add(), y, b.add(Sigmoid(), y)), "y")
    artifact = emit(b.graph)
    x_ = numbers(1, 4, 4)
    found = run(artifact, {"x": x_}, [artifact.blobs["inner"], "y"])
    np.testing.assert_allclose(found[artifact.blobs["inner"]], np.maximum(x_[0], 0))


def test_long_and_equal_names() -> None:
    b = Builder()
    value = b.input("x" * 300, DType.F32, (1, 4))
    for index in range(3):
        value = b.add(Relu() if index else Sigmoid(), value, name="same")
    b.output(value, "y")
    lines = emit(b.graph).content(".param").decode().splitlines()[2:]
    assert len({line.split()[1] for line in lines}) == len(lines)
    assert max(len(field) for line in lines for field in line.split()) <= 200


def test_inputs_that_become_one_name_are_refused() -> None:
    b = Builder()
    b.output(b.add(Add(), b.input("a b", DType.F32, (3,)), b.input("a\tb", DType.F32, (3,))), "y")
    with pytest.raises(UnsupportedError, match="MC325"):
        emit(b.graph)


def test_all_refusals_at_once() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (2, 3, 9, 9))
    b.output(b.add(NonZero(), x), "a")
    b.output(b.add(Unique(), x), "b")
    b.output(b.add(MaxPool((2, 2), (1, 1), (0,) * 4, (2, 2)), x), "c")
    with pytest.raises(UnsupportedError) as error:
        emit(b.graph)
    assert [problem.code for problem in error.value.problems] == ["MC320", "MC320", "MC321"]
    assert "dilated" in error.value.problems[2].what


def test_too_many_axes_and_empty_tensors() -> None:
    with pytest.raises(UnsupportedError, match="MC322"):
        emit(graph_of(Relu(), [(2, 3, 4, 5, 6)])[0])
    with pytest.raises(UnsupportedError, match="no empty Mats"):
        emit(graph_of(Relu(), [(2, 0)])[0])


def test_inner_tensors_may_have_more_axes_than_a_mat() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (1, 8, 12, 3))
    y = b.add(Reshape((1, 2, 4, 3, 4, 3)), x)
    y = b.add(Mul(), b.add(Sigmoid(), b.add(Transpose((0, 1, 3, 2, 4, 5)), y)), b.constant(numbers(1, 1, 1, 1, 4, 3)))
    b.output(b.add(Reshape((6, 16, 3)), y), "y")
    check(b.graph, {"x": numbers(1, 8, 12, 3)})


def test_sizes_known_only_at_run_time() -> None:
    b = Builder()
    x = b.input("x", DType.F32, (1, 3, Symbol("h"), Symbol("w")))
    y = b.add(Conv((2, 2), (1,) * 4, (1, 1)), x, b.constant(numbers(4, 3, 3, 3)))
    y = b.add(BatchNorm(), y, *(b.constant(np.abs(numbers(4, seed=i))) for i in range(4)))
    b.output(b.add(Reshape((1, 4, -1)), b.add(MaxPool((3, 3), (2, 2), (1,) * 4, (1, 1), True), y)), "y")
    artifact = emit(b.graph)
    for size in ((17, 22), (32, 31)):
        feeds = {"x": numbers(1, 3, *size)}
        from mconv.ir.interpreter import run as interpret

        expected = interpret(b.graph, feeds)["y"][0]
        np.testing.assert_allclose(run(artifact, feeds, ["y"])["y"], expected, rtol=1e-4, atol=1e-4)


def test_backends_by_name() -> None:
    assert "ncnn" in names()
    with pytest.raises(UsageError, match="nccn"):
        get("nccn")


def test_support_table() -> None:
    lines = {line.op: line for line in get("ncnn").table()}
    assert "Relu" in lines[Conv].activations
    assert any("pad" in text for text in lines[Conv].conditions)
    assert lines[Identity].conditions == ()


# Files ---------------------------------------------------------------------------------------------------


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails():  # type: ignore[no-untyped-def]
        yield b"half of it"
        raise KeyboardInterrupt

    old = tmp_path / "a.param"
    old.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_all({old: lambda: [b"new"], tmp_path / "a.bin": fails})
    assert old.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.param"]
    write_all({old: lambda: [b"new"], tmp_path / "a.bin": lambda: [b"x", memoryview(b"y" * 100_000), b""]})
    assert (tmp_path / "a.bin").read_bytes() == b"x" + b"y" * 100_000
    assert sorted(os.listdir(tmp_path)) == ["a.bin", "a.param"]


def test_check_sees_the_bytes_before_they_have_a_name(tmp_path: Path) -> None:
    def check_(readable):  # type: ignore[no-untyped-def]
        assert Path(readable[tmp_path / "a"]).read_bytes() == b"content"
        raise ValueError("not good")

    with pytest.raises(ValueError, match="not good"):
        write_all({tmp_path / "a": lambda: [b"content"]}, check_)
    assert os.listdir(tmp_path) == []


def test_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MC120"):
        write_all({tmp_path / "no" / "a": lambda: [b"x"]})
    with pytest.raises(UsageError, match="MC120"):
        write_all({tmp_path: lambda: [b"x"]})


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    if how == signal.SIGKILL and not hasattr(os, "O_TMPFILE"):
        pytest.skip("without files that have no name, a hidden one stays")
    code = """
        import sys, time
        from pathlib import Path
        from mconv.backends import write_all
        def chunks():
            yield b"x" * 100_000
            print("writing", flush=True)
            time.sleep(30)
            yield b"y"
        write_all({Path(sys.argv[1]) / "a.bin": chunks, Path(sys.argv[1]) / "a.param": lambda: [b"z"]})
    """
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(root)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell lets it be ignored
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(how)
        process.wait(60)
    time.sleep(0.05)
    assert os.listdir(tmp_path) == []
