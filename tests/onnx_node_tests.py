"""ONNX's own backend node tests through mconv: its reader and interpreter, or a target; or another converter.

    python -m tests.onnx_node_tests --via interpreter      reader and interpreter
    python -m tests.onnx_node_tests --via ncnn --list      converted and run in ncnn, each case listed
    python -m tests.onnx_node_tests --via onnx             converted to ONNX and run in onnxruntime
    python -m tests.onnx_node_tests --via tflite           converted to TFLite and run in LiteRT
    python -m tests.onnx_node_tests --via cpp              converted to C++, compiled and run
    python -m tests.onnx_node_tests --via pnnx             as ncnn, with pnnx
    python -m tests.onnx_node_tests --via emx              as cpp, with emx-onnx-cgen (of the interpreter $EMX_PYTHON)

A case is out of scope when it is about training, `ai.onnx.ml`, sequences, optionals or strings, random numbers, image
decoding, or arithmetic of float8, float6, float4 or integers of less than 8 bits.  All others count.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from mconv import frontends
from mconv.ir.errors import MconvError

from .onnx_node_tests_peers import Crash, Refusal, convert_and_run_pnnx


def _known(reason: str, *names: str) -> dict[str, str]:
    return dict.fromkeys((f"test_{name}" for name in names), reason)


KNOWN_FAILURES: dict[str, str] = {
    **_known(
        "the sizes of Col2Im's result are attributes here; the case gives them when the model runs",
        *("col2im", "col2im_strides", "col2im_pads", "col2im_dilations", "col2im_5d"),
    ),
    **_known(
        "the axis of a DFT is an attribute here; the case gives it when the model runs",
        *("dft", "dft_axis", "dft_inverse", "dft_rfft", "dft_irfft"),
    ),
    **_known("MelWeightMatrix is computed while reading; the case gives its operands at run time", "melweightmatrix"),
    **_known(
        "TfIdfVectorizer is about texts, and no target has anything like it",
        *(f"tfidfvectorizer_tf_{form}" for form in ("only_bigrams_skip0", "batch_onlybigrams_skip0")),
        *(f"tfidfvectorizer_tf_{form}" for form in ("onlybigrams_levelempty", "onlybigrams_skip5")),
        *(f"tfidfvectorizer_tf_{form}" for form in ("batch_onlybigrams_skip5", "uniandbigrams_skip5")),
        "tfidfvectorizer_tf_batch_uniandbigrams_skip5",
    ),
    **_known(
        "the rank of a value depends on a size that is given when the model runs",
        *("affine_grid_2d_expanded", "affine_grid_2d_align_corners_expanded", "affine_grid_3d_align_corners_expanded"),
    ),
    **_known(
        "16-bit floats are computed in 32 bits here, which is nearer to the truth than the case's tolerance allows",
        "attention_4d_causal_fp16_expanded",
    ),
}
"""Cases in scope that do not pass through the interpreter, each with the reason."""

THRESHOLD = 0.97
TIMEOUT = 120.0


@dataclass(frozen=True)
class Outcome:
    """What became of a case: passed, wrong, refused, crashed, or out of scope; and why."""

    case: str
    result: str
    reason: str = ""


RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
TRAINING_DOMAINS = frozenset({"ai.onnx.training", "ai.onnx.preview.training"})
SMALL_TYPES = frozenset(
    number for name, number in TensorProto.DataType.items() if re.match(r"FLOAT[468]|U?INT[24]$", name)
)


@cache
def collect() -> dict[str, Any]:
    """All node test cases by name, with their models and data in memory."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in collect_testcases(None)}


def out_of_scope(case: Any) -> str:
    """Why a case does not count; "" where it does."""
    graph = case.model.graph
    for node in _nodes(graph):
        if node.domain in TRAINING_DOMAINS:
            return "training"
        if node.domain == "ai.onnx.ml":
            return "ai.onnx.ml"
        if node.op_type in RANDOM:
            return "random numbers"
        if node.op_type.startswith(("Optional", "Sequence", "SplitToSequence", "ConcatFromSequence")):
            return "optionals" if node.op_type.startswith("Optional") else "sequences"
        if node.op_type == "ImageDecoder":
            return "image decoding"
        if any(a.name == "training_mode" and a.i for a in node.attribute):
            return "training"
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype", "output_dtype") and attribute.i in SMALL_TYPES:
                return "float8, float4 or int4"
            if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type in SMALL_TYPES:
                return "float8, float4 or int4"
    for value in (*graph.input, *graph.output):
        if reason := _strange(value.type):
            return reason
    if "training" in case.name and "Dropout" in {node.op_type for node in graph.node}:
        return "training"
    return ""


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                yield from _nodes(body)


def _strange(type: onnx.TypeProto) -> str:
    kind = type.WhichOneof("value")
    if kind == "sequence_type":
        return "sequences"
    if kind == "optional_type":
        return "optionals"
    if type.tensor_type.elem_type == TensorProto.STRING:
        return "strings"
    return "float8, float4 or int4" if type.tensor_type.elem_type in SMALL_TYPES else ""


def as_array(value: Any) -> Any:
    """A test's datum as an array."""
    return onnx.numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def difference(case: Any, expected: Sequence[Any], found: Sequence[Any]) -> str:
    """How the results differ from the expected ones by the case's tolerances; "" where they do not."""
    for index, (want, got) in enumerate(zip(expected, found, strict=True)):
        if got.shape != want.shape:
            return f"output {index} has shape {list(got.shape)}, not {list(want.shape)}"
        if got.dtype != want.dtype:
            return f"output {index} is of {got.dtype}, not {want.dtype}"
        rtol = case.rtol
        if got.dtype.name == "bfloat16":  # as onnx's own runner: two units in the last place
            rtol, got, want = max(rtol, 2**-6), got.astype(np.float32), want.astype(np.float32)
        if not np.allclose(got, want, rtol=rtol, atol=case.atol, equal_nan=True):
            with np.errstate(all="ignore"):
                worst = np.nanmax(np.abs(got.astype(np.float64) - want.astype(np.float64)))
            return f"output {index} is off by {worst:.3g}"
    return ""


Data = tuple[dict[str, Any], list[Any]]


def data_of(case: Any, names: Sequence[str]) -> Iterator[Data]:
    """Feeds by input name, and the expected results, for each of the case's sets of data."""
    for inputs, outputs in case.data_sets:
        arrays = [as_array(value) for value in inputs]
        yield dict(zip(names, arrays, strict=True)), [as_array(value) for value in outputs]


def via_interpreter(case: Any) -> Outcome:
    """Read the case's model and run it with the reference interpreter."""
    from mconv.ir.interpreter import run

    graph = frontends.load(case.model)
    for feeds, expected in data_of(case, [value.name for value in case.model.graph.input]):
        results = run(graph, feeds)
        reason = difference(case, expected, [results[name] for name in graph.output_names])
        if reason:
            return Outcome(case.name, "wrong", reason)
    return Outcome(case.name, "passed")


def ncnn_difference(expected: Sequence[Any], found: Sequence[Any]) -> str:
    """How what ncnn computed differs; "" where it does not.

    ncnn has no batch axis, so elements are compared in order.  Numbers may differ by a thousandth of the largest one:
    its exponentials and the like are fast ones.  What is bfloat16 in the model gets that type's two units.
    """
    for index, (want, got) in enumerate(zip(expected, found, strict=True)):
        if np.size(got) != np.size(want):
            return f"output {index} has shape {list(np.shape(got))}, not {list(np.shape(want))}"
        wide, ours = np.ravel(want).astype(np.float64), np.ravel(got).astype(np.float64)
        finite = np.abs(wide[np.isfinite(wide)])
        largest = finite.max(initial=0.0)
        share = 2**-6 if np.asarray(want).dtype.name == "bfloat16" else 1e-3
        if not np.allclose(ours, wide, rtol=0, atol=max(share * largest, 1e-7), equal_nan=True):
            with np.errstate(all="ignore"):
                return f"output {index} is off by {np.nanmax(np.abs(ours - wide)):.3g} of {largest:.3g}"
    return ""


def convert_and_run_ncnn(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """Convert a model to ncnn files with mconv, run them in ncnn, and give the outputs in the model's order."""
    import mconv
    from mconv.backends.ncnn.runtime import run

    wanted = [value.name for value in model.graph.output]
    with tempfile.TemporaryDirectory() as folder:
        made = mconv.convert(model, target="ncnn", output=Path(folder) / "model", verify=False)
        files = {suffix: str(path) for suffix, path in made.files.items()}
        results = run(files, feeds, wanted, threads=1)
    return [results[name] for name in wanted]


def convert_and_run_onnx(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """Convert a model to ONNX with mconv, run that in onnxruntime, and give the outputs in the model's order."""
    import mconv
    from mconv import backends

    wanted = [value.name for value in model.graph.output]
    with tempfile.TemporaryDirectory() as folder:
        made = mconv.convert(model, target="onnx", output=Path(folder) / "model", verify=False)
        onnx.checker.check_model(str(made.files[".onnx"]), full_check=True)
        results = backends.get("onnx").run({".onnx": str(made.files[".onnx"])}, feeds, wanted)
    return [results[name] for name in wanted]


def tflite_difference(case: Any, expected: Sequence[Any], found: Sequence[Any]) -> str:
    """As ``difference``, but a sum that should be zero may keep a millionth of the largest number."""
    reason = difference(case, expected, found)
    if not reason or "off by" not in reason:
        return reason
    for want, got in zip(expected, found, strict=True):
        if want.dtype.kind != "f":
            if not np.array_equal(got, want):
                return reason
            continue
        wide, ours = want.astype(np.float64), got.astype(np.float64)
        slack = 1e-6 * np.abs(wide[np.isfinite(wide)]).max(initial=0.0)
        if not np.allclose(ours, wide, rtol=case.rtol, atol=max(slack, case.atol), equal_nan=True):
            return reason
    return ""


def convert_and_run_tflite(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """Convert a model to TFLite with mconv, run that in LiteRT, and give the outputs in the model's order.

    Only the conversion may refuse: what LiteRT refuses afterwards is wrong.
    """
    import mconv
    from mconv import backends

    wanted = [value.name for value in model.graph.output]
    with tempfile.TemporaryDirectory() as folder:
        made = mconv.convert(model, target="tflite", output=Path(folder) / "model", verify=False)
        try:
            results = backends.get("tflite").run({".tflite": str(made.files[".tflite"])}, feeds, wanted)
        except MconvError as error:
            raise RuntimeError(str(error)) from error
    return [results[name] for name in wanted]


Difference = Callable[[Any, Sequence[Any], Sequence[Any]], str]


def _loosely(case: Any, expected: Sequence[Any], found: Sequence[Any]) -> str:
    return ncnn_difference(expected, found)


def _via(
    convert_and_run: Callable[[onnx.ModelProto, dict[str, Any]], list[Any]], differ: Difference = _loosely
) -> Callable[[Any], Outcome]:
    def judged(case: Any) -> Outcome:
        names = [value.name for value in case.model.graph.input]
        for feeds, expected in data_of(case, names):
            reason = differ(case, expected, convert_and_run(case.model, feeds))
            if reason:
                return Outcome(case.name, "wrong", reason)
        return Outcome(case.name, "passed")

    return judged


VIA: dict[str, Callable[[Any], Outcome]] = {
    "interpreter": via_interpreter,
    "ncnn": _via(convert_and_run_ncnn),
    "onnx": _via(convert_and_run_onnx),
    "tflite": _via(convert_and_run_tflite, tflite_difference),
    "pnnx": _via(convert_and_run_pnnx),
}


def judge(case: Any, via: str) -> Outcome:
    """The outcome of one case in this process."""
    try:
        return VIA[via](case)
    except MconvError as error:
        result = "wrong" if error.exit_status == 5 else "refused"  # an internal error is no refusal
        return Outcome(case.name, result, f"{error.code} {error.problems[0].what}")
    except Refusal as error:
        return Outcome(case.name, "refused", str(error))
    except Crash as error:
        return Outcome(case.name, "crashed", str(error))
    except Exception as error:  # whatever a case brings to light is its outcome
        text = str(error).strip().splitlines() or [""]
        return Outcome(case.name, "wrong", f"{type(error).__name__}: {text[0][:160]}")


def judge_apart(names: Sequence[str], via: str, processes: int = 2) -> list[Outcome]:
    """The outcomes of cases, each in a process of its own: a runtime that crashes is an outcome too."""
    context = get_context("fork")  # the cases are in memory already
    waiting, running, found = list(reversed(names)), [], []
    while waiting or running:
        while waiting and len(running) < processes:
            name = waiting.pop()
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_answer, args=(there, name, via))
            process.start()
            there.close()
            running.append((name, process, here, time.monotonic()))
        for entry in list(running):
            name, process, here, began = entry
            if here.poll(0.01) or not process.is_alive():
                outcome = _received(name, here, process)
            elif time.monotonic() - began > TIMEOUT:
                process.kill()
                outcome = Outcome(name, "crashed", f"not done after {TIMEOUT:.0f} s")
            else:
                continue
            process.join()
            here.close()
            running.remove(entry)
            found.append(outcome)
    order = {name: index for index, name in enumerate(names)}
    return sorted(found, key=lambda outcome: order[outcome.case])


def _received(name: str, here: Any, process: Any) -> Outcome:
    try:
        outcome: Outcome = here.recv()
    except EOFError:
        process.join()
        return Outcome(name, "crashed", f"exit status {process.exitcode}")
    return outcome


def _answer(there: Any, name: str, via: str) -> None:
    there.send(judge(collect()[name], via))


def run_all(via: str, pattern: str = "", flags: Sequence[str] = ()) -> list[Outcome]:
    """The outcomes of all cases whose name holds ``pattern``; ``flags`` are the compiler's, where one is needed."""
    cases = {name: case for name, case in collect().items() if pattern in name}
    reasons = {name: out_of_scope(case) for name, case in cases.items()}
    inside = [name for name, reason in reasons.items() if not reason]
    # The interpreter is Python; what runs a converter's own code gets a process for each case.
    here = via == "interpreter"
    if via in BATCHED:
        outcomes = judge_batched({name: cases[name] for name in inside}, flags, via)
    else:
        outcomes = [judge(cases[name], via) for name in inside] if here else judge_apart(inside, via)
    return outcomes + [Outcome(name, "out of scope", reason) for name, reason in reasons.items() if reason]


BATCHED = ("cpp", "emx")
"""Ways that write source, of which many cases are compiled together."""


def judge_batched(cases: dict[str, Any], flags: Sequence[str] = (), via: str = "cpp") -> list[Outcome]:
    """The outcomes of cases that are compiled together, through the C++ target or emx-onnx-cgen."""
    if via == "emx":
        from .onnx_node_tests_peers import emx_outcomes

        found = emx_outcomes(cases, _batched)
    else:
        from .onnx_node_tests_cpp import outcomes

        found = outcomes(cases, _batched, flags=flags)
    return [Outcome(name, *found[name]) for name in cases]


def _batched(case: Any, run: Callable[..., Sequence[Any]]) -> str:
    for feeds, expected in data_of(case, [value.name for value in case.model.graph.input]):
        reason = tflite_difference(case, expected, run(list(feeds.values()), expected))
        if reason:
            return reason
    return ""


def summary(outcomes: Sequence[Outcome]) -> str:
    """The counts, as a few lines."""
    counts = Counter(outcome.result for outcome in outcomes)
    inside = [outcome for outcome in outcomes if outcome.result != "out of scope"]
    share = counts["passed"] / max(1, len(inside))
    outside = Counter(outcome.reason for outcome in outcomes if outcome.result == "out of scope")
    lines = [
        f"{len(outcomes)} cases, {len(inside)} in scope: {counts['passed']} right ({share:.1%}), "
        f"{counts['refused']} refused, {counts['wrong']} wrong, {counts['crashed']} crashed"
        + (f", {counts['not built']} that gcc does not compile" if counts["not built"] else ""),
        "out of scope: " + ", ".join(f"{count} {reason}" for reason, count in outside.most_common()),
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--via", choices=sorted([*VIA, *BATCHED]), default="interpreter")
    parser.add_argument("--list", action="store_true", help="every case in scope that is not right, with the reason")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name holds this text")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UBSan, by --via cpp")
    options = parser.parse_args(arguments)
    if options.sanitize and "libasan" not in os.environ.get("LD_PRELOAD", ""):
        library = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
        settings = {"LD_PRELOAD": library.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
        os.execve(sys.executable, [sys.executable, "-m", "tests.onnx_node_tests", *sys.argv[1:]], os.environ | settings)
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if options.sanitize else []
    outcomes = run_all(options.via, options.only, flags)
    if options.list:
        for outcome in outcomes:
            if outcome.result not in ("passed", "out of scope"):
                print(f"{outcome.case}: {outcome.result}: {outcome.reason}")
    print(summary(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
