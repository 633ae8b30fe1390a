"""What every backend shares: the registry of emitters, which is the support table, and what an emission returns.

An emitter says with its decorator what it takes, and legalization, ``mconv ops``, docs/support.md and the
refusals all read that::

    @ncnn.emits(Conv, where=(constant_weight,), activation=FUSED)
    def convolution(node: Node, net: Net) -> None: ...

A condition is a function of the node. Its docstring says in words what it asks for ("the weight is constant");
it returns True, or False, or the reason why not where the words alone would not tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mconv.ir import Graph, Node, Op, Symbol, Value
from mconv.ir.errors import Problem, UnsupportedError
from mconv.ir.record import NOTHING, Record
from mconv.ir.types import Array

Condition = Callable[[Node], bool | str]
Emitter = Callable[[Node, Any], None]
Chunk = bytes | memoryview


class Refused(Exception):
    """Raised by an emitter that meets what it cannot express; the backend adds where it happened.

    The conditions of ``emits`` should have told before; this is what keeps a gap in them from passing unseen.
    """

    def __init__(self, why: str, *, code: str = "", hint: str = "") -> None:
        super().__init__(why)
        self.why, self.code, self.hint = why, code, hint


class Support(Record):
    """One line of the support table: an operator, the conditions in words, the activations it can carry."""

    op: type[Op]
    conditions: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()


class Artifact(Record):
    """What an emission yields: the files' contents, and what a person or a checker needs to know about them.

    ``files`` maps the suffix of a file (its name, where the target writes a folder) to a function that yields its
    bytes in chunks; the chunks are views of the model's own arrays wherever possible, so that nothing is held twice.
    ``blobs`` maps names of IR values to the
    names under which the target's runtime gives them out; ``notes`` are told to the person who converts.
    """

    files: Mapping[str, Callable[[], Iterable[Chunk]]]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    blobs: Mapping[str, str] = NOTHING
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = NOTHING
    """Figures of what was made, for the report, as JSON can hold them."""
    summary: tuple[str, ...] = ()
    """The most important of them, in lines."""
    settings: Mapping[str, Any] = NOTHING
    """What the function that runs the files needs to know beside, as JSON can hold it."""

    def content(self, suffix: str) -> bytes:
        """All bytes of one file (for tests and small models)."""
        return b"".join(self.files[suffix]())


class Writing(Record):
    """Options of writing that only some targets take (``Backend.takes``); the command's have the same names."""

    exact: bool = False
    """No algorithm that trades exactness for speed."""
    debug_names: bool = False
    """Names of the model's operators and tensors in what is written."""
    protect: str | None = None
    """How much of the model is hidden."""
    key: Path | None = None
    """The file of the key that weights are encrypted with."""
    build_seed: str | None = None
    """What tells this build from others of the same model."""

    def given(self) -> tuple[str, ...]:
        """Names of the options that were given."""
        return tuple(name for name, default in type(self)._fields.items() if getattr(self, name) != default)


PLAIN = Writing()


class _Rule(Record):
    emit: Emitter
    conditions: tuple[Condition, ...]
    activations: tuple[type[Op], ...]


class Backend:
    """A target format. Subclasses give ``emit`` and ``run``, and the codes of their refusals."""

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files that are written, in the order in which they are named to a person."""
    folder: ClassVar[bool] = False
    """True where the result is a folder: then the keys of an artifact's ``files`` are the names of files in it."""
    takes: ClassVar[frozenset[str]] = frozenset()
    """Names of the options of ``Writing`` that the target takes."""
    batchless: ClassVar[bool] = False
    """True where the format has no batch axis: a symbolic batch is then set to one."""
    loops_over_batch: ClassVar[bool] = False
    """True where a run takes one sample of a symbolic batch; ``loop_over`` tells what that means for a model."""
    max_rank: ClassVar[int] = 64
    """The largest rank of a tensor inside a net, a leading axis of size one not counted."""
    averages_round_away: ClassVar[bool] = False
    """True where kernels round the halves of integers' means away from zero."""
    signed_integers: ClassVar[bool] = False
    """True where kernels for 8-bit integers take signed ones only."""
    casts_around: ClassVar[bool] = False
    """True where kernels take few element types, and others have to be cast to those and back."""
    window_ranks: ClassVar[tuple[int, ...]] = ()
    """Ranks of what convolutions and pools take; () where any."""
    layout: ClassVar[str] = ""
    """Where the format's spatial operators have their channels: "channels first", "channels last", "" as the IR."""
    code_operator: ClassVar[str] = "MC320"
    code_form: ClassVar[str] = "MC321"

    def __init__(self) -> None:
        self._rules: dict[type[Op], _Rule] = {}
        self._everywhere: tuple[Condition, ...] = ()

    # The support table -----------------------------------------------------------------------------------

    def emits(
        self, *ops: type[Op], where: Sequence[Condition] = (), activation: Sequence[type[Op]] = ()
    ) -> Callable[[Emitter], Emitter]:
        """Register the emitter of ``ops``, the conditions on their nodes, and the activations they can carry."""

        def register(emit: Emitter) -> Emitter:
            for op in ops:
                if op in self._rules:
                    raise TypeError(f"{op.__name__} has two emitters for {self.name}")
                self._rules[op] = _Rule(emit, tuple(where), tuple(activation))
            return emit

        return register

    def always(self, *conditions: Condition) -> None:
        """Conditions that hold for every operator of this target."""
        self._everywhere += conditions

    def refusal(self, node: Node) -> str | None:
        """Why this target cannot take the node as it stands; None where it can."""
        rule = self._rules.get(type(node.op))
        if rule is None:
            return f"{self.name} has no operator for {type(node.op).__name__}"
        for condition in (*self._everywhere, *rule.conditions):
            answer = condition(node)
            if answer is not True:
                return answer if isinstance(answer, str) else f"it needs that {words(condition)}"
        carried = getattr(node.op, "activation", None)
        if carried is not None and not self.accepts_activation(node.op, carried):
            return f"it cannot carry {type(carried).__name__} in this form"
        return None

    def accepts_activation(self, op: Op, activation: Op) -> bool:
        """True where ``op`` can carry ``activation`` as its attribute of that name."""
        rule = self._rules.get(type(op))
        return rule is not None and type(activation) in rule.activations

    def table(self) -> list[Support]:
        """The support table, by operator name."""
        lines = [
            Support(op, tuple(map(words, rule.conditions)), tuple(a.__name__ for a in rule.activations))
            for op, rule in self._rules.items()
        ]
        return sorted(lines, key=lambda line: line.op.__name__)

    def emitter(self, node: Node) -> Emitter:
        """The function that emits the node (which must not be refused)."""
        return self._rules[type(node.op)].emit

    # Emission --------------------------------------------------------------------------------------------

    def emit(self, graph: Graph, *, fp16: bool = False, name: str = "model", writing: Writing = PLAIN) -> Artifact:
        """Express the graph. Raises UnsupportedError with every refusal at once; writes nothing."""
        raise NotImplementedError(self.name)

    def loop_over(self, graph: Graph, batch: Sequence[Symbol]) -> list[str]:
        """Notes on running a simplified graph sample by sample, its ``batch`` set to one."""
        raise NotImplementedError(self.name)

    def run(
        self,
        files: Mapping[str, str],
        feeds: Mapping[str, Array],
        outputs: Sequence[str],
        *,
        threads: int = 1,
    ) -> dict[str, Array]:
        """Run written files (suffix to path) in the target's own runtime: feeds by input name, arrays by output name.

        Raises MissingExtraError where the runtime is not installed.
        """
        raise NotImplementedError(self.name)

    def check(self, graph: Graph) -> None:
        """Raise UnsupportedError with a problem for every node that is refused."""
        problems = [self._problem(node, why) for node in graph.nodes if (why := self.refusal(node)) is not None]
        if problems:
            raise UnsupportedError(problems)

    def _problem(self, node: Node, why: str) -> Problem:
        code = self.code_form if type(node.op) in self._rules else self.code_operator
        return refusal_problem(code, node, why)


def refusal_problem(code: str, node: Node, why: str, hint: str = "") -> Problem:
    """The problem that a refused node makes."""
    return Problem(
        code,
        f"{type(node.op).__name__}: {why}",
        where=f"{node.origin}" if f"{node.origin}" else f"node '{node.name}'",
        types=f"{', '.join(_typed(v) for v in node.operands)} -> {', '.join(str(v.type) for v in node.results)}",
        hint=hint,
    )


def words(condition: Condition) -> str:
    """The condition in words: the first line of its docstring."""
    text = condition.__doc__ or condition.__name__.replace("_", " ")
    return text.strip().splitlines()[0].rstrip(".")


def _typed(value: Value | None) -> str:
    return "_" if value is None else str(value.type)
