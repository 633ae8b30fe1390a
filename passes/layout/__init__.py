"""Where the axes stand: channels first or last."""

from ..canonicalize.movement import MOVEMENT
from ..rewrite import Rewrite
from .channels_first import CHANNELS_FIRST_RULES
from .solve import SOLVE_LAYOUT, SolveLayout
from .weights import WEIGHTS

CHANNELS_FIRST = Rewrite("channels first", CHANNELS_FIRST_RULES)
MERGE_TRANSPOSES = Rewrite("merge transposes", (*MOVEMENT, *WEIGHTS))

__all__ = ["CHANNELS_FIRST", "MERGE_TRANSPOSES", "SOLVE_LAYOUT", "SolveLayout"]
