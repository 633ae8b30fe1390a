"""ONNX's node tests through other converters: pnnx (run in ncnn) and emx-onnx-cgen (compiled with gcc)."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from .onnx_node_tests_batch import Judge, Run, judged_apart

TIMEOUT = 60.0


class Refusal(Exception):
    """A converter says no."""


class Crash(Exception):
    """A converter falls over."""


PNNX_SUFFIX = {"float32": "f32", "float64": "f64", "float16": "f16", "int32": "i32", "int64": "i64", "uint8": "u8"}
PNNX_SUFFIX |= {"int8": "i8", "int16": "i16", "bool": "i8"}


def convert_and_run_pnnx(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """The same with pnnx; Refusal where it writes no files."""
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "m.onnx").write_bytes(model.SerializeToString())
        shapes = [
            f"[{','.join(map(str, a.shape))}]{PNNX_SUFFIX.get(a.dtype.name, a.dtype.name)}" for a in feeds.values()
        ]
        command = [_pnnx(), "m.onnx", f"inputshape={','.join(shapes)}", "fp16=0"]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT, check=False)
        if done.returncode < 0:
            raise Crash(f"pnnx is killed by signal {-done.returncode}")
        if done.returncode or not (folder / "m.ncnn.param").exists():
            raise Refusal(f"exit status {done.returncode}")
        return _run_pnnx_files(folder, feeds, len(model.graph.output))
    finally:
        shutil.rmtree(folder)


@cache
def _pnnx() -> str:
    spec = importlib.util.find_spec("pnnx")
    if spec is None or spec.origin is None:
        raise SystemExit("--via pnnx needs `pip install pnnx`")
    return str(Path(spec.origin).with_name("pnnx"))


def _run_pnnx_files(folder: Path, feeds: dict[str, Any], outputs: int) -> list[Any]:
    """Run pnnx's ncnn files; which input has a batch axis for ncnn is told in the Python file it writes."""
    ncnn: Any = importlib.import_module("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param(str(folder / "m.ncnn.param")) or net.load_model(str(folder / "m.ncnn.bin")):
        raise ValueError("ncnn does not load the files")
    script = (folder / "m_ncnn.py").read_text(encoding="utf-8")
    extractor = net.create_extractor()
    for index, array in enumerate(feeds.values()):
        if f"in{index}" not in net.input_names():
            continue
        line = re.search(rf'ex\.input\("in{index}", .*batch_index=(\d+)', script)
        data = array.astype(np.int32 if array.dtype.kind in "iub" and "Embed" in script else np.float32)
        extractor.input(f"in{index}", ncnn.Mat(data, batch_index=int(line[1]) if line else 233).clone())
    results = []
    for index in range(outputs):
        status, mat = extractor.extract(f"out{index}")
        if status:
            raise ValueError(f"ncnn fails with status {status}")
        results.append(mat.numpy(batch_index=0) if mat.n > 1 else np.array(mat))
    return results


EMX_COMMAND = """
import io, json, os, sys, traceback, contextlib
import jinja2
plain = jinja2.Environment.__init__
def cached(self, *args, **kwargs):
    kwargs.setdefault("bytecode_cache", jinja2.FileSystemBytecodeCache(os.getcwd()))
    plain(self, *args, **kwargs)
jinja2.Environment.__init__ = cached
from emx_onnx_cgen.cli import main
found = {}
for name in sys.argv[1].split(","):
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = main(["compile", f"{name}.onnx", f"{name}.c", "--model-name", name, *sys.argv[2:]])
        last = (said.getvalue().strip().splitlines() or [""])[-1]
        found[name] = ("refused", last) if status or not os.path.exists(f"{name}.c") else ("", "")
    except SystemExit as end:
        found[name] = ("refused", f"exit status {end.code}")
    except BaseException as error:
        found[name] = ("crashed", f"{type(error).__name__}: {error}")
json.dump(found, open("found.json", "w"))
"""
"""emx-onnx-cgen's own command, for many models in one process; its templates are compiled only once."""
EMX_OPTIONS = ("--large-weight-threshold", "1000000000")  # all weights in the source
EMX_FLAGS = ("-O2", "-w", "-fPIC", "-fno-strict-aliasing")


def emx_outcomes(cases: dict[str, Any], judge: Judge) -> dict[str, tuple[str, str]]:
    """For each case "passed", "wrong", "refused", "crashed" or "not built" (gcc does not compile it), and why."""
    python = os.environ.get("EMX_PYTHON")
    if not python:
        raise SystemExit("--via emx needs EMX_PYTHON, an interpreter whose environment has emx-onnx-cgen")
    stems = {name: f"c{number}" for number, name in enumerate(cases)}
    with tempfile.TemporaryDirectory(prefix="mconv-emx-") as made:
        folder = Path(made)
        for name, case in cases.items():
            (folder / f"{stems[name]}.onnx").write_bytes(case.model.SerializeToString())
        subprocess.run([python, "-c", EMX_COMMAND, ",".join(stems.values()), *EMX_OPTIONS], cwd=folder, check=True)
        said: dict[str, list[str]] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
        found = {name: (said[stem][0], said[stem][1][:200]) for name, stem in stems.items() if said[stem][0]}
        emitted = [name for name in cases if name not in found]
        for begin in range(0, len(emitted), 60):
            names = emitted[begin : begin + 60]
            missing = _compiled(folder, [stems[name] for name in names], f"batch{begin}.so")
            found |= {name: ("not built", missing[stems[name]]) for name in names if stems[name] in missing}
            rest = {name: cases[name] for name in names if name not in found}
            found |= judged_apart(rest, partial(_emx_loaded, folder, stems, f"batch{begin}.so"), judge)
    return found


def _compiled(folder: Path, stems: Sequence[str], library: str) -> dict[str, str]:
    """Compile the sources into one library; those that gcc refuses, with the first of its errors."""
    sources = [f"{stem}.c" for stem in stems]
    done = subprocess.run(["gcc", "-c", *EMX_FLAGS, *sources], cwd=folder, capture_output=True, text=True, check=False)
    objects = [f"{stem}.o" for stem in stems if (folder / f"{stem}.o").exists()]
    for name in objects:  # constants of several models may have the same names
        subprocess.run(["objcopy", f"--keep-global-symbol={Path(name).stem}", name], cwd=folder, check=True)
    subprocess.run(["gcc", "-shared", "-o", library, *objects, "-lm"], cwd=folder, check=True)
    missing = {}
    for stem in stems:
        if f"{stem}.o" not in objects:
            error = re.search(rf"^{stem}\.c:\S+ error: (.*)$", done.stderr, re.MULTILINE)
            missing[stem] = error[1] if error else "gcc says nothing"
    return missing


def _emx_loaded(folder: Path, stems: dict[str, str], library: str, names: Sequence[str]) -> Iterator[Run]:
    loaded = ctypes.CDLL(str(folder / library))
    for name in names:
        text = (folder / f"{stems[name]}.c").read_text(encoding="utf-8")
        yield partial(_call, getattr(loaded, stems[name]), text, stems[name])


def _call(function: Any, text: str, stem: str, arrays: Sequence[Any], expected: Sequence[Any]) -> Sequence[Any]:
    """Call the generated function: its sizes first, its inputs and its outputs, as the head of it declares them."""
    head = re.search(rf"^void {stem}\((.*)\) {{$", text, re.MULTILINE)
    if head is None:
        raise ValueError("the source has no such function")
    given = [np.ascontiguousarray(array) for array in arrays]
    results = [np.full(np.shape(array), 77, np.asarray(array).dtype) for array in expected]
    parameters = [part.strip() for part in head[1].split(",")]
    sizes = [part.split()[1] for part in parameters if re.fullmatch(r"int \w+", part)]
    held = parameters[len(sizes) :]
    if len(held) != len(given) + len(results):
        raise ValueError(f"the function takes {len(held)} arrays, not {len(given)} and {len(results)}")
    known: dict[str, int] = {}
    for part, array in zip(held, [*given, *results], strict=True):
        declared = [size.removeprefix("restrict ") for size in re.findall(r"\[([^]]*)\]", part)]
        for size, real in zip(declared, array.shape or (1,), strict=True):
            if size.isdigit() and int(size) != max(real, 1):  # C has no empty arrays
                raise ValueError(f"{part} is for an array of {array.shape}")
            known.setdefault(size, real)
    guarded = [_guarded(array) for array in (*given, *results)]
    function(
        *(ctypes.c_int(known[size]) for size in sizes), *(memory.ctypes.data_as(ctypes.c_void_p) for memory in guarded)
    )
    count = len(given)
    return [
        memory[: array.nbytes].view(array.dtype).reshape(array.shape)
        for memory, array in zip(guarded[count:], results, strict=True)
    ]


def _guarded(array: Any) -> Any:
    memory = np.zeros(array.nbytes + 4096, np.uint8)
    memory[: array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
    return memory
