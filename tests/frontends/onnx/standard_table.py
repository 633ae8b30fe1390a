"""Makes `frontends/onnx/standard_schema.py` from the specifications in the onnx package.

python -m tests.frontends.onnx.standard_table > standard.new && mv standard.new frontends/onnx/standard_schema.py
"""

from __future__ import annotations

import sys
from typing import Any

import onnx

from mconv.frontends.onnx.registry import NEWEST_OPSET
from mconv.frontends.onnx.schema import specified

HEAD = '''"""What ONNX specifies of its operators, for each opset from 1 to NEWEST.

Made from the onnx package by `python -m tests.frontends.onnx.standard_table`; do not edit.  The package builds all its
schemas when it is asked for one, functions included, which takes as long as converting a small model; this table takes
a millisecond.  For each operator, and each set of opsets in which it changed in nothing that is told here: the opsets,
the least and greatest number of operands, the same of results, the kinds of elements that each operand may have ("" for
any), the attributes (name, number of the type in onnx.AttributeProto, default, whether it must be given), and whether
it is deprecated.
"""

from __future__ import annotations

from typing import Any

NEWEST = {newest}

# fmt: off
STANDARD: dict[str, tuple[Any, ...]] = {{
'''


def table(newest: int) -> str:
    """The module's text, for opsets up to ``newest``."""
    lines = [HEAD.format(newest=newest)]
    for name, versions in sorted(operators(newest).items()):
        runs: list[tuple[list[int], tuple[Any, ...]]] = []
        for since, told in sorted(versions.items()):
            if runs and runs[-1][1] == told:
                runs[-1][0].append(since)
            else:
                runs.append(([since], told))
        specs = ",\n        ".join(repr((tuple(opsets), *told)) for opsets, told in runs)
        lines.append(f"    {name!r}: ({specs},),\n")
    return "".join([*lines, "}\n"]).replace("'", '"')


def operators(newest: int) -> dict[str, dict[int, tuple[Any, ...]]]:
    """What is told of each operator, by the opset since which it holds."""
    found: dict[str, dict[int, tuple[Any, ...]]] = {}
    for each in onnx.defs.get_all_schemas_with_history():
        if each.domain == "" and each.since_version <= newest:
            s = specified(each)
            attributes = tuple((key, a.kind, a.default, a.required) for key, a in sorted(s.attributes.items()))
            told = (s.inputs, s.outputs, s.kinds, attributes, s.deprecated)
            found.setdefault(each.name, {})[each.since_version] = told
    return found


if __name__ == "__main__":
    sys.stdout.write(table(NEWEST_OPSET))
