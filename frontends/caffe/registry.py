"""Handlers: the functions that translate one layer type each, found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mconv.ir import Builder, Value
from mconv.ir.record import NOTHING, Record

from ..handlers import Handlers

if TYPE_CHECKING:
    from .node import CaffeNode

Results = Value | Sequence[Value]
Function = Callable[["CaffeNode", Builder], Results]

IGNORED: Mapping[str, str] = {
    **dict.fromkeys(("name", "type", "bottom", "top"), "read by the reader itself"),
    **dict.fromkeys(("include", "exclude", "phase"), "obeyed before layers are translated"),
    **dict.fromkeys(("loss_weight", "loss_param", "propagate_down", "param", "blobs_lr", "weight_decay",
                     "blob_share_mode", "transform_param"), "for training"),
    **dict.fromkeys(("weight_filler", "bias_filler", "filler", "scale_filler", "slope_filler", "shift_filler"),
                    "what weights are before training"),
    "moving_average_fraction": "how statistics are gathered in training",
    "momentum": "how statistics are gathered in training",
    "engine": "which library computes it",
    "force_nd_im2col": "how it is computed",
    "stable_prod_grad": "how a gradient is computed",
    "debug_info": "what is logged",
}  # fmt: skip
"""Fields that do not matter to what a net computes, wherever they stand, and why."""


class Handler(Record):
    """A translation. ``ignores`` maps fields of this layer type that do not matter to why."""

    function: Function
    ignores: Mapping[str, str] = NOTHING


HANDLERS = Handlers[Handler]("mconv.frontends.caffe.handlers")


def caffe(*names: str, ignores: Mapping[str, str] | None = None) -> Callable[[Function], Function]:
    """Register a handler for one layer type, or for several that are translated alike."""

    def register(function: Function) -> Function:
        HANDLERS.enter(names, Handler(function, ignores or {}))
        return function

    return register
