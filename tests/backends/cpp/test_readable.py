"""The generated source is worth reading: members of structs are labelled, lines are short, steps tell their sources."""

from __future__ import annotations

import re
from pathlib import Path

import mconv
from mconv.backends.cpp import readable

from .models import model, numbers

KNOWN = readable.structs("gemm") | readable.structs("epilogue") | readable.structs("elementwise")


def test_members_are_labelled_as_the_header_declares_them() -> None:
    line = "static const Pointwise s{8, 16, 55, 1, 2, 0, 0, 64, 0, {0, 6.0f}};"
    want = (
        "{/*c, k, w*/ 8, 16, 55, /*xs, ys*/ 1, 2, /*xring, yring*/ 0, 0, /*block*/ 64, "
        "/*scale*/ 0, {/*lo, hi*/ 0, 6.0f}}"
    )
    assert readable.labelled(line, KNOWN) == f"static const Pointwise s{want};"


def test_an_array_has_a_label_of_its_own() -> None:
    line = "static const Loop<2> s{1, {3}, {1}, {{1}, {0}}};"
    assert (
        readable.labelled(line, KNOWN) == "static const Loop<2> s{/*axes*/ 1, /*n*/ {3}, /*y*/ {1}, /*x*/ {{1}, {0}}};"
    )


def test_other_lines_stay_as_they_are() -> None:
    for line in ("static const int64_t n[] = {1, 2};", "static const Unknown s{1, 2};", "f(r, 1, 2);"):
        assert readable.labelled(line, KNOWN) == line


def test_a_long_line_is_cut_where_a_bracket_lists_something() -> None:
    line = f"  f(r, {', '.join(f'arena<float>(r, {i})' for i in range(20))}, 0, 55);"
    pieces = readable.cut(line)
    assert max(map(len, pieces)) <= readable.WIDTH
    assert all(piece.startswith("    a") for piece in pieces[1:])
    assert "".join(pieces).replace(" ", "") == line.replace(" ", "")


def test_what_cannot_be_cut_stays_long() -> None:
    for line in (f"// {'a, ' * 60}", f'  f("{"a, " * 60}");', f"  {'x' * 200};"):
        assert readable.cut(line) == [line]


def test_steps_say_what_they_compute_of_what(tmp_path: Path) -> None:
    shapes = {"w": (16, 32, 1, 1), "v": (16, 32, 1, 1), "u": (8, 32, 1, 1)}
    weights = {name: numbers(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    nodes = [("Conv", "x w", "left"), ("Conv", "x v", "right"), ("Concat", "left right", "both", {"axis": 1})]
    built, _ = model([*nodes, ("Conv", "both u", "last")], {"x": numbers(1, 32, 9, 9)}, weights)
    mconv.convert(built, target="cpp", output=tmp_path / "net", debug_names=True, verify=False)
    text = (tmp_path / "net" / "model_net.cpp").read_text(encoding="utf-8")
    assert "// input 0 'x': f32[1,32,9,9]" in text
    assert "// Conv 'left': f32[1,32,9,9] -> f32[1,16,9,9]; of step 0" in text
    assert re.search(r"// Conv 'last': f32\[1,32,9,9\] -> f32\[1,8,9,9\]; of step 1, step 2\n", text)
    assert "  step1(r);  // Conv 'left'\n" in text
    assert max(map(len, text.splitlines())) <= readable.WIDTH + 3
