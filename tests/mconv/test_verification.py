"""What is wrong is caught before anything is written, and blamed on the right stage and node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mconv
from mconv import api, backends, feeds, runner, verification
from mconv.frontends.onnx import registry
from mconv.ir import Graph, ops
from mconv.passes import pipeline

from .models import chain, saved


@pytest.fixture(autouse=True)
def _runtimes(request: pytest.FixtureRequest) -> None:
    for package in ("ncnn", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture
def wrong_emitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """ncnn's emitter of Linear forgets the Relu of the first product."""
    ncnn: Any = backends.get("ncnn")
    rule = ncnn._rules[ops.Linear]

    def emit(node: Any, net: Any) -> None:
        rule.emit(node, net)
        if isinstance(node.op.activation, ops.Relu):
            net.layers[-1].params[9] = 0

    monkeypatch.setitem(ncnn._rules, ops.Linear, rule.replace(emit=emit))


@dataclass(frozen=True)
class ShiftConstants:
    """A pass that is wrong on purpose: it adds one to the bias."""

    name: str = "shift constants"
    requires: frozenset[str] = frozenset()
    ensures: frozenset[str] = frozenset()

    def run(self, graph: Graph, context: object) -> int:
        """One change, once."""
        for value in graph.constants:
            if value.name == "b":
                graph.replace(value, graph.add_constant(value.constant + np.float32(1), "shifted"))
                return 1
        return 0


@pytest.fixture
def wrong_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = pipeline.simplify
    monkeypatch.setattr(pipeline, "simplify", lambda: [sound(), ShiftConstants()])


@pytest.fixture
def wrong_handler() -> Iterator[None]:
    """The reader takes MatMul's product twice."""
    registry.load_handlers()
    entries = registry._HANDLERS[("", "MatMul")]
    before = list(entries)

    def twice(n: Any, g: Any) -> Any:
        y = before[-1].function(n, g)
        return g.add(ops.Add(), y, y)

    entries[:] = [entry.replace(function=twice) for entry in before]
    registry.handler_of.cache_clear()
    yield
    entries[:] = before
    registry.handler_of.cache_clear()


def blamed(tmp_path: Path, source: Any = None) -> tuple[str, str]:
    """The message of the MismatchError that converting must raise, with nothing written; and its place."""
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(mconv.MismatchError) as error:
        mconv.convert(source if source is not None else saved(tmp_path), "ncnn", output=out / "net")
    assert error.value.code == "MC400"
    assert error.value.exit_status == 4
    assert list(out.iterdir()) == []
    problem = error.value.problems[0]
    assert "output 'y' of ncnn differs from onnxruntime" in problem.what
    assert "--no-verify" in problem.hint
    return str(error.value), problem.where


@pytest.mark.usefixtures("wrong_emitter")
def test_a_wrong_emitter_is_blamed_with_the_node(tmp_path: Path) -> None:
    _, where = blamed(tmp_path)
    assert "written wrongly" in where
    assert "node 'bend'" in where


@pytest.mark.usefixtures("wrong_pass")
def test_a_wrong_pass_is_blamed_by_name(tmp_path: Path) -> None:
    _, where = blamed(tmp_path)
    assert "the pass 'shift constants' changes the numbers" in where
    assert "node 'first' (Gemm)" in where


@pytest.mark.usefixtures("wrong_handler")
def test_a_wrong_handler_is_blamed_with_the_source_node(tmp_path: Path) -> None:
    _, where = blamed(tmp_path)
    assert "the source is read wrongly" in where
    assert "node 'second' (MatMul)" in where


@pytest.mark.usefixtures("wrong_handler")
def test_a_proto_is_blamed_as_a_file_is(tmp_path: Path) -> None:
    _, where = blamed(tmp_path, chain())
    assert "node 'second' (MatMul)" in where


@pytest.mark.usefixtures("wrong_emitter")
def test_no_verify_writes_all_the_same(tmp_path: Path) -> None:
    result = mconv.convert(chain(), "ncnn", output=tmp_path / "net", verify=False)
    assert result.verification.passed is None
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.usefixtures("wrong_emitter")
def test_the_command_ends_with_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mconv import cli

    monkeypatch.setattr(sys, "argv", ["mconv", str(saved(tmp_path)), "-t", "ncnn", "-o", str(tmp_path / "net")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 4
    assert capsys.readouterr().err.startswith("error MC400 ")
    assert [p.name for p in tmp_path.iterdir()] == ["chain.onnx"]


@pytest.mark.usefixtures("wrong_pass")
def test_check_passes_names_the_pass(tmp_path: Path) -> None:
    with pytest.raises(mconv.CheckError, match="'shift constants' changes the numbers") as error:
        mconv.convert(chain(), "ncnn", output=tmp_path / "net", verify=False, check_passes=True)
    assert (error.value.code, error.value.exit_status) == ("MC403", 1)
    assert list(tmp_path.iterdir()) == []


def test_missing_runtimes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "available", lambda format: format != "ncnn")
    result = mconv.convert(chain(), "ncnn", output=tmp_path / "net")
    assert result.verification.passed is None
    assert result.verification.reason == "ncnn not installed (pip install 'mconv[verify]')"
    with pytest.raises(mconv.MissingExtraError, match="pip install 'mconv\\[verify\\]'") as error:
        mconv.convert(chain(), "ncnn", output=tmp_path / "other", verify=True)
    assert (error.value.code, error.value.exit_status) == ("MC130", 2)
    assert not (tmp_path / "other.param").exists()
    with pytest.raises(mconv.MissingExtraError, match="MC130"):
        api.verify(saved(tmp_path), result.files[".param"])


@pytest.mark.parametrize("format", ["onnx", "ncnn"])
@pytest.mark.parametrize("ending", ["signal", "exit", "exception"])
def test_a_runtime_that_crashes_takes_nothing_with_it(
    format: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setitem(runner.RUNTIMES, format, runner.Runtime(runner.RUNTIMES[format].package, ending))
    shown = {"signal": "killed by signal 6", "exit": "exit status 7", "exception": "ModuleNotFoundError"}[ending]
    monkeypatch.setattr(runner, "SERVE", "from tests.mconv import crashes; crashes.serve()")
    if format == "ncnn":
        with pytest.raises(mconv.CheckError, match=f"MC402 ncnn cannot run what was written: .*{shown}"):
            mconv.convert(chain(), "ncnn", output=tmp_path / "net")
        assert list(tmp_path.iterdir()) == []
    else:  # the source can still be compared with the meaning of what was read, and that is said
        result = mconv.convert(chain(), "ncnn", output=tmp_path / "net")
        assert result.verification.passed
        assert "mconv's interpreter" in result.verification.reference
        assert shown in result.verification.reference


def test_a_runtime_that_dies_before_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SERVE", "import os; os._exit(3)")
    with pytest.raises(mconv.CheckError, match="MC402"):
        mconv.convert(chain(), "ncnn", output=tmp_path / "net")


def test_a_runtime_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runner, "TIMEOUT", 0.2)
    monkeypatch.setattr(runner, "SERVE", "import time; time.sleep(60)")
    model = runner.Model("onnx", {".onnx": str(saved(tmp_path))})
    (failed,) = runner.run([(model, {"x": np.zeros((1, 4), np.float32)}, ["y"])])
    assert isinstance(failed, runner.RunFailed)
    assert "did not finish" in str(failed)


def test_inner_values_can_be_asked_of_either_runtime(tmp_path: Path) -> None:
    path = saved(tmp_path)
    x = {"x": np.ones((1, 4), np.float32)}
    result = mconv.convert(path, "ncnn", output=tmp_path / "net", verify=False)
    files = {suffix: str(file) for suffix, file in result.files.items()}
    first, second = runner.run(
        [(runner.Model("onnx", {".onnx": str(path)}), x, ["r", "y"]), (runner.Model("ncnn", files), x, ["r", "y"])]
    )
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    for name in ("r", "y"):
        np.testing.assert_allclose(first[name].ravel(), second[name].ravel(), rtol=1e-4, atol=1e-5)


def test_comparing_what_the_memory_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "free_memory", lambda: 64)
    with pytest.raises(mconv.UsageError, match="MC116 comparing takes about"):
        mconv.convert(chain(), "ncnn", output=tmp_path / "net")
    monkeypatch.setattr(feeds, "free_memory", lambda: None)
    assert mconv.convert(chain(), "ncnn", output=tmp_path / "net").verification.passed


def test_a_source_that_its_runtime_refuses_is_compared_before_the_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter must not be given what the passes made: it would agree with their mistakes."""
    sound = pipeline.simplify
    monkeypatch.setattr(pipeline, "simplify", lambda: [sound(), ShiftConstants()])
    monkeypatch.setitem(runner.RUNTIMES, "onnx", runner.Runtime("onnxruntime", "no_such_module"))
    with pytest.raises(mconv.MismatchError, match="mconv's interpreter"):
        mconv.convert(chain(), "ncnn", output=tmp_path / "net")


def test_models_are_paired_by_name_then_by_order() -> None:
    assert verification._paired("inputs", ["a", "b"], ["b", "a"]) == {"a": "a", "b": "b"}
    assert verification._paired("inputs", ["a", "b"], ["x", "y"]) == {"a": "x", "b": "y"}
    with pytest.raises(mconv.UsageError, match="MC115"):
        verification._paired("outputs", ["a"], [])


@pytest.mark.parametrize("target", ["ncnn", "onnx"])
def test_the_runtimes_leave_nothing_and_do_not_report(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime, left to itself, writes a device's number and what it is going to report to its makers."""
    folders = [tmp_path / name for name in ("home", "cache", "temporary")]
    for name, folder in zip(("HOME", "XDG_CACHE_HOME", "TMPDIR"), folders, strict=True):
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    for name in ("CI", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    command = [sys.executable, "-m", "mconv", saved(tmp_path), "-t", target, "-o", tmp_path / "out", "--verify"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path for folder in folders for path in folder.rglob("*") if path.is_file()] == []
