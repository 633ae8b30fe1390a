"""The table of ONNX's specifications says what the onnx package says."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

from mconv.frontends.onnx.registry import NEWEST_OPSET
from mconv.frontends.onnx.schema import schema_of, specified
from mconv.frontends.onnx.standard_schema import NEWEST, STANDARD

from . import standard_table

KNOWN = onnx.defs.onnx_opset_version()


def test_the_table_reaches_to_the_newest_opset_with_handlers() -> None:
    assert NEWEST == NEWEST_OPSET


@pytest.mark.skipif(KNOWN < NEWEST, reason="this onnx package is older than the table")
def test_the_table_is_fresh() -> None:
    made: dict[str, Any] = {}
    exec(standard_table.table(NEWEST), made)
    assert made["STANDARD"] == STANDARD, standard_table.__doc__


@pytest.mark.parametrize("opset", [1, 6, 7, 13, 17, 22, NEWEST])
def test_an_operator_of_the_table_is_that_of_the_package(opset: int) -> None:
    names = {s.name for s in onnx.defs.get_all_schemas_with_history() if s.domain == ""}
    for name in sorted(names - {"LayerNormalization"}):  # for which an older opset than its first is taken
        found = schema_of(name, "", min(opset, KNOWN))
        if found is None:
            with pytest.raises(onnx.defs.SchemaError):
                onnx.defs.get_schema(name, opset, "")
            continue
        wanted = specified(onnx.defs.get_schema(name, min(opset, KNOWN), ""))
        assert found == wanted, name


def test_an_operator_of_another_domain_is_looked_up_in_the_package() -> None:
    found = schema_of("Normalizer", "ai.onnx.ml", 1)
    assert found is not None
    assert list(found.attributes) == ["norm"]
