"""Recurrent layers."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import GRU, LSTM, RNN, Affine, Elu, HardSigmoid, LeakyRelu, Relu, ScaledTanh, Sigmoid, Softsign, Tanh
from mconv.ir.types import DType, TensorType

from .data import rand
from .oracle import Case, check

STEPS, BATCH, INPUT, HIDDEN = 5, 3, 4, 6


def _case(kind, direction="forward", bias=True, lengths=None, states=False, peepholes=False, activations=(), **options):
    d, rows = (2 if direction == "bidirectional" else 1), kind.gates * HIDDEN
    operands = [
        rand(STEPS, BATCH, INPUT),
        rand(d, rows, INPUT, seed=1, scale=0.5),
        rand(d, rows, HIDDEN, seed=2, scale=0.5),
        rand(d, 2 * rows, seed=3) if bias else None,
        None if lengths is None else np.array(lengths, np.int32),
        rand(d, BATCH, HIDDEN, seed=4) if states else None,
    ]
    if kind is LSTM:
        operands += [
            rand(d, BATCH, HIDDEN, seed=5) if states else None,
            rand(d, 3 * HIDDEN, seed=6) if peepholes else None,
        ]
    oracle = {k: options.pop(k) for k in ("oracle", "why") if k in options}
    attributes = {
        "hidden_size": HIDDEN,
        "direction": direction,
        **{k: int(v) for k, v in options.items() if k != "clip"},
    }
    if "clip" in options:
        attributes["clip"] = options["clip"]
    if activations:
        attributes["activations"] = [type(a).__name__ for a in activations]
        with_alpha = [a.alpha for a in activations if hasattr(a, "alpha")]
        with_beta = [a.beta for a in activations if hasattr(a, "beta")]
        attributes |= ({"activation_alpha": with_alpha} if with_alpha else {}) | (
            {"activation_beta": with_beta} if with_beta else {}
        )
    op = kind(HIDDEN, direction, activations, **options)
    return Case(
        op, operands, kind.__name__, attributes, rtol=1e-5, label=f"{kind.__name__}[{direction},{options}]", **oracle
    )


LENGTHS = (5, 2, 3)
CASES = [
    *(
        _case(kind, d, lengths=n)
        for kind in (RNN, GRU, LSTM)
        for d in ("forward", "reverse", "bidirectional")
        for n in (None, LENGTHS)
    ),
    *(_case(kind, "bidirectional", states=True) for kind in (RNN, GRU, LSTM)),
    *(_case(kind, bias=False) for kind in (RNN, GRU, LSTM)),
    _case(LSTM, peepholes=True, states=True),
    _case(LSTM, "bidirectional", peepholes=True, lengths=LENGTHS),
    _case(LSTM, input_forget=True),
    _case(GRU, linear_before_reset=True),
    _case(GRU, "bidirectional", linear_before_reset=True, states=True, lengths=LENGTHS),
    _case(RNN, activations=(Relu(),)),
    _case(RNN, activations=(LeakyRelu(0.3),)),
    _case(RNN, activations=(Affine(0.7, 0.1),)),
    _case(LSTM, activations=(HardSigmoid(0.3, 0.4), Softsign(), ScaledTanh(1.2, 0.8))),
    _case(GRU, "bidirectional", activations=(Sigmoid(), Tanh(), HardSigmoid(0.2, 0.5), Relu())),
    _case(RNN, activations=(Elu(0.6),)),
    _case(GRU, clip=0.4),
    _case(LSTM, clip=0.4),
    _case(RNN, clip=0.4),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_sequence_of_no_length_keeps_its_state():
    case = _case(LSTM, lengths=(0, 5, 1), states=True)
    y, h, c = evaluate(case.op, case.operands)
    np.testing.assert_array_equal(y[:, 0, 0], 0)
    np.testing.assert_array_equal(h[0, 0], case.operands[5][0, 0])
    np.testing.assert_array_equal(c[0, 0], case.operands[6][0, 0])


def test_work():
    case = _case(GRU)
    types = [None if a is None else TensorType.of(a) for a in case.operands]
    assert case.op.flops(types, case.op.infer(*types)) == 5 * 3 * 6 * 3 * (2 * 10 + 10)


@pytest.mark.parametrize(
    ("op", "x", "w", "r"),
    [
        (RNN(6, "sideways"), (5, 3, 4), (1, 6, 4), (1, 6, 6)),
        (RNN(6), (5, 3), (1, 6, 4), (1, 6, 6)),
        (RNN(6), (5, 3, 4), (1, 7, 4), (1, 6, 6)),
        (RNN(6, "bidirectional"), (5, 3, 4), (1, 6, 4), (1, 6, 6)),
        (RNN(6, activations=(Tanh(), Tanh())), (5, 3, 4), (1, 6, 4), (1, 6, 6)),
    ],
)
def test_refuses(op, x, w, r):
    with pytest.raises(TypeMismatch):
        op.infer(*(TensorType(DType.F32, s) for s in (x, w, r)), None, None, None)
