"""Recognisers: the whole given back from the pieces that exporters write."""

from ..rewrite import Rewrite
from .activations import ACTIVATIONS
from .attention import ATTENTION
from .normalizations import NORMALIZATIONS
from .shuffles import SHUFFLES

RECOGNIZE = Rewrite("recognize", (*ACTIVATIONS, *NORMALIZATIONS, *ATTENTION, *SHUFFLES))

__all__ = ["RECOGNIZE"]
