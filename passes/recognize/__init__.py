"""Recognisers: the whole given back from the pieces that exporters write."""

from ..rewrite import Rewrite
from .activations import ACTIVATIONS
from .attention import ATTENTION
from .dilation import dilation_for_interleaved_images
from .normalizations import NORMALIZATIONS
from .recurrent import RECURRENT
from .shuffles import SHUFFLES

RECOGNIZE = Rewrite("recognize", (*ACTIVATIONS, *NORMALIZATIONS, *ATTENTION, *SHUFFLES, *RECURRENT))

DILATIONS = Rewrite("dilations", (dilation_for_interleaved_images,))

NORMS = Rewrite("recognize normalizations", NORMALIZATIONS)
"""Before a layout is chosen: the pieces run in any order of axes, the whole does not."""

__all__ = ["DILATIONS", "NORMS", "RECOGNIZE"]
