"""How operators act on what is known of small tensors (see ``ir.contents``).

Numbers are computed by the operator itself, in its own element types. With symbols among them, movement is done
on the object arrays; arithmetic only where a symbol (a size, so an integer that is not negative) has an exact meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..contents import LIMIT, as_objects, content_rule, is_number
from ..interpreter import evaluate
from ..op import Op, Types
from ..types import Array, Symbol, product
from . import elementwise as ew
from . import gather, logic, rearrange, reduction, shape

Contents = Sequence[Array | None]
Rule = Callable[[Op, Types, Contents], Any]

_MOVEMENT: tuple[type[Op], ...] = (
    ew.Identity, gather.Gather, shape.Concat, shape.Slice, shape.Squeeze, shape.Unsqueeze, shape.Reshape, shape.Expand,
    shape.Tile, shape.Split, shape.Transpose, shape.Flatten, gather.GatherElements, gather.GatherND,
)  # fmt: skip
_NUMBERS_ONLY: tuple[type[Op], ...] = (
    ew.Mod, ew.Pow, ew.Abs, ew.Neg, ew.Sign, ew.Sqrt, ew.Rsqrt, ew.Reciprocal, ew.Exp, ew.Log, ew.Clip, logic.And,
    logic.Or, logic.Xor, logic.Not, logic.Greater, logic.GreaterOrEqual, logic.Less, logic.LessOrEqual,
    reduction.ReduceMean, reduction.CumSum, reduction.ArgMax, reduction.ArgMin, reduction.TopK, gather.NonZero,
    gather.ScatterND, gather.ScatterElements, gather.Compress, shape.Pad,
)  # fmt: skip


def _numbers(op: Op, types: Types, contents: Contents) -> tuple[Array, ...] | None:
    """The operator's own results where all contents are numbers, and the results are small."""
    arrays: list[Array | None] = []
    for t, content in zip(types, contents, strict=True):
        if t is None:
            arrays.append(None)
        elif content is None or not is_number(content):
            return None
        else:
            arrays.append(np.array(content.tolist(), dtype=t.dtype.numpy).reshape(content.shape))
    if not _small(op, types, arrays):
        return None
    return tuple(as_objects(result) for result in evaluate(op, arrays))


def _small(op: Op, types: Types, arrays: Sequence[Array | None]) -> bool:
    if isinstance(op, rearrange.Range):
        start, limit, delta = (float(a) for a in arrays if a is not None)
        return delta != 0 and (limit - start) / delta <= LIMIT
    padded = (*types, *(None,) * (len(op.operands()) - len(types)))
    return all(t.numel is None or t.numel <= LIMIT for t in op.infer(*padded))


def _moved(op: Op, types: Types, contents: Contents) -> Any:
    """Movement carries symbols along."""
    found = _numbers(op, types, contents)
    if (
        found is not None
        or not contents
        or any(c is None for c, t in zip(contents, types, strict=True) if t is not None)
    ):
        return found
    if not _small(op, types, ()):
        return None
    results = op.evaluate(*contents, *(None,) * (len(op.operands()) - len(contents)))
    return tuple(map(_objects, results)) if isinstance(results, tuple) else _objects(results)


def _objects(item: Any) -> Array:
    if isinstance(item, np.ndarray):
        return item
    result = np.empty((), dtype=object)
    result[()] = item
    return result


for _op in _MOVEMENT:
    content_rule(_op)(_moved)
for _op in _NUMBERS_ONLY:
    content_rule(_op)(_numbers)
content_rule(rearrange.Range)(_numbers)


@content_rule(shape.Shape)
def _shape(op: Op, types: Types, contents: Contents) -> Any:
    x = types[0]
    return None if x is None else _list(x.shape)


@content_rule(shape.Size)
def _size(op: Op, types: Types, contents: Contents) -> Any:
    x = types[0]
    return None if x is None else _objects(product(x.shape))


def _list(items: Sequence[Any]) -> Array:
    result = np.empty(len(items), dtype=object)
    result[:] = items
    return result


@content_rule(ew.Cast)
def _cast(op: ew.Cast, types: Types, contents: Contents) -> Any:
    """A size stays itself as any type but bool (floats of 16 bits hold few)."""
    found = _numbers(op, types, contents)
    return contents[0] if found is None and op.to.size >= 4 else found


def _rounded(op: Op, types: Types, contents: Contents) -> Any:
    """A symbol is whole already."""
    found = _numbers(op, types, contents)
    if found is not None or contents[0] is None:
        return found
    whole = (isinstance(d, Symbol | int) or float(d).is_integer() for d in contents[0].flat)
    return contents[0] if all(whole) else None


for _op in (ew.Floor, ew.Ceil, ew.Round):
    content_rule(_op)(_rounded)


def _pairwise(exact: Callable[[Any, Any], Any]) -> Rule:
    """A rule that broadcasts two contents and applies ``exact``, which raises TypeError where there is no meaning."""

    def rule(op: Op, types: Types, contents: Contents) -> Any:
        found = _numbers(op, types, contents)
        a, b = contents
        if found is not None or a is None or b is None:
            return found
        x, y = np.broadcast_arrays(a, b)
        result = np.empty(x.shape, dtype=object)
        for index in np.ndindex(*x.shape):
            result[index] = exact(_whole(x[index]), _whole(y[index]))
        return result

    return rule


def _whole(item: Any) -> Any:
    if isinstance(item, float):
        if not item.is_integer():
            raise TypeError("a fraction of a symbol")
        return int(item)
    return item


def _quotient(a: Any, b: Any) -> Any:
    if isinstance(b, int) and b <= 0:
        raise TypeError("sizes are not divided by what is not positive")
    if isinstance(a, int) and isinstance(b, int) and a < 0:
        return -(-a // b)
    return a // b


def _exact_quotient(a: Any, b: Any) -> Any:
    result = _quotient(a, b)
    if result * b != a:
        raise TypeError("a fraction of a symbol")
    return result


def _greater(a: Any, b: Any) -> Any:
    if a == b or (isinstance(b, int) and b <= 0):
        return a
    if isinstance(a, int) and (a <= 0 or isinstance(b, int)):
        return b if a <= 0 else max(a, int(str(b)))
    raise TypeError("which is greater, running tells")


def _lesser(a: Any, b: Any) -> Any:
    if a == b or (isinstance(b, int) and b >= 2**31 - 1):
        return a
    if isinstance(a, int) and (a >= 2**31 - 1 or isinstance(b, int)):
        return b if a >= 2**31 - 1 else min(a, int(str(b)))
    raise TypeError("which is less, running tells")


def _equal(a: Any, b: Any) -> Any:
    if a == b:
        return True
    numbers = [d for d in (a, b) if isinstance(d, int)]
    if len(numbers) == 2 or (numbers and numbers[0] < 0):
        return False
    raise TypeError("whether they are equal, running tells")


content_rule(ew.Add)(_pairwise(lambda a, b: a + b))
content_rule(ew.Sub)(_pairwise(lambda a, b: a - b))
content_rule(ew.Mul)(_pairwise(lambda a, b: a * b))
content_rule(ew.Max)(_pairwise(_greater))
content_rule(ew.Min)(_pairwise(_lesser))
content_rule(logic.Equal)(_pairwise(_equal))
_divided, _divided_exactly = _pairwise(_quotient), _pairwise(_exact_quotient)


@content_rule(ew.Div)
def _div(op: Op, types: Types, contents: Contents) -> Any:
    a = types[0]
    whole = a is not None and a.dtype.is_integer
    return (_divided if whole else _divided_exactly)(op, types, contents)


@content_rule(logic.Where)
def _where(op: Op, types: Types, contents: Contents) -> Any:
    found = _numbers(op, types, contents)
    condition, a, b = contents
    if found is not None or condition is None or not is_number(condition):
        return found
    if a is not None and b is not None:
        return np.where(condition.astype(np.bool_), a, b)
    sure = set(condition.flat)  # all from one side: the other need not be known
    kept = a if sure == {True} else b if sure == {False} else None
    side = types[1] if sure == {True} else types[2]
    (result,) = op.infer(*types)
    return kept if side is not None and side.shape == result.shape else None


def _folded(combine: Callable[[Sequence[Any]], Any]) -> Rule:
    """A reduction of all elements of one axis, with symbols."""

    def rule(op: Any, types: Types, contents: Contents) -> Any:
        found = _numbers(op, types, contents)
        x = contents[0]
        if found is not None or x is None or x.ndim != 1 or op.axes != (0,):
            return found
        result = _objects(combine([_whole(d) for d in x]))
        return result.reshape(1) if op.keepdims else result

    return rule


content_rule(reduction.ReduceProd)(_folded(product))
content_rule(reduction.ReduceSum)(_folded(lambda items: sum(items[1:], start=items[0])))


def _only(choose: Callable[[Any, Any], Any]) -> Callable[[Sequence[Any]], Any]:
    def combine(items: Sequence[Any]) -> Any:
        result = items[0]
        for item in items[1:]:
            result = choose(result, item)
        return result

    return combine


content_rule(reduction.ReduceMax)(_folded(_only(_greater)))
content_rule(reduction.ReduceMin)(_folded(_only(_lesser)))
