"""Makes `frontends/tensorflow/op_table.py` from the operators that TensorFlow registers.

python -m tests.frontends.tensorflow.op_table > op_table.new && mv op_table.new frontends/tensorflow/op_table.py
"""

from __future__ import annotations

import sys
import textwrap
from typing import Any

from mconv.frontends.tensorflow.registry import HANDLERS
from mconv.frontends.tensorflow.schema import ANY, REQUIRED

HEAD = '''"""What TensorFlow specifies of the operators that are read.

Made from TensorFlow's registry by `python -m tests.frontends.tensorflow.op_table`; do not edit.  For each operator: the
results (name, element type as TensorFlow's number or the attribute that has it, the attribute that tells how many
tensors the result is), the number of operands (-1 for any), the names of attributes that the operands tell, and the
other attributes (name, kind, default).
"""

from __future__ import annotations

from typing import Any

# fmt: off
OPERATORS: dict[str, tuple[Any, ...]] = {
'''


def table(names: list[str]) -> str:
    """The module's text."""
    from tensorflow.python.framework import op_def_registry

    lines = [HEAD]
    for name in names:
        definition = op_def_registry.get(name)
        if definition is not None:
            entry = wrapped(f"{name!r}: {operator(definition)!r},").replace("'", '"')
            lines.append(entry)
    return "".join([*lines, "}\n"])


def wrapped(text: str) -> str:
    """An entry, broken behind commas so that it fits a line."""
    lines = textwrap.wrap(text, 116, initial_indent="    ", subsequent_indent="        ", break_long_words=False)
    return "\n".join(lines) + "\n"


def operator(definition: Any) -> tuple[Any, ...]:
    """One operator's entry."""
    results = tuple(
        (a.name, int(a.type) or a.type_attr or a.type_list_attr, a.number_attr or a.type_list_attr)
        for a in definition.output_arg
    )
    told = {t for a in definition.input_arg for t in (a.type_attr, a.number_attr, a.type_list_attr) if t}
    attributes = tuple(
        (a.name, a.type, default(a.default_value) if a.HasField("default_value") else REQUIRED)
        for a in definition.attr
        if a.name not in told
    )
    several = any(a.number_attr or a.type_list_attr for a in definition.input_arg)
    return results, ANY if several else len(definition.input_arg), tuple(sorted(told)), attributes


def default(value: Any) -> Any:
    """A default as the reader's attributes give it."""
    kind = value.WhichOneof("value")
    if kind == "s":
        return value.s.decode()
    if kind == "shape":
        return None if value.shape.unknown_rank else tuple(d.size for d in value.shape.dim)
    if kind == "list":
        items = next((list(items) for _, items in value.list.ListFields()), [])
        return tuple(i.decode() if isinstance(i, bytes) else i for i in items)
    return "" if kind in ("func", "tensor") else getattr(value, kind)


if __name__ == "__main__":
    sys.stdout.write(table(HANDLERS.names()))
