"""Recurrent layers. Keras's matrices are [in, gates * H]; the operators' are [D, gates * H, in]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mconv.ir import Builder, DType, Op, Value, ops
from mconv.ir.record import Record
from mconv.ir.types import Array

from .. import errors, legacy
from ..activations import elementwise
from ..config import Layer, flat
from ..node import KerasNode
from ..registry import keras
from ..translate import STATEFUL
from ..weights import Slots, SlotsOf, slots

KINDS = {"LSTM": "LSTM", "LSTMCell": "LSTM", "CuDNNLSTM": "LSTM", "GRU": "GRU", "GRUCell": "GRU", "CuDNNGRU": "GRU",
         "SimpleRNN": "RNN", "SimpleRNNCell": "RNN"}  # fmt: skip
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STATES = {"LSTM": 2, "GRU": 1, "RNN": 1}
TRAINED = {
    "dropout": "of training", "recurrent_dropout": "of training", "seed": "of training", "implementation": "how it is "
    "computed", "unroll": "how it is computed", "unit_forget_bias": "of training", "use_cudnn": "how it is computed",
    "consume_less": "how it is computed", "enable_caching_device": "how it is computed", "input_spec": "unused",
}  # fmt: skip


class Cell(Record):
    """The weights of one cell, as the operators want them: w [1, G H, I], r [1, G H, H], b [1, 2 G H]."""

    kind: str
    units: int
    functions: tuple[Op, ...]
    after: bool
    w: Array
    r: Array
    b: Array | None


def _cell_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    own = slots("kernel", "recurrent_kernel", *(["bias"] if layer.config.get("use_bias", True) else []))
    return own if layer.cls.endswith("Cell") else Slots((), (("cell", own),))


def _rows(kind: str, matrix: Array) -> Array:
    """[in, gates * H] as [1, gates * H, in], the gates in the operators' order."""
    if kind == "LSTM":  # i, f, c, o
        i, f, c, o = np.split(matrix, 4, axis=1)
        matrix = np.concatenate([i, o, f, c], axis=1)
    return np.ascontiguousarray(matrix.T)[None]


def cell_of(n: KerasNode, layer: Layer, features: int, prefix: str) -> Cell:
    """The cell that a layer configures; ``n`` is the node whose settings are the cell's."""
    if layer.cls not in KINDS:
        raise errors.not_read(f"the recurrent cell {layer.cls}")
    kind, units = KINDS[layer.cls], n.settings.integer("units")
    gates, fused = GATES[kind], layer.cls.startswith("CuDNN")
    shapes = {"kernel": (features, gates * units), "recurrent_kernel": (units, gates * units)}
    arrays = {name: n.weight(f"{prefix}{name}", *shape) for name, shape in shapes.items()}
    after = kind == "GRU" and (fused or n.settings.flag("reset_after", n.version == 3))
    bias = n.weight(f"{prefix}bias") if fused or n.settings.flag("use_bias", True) else None
    if fused:
        arrays = {name: legacy.from_cudnn(layer.cls, name, array) for name, array in arrays.items()}
        bias = None if bias is None else legacy.from_cudnn(layer.cls, "bias", bias)
    b = None if bias is None else _biases(n, kind, bias, gates * units)
    recurrent = ops.Sigmoid() if fused or kind == "RNN" else elementwise(n, "recurrent_activation", "sigmoid")
    outer = ops.Tanh() if fused else elementwise(n, "activation", "tanh")
    functions = {"LSTM": (recurrent, outer, outer), "GRU": (recurrent, outer), "RNN": (outer,)}[kind]
    w, r = (_rows(kind, arrays[name]) for name in shapes)
    return Cell(kind, units, functions, after, w, r, b)


def _biases(n: KerasNode, kind: str, bias: Array, rows: int) -> Array:
    """The bias [rows], or [2, rows] with one of its own for the states, as [1, 2 * rows]."""
    if bias.size not in (rows, 2 * rows):
        raise errors.bad_weights(f"bias of {n.settings.what} has shape {list(bias.shape)}")
    both = bias.reshape(-1, rows)
    if kind == "LSTM":
        both = np.stack([_rows(kind, row[None])[0, :, 0] for row in both])
    return np.concatenate([both[0], both[1] if len(both) == 2 else np.zeros_like(both[0])])[None]


class Run(Record):
    """What a recurrent layer made: all results [N, T, H] in order of time, the last [N, H], and the last states."""

    sequence: Value
    last: Value
    states: tuple[Value, ...]


class Steps:
    """A sequence [N, T, F] on its way through cells; with a mask its steps are drawn together, and spread again.

    A masked step keeps the states, and gives the result of the step before (zeros, before the first). So the steps
    that count are moved to the front by a product with a matrix of ones and zeros, and results come back by another.
    """

    def __init__(self, n: KerasNode, g: Builder, x: Value, mask: Value | None, backwards: bool, zeros: bool) -> None:
        self.n, self.g, self.backwards, self.zeros = n, g, backwards, zeros
        if mask is None:
            self.x, self.mask = x, None
            return
        shown = n.cast(n.cast(mask, DType.BOOL), x.type.dtype)
        if backwards:
            x, shown = (g.add(ops.Slice((-1,), (-(2**63) + 1,), (1,), (-1,)), v) for v in (x, shown))
        count = g.add(ops.CumSum(1), shown)
        length = n.static(x, 1, "the length of a masked sequence")
        place = n.constant(np.arange(1, length + 1, dtype=x.type.dtype.numpy), "step")
        same = g.add(ops.Equal(), g.add(ops.Unsqueeze((2,)), count), place)
        self.spread = n.cast(same, x.type.dtype)
        self.mask = g.add(ops.Unsqueeze((2,)), shown)
        gather = g.add(ops.Transpose((0, 2, 1)), g.add(ops.Mul(), self.spread, self.mask))
        self.x = g.add(ops.MatMul(), gather, x)
        self.lengths = n.cast(g.add(ops.ReduceSum((1,), False), shown), DType.I32)

    def run(self, cells: Sequence[Cell], initial: Sequence[Value], want_states: bool) -> Run:
        """The cells one after the other, from these states (zeros where none are given)."""
        n, g, x = self.n, self.g, self.x
        needed = sum(STATES[c.kind] for c in cells)
        if initial and len(initial) != needed:
            raise errors.misfit(f"{n.settings.what} takes {needed} initial states, {len(initial)} are given")
        lengths = self.lengths if self.mask is not None and want_states else None
        direction = "reverse" if self.backwards and self.mask is None else "forward"
        states = list[Value]()
        y, left = g.add(ops.Transpose((1, 0, 2)), x), list(initial)
        for cell in cells:
            own = [g.add(ops.Unsqueeze((0,)), left.pop(0)) for _ in range(STATES[cell.kind])] if initial else []
            found = _operator(n, g, cell, direction, y, lengths, own)
            y = g.add(ops.Squeeze((1,)), found[0])
            states += [g.add(ops.Squeeze((0,)), s) for s in found[1:]]
        if self.mask is None:
            top = states[-STATES[cells[-1].kind]]
            return Run(g.add(ops.Transpose((1, 0, 2)), y), top, tuple(states))
        y = g.add(ops.MatMul(), self.spread, g.add(ops.Transpose((1, 0, 2)), y))
        end = 2**63 - 1
        last = g.add(ops.Squeeze((1,)), g.add(ops.Slice((-1,), (end,), (1,), (1,)), y))
        if self.zeros:
            y = g.add(ops.Mul(), y, self.mask)
        if self.backwards:
            y = g.add(ops.Slice((-1,), (-(2**63) + 1,), (1,), (-1,)), y)
        return Run(y, last, tuple(states))


def _operator(
    n: KerasNode, g: Builder, cell: Cell, direction: str, x: Value, lengths: Value | None, initial: Sequence[Value]
) -> tuple[Value, ...]:
    """y [T, 1, N, H] and the last states [1, N, H] of one cell."""
    op = _op(cell, direction, cell.functions)
    w, r = n.constant(cell.w, "kernel"), n.constant(cell.r, "recurrent_kernel")
    b = None if cell.b is None else n.constant(cell.b, "bias")
    return g.add_all(op, x, w, r, b, lengths, *initial)


def _op(cell: Cell, direction: str, functions: tuple[Op, ...]) -> Op:
    if cell.kind == "LSTM":
        return ops.LSTM(cell.units, direction, functions)
    if cell.kind == "GRU":
        return ops.GRU(cell.units, direction, functions, linear_before_reset=cell.after)
    return ops.RNN(cell.units, direction, functions)


# Layers ------------------------------------------------------------------------------------------------------


def _arguments(n: KerasNode) -> tuple[Value, list[Value], Value | None]:
    """The sequence, the initial states, and the mask."""
    given = n.argument(1, "initial_state")
    states = [n.value(v) for v in flat(given, Value)]
    if not states and len(n.xs) > 1:  # Keras 1 and 2 put them behind the sequence
        states = n.xs[1:]
    explicit = n.argument(2, "mask")
    # Keras 3 hands a layer its mask only where the sequence is the one argument that holds tensors
    mask = n.value(explicit) if explicit is not None else None if states and n.version == 3 else n.mask()
    if n.argument(-1, "constants") is not None:
        raise errors.form(f"{n.settings.what} with constants")
    return n.x, states, mask


def _common(n: KerasNode) -> None:
    """Settings that every recurrent layer has."""
    if n.settings.flag("stateful", False):
        n.translation.note(STATEFUL, n.name)
    if n.settings.get("unit_norm", None) or n.settings.get("reverse_state_order", False):
        raise errors.form(f"{n.settings.what} whose states are in reverse order")


@keras("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "RNN", weights=lambda layer, of: _layer_slots(layer, of),
       mask="read", ignores=TRAINED)  # fmt: skip
def recurrent(n: KerasNode, g: Builder) -> list[Value | None]:
    """LSTM, GRU, SimpleRNN, and RNN around cells."""
    x, initial, mask = _arguments(n)
    _common(n)
    s = n.settings
    major = s.flag("time_major", False)
    n_first = g.add(ops.Transpose((1, 0, 2)), x) if major else x
    if n_first.type.rank != 3:
        raise errors.misfit(f"{s.what} of {x.type}")
    sequences, states = s.flag("return_sequences", False), s.flag("return_state", False)
    steps = Steps(n, g, n_first, mask, s.flag("go_backwards", False), s.flag("zero_output_for_mask", False))
    run = steps.run(cells_of(n, n.layer, n.static(x, -1, "the last axis")), initial, states)
    y = run.last
    if sequences:
        y = run.sequence
        if steps.backwards:
            y = _flipped(g, y)
        y = g.add(ops.Transpose((1, 0, 2)), y) if major else y
        n.mask_out = n.translation.masks.get(x)
    return [y, *run.states] if states else [y]


def _flipped(g: Builder, y: Value) -> Value:
    return g.add(ops.Slice((-1,), (-(2**63) + 1,), (1,), (-1,)), y)


def _layer_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    if layer.cls != "RNN":
        return _cell_slots(layer, slots_of)
    return Slots((), tuple((_below(layer, cell), slots_of(cell)) for cell in layer.inner.get("cell", [])))


def _below(layer: Layer, inner: Layer) -> str:
    """The place of a layer below another."""
    return inner.address[len(layer.address) + 1 :] if layer.address else inner.address


def cells_of(n: KerasNode, layer: Layer, features: int) -> list[Cell]:
    """The cells of a layer, each of which takes the results of the one before."""
    if layer.cls != "RNN":
        own = n if layer is n.layer else _settings_node(n, layer)
        return [cell_of(own, layer, features, "cell/")]
    n.settings.get("cell", None)
    cells = list(layer.inner.get("cell", []))
    if len(cells) == 1 and cells[0].cls == "StackedRNNCells":
        cells = list(cells[0].inner.get("cells", []))
    if not cells:
        raise errors.misfit(f"{n.settings.what} without a cell")
    found = []
    for cell in cells:
        n.translation.known(cell)
        node = _settings_node(n, cell)
        found.append(cell_of(node, cell, features, ""))
        features = found[-1].units
        n.translation.check_read(node, TRAINED)
    return found


def _settings_node(n: KerasNode, layer: Layer) -> KerasNode:
    """A node that has another layer's settings and weights."""
    return KerasNode(layer, n.args, {}, n.translation)


@keras("LSTMCell", "GRUCell", "SimpleRNNCell", weights=_cell_slots)
def cell_alone(n: KerasNode, g: Builder) -> Value:
    """A cell outside of a recurrent layer."""
    raise errors.form(f"{n.settings.what} called by itself")


@keras("StackedRNNCells", weights=lambda layer, of: Slots(
    (), tuple((_below(layer, c), of(c)) for c in layer.inner.get("cells", []))))  # fmt: skip
def stacked_alone(n: KerasNode, g: Builder) -> Value:
    """Cells outside of a recurrent layer."""
    raise errors.form(f"{n.settings.what} called by itself")


# Bidirectional -----------------------------------------------------------------------------------------------


def _both_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    forward = layer.inner.get("layer", [])
    if not forward:
        return Slots()
    backward = layer.inner.get("backward_layer") or forward
    return Slots((), (("forward_layer", slots_of(forward[0])), ("backward_layer", slots_of(backward[0]))))


@keras("Bidirectional", weights=_both_slots, mask="read", ignores=TRAINED)
def bidirectional(n: KerasNode, g: Builder) -> list[Value | None]:
    """Bidirectional: a layer over the sequence and one over its reverse, merged."""
    x, initial, mask = _arguments(n)
    n.settings.get("layer")
    n.settings.get("backward_layer", None)
    sides = _sides(n)
    first = sides[0].settings
    sequences, states = first.flag("return_sequences", False), first.flag("return_state", False)
    if first.flag("stateful", False):
        n.translation.note(STATEFUL, n.name)
    half = len(initial) // 2
    runs = []
    for index, side in enumerate(sides):
        backwards = side.settings.flag("go_backwards", bool(index))
        if backwards is not bool(index):
            raise errors.form(f"{n.settings.what} whose directions are turned round")
        if side.settings.flag("return_sequences", False) is not sequences:
            raise errors.misfit(f"{n.settings.what} whose directions return different things")
        for key in ("zero_output_for_mask", "return_state", "stateful"):
            side.settings.get(key, False)
        if side.settings.flag("time_major", False):
            raise errors.form(f"{n.settings.what} with time_major")
        steps = Steps(side, g, x, mask, backwards, sequences)
        cells = cells_of(side, side.layer, n.static(x, -1, "the last axis"))
        runs.append(steps.run(cells, initial[:half] if index == 0 else initial[half:], states))
        n.translation.check_read(side, TRAINED)
    ys = [run.sequence if sequences else run.last for run in runs]
    made = _merged(n, g, ys)
    if sequences:
        n.mask_out = n.translation.masks.get(x)
    return [*made, *(s for run in runs for s in run.states)] if states else list(made)


def _sides(n: KerasNode) -> list[KerasNode]:
    """The two directions' layers; without one of its own the backward one is the forward one turned round."""
    forward = n.layer.inner.get("layer", [])
    if not forward or forward[0].cls not in (*KINDS, "RNN"):
        raise errors.form(f"{n.settings.what} around {forward[0].cls if forward else 'nothing'}")
    given = n.layer.inner.get("backward_layer", [])
    if given:
        backward = given[0]
    else:
        one = forward[0]
        config: dict[str, Any] = {**one.config, "go_backwards": not one.config.get("go_backwards", False)}
        backward = Layer(one.cls, one.name, config, f"{n.layer.address}/backward_layer")
        backward.inner = {role: [_moved(i, one, backward) for i in group] for role, group in one.inner.items()}
    for layer in (forward[0], backward):
        n.translation.known(layer)
    return [_settings_node(n, layer) for layer in (forward[0], backward)]


def _moved(inner: Layer, old: Layer, new: Layer) -> Layer:
    """A cell of one direction as that of the other."""
    made = Layer(inner.cls, inner.name, inner.config, f"{new.address}/{_below(old, inner)}")
    made.inner = {role: [_moved(i, inner, made) for i in group] for role, group in inner.inner.items()}
    return made


def _merged(n: KerasNode, g: Builder, ys: Sequence[Value]) -> list[Value]:
    mode = n.settings.get("merge_mode", "concat")
    if mode is None:
        return list(ys)
    if mode == "concat":
        return [g.add(ops.Concat(ys[0].type.rank - 1), *ys)]
    if mode not in ("sum", "ave", "mul"):
        raise errors.misfit(f"{n.settings.what} with merge_mode {str(mode)[:60]}")
    y = g.add(ops.Mul() if mode == "mul" else ops.Add(), *ys)
    return [g.add(ops.Mul(), y, n.scalar(0.5, y)) if mode == "ave" else y]
