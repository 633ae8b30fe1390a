"""Model-local functions, and bodies of If, Loop and Scan, against onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from mconv import frontends
from mconv.ir import ops
from mconv.ir.errors import MconvError
from mconv.ir.interpreter import run

from .models import code_of, feeds_of, parsed, same_as_onnxruntime, single

FUNCTIONS = """
<domain: "local", opset_import: ["local": 1, "": 17]>
twice <factor> (x) => (y) { f = Constant <value_float: float = @factor> ()  y = Mul (x, f) }
<domain: "local", opset_import: ["local": 1, "": 17]>
nested (x) => (y) { a = local.twice <factor = 3.0> (x)  y = local.twice <factor = 2.0> (a) }
<domain: "local", opset_import: ["": 17]>
leaky <slope: float = 0.5> (x) => (y) { y = LeakyRelu <alpha: float = @slope> (x) }
<domain: "local", opset_import: ["": 17]>
along <where> (x) => (y) { y = Softmax <axis: int = @where> (x) }
<domain: "local", opset_import: ["": 17]>
clipped (x, low, high) => (y) { y = Clip (x, low, high) }
"""


@pytest.mark.parametrize(
    "body",
    [
        "y = local.twice <factor = 2.5> (x)",
        "y = local.nested (x)",
        "y = local.leaky (x)",
        "y = local.leaky <slope = 0.25> (x)",
        "y = local.along <where = 0> (x)",
        "y = local.along (x)",
        "a = local.nested (x)  b = local.nested (x)  y = Add (a, b)",
        "y = local.clipped (x)",
    ],
)
def test_functions_are_inlined(body: str) -> None:
    model = parsed(f"g (float[3, 2] x) => (float[3, 2] y) {{ {body} }}", domains=FUNCTIONS)
    same_as_onnxruntime(model)


def test_values_inside_functions_are_named_after_the_call() -> None:
    model = parsed("g (float[2] x) => (float[2] y) { y = local.nested (x) }", domains=FUNCTIONS)
    graph = frontends.load(model)
    names = [node.result.name for node in graph.nodes]
    assert names[-1] == "y"
    assert all(name.startswith("y/") for name in names[:-1])


def test_an_attribute_that_the_function_has_not_is_an_error() -> None:
    model = parsed("g (float[2] x) => (float[2] y) { y = local.leaky <angle = 1.0> (x) }", domains=FUNCTIONS)
    with pytest.raises(MconvError) as error:
        frontends.load(model)
    assert code_of(error) == "MC217"


IF = """
g ({condition}float[2, 3] x, float[3] w) => (float[n, 3] y) {{
  {prepare}
  s = Exp (x)
  y = If (c) <
    then_branch = t () => (float[a, 3] r) {{ k = Constant <value = float {{2.0}}> ()  m = Mul (s, k)  r = Add (m, w) }},
    else_branch = e () => (float[b, 3] q) {{ q = Sub (x, w) }}
  >
}}
"""


@pytest.mark.parametrize("choice", [True, False])
def test_if_that_runs_decide(choice: bool) -> None:
    model = parsed(IF.format(condition="bool c, ", prepare=""))
    feeds = {**feeds_of(model), "c": np.array(choice)}
    graph = same_as_onnxruntime(model, feeds)
    assert isinstance(graph.nodes[-1].op, ops.If)


@pytest.mark.parametrize(("limit", "taken"), [(7.0, "Sub"), (8.0, "Add")])
def test_if_that_shapes_decide_is_its_branch(limit: float, taken: str) -> None:
    prepare = (
        "d = Shape (x)  z = Constant <value_ints = [0]> ()  e = Gather (d, z)  f = Cast <to = 1> (e)  g = Exp (f)  "
        f"n = Constant <value_floats = [{limit}]> ()  p = Less (g, n)  c = Squeeze (p)"
    )
    graph = same_as_onnxruntime(parsed(IF.format(condition="", prepare=prepare)))  # exp(2) is 7.39
    assert type(graph.nodes[-1].op).__name__ == taken
    assert not any(isinstance(node.op, ops.If) for node in graph.nodes)


def test_branches_nested_in_branches_capture_from_all_around() -> None:
    text = """
    g (bool c, bool d, float[2] x) => (float[2] y) {
      a = Exp (x)
      y = If (c) <
        then_branch = t () => (float[2] r) {
          b = Abs (x)
          r = If (d) <
            then_branch = tt () => (float[2] u) { u = Add (a, b) },
            else_branch = te () => (float[2] v) { v = Sub (a, x) }
          >
        },
        else_branch = e () => (float[2] w) { w = Identity (a) }
      >
    }
    """
    model = parsed(text)
    for c in (True, False):
        for d in (True, False):
            same_as_onnxruntime(model, {**feeds_of(model), "c": np.array(c), "d": np.array(d)})


LOOP = """
g (int64 n, float[2] x, float[2] w) => (float[2] last, float[k, 2] all) {{
  go = Constant <value = bool {{1}}> ()
  last, all = Loop ({count}, {condition}, x) <
    body = b (int64 i, bool keep, float[2] s) => (bool next, float[2] t, float[2] scan) {{
      t = Add (s, w)
      scan = Mul (t, t)
      sum = ReduceSum <keepdims = 0> (t)
      limit = Constant <value = float {{50.0}}> ()
      next = Less (sum, limit)
    }}
  >
}}
"""


@pytest.mark.parametrize(("count", "condition"), [("n", "go"), ("n", ""), ("", "go")])
def test_loop(count: str, condition: str) -> None:
    model = parsed(LOOP.format(count=count, condition=condition))
    feeds = {"n": np.array(4), "x": np.float32([1, 2]), "w": np.float32([3, 4])}
    same_as_onnxruntime(model, feeds)


def test_a_loop_whose_state_grows() -> None:
    text = """
    g (int64 n, float[1] x) => (float[k] y) {
      go = Constant <value = bool {1}> ()
      y = Loop (n, go, x) <
        body = b (int64 i, bool keep, float[m] s) => (bool next, float[j] t) {
          t = Concat <axis = 0> (s, x)
          next = Identity (keep)
        }
      >
    }
    """
    model = parsed(text)
    graph = same_as_onnxruntime(model, {"n": np.array(3), "x": np.float32([7])})
    assert not graph.outputs[0].type.is_static


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [0, -1])
def test_scan(axis: int, reverse: int) -> None:
    shape = "[5, 2]" if axis == 0 else "[2, 5]"
    text = f"""
    g (float[2] start, float{shape} x) => (float[2] last, float[p, q] sums) {{
      last, sums = Scan <num_scan_inputs = 1, scan_input_axes = [{axis}], scan_input_directions = [{reverse}],
                         scan_output_axes = [{axis}], scan_output_directions = [{reverse}],
        body = b (float[2] s, float[2] e) => (float[2] t, float[2] o) {{ t = Add (s, e)  o = Exp (t) }}
      > (start, x)
    }}
    """
    same_as_onnxruntime(parsed(text))


def test_operators_that_the_specification_defines_need_no_handler() -> None:
    graph = frontends.load(single("BlackmanWindow", {}, initializers={"n": np.array(10)}, opset=17))
    found = run(graph, {})["y0"]
    steps = np.arange(10) / 10
    wanted = 0.42 - 0.5 * np.cos(2 * np.pi * steps) + 0.08 * np.cos(4 * np.pi * steps)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_body_without_some_of_its_states_is_unreadable() -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"])],
        "b",
        [helper.make_tensor_value_info(n, k, []) for n, k in (("i", TensorProto.INT64), ("c", TensorProto.BOOL))],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, [])],
    )
    model = single("Loop", {"x": [2]}, inputs=["", "", "x"], body=body)
    with pytest.raises(MconvError) as error:
        frontends.load(model)
    assert code_of(error) == "MC218"


def test_simplify_runs_the_simplifier_first(tmp_path: Path) -> None:
    pytest.importorskip("onnxsim")
    model = parsed("g (float[2] x) => (float[2] y) { a = Identity (x)  b = Identity (a)  y = Exp (b) }")
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    for source in (path, model):
        graph = frontends.load(source, simplify=True)
        assert [type(node.op).__name__ for node in graph.nodes] == ["Exp"]
    with pytest.raises(MconvError):
        frontends.load(parsed("g (float[2] x) => (float[2] y) { y = Nothing (x) }"), simplify=True)
