"""What begins a graph, and what passes a tensor on as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mconv.ir import Builder, Value, ops

from .. import errors
from ..decode import STRING
from ..items import Item, Text, Variable
from ..node import TfNode
from ..registry import tensorflow


@tensorflow("Const", ignores={"dtype": "the tensor has it"})
def const(n: TfNode, g: Builder) -> Item:
    """Const: a view of the file's bytes."""
    tensor = n.attribute("value", "tensor")
    if tensor.dtype == STRING:
        return Text()
    array = n.translation.library.source.array(tensor, f"node '{n.node.name}'")
    return g.graph.add_constant(array, f"{n.scope.prefix}{n.node.name}")


@tensorflow("Placeholder", ignores={"dtype": "of an input", "shape": "of an input"})
def placeholder(n: TfNode, g: Builder) -> Item:
    """Placeholder: those that are inputs are bound before."""
    raise errors.left_out(n.node.name)


@tensorflow("PlaceholderWithDefault", ignores={"dtype": "the default has it", "shape": "the default has it"})
def placeholder_with_default(n: TfNode, g: Builder) -> Item:
    """PlaceholderWithDefault: its default, unless it is named as an input."""
    n.translation.note("an input has a default, which is taken; --inputs NAME makes it an input", n.node.name)
    return n[0]


@tensorflow(
    "Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics", "CheckNumericsV2", "RefIdentity",
    "DeepCopy", "LoopCond",
    ignores={"message": "of a gradient or a check, which inference does not need"},
)  # fmt: skip
def identity(n: TfNode, g: Builder) -> Item:
    """One operand, as it is."""
    return n.item(0)


@tensorflow("EnsureShape", ignores={"shape": "a check, which inference does not need"})
def ensure_shape(n: TfNode, g: Builder) -> Item:
    """EnsureShape: the operand."""
    return n.item(0)


@tensorflow("IdentityN")
def identity_n(n: TfNode, g: Builder) -> Sequence[Item]:
    """IdentityN: all operands, as they are."""
    return n.items()


# Variables ---------------------------------------------------------------------------------------------------

_NAMED = {"container": "part of a name", "shared_name": "a name", "dtype": "the value has it", "shape": "likewise"}


@tensorflow("VarHandleOp", ignores={**_NAMED, "allowed_devices": "of training", "debug_name": "a name"})
def var_handle(n: TfNode, g: Builder) -> Item:
    """VarHandleOp without a value."""
    return Variable(n.node.name, None)


@tensorflow("VariableV2", "Variable", ignores=_NAMED)
def variable(n: TfNode, g: Builder) -> Item:
    """VariableV2 without a value."""
    raise errors.no_value(n.node.name)


@tensorflow("ReadVariableOp", ignores={"dtype": "the variable has it"})
def read_variable(n: TfNode, g: Builder) -> Value:
    """ReadVariableOp: the variable's value, a constant."""
    return n[0]


@tensorflow("VarIsInitializedOp", "IsVariableInitialized", ignores={"dtype": "the variable has it"})
def is_initialized(n: TfNode, g: Builder) -> Value:
    """VarIsInitializedOp: variables have their values."""
    return g.constant(np.array(True))


@tensorflow("ResourceGather", ignores={"dtype": "the variable has it", "validate_indices": "a check"})
def resource_gather(n: TfNode, g: Builder) -> Value:
    """ResourceGather: rows of a variable."""
    if n.whole("batch_dims"):
        raise errors.form("ResourceGather with batch axes")
    return g.add(ops.Gather(0), n[0], n[1])


@tensorflow("VariableShape")
def variable_shape(n: TfNode, g: Builder) -> Value:
    """VariableShape."""
    return n.cast(g.add(ops.Shape(), n[0]), n.dtype("out_type"))
