"""Where the axes stand: channels first or last."""

from ..canonicalize.movement import MOVEMENT, continue_earlier_concat
from ..rewrite import Rewrite
from .channels_first import CHANNELS_FIRST_RULES
from .solve import SOLVE_LAYOUT, SolveLayout
from .weights import WEIGHTS

CHANNELS_FIRST = Rewrite("channels first", CHANNELS_FIRST_RULES)
# delegates of runtimes that run channels last take a Concat of few parts; in ncnn the copies between would cost more
MERGE_TRANSPOSES = Rewrite("merge transposes", (*MOVEMENT, continue_earlier_concat, *WEIGHTS))

__all__ = ["CHANNELS_FIRST", "MERGE_TRANSPOSES", "SOLVE_LAYOUT", "SolveLayout"]
