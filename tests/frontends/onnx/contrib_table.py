"""Makes `frontends/onnx/contrib_schema.py` from the specifications that onnxruntime has of its own operators.

python -m tests.frontends.onnx.contrib_table > contrib.new && mv contrib.new frontends/onnx/contrib_schema.py

By way of another file: making the table imports the old one, which must not be empty by then.
"""

from __future__ import annotations

import sys
from typing import Any

import onnx

from mconv.frontends.onnx.registry import handled
from mconv.frontends.onnx.schema import MICROSOFT

HEAD = '''"""What onnxruntime specifies of its own operators, those that there are handlers for.

Made from onnxruntime's registry by `python -m tests.frontends.onnx.contrib_table`; do not edit.  For each operator: the
least and greatest number of operands, the same of results, and its attributes with type, default and whether it must be
given.
"""

from __future__ import annotations

from typing import Any

Counts = tuple[int, int]

CONTRIB: dict[str, tuple[Counts, Counts, dict[str, tuple[str, Any, bool]]]] = {
'''


def wanted() -> dict[str, str]:
    """The operators that there are handlers for, by name, with the domain they are registered in."""
    names = {name: domain for domain, name, _ in handled() if domain == MICROSOFT}
    return {**names, "SimplifiedLayerNormalization": ""}


def table() -> str:
    """The module's text."""
    from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

    domains = wanted()
    found = {s.name: s for s in get_all_operator_schema() if domains.get(s.name) == s.domain}
    lines = [HEAD]
    for name in sorted(found):
        schema = found[name]
        lines.append(f'    "{name}": (\n')
        lines.append(f"        ({schema.min_input}, {schema.max_input}),\n")
        lines.append(f"        ({schema.min_output}, {schema.max_output}),\n")
        attributes = [(key, schema.attributes[key]) for key in sorted(schema.attributes)]
        if not attributes:
            lines.append("        {},\n    ),\n")
            continue
        lines.append("        {\n")
        for key, attribute in attributes:
            kind = str(attribute.type).rsplit(".", 1)[-1]
            lines.append(f'            "{key}": ("{kind}", {_default(attribute)}, {attribute.required}),\n')
        lines.append("        },\n    ),\n")
    return "".join([*lines, "}\n"])


def _default(attribute: Any) -> str:
    if not attribute._default_value:
        return "None"
    proto = onnx.AttributeProto()
    proto.ParseFromString(attribute._default_value)
    value = onnx.helper.get_attribute_value(proto)
    return f'"{value.decode()}"' if isinstance(value, bytes) else repr(value)


if __name__ == "__main__":
    sys.stdout.write(table())
