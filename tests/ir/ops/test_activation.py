"""Activation functions."""

from __future__ import annotations

import numpy as np
import pytest

from mconv.ir.interpreter import evaluate
from mconv.ir.op import TypeMismatch
from mconv.ir.ops import (
    Affine,
    Celu,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Mish,
    PRelu,
    Relu,
    ScaledTanh,
    Selu,
    Shrink,
    Sigmoid,
    Silu,
    Softplus,
    Softsign,
    ThresholdedRelu,
)
from mconv.ir.types import DType, TensorType

from .data import SPECIAL, integers, rand
from .oracle import Case, check

X = rand(3, 4, 5, scale=3)
LARGE = np.array([-200.0, -50.0, -1.0, 0.0, 1.0, 50.0, 200.0], np.float32)

CASES = [
    Case(Relu(), [X], "Relu"),
    Case(Relu(), [integers(6, dtype=np.int8)], "Relu"),
    Case(Relu(), [SPECIAL], "Relu"),
    Case(Sigmoid(), [X], "Sigmoid"),
    Case(Sigmoid(), [LARGE], "Sigmoid"),
    Case(Sigmoid(), [X.astype(np.float16)], "Sigmoid"),
    Case(LeakyRelu(0.2), [X], "LeakyRelu", {"alpha": 0.2}),
    Case(LeakyRelu(), [X], "LeakyRelu"),
    Case(PRelu(), [X, rand(4, 1)], "PRelu"),
    Case(PRelu(), [X, rand(1)], "PRelu"),
    Case(PRelu(), [X, rand(3, 4, 5)], "PRelu"),
    Case(Elu(0.7), [X], "Elu", {"alpha": 0.7}),
    Case(Selu(), [X], "Selu"),
    Case(Selu(1.5, 1.1), [X], "Selu", {"alpha": 1.5, "gamma": 1.1}),
    Case(Celu(1.5), [X], "Celu", {"alpha": 1.5}),
    Case(Gelu(), [X], "Gelu"),
    Case(Gelu("tanh"), [X], "Gelu", {"approximate": "tanh"}),
    Case(Gelu(), [LARGE], "Gelu"),
    Case(HardSigmoid(0.3, 0.4), [X], "HardSigmoid", {"alpha": 0.3, "beta": 0.4}),
    Case(HardSwish(), [X], "HardSwish"),
    Case(Mish(), [X], "Mish"),
    Case(Mish(), [LARGE], "Mish"),
    Case(Softplus(), [X], "Softplus"),
    Case(Softplus(), [LARGE], "Softplus"),
    Case(Softsign(), [X], "Softsign"),
    Case(ThresholdedRelu(0.5), [X], "ThresholdedRelu", {"alpha": 0.5}),
    Case(Shrink(1.0, 0.5), [X], "Shrink", {"lambd": 1.0, "bias": 0.5}),
    Case(Shrink(1.5, 1.5), [integers(9, dtype=np.int32)], "Shrink", {"lambd": 1.5, "bias": 1.5}),
    Case(Silu(), [X], "QuickGelu", {"alpha": 1.0}, domain="com.microsoft"),
    Case(Silu(1.7), [X], "QuickGelu", {"alpha": 1.7}, domain="com.microsoft"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_onnx(case):
    check(case)


def test_activations_of_cells():
    np.testing.assert_allclose(evaluate(Affine(2.0, 0.5), [X])[0], 2 * X + 0.5, rtol=1e-6)
    np.testing.assert_allclose(evaluate(ScaledTanh(1.7, 0.6), [X])[0], 1.7 * np.tanh(0.6 * X), rtol=1e-5)


@pytest.mark.parametrize("slope", [(5, 1), (1, 3, 4, 5), (2,)])
def test_slope_that_does_not_broadcast_is_refused(slope):
    with pytest.raises(TypeMismatch):
        PRelu().infer(TensorType(DType.F32, (3, 4, 5)), TensorType(DType.F32, slope))
