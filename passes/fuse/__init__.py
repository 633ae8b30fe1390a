"""Fusions: what stands before or after a product is taken into it."""

from ..rewrite import Rewrite
from .activation import ACTIVATION
from .affine import AFFINE
from .pad import PADS

FUSE = Rewrite("fuse", (*AFFINE, *PADS))
FUSE_ACTIVATIONS = Rewrite("fuse activations", ACTIVATION)

__all__ = ["FUSE", "FUSE_ACTIVATIONS"]
