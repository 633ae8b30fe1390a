"""Recurrent layers. x [L, N, I] (time first), hidden size H, D directions; weights [D, gates * H, ...] in ONNX's order.

In the formulas W, R, b are one direction's rows for a gate, h and c the state before the step, * element by element.
sequence_lens [N] (i32) ends each sequence early: later results are zero, and the last state is that of its end.
The reverse direction runs each sequence from its end; its results stand at the times they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..op import Op, Types, expect, numel, operator, same_dtype
from ..types import Array, TensorType
from . import kernels
from .activation import Sigmoid
from .elementwise import Tanh
from .forms import Results, expect_dim, expect_length, in_f32

DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


class _Recurrent(Op):
    """What the three have in common."""

    signature = "x, w, r, b?, sequence_lens?, initial_h?"
    gates: ClassVar[int] = 1
    functions: ClassVar[tuple[Op, ...]] = (Tanh(),)
    hidden_size: int
    direction: str = "forward"
    activations: tuple[Op, ...] = ()
    clip: float | None = None

    @property
    def directions(self) -> int:
        """1, or 2 when bidirectional."""
        return DIRECTIONS[self.direction]

    @property
    def all_activations(self) -> tuple[Op, ...]:
        """The activation functions of each direction in turn; the usual ones where none are given."""
        return self.activations or self.functions * self.directions

    def sequence(
        self, x: TensorType, w: TensorType, r: TensorType, **others: TensorType | None
    ) -> tuple[TensorType, TensorType]:
        """Types of y [L, D, N, H] and of a state [D, N, H], after checking all shapes."""
        expect(self.direction in DIRECTIONS, f"direction '{self.direction}' is none of {', '.join(DIRECTIONS)}")
        expect(x.rank == w.rank == r.rank == 3, f"x {x}, w {w}, r {r} should have three axes")
        expect_length(self.all_activations, len(self.functions) * self.directions, "activations")
        rows, hidden, d = self.gates * self.hidden_size, self.hidden_size, self.directions
        n = x.shape[1]
        wanted = {
            "w": (w, (d, rows, x.shape[2])), "r": (r, (d, rows, hidden)), "b": (others.get("b"), (d, 2 * rows)),
            "initial_h": (others.get("initial_h"), (d, n, hidden)),
            "initial_c": (others.get("initial_c"), (d, n, hidden)),
            "p": (others.get("p"), (d, 3 * hidden)), "sequence_lens": (others.get("sequence_lens"), (n,)),
        }  # fmt: skip
        for name, (t, shape) in wanted.items():
            if t is not None:
                expect(t.rank == len(shape), f"{name} {t} should have {len(shape)} axes")
                for size, want in zip(t.shape, shape, strict=True):
                    expect_dim(size, want, f"a size of {name} {t}")
        dtype = same_dtype(x, w, r, *(t for k, t in others.items() if k != "sequence_lens"))
        return TensorType(dtype, (x.shape[0], d, n, hidden)), TensorType(dtype, (d, n, hidden))

    def flops(self, operands: Types, results: Sequence[TensorType]) -> int:
        """Two for each weight at each time, and about ten for each gate's element."""
        x = operands[0]
        if x is None or not x.is_static:
            return 0
        return numel(results[0]) * self.gates * (2 * (x.static_shape[2] + self.hidden_size) + 10)


@operator
class RNN(_Recurrent):
    """h' = f(W x + R h + Wb + Rb). b is [D, 2H]: Wb, Rb. Results: y [L, D, N, H], the last h [D, N, H].

    ``activations``: f of each direction (Tanh if ()); ``clip`` bounds what goes into f to [-clip, clip].
    """

    def infer(
        self,
        x: TensorType,
        w: TensorType,
        r: TensorType,
        b: TensorType | None,
        sequence_lens: TensorType | None,
        initial_h: TensorType | None,
    ) -> Results:
        """y, y_h."""
        return self.sequence(x, w, r, b=b, sequence_lens=sequence_lens, initial_h=initial_h)

    @in_f32
    def evaluate(
        self, x: Array, w: Array, r: Array, b: Array | None, sequence_lens: Array | None, initial_h: Array | None
    ) -> tuple[Array, ...]:
        """Step by step."""
        step = kernels.cells.rnn_step(self)
        return kernels.cells.run(self, step, x, w, r, b, sequence_lens, (initial_h,))


@operator
class GRU(_Recurrent):
    """Gated recurrent unit, gates in the order z, r, h. Results: y [L, D, N, H], the last h [D, N, H].

    z = f(Wz x + Rz h + bz), r = f(Wr x + Rr h + br), n = g(Wh x + Rh (r * h) + bh), h' = (1 - z) * n + z * h;
    with ``linear_before_reset`` n = g(Wh x + r * (Rh h + Rbh) + Wbh). b is [D, 6H]: W's, then R's.
    ``activations``: f, g of each direction (Sigmoid, Tanh if ()); ``clip`` bounds what goes into f and g.
    """

    gates: ClassVar[int] = 3
    functions: ClassVar[tuple[Op, ...]] = (Sigmoid(), Tanh())
    linear_before_reset: bool = False

    def infer(
        self,
        x: TensorType,
        w: TensorType,
        r: TensorType,
        b: TensorType | None,
        sequence_lens: TensorType | None,
        initial_h: TensorType | None,
    ) -> Results:
        """y, y_h."""
        return self.sequence(x, w, r, b=b, sequence_lens=sequence_lens, initial_h=initial_h)

    @in_f32
    def evaluate(
        self, x: Array, w: Array, r: Array, b: Array | None, sequence_lens: Array | None, initial_h: Array | None
    ) -> tuple[Array, ...]:
        """Step by step."""
        step = kernels.cells.gru_step(self, self.linear_before_reset)
        return kernels.cells.run(self, step, x, w, r, b, sequence_lens, (initial_h,))


@operator
class LSTM(_Recurrent):
    """Long short-term memory, gates in the order i, o, f, c. Results: y [L, D, N, H], the last h and c [D, N, H].

    i = f(Wi x + Ri h + Pi * c + bi), f = f(Wf x + Rf h + Pf * c + bf), n = g(Wc x + Rc h + bc), c' = f * c + i * n,
    o = f(Wo x + Ro h + Po * c' + bo), h' = o * h(c'). b is [D, 8H]: W's, then R's; p [D, 3H]: Pi, Po, Pf (peepholes).
    ``activations``: f, g, h of each direction (Sigmoid, Tanh, Tanh if ()); ``clip`` bounds what goes into f and g;
    ``input_forget`` takes 1 - i for f.
    """

    signature = "x, w, r, b?, sequence_lens?, initial_h?, initial_c?, p?"
    gates: ClassVar[int] = 4
    functions: ClassVar[tuple[Op, ...]] = (Sigmoid(), Tanh(), Tanh())
    input_forget: bool = False

    def infer(
        self,
        x: TensorType,
        w: TensorType,
        r: TensorType,
        b: TensorType | None,
        sequence_lens: TensorType | None,
        initial_h: TensorType | None,
        initial_c: TensorType | None,
        p: TensorType | None,
    ) -> Results:
        """y, y_h, y_c."""
        y, state = self.sequence(
            x, w, r, b=b, sequence_lens=sequence_lens, initial_h=initial_h, initial_c=initial_c, p=p
        )
        return y, state, state

    @in_f32
    def evaluate(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None,
        sequence_lens: Array | None,
        initial_h: Array | None,
        initial_c: Array | None,
        p: Array | None,
    ) -> tuple[Array, ...]:
        """Step by step."""
        step = kernels.cells.lstm_step(self, self.input_forget, p)
        return kernels.cells.run(self, step, x, w, r, b, sequence_lens, (initial_h, initial_c))
