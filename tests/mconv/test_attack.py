"""What `mconv attack` finds in files that are known to hold, or not to hold, a model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mconv.attack import Attack, attack, elf, search, trace, words
from mconv.attack.forms import winograd
from mconv.backends.cpp import protect
from mconv.ir.errors import UnreadableError, UsageError

from .test_cli import mconv, quick

RANDOM = np.random.default_rng(11)
KERNEL = (RANDOM.standard_normal((32, 16, 3, 3)) * 0.05).astype(np.float32)
SCALE = (1 + RANDOM.random(32)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = BatchNorm(Conv(x, w)), with names that nothing else has."""
    rest = {name: RANDOM.standard_normal(32).astype(np.float32) for name in ("beta", "mean")}
    arrays = {"stage1_kernel": KERNEL, "gamma": SCALE, **rest, "var": np.ones(32, np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "stage1_kernel"], ["stage1_out"], name="stage1/convolve", pads=[1] * 4),
        helper.make_node("BatchNormalization", ["stage1_out", "gamma", "beta", "mean", "var"], ["y"], name="normalise"),
    ]
    graph = helper.make_graph(
        nodes,
        "secret",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    path = tmp_path_factory.mktemp("attack") / "secret.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def shares(found: Attack) -> dict[tuple[str, str], float]:
    return {(leak.kind, leak.form): leak.share for leak in found.leaks}


def noise(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


def test_the_model_itself_gives_all_away(model: Path) -> None:
    found = attack(model, model)
    assert found.score >= 80
    assert {"stage1_kernel", "BatchNormalization", "convolve", "stage1"} <= found.words.keys()
    assert shares(found)["windows", "as in the original"] > 0.99
    assert shares(found)["values", "as in the original"] > 0.99
    assert not found.program


def test_random_bytes_give_nothing_away(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "noise"
    file.write_bytes(noise(5_000_000))
    found = attack(file, model)
    assert found.score == 0
    assert set(shares(found).values()) == {0.0}
    # single values are met by chance, and known to be
    assert any(leak.found > 0 for leak in found.leaks)
    assert all(region.entropy > 7.99 and region.plain == 0 for region in found.regions)


def test_another_models_weights_give_nothing_away(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "other"
    other = np.random.default_rng(1).standard_normal(1_000_000).astype(np.float32) * np.float32(0.05)
    file.write_bytes(other.tobytes())
    found = attack(file, model)
    assert (found.parts["windows"], found.parts["values"], found.score) == (0, 0, 0)
    assert attack(file).parts["plain"] > 0.9


def blocked(kernel: np.ndarray) -> np.ndarray:
    """[K/16][C][3][3][16]"""
    return np.ascontiguousarray(kernel.reshape(2, 16, 16, 3, 3).transpose(0, 2, 3, 4, 1))


def folded(kernel: np.ndarray) -> np.ndarray:
    return kernel * (SCALE / np.sqrt(np.float32(1 + 1e-5))).reshape(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("change", "kind", "form"),
    [
        (lambda w: w, "windows", "as in the original"),
        (lambda w: w.transpose(0, 2, 3, 1), "windows", "axes in another order"),
        (lambda w: w.transpose(2, 3, 1, 0), "windows", "axes in another order"),
        (blocked, "windows", "axes in another order"),
        (lambda w: w.astype(np.float16), "windows", "as 16-bit floats"),
        (lambda w: w.astype(ml_dtypes.bfloat16), "windows", "as bfloat16"),
        (lambda w: folded(w).transpose(0, 2, 3, 1).astype(np.float16), "windows", "folded, as 16-bit floats"),
        (lambda w: w * np.float32(0.371), "windows", "scaled by unknown factors"),
        (lambda w: w.reshape(-1)[np.random.default_rng(5).permutation(w.size)], "values", "as in the original"),
        (folded, "values", "BatchNorm folded in"),
        (lambda w: winograd(w.reshape(-1, 3, 3), 4).transpose(1, 2, 0), "values", "Winograd F(4x4)"),
        (lambda w: winograd(w.reshape(-1, 3, 3), 2), "values", "Winograd F(2x2)"),
    ],
)
def test_changed_weights_are_recognised(
    model: Path, tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], kind: str, form: str
) -> None:
    file = tmp_path / "changed"
    file.write_bytes(noise(4321) + np.ascontiguousarray(change(KERNEL)).tobytes() + noise(1234))
    found = attack(file, model)
    assert shares(found)[kind, form] > 0.9
    assert found.score > 20


def test_winograds_matrix_is_that_of_the_paper() -> None:
    """Lavin and Gray, section 4.1: F(2x2, 3x3) is exact for a picture; checked by what it computes."""
    picture, kernel = RANDOM.standard_normal((4, 4)), RANDOM.standard_normal((3, 3))
    b = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    a = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    direct = [[np.sum(picture[y : y + 3, x : x + 3] * kernel) for x in range(2)] for y in range(2)]
    transformed = winograd(kernel[None].astype(np.float32), 2)[0]
    np.testing.assert_allclose(a @ (transformed * (b @ picture @ b.T)) @ a.T, direct, rtol=1e-5, atol=1e-5)


def test_searches_find_what_stands_anywhere_and_nothing_else() -> None:
    data = np.frombuffer(noise((1 << 22) + 5000), np.uint8)
    places = [0, 1, 7, 1000, (1 << 22) - 15, (1 << 22) - 8, 1 << 22, len(data) - 16]
    there = np.stack([data[at : at + 16] for at in places])
    other = np.frombuffer(np.random.default_rng(99).bytes(16 * 50), np.uint8).reshape(-1, 16)
    assert search.find_windows(data, np.concatenate([there, other])).tolist() == [True] * len(places) + [False] * 50
    starts = np.ascontiguousarray(there[:, :4]).view("<u4").reshape(-1)
    assert search.find_words(data, starts).all()


def test_short_words_count_alone_and_long_ones_anywhere() -> None:
    data = memoryview(b"\0Relu\0 xReluy\x04Gemm\x01 AConvolutionB LayerNorm\n")
    found = words.found_in(data, ["Relu", "Gemm", "Convolution", "LayerNorm", "Sigmoid"])
    assert found == {"Relu": 1, "Gemm": 1, "Convolution": 1, "LayerNorm": 1}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("g++"):
        pytest.skip("no g++")
    folder = tmp_path_factory.mktemp("library")
    (folder / "a.cpp").write_text("""
extern "C" int net_create() { return 1; }
extern "C" int net_run() { return 2; }
extern "C" int conv_weights[4] = {1, 2, 3, 4};
static int __attribute__((noinline, used)) hidden_step(int x) { return x * 3; }
extern "C" int net_destroy() { return hidden_step(3); }
""")
    command = ["g++", "-shared", "-fPIC", "-O0", "a.cpp", "-o", "liba.so"]
    subprocess.run(command, cwd=folder, check=True)
    subprocess.run(["g++", "-c", "-fPIC", "a.cpp", "-o", "a.o"], cwd=folder, check=True)
    subprocess.run(["ar", "rc", "liba.a", "a.o"], cwd=folder, check=True)
    return folder / "liba.so"


def test_symbols_beyond_the_prefix_are_named(library: Path) -> None:
    found = attack(library)
    assert (found.prefix, found.exported, found.beyond) == ("net_", 4, ("conv_weights",))
    assert any("hidden_step" in name for name in found.told)
    subprocess.run(["strip", "--strip-unneeded", str(library)], check=True)
    assert attack(library).told == ()


def test_symbols_of_an_archive_are_found(library: Path) -> None:
    program = elf.read(memoryview(library.with_suffix(".a").read_bytes()))
    assert program is not None
    assert {"net_run", "conv_weights"} <= {s.name for s in program.symbols if s.exported}
    assert ".text" in {s.name for s in program.sections}


def test_damaged_programs_are_read_as_far_as_they_go(library: Path) -> None:
    sound = library.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(sound)
        for place in random.integers(0, 64 if random.random() < 0.5 else len(sound), 8):
            damaged[place] = random.integers(256)
        if random.random() < 0.3:
            del damaged[random.integers(1, len(damaged)) :]
        elf.read(memoryview(bytes(damaged)))


def test_a_build_is_recognised_by_its_seal_and_by_its_marks(tmp_path: Path) -> None:
    arrays = [noise(4000 + i) for i in range(5)]
    builds = {seed: protect.build_from(seed, arrays) for seed in ("customer 1", "customer 2")}
    maps = []
    for seed, build in builds.items():
        maps.append(tmp_path / f"{seed}.json")
        maps[-1].write_text(json.dumps({"build": build.as_json(5)}))
    build = builds["customer 2"]
    plain = protect.laid_out(arrays, protect.place([len(a) for a in arrays], build), build)
    (tmp_path / "sealed").write_bytes(noise(999) + b"".join(protect.seal(plain, noise(32), build)))
    (tmp_path / "dumped").write_bytes(noise(333) + b"".join(plain))
    first, second = trace(tmp_path / "sealed", maps)
    assert (first.recognised, second.recognised, second.trace, second.marks) == (False, True, True, 0)
    first, second = trace(tmp_path / "dumped", maps)
    assert (first.recognised, second.recognised, second.trace, second.marks) == (False, True, False, 5)
    assert mconv("attack", tmp_path / "dumped", "--trace", maps[1]).returncode == 0
    done = mconv("attack", tmp_path / "dumped", "--trace", maps[0])
    assert (done.returncode, "MC421" in done.stderr) == (1, True)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"build": 3}', '{"build": {"seed": "00", "gaps": 1}}', "\0"])
def test_a_map_without_a_build_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "map.json"
    file.write_text(content or " ")
    with pytest.raises(UsageError, match="MC128"):
        trace(file, [file])


def test_what_cannot_be_opened_is_refused(tmp_path: Path, model: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(UnreadableError, match="MC200"):
        attack(tmp_path / "empty")
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match="MC110"):
            attack(path)


def test_the_command_shows_a_score_and_exits_by_it(model: Path, tmp_path: Path) -> None:
    done = mconv("attack", model, "--original", model)
    assert done.returncode == 1
    assert "MC420" in done.stderr
    assert "axes in another order" in done.stdout
    assert "score" in done.stdout
    assert mconv("attack", model, "--original", model, "--max-score", "100").returncode == 0
    file = tmp_path / "noise"
    file.write_bytes(noise(100_000))
    found = json.loads(quick("attack", file, "--original", model, "--json").output)
    assert (found["score"], found["program"]) == (0, False)
    assert {leak["kind"] for leak in found["leaks"]} == {"windows", "values"}


def test_the_default_of_the_command_is_that_of_the_package() -> None:
    code = "from mconv import cli, attack; print(cli.attack.params[3].default == attack.MAX_SCORE)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
