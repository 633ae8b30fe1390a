"""One form for what can be written in many: fewer shapes of graph for every later rule to know."""

from ..rewrite import Rewrite
from .arithmetic import ARITHMETIC
from .clip import CLIP
from .identity import IDENTITY
from .linear import LINEAR
from .movement import MOVEMENT
from .pool import POOL

CANONICALIZE = Rewrite("canonicalize", (*IDENTITY, *ARITHMETIC, *CLIP, *LINEAR, *POOL, *MOVEMENT))

__all__ = ["CANONICALIZE"]
