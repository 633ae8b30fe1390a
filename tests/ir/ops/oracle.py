"""What an operator should give, from onnxruntime or (where it refuses) ONNX's reference; and the check of one case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

from mconv.ir.graph import infer_types
from mconv.ir.interpreter import evaluate
from mconv.ir.op import Op, TypeMismatch
from mconv.ir.types import UNKNOWN, DType, Symbol, TensorType

onnxruntime.set_default_logger_severity(4)
OPSET = 22


@dataclass(frozen=True)
class Case:
    """One application of an operator, and the ONNX node that means the same.

    ``inputs`` are the node's where they differ from the operands (None where absent). ``rtol`` is relative to the
    greatest absolute value of a result. ``oracle`` 'reference' skips onnxruntime (its bug is told in ``why``).
    """

    op: Op
    operands: Sequence[Any]
    node: str
    attributes: dict[str, Any] = field(default_factory=dict)
    inputs: Sequence[Any] | None = None
    rtol: float = 2e-6
    oracle: str = "onnxruntime"
    why: str = ""
    opset: int = OPSET
    domain: str = ""
    label: str = ""

    def __str__(self) -> str:
        shapes = ",".join("_" if a is None else "x".join(map(str, np.shape(a))) or "0d" for a in self.operands)
        return f"{self.label or type(self.op).__name__}-{shapes}"


def expected(case: Case) -> list[np.ndarray]:
    """The results that ONNX's implementation gives."""
    arrays = [None if a is None else np.asarray(a) for a in (case.operands if case.inputs is None else case.inputs)]
    model = _model(case, arrays)
    feeds = {f"x{i}": a for i, a in enumerate(arrays) if a is not None}
    if case.oracle == "onnxruntime":
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, feeds)
    return ReferenceEvaluator(model).run(None, feeds)


def _model(case: Case, arrays: Sequence[np.ndarray | None]) -> onnx.ModelProto:
    names = ["" if a is None else f"x{i}" for i, a in enumerate(arrays)]
    types = infer_types(case.op, operand_types(case.operands))
    results = [f"y{i}" for i in range(len(types))]
    node = helper.make_node(case.node, names, results, domain=case.domain, **case.attributes)
    inputs = [
        helper.make_tensor_value_info(f"x{i}", helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for i, a in enumerate(arrays)
        if a is not None
    ]
    outputs = [
        helper.make_tensor_value_info(r, helper.np_dtype_to_tensor_dtype(t.dtype.numpy), None)
        for r, t in zip(results, types, strict=True)
    ]
    imports = [helper.make_opsetid("", case.opset)]
    if case.domain:
        imports.append(helper.make_opsetid(case.domain, 1))
    return helper.make_model(
        helper.make_graph([node], "case", inputs, outputs), opset_imports=imports, ir_version=min(10, onnx.IR_VERSION)
    )


def operand_types(arrays: Sequence[Any]) -> tuple[TensorType | None, ...]:
    """Types of the operands, None where absent."""
    return tuple(None if a is None else TensorType.of(np.asarray(a)) for a in arrays)


def check(case: Case) -> None:
    """The numbers, the inferred types, also with symbols, and the attributes as operands."""
    arrays = [None if a is None else np.asarray(a) for a in case.operands]
    results = evaluate(case.op, arrays)
    check_types(case.op, arrays, results)
    check_symbols(case.op, arrays, results)
    check_operand_forms(case.op, arrays, results)
    for index, (found, wanted) in enumerate(zip(results, expected(case), strict=True)):
        compare(found, wanted, case.rtol, f"{case} result {index}")


def compare(found: np.ndarray, wanted: np.ndarray, rtol: float, what: str) -> None:
    """Equal types and shapes; numbers within rtol of the greatest one; NaN and infinities at the same places."""
    assert found.dtype == wanted.dtype, f"{what}: {found.dtype}, not {wanted.dtype}"
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, not {wanted.shape}"
    if found.dtype.kind in "iub":
        np.testing.assert_array_equal(found, wanted, err_msg=what)
        return
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    rtol = max(rtol, {"float16": 2e-3, "bfloat16": 2e-2}.get(found.dtype.name, 0.0))
    finite = np.abs(b[np.isfinite(b)])
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(finite.max(initial=0), 1e-3), err_msg=what)


def check_types(op: Op, arrays: Sequence[np.ndarray | None], results: Sequence[np.ndarray]) -> None:
    """The inferred types are those of the results, and the cost can be told."""
    types = infer_types(op, operand_types(arrays))
    assert len(types) == len(results)
    for inferred, result in zip(types, results, strict=True):
        assert inferred.dtype is DType.of(result.dtype), f"{op}: {inferred} for {result.dtype}"
        assert inferred.rank == result.ndim, f"{op}: {inferred} for {result.shape}"
        for dim, size in zip(inferred.shape, result.shape, strict=True):
            assert dim in (size, UNKNOWN), f"{op}: {inferred} for {result.shape}"
    if all(t.is_static for t in types):
        cost = op.cost(operand_types(arrays), types)
        assert cost is not None
        assert cost.flops >= 0


def check_symbols(op: Op, arrays: Sequence[np.ndarray | None], results: Sequence[np.ndarray]) -> None:
    """With any one axis of the first operand a symbol, what is inferred agrees with the results."""
    types = operand_types(arrays)
    first = next((i for i, t in enumerate(types) if t is not None), None)
    if first is None or types[first] is None:
        return
    for axis, size in enumerate(types[first].shape):
        shape = list(types[first].shape)
        shape[axis] = Symbol("a")
        try:
            inferred = infer_types(op, (*types[:first], types[first].with_shape(shape), *types[first + 1 :]))
        except TypeMismatch as error:
            raise AssertionError(f"{op} refuses symbol on axis {axis}: {error}") from error
        for t, result in zip(inferred, results, strict=True):
            for dim, actual in zip(t.shape, result.shape, strict=True):
                known = dim if isinstance(dim, int) else None if dim == UNKNOWN else eval(dim.name, {"a": size})
                assert known in (None, actual), f"{op}: axis {axis} as symbol gives {t}, results have {result.shape}"


def check_operand_forms(op: Op, arrays: Sequence[np.ndarray | None], results: Sequence[np.ndarray]) -> None:
    """An attribute given as its operand means the same, and is absorbed into the same attribute."""
    for index, place in enumerate(op.operands()):
        value = getattr(op, place.name, None) if place.attribute else None
        if value is None:
            continue
        kind = np.float32 if place.name in ("scales", "roi") else np.int64
        operand = np.array(value, dtype=kind)
        loose = op.replace(**{place.name: None})
        moved = [*arrays, *[None] * (len(op.operands()) - len(arrays))]
        moved[index] = operand
        for a, b in zip(evaluate(loose, moved), results, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{op} with operand {place.name}")
        check_types(loose, moved, results)
        absorbed = loose.absorb(place.name, operand, operand_types(moved))
        assert getattr(absorbed, place.name) == getattr(op, place.name) or kind is np.float32
