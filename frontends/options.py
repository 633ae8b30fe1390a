"""How a model is to be read: what the person says of it beside its path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mconv.ir import Shape
from mconv.ir.record import NOTHING, Record


class Reading(Record):
    """The options of reading; which format takes which is told by `Format.takes`."""

    input_shapes: Mapping[str, Shape] = NOTHING
    """Shapes of inputs by name."""
    dims: Mapping[str, int] = NOTHING
    """Sizes of symbolic dimensions by name."""
    simplify: bool = False
    """Run onnx-simplifier first."""
    signature: str | None = None
    """Which of a SavedModel's signatures."""
    inputs: tuple[str, ...] = ()
    """Values that become the inputs; what is before them is left out."""
    outputs: tuple[str, ...] = ()
    """Values that become the outputs; what is after them is left out."""
    weights: Path | None = None
    """The file of weights that belongs to an architecture."""
    random_weights: int | None = None
    """Seed of random weights for an architecture without any."""

    def given(self) -> dict[str, Any]:
        """The options that were given, by name."""
        found = {name: getattr(self, name) for name in FLAGS}
        return {
            name: value for name, value in found.items() if value is not None and value is not False and value != ()
        }

    def only(self, names: Collection[str]) -> Reading:
        """The same with no options but these, beside shapes and sizes."""
        given: dict[str, Any] = {name: value for name, value in self.given().items() if name in names}
        return Reading(input_shapes=self.input_shapes, dims=self.dims, **given)


FLAGS = {
    "simplify": "--simplify",
    "signature": "--signature",
    "inputs": "--inputs",
    "outputs": "--outputs",
    "weights": "--weights",
    "random_weights": "--random-weights",
}
"""Options that only some formats take, as the command spells them."""
