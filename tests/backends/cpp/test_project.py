"""What stands around the network: identifiers, descriptions of tensors, and the self-test's inputs and samples."""

from __future__ import annotations

import ctypes
import re
import subprocess
from typing import Any

import numpy as np
import pytest

from mconv.backends.cpp import project
from mconv.ir import DType, Graph, TensorType

from . import folders

FILL = """
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
struct tensor { int type, rank; int64_t dims[8]; size_t bytes; };
enum { %(types)s };
static const unsigned GOLDEN_RANGE = %(range)d;
%(code)s
extern "C" void fill_input(unsigned char* p, int type, size_t bytes, uint32_t index) {
  tensor t = {type, 0, {0}, bytes};
  fill(p, t, index);
}
extern "C" double read_element(const unsigned char* p, int type, size_t i) { return element(p, type, i); }
"""


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("digits", "digits"), ("mobilenet_v2.torchscript", "mobilenet_v2_torchscript"), ("2net", "net_2net"),
        ("", "net_"), ("_x", "net_x"), ("a-b c", "a_b_c"), ("model", "model_net"), ("delete", "delete_net"),
        ("std", "std_net"), ("été", "net_t_"),
    ],
)  # fmt: skip
def test_identifiers(name: str, want: str) -> None:
    assert project.identifier(name) == want
    assert re.fullmatch(r"[A-Za-z]\w*", project.identifier(name), re.ASCII)


def test_descriptions_of_tensors() -> None:
    assert project.tensor_initializer(TensorType(DType.F32, (1, 3))) == "{11, 2, {1, 3}, 12},"
    assert project.tensor_initializer(TensorType(DType.I64, ())) == "{4, 0, {0}, 8},"
    header = project.template("model.h")
    names = re.findall(r"@GUARD@_(\w+)", header[header.index("Element types") : header.index("} @NAME@_tensor")])
    assert [n.replace("BOOL", "bool").lower() for n in names] == [t.value for t in project.TYPES]


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``fill`` and ``element`` of api.cpp, compiled by themselves."""
    folders.need("g++")
    folder = tmp_path_factory.mktemp("fill")
    text = project.template("api.cpp")
    code = text[text.index("double element(") : text.index("bool same(")]
    code = code.replace("@GUARD@_", "T_").replace("@NAME@_tensor", "tensor")
    types = ", ".join(f"T_{t.name}" for t in project.TYPES)
    (folder / "fill.cpp").write_text(FILL % {"types": types, "range": 2, "code": code})
    command = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", str(folder / "fill.cpp"), "-o", str(folder / "fill.so")]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(folder / "fill.so"))
    library.read_element.restype = ctypes.c_double
    return library


@pytest.mark.parametrize("dtype", project.TYPES, ids=lambda t: t.value)
def test_the_code_makes_the_inputs_that_the_samples_were_computed_from(dtype: DType, filler: Any) -> None:
    graph = Graph()
    graph.add_input("a", TensorType(dtype, (3, 1000)))
    graph.add_input("b", TensorType(dtype, (7,)))
    for index, (name, wanted) in enumerate(project.golden_feeds(graph, 2).items()):
        found = np.zeros(wanted.nbytes + 8, np.uint8)
        pointer = ctypes.c_void_p(found.ctypes.data)
        type = project.TYPES.index(dtype)
        filler.fill_input(pointer, type, ctypes.c_size_t(wanted.nbytes), ctypes.c_uint32(index))
        assert found[: wanted.nbytes].tobytes() == wanted.tobytes(), name
        assert not found[wanted.nbytes :].any()
        flat = wanted.reshape(-1).astype(np.float64)
        read = [filler.read_element(pointer, type, ctypes.c_size_t(i)) for i in range(7)]
        np.testing.assert_array_equal(read, flat[:7])


def test_halves_are_read_as_numpy_does(filler: Any) -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    pointer = ctypes.c_void_p(every.ctypes.data)
    for dtype, kind in ((DType.F16, np.float16), (DType.BF16, DType.BF16.numpy)):
        with np.errstate(invalid="ignore"):  # among them are signalling NaNs
            wanted = every.view(kind).astype(np.float64)
        type = project.TYPES.index(dtype)
        read = np.array([filler.read_element(pointer, type, ctypes.c_size_t(i)) for i in range(0, 1 << 16, 7)])
        np.testing.assert_array_equal(read, wanted[::7])


def test_samples() -> None:
    places, values, scale = project.golden_samples(np.array([[1.0, -5.0], [np.inf, np.nan]], np.float32))
    assert places.tolist() == [0, 1, 2, 3]
    assert values[:3].tolist() == [1.0, -5.0, np.inf]
    assert scale.tolist() == [5.0]
    places, _, _ = project.golden_samples(np.zeros(100_000))
    assert (len(places), places[0], places[-1]) == (project.SAMPLES, 0, 99_999)
    assert len(project.golden_samples(np.zeros((0, 3)))[0]) == 0
