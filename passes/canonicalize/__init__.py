"""One form for what can be written in many: fewer shapes of graph for every later rule to know."""

from ..rewrite import Rewrite
from .arithmetic import ARITHMETIC
from .clip import CLIP
from .einsum import EINSUM
from .identity import IDENTITY
from .linear import LINEAR
from .movement import MOVEMENT
from .pool import POOL
from .sink import SINK
from .slices import SLICES, JoinSlices

CANONICALIZE = Rewrite(
    "canonicalize", (*IDENTITY, *ARITHMETIC, *CLIP, *EINSUM, *LINEAR, *POOL, *MOVEMENT, *SLICES, *SINK)
)

__all__ = ["CANONICALIZE", "JoinSlices"]
