"""ConvLSTM: a recurrent layer of convolutions, step after step."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, Value, ops

from .. import errors
from ..activations import elementwise
from ..config import Layer
from ..node import KerasNode
from ..registry import keras
from ..translate import STATEFUL
from ..weights import Slots, SlotsOf, slots
from .conv import outward, pads_of, to_last, window
from .recurrent import TRAINED

MOST_STEPS = 256


def _conv_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    own = slots("kernel", "recurrent_kernel", *(["bias"] if layer.config.get("use_bias", True) else []))
    return Slots((), (("cell", own),))


@keras("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", weights=_conv_slots, mask="read", ignores=TRAINED)
def conv_lstm(n: KerasNode, g: Builder) -> list[Value | None]:
    """ConvLSTM1D, 2D, 3D: as many steps as the sequence has, one after the other."""
    s, rank = n.settings, int(n.cls[-2])
    if n.mask() is not None:
        raise errors.masked(f"a mask reaches {s.what}")
    if len(n.xs) > 1 or n.argument(1, "initial_state") is not None:
        raise errors.form(f"{s.what} with initial states")
    if s.flag("stateful", False):
        n.translation.note(STATEFUL, n.name)
    first, x = s.channels_first(), n.only()
    n.expect_rank(rank + 3)
    count = n.static(x, 1, "the number of steps")
    if not 0 < count <= MOST_STEPS:
        raise errors.form(f"{s.what} over {count} steps")
    if not first:
        x = g.add(ops.Transpose((0, 1, rank + 2, *range(2, rank + 2))), x)
    s.get("zero_output_for_mask", False)
    if s.flag("time_major", False):
        raise errors.form(f"{s.what} with time_major")
    filters = s.integer("filters")
    cell = _Cell(n, g, rank, filters, n.static(x, 2, "the number of channels"))
    order = range(count - 1, -1, -1) if s.flag("go_backwards", False) else range(count)
    h: Value | None = None
    c: Value | None = None
    made = list[Value]()
    for step in order:
        part = g.add(ops.Squeeze((1,)), g.add(ops.Slice((step,), (step + 1,), (1,), (1,)), x))
        h, c = cell.step(part, h, c)
        made.append(h)
    assert h is not None
    assert c is not None
    if s.flag("return_sequences", False):
        rows = [g.add(ops.Unsqueeze((1,)), v if first else to_last(g, v)) for v in made]
        y = g.add(ops.Concat(1), *rows)
    else:
        y = h if first else to_last(g, h)
    if not s.flag("return_state", False):
        return [y]
    return [y, *(v if first else to_last(g, v) for v in (h, c))]


class _Cell:
    """The convolutions of inputs and of states; gates in the order i, f, c, o."""

    def __init__(self, n: KerasNode, g: Builder, rank: int, filters: int, channels: int) -> None:
        self.n, self.g, self.rank, self.filters = n, g, rank, filters
        self.kernel, self.strides, self.dilations, self.padding = window(n, rank)
        made = 4 * filters
        w = outward(n.weight("cell/kernel", *self.kernel, channels, made))
        r = outward(n.weight("cell/recurrent_kernel", *self.kernel, filters, made))
        self.w, self.r = n.constant(w, "kernel"), n.constant(r, "recurrent_kernel")
        bias = n.weight("cell/bias", made) if n.settings.flag("use_bias", True) else np.zeros(made, w.dtype)
        self.b = n.constant(bias, "bias")
        self.inner = elementwise(n, "recurrent_activation", "sigmoid" if n.version == 3 else "hard_sigmoid")
        self.outer = elementwise(n, "activation", "tanh")

    def step(self, x: Value, h: Value | None, c: Value | None) -> tuple[Value, Value]:
        """The states after one step; before the first they are zeros."""
        g, ones = self.g, (1,) * self.rank
        pads = pads_of(self.n, x, self.padding, self.kernel, self.strides, self.dilations)
        z = g.add(ops.Conv(self.strides, pads, self.dilations), x, self.w, self.b)
        if h is not None:
            around = pads_of(self.n, h, "same", self.kernel, ones, ones)
            z = g.add(ops.Add(), z, g.add(ops.Conv(ones, around, ones), h, self.r))
        i, f, new, o = g.add_all(ops.Split(1, (self.filters,) * 4), z)
        new = g.add(ops.Mul(), g.add(self.inner, i), g.add(self.outer, new))
        if c is not None:
            new = g.add(ops.Add(), g.add(ops.Mul(), g.add(self.inner, f), c), new)
        return g.add(ops.Mul(), g.add(self.inner, o), g.add(self.outer, new)), new
