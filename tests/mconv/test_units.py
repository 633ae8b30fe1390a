"""The small parts of the front: the measure, the inputs, the inspection, the report, the hook."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mconv import feeds, hook, tables
from mconv.compare import compare, cosine, relative_error
from mconv.inspection import inspect, peak_activation
from mconv.ir import Builder, DType, Graph, Symbol, TensorType, UsageError, ops
from mconv.report import Blame

from .models import DIGITS, saved

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("reference", "candidate", "error"),
    [
        ([1.0, -4.0], [1.0, -4.0], 0.0),
        ([1.0, -4.0], [1.5, -4.0], 0.125),  # the largest magnitude is 4
        ([0.0, 0.0], [0.0, 0.25], 0.25),  # no magnitude: the difference itself
        ([1.0, 2.0], [1.0], INF),
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([NAN, 1.0], [1.0, NAN], INF),
        ([1.0, 1.0], [NAN, 1.0], INF),
        ([INF, 1.0], [INF, 1.0], 0.0),
        ([INF, 1.0], [-INF, 1.0], INF),
        ([INF, INF], [INF, INF], 0.0),
        ([1.0, 1.0], [INF, 1.0], INF),
        ([], [], 0.0),
    ],
)
def test_relative_error(reference: list[float], candidate: list[float], error: float) -> None:
    assert relative_error(np.array(reference), np.array(candidate)) == error


def test_relative_error_of_large_integers_is_exact_enough() -> None:
    assert relative_error(np.array([2**40]), np.array([2**40 + 1])) > 0
    assert relative_error(np.array([True, False]), np.array([True, True])) == 1.0


def test_cosine() -> None:
    assert cosine(np.array([1.0, 0.0]), np.array([2.0, 0.0])) == 1.0
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0.0
    assert cosine(np.zeros(3), np.zeros(3)) == 1.0
    assert cosine(np.zeros(3), np.ones(3)) == 0.0
    assert np.isnan(cosine(np.zeros(3), np.zeros(2)))


def test_a_missing_unit_axis_is_no_difference_and_a_turned_tensor_is() -> None:
    x = np.arange(6.0).reshape(1, 2, 3)
    (same,) = compare(["y"], {"y": x}, {"y": x[0]}, 1e-3)
    assert same.passed
    assert same.shape == (1, 2, 3)
    (turned,) = compare(["y"], {"y": x}, {"y": x[0].T}, 1e-3)
    assert not turned.passed


def test_integers_may_be_a_step_apart_only_where_they_stand_for_real_numbers() -> None:
    classes = np.array([1, 2, 3], np.uint8)
    (counted,) = compare(["y"], {"y": classes}, {"y": classes + 1}, 1e-3)
    assert not counted.passed
    (stored,) = compare(["y"], {"y": classes}, {"y": classes + 1}, 1e-3, ["y"])
    assert stored.passed
    assert stored.steps == 1


def table() -> Graph:
    """Rows of a table of 7, by an integer input, scaled by a float one."""
    builder = Builder(Graph("table"))
    rows = builder.graph.add_input("rows", TensorType(DType.I64, (Symbol("n"), 50)))
    scale = builder.graph.add_input("scale", TensorType(DType.F32, (1,)))
    flag = builder.graph.add_input("flag", TensorType(DType.BOOL, (3,)))
    taken = builder.add(ops.Gather(0), builder.constant(np.ones((7, 4), np.float32)), rows)
    builder.output(builder.add(ops.Mul(), taken, scale), "y")
    builder.output(builder.add(ops.Not(), flag), "z")
    return builder.graph


def test_random_inputs_fit_the_graph_and_repeat() -> None:
    graph = table()
    made, again, other = (feeds.make(graph, None, seed) for seed in (0, 0, 1))
    assert made["rows"].shape == (1, 50)
    assert made["rows"].max() < 7
    assert made["rows"].min() >= 0
    assert (made["scale"].dtype, made["flag"].dtype) == (np.float32, bool)
    assert all(np.array_equal(made[name], again[name]) for name in made)
    assert not np.array_equal(made["rows"], other["rows"])


def test_given_inputs_are_checked_and_cast() -> None:
    graph = table()
    given = {"rows": np.zeros((2, 50), np.int32), "scale": np.ones(1), "flag": np.ones(3, bool)}
    checked = feeds.make(graph, given, 0)
    assert (checked["rows"].dtype, checked["scale"].dtype) == (np.int64, np.float32)
    for change in (
        {"rows": np.zeros((2, 49), np.int64)},
        {"rows": np.zeros((2, 50), np.float32)},
        {"scale": np.ones(1, bool)},
        {"flag": np.ones(3, np.int64)},
        {"more": np.ones(1)},
    ):
        with pytest.raises(UsageError) as error:
            feeds.make(graph, given | change, 0)
        assert error.value.code == "MC113"
    with pytest.raises(UsageError, match="the model's inputs are"):
        feeds.make(graph, {"": np.ones(1)}, 0)


def test_free_memory_is_a_plausible_number() -> None:
    free = feeds.free_memory()
    assert free is None or free > 1 << 20


def test_inspection_counts_by_hand() -> None:
    builder = Builder(Graph("g"))
    x = builder.graph.add_input("x", TensorType(DType.F32, (1, 3, 8, 8)))
    w = builder.constant(np.zeros((16, 3, 3, 3), np.float32))
    y = builder.add(ops.Conv(strides=(1, 1), pads=(1, 1, 1, 1), dilations=(1, 1), groups=1), x, w)
    y = builder.add(ops.Relu(), y)
    builder.output(y, "y")
    found = inspect(builder.graph)
    conv = next(o for o in found.operators if o.operator == "Conv")
    assert conv.flops == 2 * 16 * 3 * 9 * 64
    assert (found.parameters, found.parameter_bytes) == (16 * 27, 16 * 27 * 4)
    # while Relu runs, its operand and its result are alive: 16 x 8 x 8 floats each
    assert found.peak_activation_bytes == 2 * 16 * 64 * 4
    assert json.loads(json.dumps(found.as_dict()))["inputs"] == {"x": "f32[1,3,8,8]"}


def test_inspection_of_unknown_sizes_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    graph = table()
    assert peak_activation(graph) is None
    found = inspect(graph)
    assert found.flops is None
    tables.show_inspection(found)
    assert capsys.readouterr().out.count("known only at run time") == 2


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (7_200_000_000, "7.20 GB")]
)
def test_sizes_are_told_as_people_read_them(count: int, text: str) -> None:
    assert tables.size(count) == text


def test_blame_in_words() -> None:
    assert "read wrongly" in str(Blame("reading", "conv", "m.onnx: node 'conv'", 0.5))
    assert "the pass 'fuse'" in str(Blame("pass", "conv", "", 0.5, "fuse"))
    assert "written wrongly" in str(Blame("writing", "conv", "", 0.5))


def test_the_hook_passes_what_can_be_read_and_names_what_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = saved(tmp_path), tmp_path / "bad.onnx"
    bad.write_bytes(DIGITS.read_bytes()[:500])
    assert hook.main([str(good), str(DIGITS)]) == 0
    assert capsys.readouterr().err == ""
    assert hook.main([str(bad), str(good), str(tmp_path / "none.onnx")]) == 1
    told = capsys.readouterr().err
    assert f"{bad}: MC2" in told
    assert "MC110" in told
    done = subprocess.run([sys.executable, "-m", "mconv.hook", str(bad)], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


@pytest.mark.parametrize(("error", "status", "code"), [(KeyError("x"), 5, "MC500"), (MemoryError(), 1, "MC116")])
def test_the_hook_tells_a_fault_as_the_command_does(
    error: Exception, status: int, code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("mconv.api.load", fail)
    assert hook.main(["a.onnx", "b.onnx"]) == status
    assert capsys.readouterr().err.count(code) == 2


def test_the_hook_reads_what_its_pattern_names() -> None:
    import re

    text = (Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    entry, files = (re.search(rf"{key}: (.*)", text) for key in ("entry", "files"))
    assert entry is not None
    assert files is not None
    assert entry[1] == "python -m mconv.hook"
    assert [name for name in ("a.onnx", "b/c.param", "d.bin", "onnx.py") if re.search(files[1], name)] == [
        "a.onnx",
        "b/c.param",
    ]
