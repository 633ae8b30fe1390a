"""Dense, Embedding, EinsumDense, and layers that do nothing when a model is used."""

from __future__ import annotations

import numpy as np

from mconv.ir import Builder, DType, Value, ops

from .. import errors
from ..activations import activated
from ..config import Layer
from ..node import KerasNode
from ..registry import keras
from ..weights import Slots, SlotsOf, slots

RATE = {
    "rate": "of training", "seed": "of training", "noise_shape": "of training", "stddev": "of training",
    "l1": "of training", "l2": "of training", "data_format": "of training", "momentum": "of training",
}  # fmt: skip
AUGMENTS = (
    "seed", "mode", "factor", "fill_mode", "fill_value", "interpolation", "data_format", "value_range",
    "height_factor", "width_factor", "x_factor", "y_factor", "scale", "sigma", "kernel_size", "alpha",
    "brightness_factor", "contrast_factor", "saturation_factor", "hue_factor", "num_ops", "num_chains", "chain_depth",
    "all_ops", "lower", "upper", "width_lower", "width_upper", "height_lower", "height_upper", "auto_vectorize",
)  # fmt: skip
"""Settings of layers that change images at random."""


def biased(layer: Layer, slots_of: SlotsOf) -> Slots:
    """A kernel, and a bias where the layer has one."""
    return slots("kernel", "bias") if layer.config.get("use_bias", True) else slots("kernel")


def expect_plain(n: KerasNode) -> None:
    """MC393 where weights are stored as integers."""
    if n.settings.get("quantization_config", None) is not None or n.settings.get("lora_rank", None) is not None:
        raise errors.form(f"{n.settings.what} with quantized or low-rank weights")


@keras("Dense", weights=biased, mask="pass", ignores={"implementation": "how it is computed"})
def dense(n: KerasNode, g: Builder) -> Value:
    """Dense: the last axis times a matrix."""
    expect_plain(n)
    x, units = n.only(), n.settings.integer("units")
    w = n.weight("kernel", n.static(x, -1, "the last axis"), units)
    b = n.constant(n.weight("bias", units), "bias") if n.settings.flag("use_bias", True) else None
    if x.type.rank < 2:
        raise errors.misfit(f"{n.settings.what} of {x.type}")
    x = n.cast(x, DType.of(w.dtype))
    return activated(n, g, g.add(ops.Linear(), x, n.constant(w.T, "kernel"), b))


@keras("Embedding", weights=lambda layer, _: slots("embeddings"), mask="read",
       ignores={"dropout": "of training", "mask_zero": "read with the mask"})  # fmt: skip
def embedding(n: KerasNode, g: Builder) -> Value:
    """Embedding: rows of a table."""
    expect_plain(n)
    table = n.weight("embeddings", n.settings.integer("input_dim"), n.settings.integer("output_dim"))
    if n.settings.get("sparse", None):
        raise errors.form(f"{n.settings.what} with sparse gradients' form")
    x = n.only()
    indices = n.cast(x, DType.I32)
    if n.settings.flag("mask_zero", False):
        zero = n.builder.constant(np.array(0, np.int32))
        n.mask_out = g.add(ops.Not(), g.add(ops.Equal(), indices, zero))
    return g.add(ops.Gather(0), n.constant(table, "embeddings"), indices)


@keras("Masking", mask="read")
def masking(n: KerasNode, g: Builder) -> Value:
    """Masking: steps of which every feature is the mask's value are zeros, and masked from there on."""
    x = n.only()
    differs = g.add(ops.Not(), g.add(ops.Equal(), x, n.scalar(n.settings.number("mask_value", 0.0), x)))
    kept = n.cast(g.add(ops.ReduceMax((x.type.rank - 1,), True), n.cast(differs, DType.F32)), x.type.dtype)
    n.mask_out = n.cast(g.add(ops.Squeeze((x.type.rank - 1,)), kept), DType.BOOL)
    return g.add(ops.Mul(), x, kept)


@keras("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D",
       "SpatialDropout3D", "ActivityRegularization", "Identity", "StochasticDepth", mask="pass",
       ignores={**RATE, "drop_path_rate": "of training"})  # fmt: skip
def nothing(n: KerasNode, g: Builder) -> Value:
    """Layers of training alone."""
    return n.only()


@keras("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
       "RandomHeight", "RandomWidth", "RandomShear", "RandomHue", "RandomSaturation", "RandomSharpness",
       "RandomGrayscale", "RandomInvert", "RandomErasing", "RandomPerspective", "RandomGaussianBlur",
       "RandomElasticTransform", "RandomColorJitter", "RandomColorDegeneration", "RandomPosterization", "MixUp",
       "CutMix", "RandAugment", "AugMix", ignores=dict.fromkeys(AUGMENTS, "of training"))  # fmt: skip
def augmentation(n: KerasNode, g: Builder) -> Value:
    """What changes images while a model is trained, and else passes them on."""
    return n.only()


def _einsum_slots(layer: Layer, slots_of: SlotsOf) -> Slots:
    return slots("kernel", "bias") if layer.config.get("bias_axes") else slots("kernel")


@keras("EinsumDense", weights=_einsum_slots, ignores={"output_shape": "the weights' shapes tell it"})
def einsum_dense(n: KerasNode, g: Builder) -> Value:
    """EinsumDense: a sum of products with a kernel, and a bias."""
    expect_plain(n)
    x, equation = n.only(), n.settings.text("equation")
    kernel = n.constant(n.weight("kernel"), "kernel")
    y = g.add(ops.Einsum(equation.replace(" ", "")), x, kernel)
    if n.settings.get("bias_axes", None):
        y = g.add(ops.Add(), y, n.constant(n.weight("bias"), "bias"))
    return activated(n, g, y)
