"""Is there such an operator, in such a version, with so many operands? If not, why not, and what next."""

from __future__ import annotations

from collections.abc import Sequence

from mconv.ir import Value
from mconv.ir.errors import MconvError

from .errors import RE_EXPORT, unreadable, unsupported
from .model import OLDEST_OPSET
from .package import onnx
from .registry import NEWEST_OPSET, handled
from .schema import MICROSOFT, UNBOUNDED, Schema, schema_of


def check_arity(proto: onnx.NodeProto, schema: Schema) -> None:
    """Refuse a node with more or fewer operands or results than its operator has."""
    for what, given, (least, most) in (("input", proto.input, schema.inputs), ("output", proto.output, schema.outputs)):
        if not least <= len(given) <= most:
            wanted = str(least) if least == most else f"{least} to {most}" if most < UNBOUNDED else f"{least} or more"
            raise unreadable("MC218", f"{proto.op_type} has {len(given)} {what}s, and takes {wanted}", RE_EXPORT)


def check_kinds(schema: Schema, operands: Sequence[Value | None]) -> None:
    """Refuse floats where the specification has only integers, and the like; no runtime takes them either."""
    for index, value in enumerate(operands):
        if value is None or not schema.kinds:
            continue
        kinds = schema.kinds[min(index, len(schema.kinds) - 1)].split()
        dtype = value.type.dtype
        kind = "float" if dtype.is_float else "int" if dtype.is_integer else "bool"
        if kinds and kind not in kinds:
            what = f"operand {index} of {schema.name} is {value.type}, and must be of {' or '.join(kinds)}"
            raise unreadable("MC219", what, RE_EXPORT)


def check_version(schema: Schema, opset: int) -> None:
    """Refuse versions of an operator from before the oldest opset, or after the newest one that handlers are for."""
    if schema.domain:
        return
    if schema.since > NEWEST_OPSET:
        raise unsupported("MC310", f"{schema.name} of opset {schema.since} is newer than this mconv", "an older opset")
    if opset < OLDEST_OPSET:
        later = schema_of(schema.name, "", OLDEST_OPSET)
        if later is None or later.since != schema.since:
            what = f"{schema.name} of opset {opset} is not that of opset {OLDEST_OPSET}, the oldest one that is read"
            raise unsupported("MC307", what, "onnx.version_converter.convert_version(model, 13)")


def unknown(name: str, domain: str, opset: int | None) -> MconvError:
    """Why an operator has no translation, and what could be meant."""
    if opset is None:
        what = f"the model uses {domain or 'ai.onnx'}.{name} and does not say of which opset"
        return unreadable("MC207", what, RE_EXPORT)
    if domain not in ("", "ai.onnx.ml", MICROSOFT) and not domain.startswith("ai.onnx."):
        hint = "exporting without custom operators, or with them as model-local functions"
        return unsupported("MC301", f"{name} is of the domain '{domain}', which is not known", hint)
    import difflib

    near = difflib.get_close_matches(name, {known for d, known, _ in handled() if d == domain}, 1)
    hint = f"{near[0]}, if that is what is meant" if near else "mconv ops, which lists the operators that are known"
    return unsupported("MC300", f"operator {f'{domain}.' if domain else ''}{name} (opset {opset}) is not known", hint)
