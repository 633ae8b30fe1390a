"""Computing at conversion time what can be computed: constants, shape arithmetic, equal and unread nodes."""

from .constants import FoldConstants
from .dead import RemoveDead
from .equal import MergeEqual

__all__ = ["FoldConstants", "MergeEqual", "RemoveDead"]
