"""LSTM, GRU and RNN."""

from __future__ import annotations

from typing import Any

from mconv.ir import Node
from mconv.ir import ops as o
from mconv.ir.op import Op

from ...base import Refused
from ..backend import no_bfloat, onnx_backend
from ..model import Model

NAMES: dict[type[Op], str] = {
    o.Affine: "Affine", o.Elu: "Elu", o.HardSigmoid: "HardSigmoid", o.LeakyRelu: "LeakyRelu", o.Relu: "Relu",
    o.ScaledTanh: "ScaledTanh", o.Sigmoid: "Sigmoid", o.Softplus: "Softplus", o.Softsign: "Softsign", o.Tanh: "Tanh",
    o.ThresholdedRelu: "ThresholdedRelu",
}  # fmt: skip


@onnx_backend.emits(o.LSTM, o.GRU, o.RNN, where=(no_bfloat,))
def recurrent(node: Node, model: Model) -> None:
    """The recurrent layer of the same name, layout 0."""
    op: Any = node.op
    attributes: dict[str, Any] = {"hidden_size": op.hidden_size, "direction": op.direction}
    if op.activations:
        attributes |= _activations(op.activations)
    if op.clip is not None:
        attributes["clip"] = op.clip
    if isinstance(op, o.LSTM):
        attributes["input_forget"] = int(op.input_forget)
    if isinstance(op, o.GRU):
        attributes["linear_before_reset"] = int(op.linear_before_reset)
    model.simple(type(op).__name__, node, **attributes)


def _activations(ops: tuple[Op, ...]) -> dict[str, Any]:
    names, alphas, betas = [], [], []
    for op in ops:
        if type(op) not in NAMES:
            raise Refused(f"ONNX has no activation {type(op).__name__} in a recurrent layer")
        names.append(NAMES[type(op)])
        # one number for each activation that has one, in order
        alphas += [op.alpha] if hasattr(op, "alpha") else []
        betas += [op.beta] if hasattr(op, "beta") else []
    found: dict[str, Any] = {"activations": names}
    if alphas:
        found["activation_alpha"] = alphas
    if betas:
        found["activation_beta"] = betas
    return found
