"""Where the axes stand: channels first or last."""

from ..rewrite import Rewrite
from .channels_first import CHANNELS_FIRST_RULES

CHANNELS_FIRST = Rewrite("channels first", CHANNELS_FIRST_RULES)

__all__ = ["CHANNELS_FIRST"]
