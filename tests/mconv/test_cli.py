"""The command as a person uses it: help, tables, JSON, options, exit statuses, what is written where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

from mconv import cli

from .models import DIGITS, chain, saved

ROOT = Path(__file__).parents[2]


def mconv(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mconv", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


def quick(*arguments: object) -> Result:
    """In this process, where an exit status of an error is not the question."""
    return CliRunner().invoke(cli.cli, [str(a) for a in arguments], catch_exceptions=False)


def need_runtimes() -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], ["convert", "inspect", "ops", "verify", "Exit status", "docs/errors.md", "mconv model.onnx"]),
        (["convert"], ["--target", "--output", "--fp16", "--no-verify", "--rtol", "--seed", "--report", "--dim"]),
        (["inspect"], ["--raw", "--json", "--text", "FLOPs"]),
        (["ops"], ["--target", "--json"]),
        (["verify"], ["--data", "--rtol", "Exit status 4"]),
    ],
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_answers(command: list[str], words: list[str], option: str) -> None:
    shown = quick(*command, option)
    assert shown.exit_code == 0
    assert [word for word in words if word not in shown.output] == []


def test_version_and_no_arguments() -> None:
    assert quick("--version").output == "mconv, version 0.1.0\n"
    done = mconv()
    assert done.returncode == 2
    assert "Usage:" in done.stdout + done.stderr


def test_converting_prints_what_was_done_and_names_the_files_after_the_model(tmp_path: Path) -> None:
    need_runtimes()
    done = mconv(DIGITS, "--target", "ncnn", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["digits.bin", "digits.param"]
    for words in ("nodes read", "digits.param", "max error", "cosine", "scores", "ok", "batch is set to 1"):
        assert words in done.stdout
    assert done.stderr == "", "a progress bar in a pipe"
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("output", "names"),
    [("net", {"net.param", "net.bin"}), ("net.param", {"net.param", "net.bin"}), ("v1.0", {"v1.0.param", "v1.0.bin"})],
)
def test_output_names(output: str, names: set[str], tmp_path: Path) -> None:
    quick("convert", DIGITS, "-t", "ncnn", "-o", tmp_path / output, "--no-verify", "-q")
    assert {p.name for p in tmp_path.iterdir()} == names


def test_output_may_be_a_folder(tmp_path: Path) -> None:
    assert quick(DIGITS, "-t", "onnx", "-o", tmp_path, "--no-verify", "-q").output == ""
    assert [p.name for p in tmp_path.iterdir()] == ["digits.onnx"]


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    (tmp_path / "link.onnx").symlink_to(path)
    for out in (tmp_path / "chain", tmp_path, tmp_path / "link"):
        done = mconv(path, "-t", "onnx", "-o", out)
        assert (done.returncode, done.stderr.split()[:2]) == (2, ["error", "MC118"])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--target", "ncnn", "--frobnicate"], "MC100"),
        ([], "MC100"),
        (["--target", "caffe3"], "MC101"),
        (["--target", "ncnn", "--input-shape", "x"], "MC100"),
        (["--target", "ncnn", "--input-shape", "x:1,-4"], "MC100"),
        (["--target", "ncnn", "--input-shape", "x:one"], "MC100"),
        (["--target", "ncnn", "--input-shape", "z:1,4"], "MC111"),
        (["--target", "ncnn", "--input-shape", "x:1,9"], "MC117"),
        (["--target", "ncnn", "--dim", "batch"], "MC100"),
        (["--target", "ncnn", "--dim", "batch=0"], "MC100"),
        (["--target", "ncnn", "--dim", "height=3"], "MC112"),
        (["--target", "ncnn", "--rtol", "-1"], "MC100"),
        (["--target", "ncnn", "--data", "/none.npz"], "MC100"),
        (["--target", "ncnn", "-o", "/none/at/all"], "MC120"),
    ],
)
def test_wrong_usage_is_told_with_a_code(arguments: list[str], code: str, tmp_path: Path) -> None:
    done = mconv(saved(tmp_path, chain("batch")), *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error {code} "), done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["chain.onnx"]


def test_exit_status_3_names_node_and_types(tmp_path: Path) -> None:
    model = chain()
    model.graph.node[3].op_type = "Sigmoida"
    done = mconv(saved(tmp_path, model), "-t", "ncnn", cwd=tmp_path)
    assert done.returncode == 3
    for words in ("error MC300", "squash", "f32[1,5]", "Sigmoid"):
        assert words in done.stderr


def test_a_fault_of_ours_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("nobody expected this")

    monkeypatch.setattr("mconv.driver.convert", broken)
    monkeypatch.setattr(sys, "argv", ["mconv", str(DIGITS), "-t", "ncnn"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 5
    monkeypatch.setenv("MCONV_DEBUG", "1")
    with pytest.raises(KeyError):
        cli.main()


def test_memory_that_runs_out_and_interrupts_have_their_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["mconv", str(DIGITS), "-t", "ncnn"])
    for error, status in (
        (MemoryError(), 2), (RecursionError(), 2), (OSError(12, "no"), 2), (KeyboardInterrupt(), 130)
    ):  # fmt: skip

        def fail(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("mconv.driver.convert", fail)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == status


def test_the_command_ends_as_python_does() -> None:
    """What is registered to be done at the end is done, what is printed arrives, and threads are waited for."""
    code = """
import atexit, sys, threading
if sys.argv.pop(1) == "thread":
    threading.Thread(target=lambda: (threading.main_thread().join(), print("thread"))).start()
atexit.register(print, "last")
from mconv.__main__ import main
main()
"""
    for way, lines in (("plain", ["last"]), ("thread", ["thread", "last"])):
        command = [sys.executable, "-c", code, way, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert done.stdout.splitlines()[1:] == lines


def test_report_is_json_of_what_was_done(tmp_path: Path) -> None:
    need_runtimes()
    report = tmp_path / "report.json"
    quick("convert", DIGITS, "-t", "ncnn", "-o", tmp_path / "d", "--report", report)
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["verification"]["passed"] is True
    assert found["verification"]["outputs"][0]["error"] < 1e-3
    assert [Path(f["path"]).name for f in found["files"]] == ["d.param", "d.bin"]
    assert all(len(f["sha256"]) == 64 and f["bytes"] for f in found["files"])
    assert found["nodes"]["written"] < found["nodes"]["read"]
    assert {"passes", "rules", "notes", "inputs", "outputs", "target", "source"} <= set(found)


def test_trace_tells_what_was_applied_and_refused(tmp_path: Path) -> None:
    shown = quick("convert", DIGITS, "-t", "ncnn", "-o", tmp_path / "d", "--no-verify", "--trace-passes").output
    assert ": applied" in shown
    assert ": refused: " in shown


def test_check_passes_is_silent_when_all_is_well(tmp_path: Path) -> None:
    done = mconv(DIGITS, "-t", "ncnn", "-o", tmp_path / "d", "--no-verify", "--check-passes", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_inputs_are_read_from_files(suffix: str, tmp_path: Path) -> None:
    need_runtimes()
    data = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
    path = tmp_path / f"data.{suffix}"
    np.savez(path, x=data) if suffix == "npz" else np.save(path, data)
    assert mconv(saved(tmp_path), "-t", "ncnn", "-o", tmp_path / "n", "--data", path).returncode == 0


def test_inputs_that_do_not_fit_or_hold_code_are_refused(tmp_path: Path) -> None:
    need_runtimes()
    source = saved(tmp_path)
    for name, array, code in (
        ("z", np.zeros((1, 4), np.float32), "MC113"),
        ("x", np.zeros((1, 5), np.float32), "MC113"),
        ("x", np.zeros((1, 4), np.int64), "MC113"),
        ("x", np.array([{}], dtype=object), "MC119"),
    ):
        np.savez(tmp_path / "d.npz", **{name: array})
        done = mconv(source, "-t", "ncnn", "-o", tmp_path / "n", "--data", tmp_path / "d.npz")
        assert (done.returncode, done.stderr.split()[1]) == (2, code), done.stderr
    (tmp_path / "d.npz").write_bytes(b"nothing of the kind")
    done = mconv(source, "-t", "ncnn", "-o", tmp_path / "n", "--data", tmp_path / "d.npz")
    assert (done.returncode, done.stderr.split()[1]) == (2, "MC119")


def test_inspect_as_table_json_and_text() -> None:
    table = quick("inspect", DIGITS, "--dim", "batch=1").output
    for words in ("input", "image", "scores", "parameters", "GFLOP", "Conv", "%"):
        assert words in table
    found = json.loads(quick("inspect", DIGITS, "--json").output)
    assert found["inputs"] == {"image": "f32[batch,1,8,8]"}
    assert found["flops"] is None
    fixed = json.loads(quick("inspect", DIGITS, "--json", "--dim", "batch=1").output)
    assert fixed["flops"] > 0
    assert fixed["peak_activation_bytes"] > 0
    raw = json.loads(quick("inspect", DIGITS, "--json", "--raw").output)
    assert raw["nodes"] > found["nodes"]
    assert "Conv" in quick("inspect", DIGITS, "--text").output


def test_ops_lists_targets_and_a_targets_operators() -> None:
    assert {"ncnn", "onnx"} <= set(json.loads(quick("ops", "--json").output))
    assert "ncnn" in quick("ops").output
    table = json.loads(quick("ops", "--target", "ncnn", "--json").output)
    assert "Conv" in {entry["operator"] for entry in table["emitted"]}
    assert "Conv" in quick("ops", "--target", "ncnn").output
    assert mconv("ops", "--target", "nothing").stderr.startswith("error MC101")


def test_verify_tells_the_same_from_the_different(tmp_path: Path) -> None:
    need_runtimes()
    source = saved(tmp_path)
    assert mconv(source, "-t", "ncnn", "-o", tmp_path / "net", "-q").returncode == 0
    same = mconv("verify", source, tmp_path / "net.param", "--json")
    assert same.returncode == 0, same.stderr
    assert json.loads(same.stdout)["passed"] is True
    other = chain()
    other.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.ones((4, 8), np.float32), "w"))
    different = mconv("verify", saved(tmp_path, other, "other.onnx"), tmp_path / "net.param")
    assert different.returncode == 4
    assert "DIFFERS" in different.stdout
    assert different.stderr.startswith("error MC400")


def test_a_pipe_that_closes_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m mconv ops --target ncnn | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no pseudo terminals")
def test_there_is_a_bar_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "mconv", str(DIGITS), "-t", "ncnn", "-o", f"{tmp_path}/d"]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"}):
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    assert b"reading" in shown or b"rewriting" in shown or b"verifying" in shown, shown
