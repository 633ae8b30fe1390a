"""The set of operators as a whole."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

from mconv.ir import Op, ops
from mconv.ir.op import OPERATORS

from .oracle import Case

TESTED_WITHOUT_ONNX = {
    "Affine",
    "Atan2",
    "ChannelShuffle",
    "DetectionOutput",
    "If",
    "Loop",
    "PSRoiPool",
    "Proposal",
    "Rsqrt",
    "ScaledTanh",
    "Scan",
    "Square",
}


def cases() -> Iterator[Case]:
    """The cases of all families."""
    package = __package__ or "tests.ir.ops"
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if found.name.startswith("test_") and found.name != "test_set":
            yield from getattr(importlib.import_module(f"{package}.{found.name}"), "CASES", ())


def _declared() -> dict[str, type[Op]]:
    return {n: c for n, c in OPERATORS.items() if c.__module__.startswith("mconv.ir.ops.")}


def test_every_operator_is_exported():
    assert sorted(_declared()) == sorted(ops.__all__)


def test_every_operator_is_compared_with_onnx():
    tested = {type(case.op).__name__ for case in cases()}
    assert set(_declared()) - tested == TESTED_WITHOUT_ONNX


@pytest.mark.parametrize("cls", list(_declared().values()), ids=lambda c: c.__name__)
def test_declaration(cls):
    names = [place.name for place in cls.operands()]
    assert len(set(names)) == len(names)
    for place in cls.operands():
        if place.attribute:
            assert place.name in cls.attributes(), f"operand [{place.name}] has no attribute"
    variadic = [place.name for place in cls.operands() if place.variadic]
    assert variadic in ([], names[-1:])


def test_operators_are_values():
    a, b = (ops.Conv([1, 1], (0, 0, 0, 0), (1, 1), activation=ops.Relu()) for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert a != a.replace(groups=2)
    assert a.strides == (1, 1)
    with pytest.raises(AttributeError):
        a.groups = 3
