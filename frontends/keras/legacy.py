"""The names of Keras 1 and of retired layers, as Keras 2 and 3 have them; and the order and form of their weights.

https://github.com/keras-team/keras/wiki/Keras-2.0-release-notes lists what was renamed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mconv.ir.types import Array

from . import errors

_CLASSES = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D", "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D", "Deconvolution2D": "Conv2DTranspose", "Deconv2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose", "Deconv3D": "Conv3DTranspose", "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose", "Convolution3DTranspose": "Conv3DTranspose",
    "SeparableConvolution1D": "SeparableConv1D", "SeparableConvolution2D": "SeparableConv2D",
    "MaxPool1D": "MaxPooling1D", "MaxPool2D": "MaxPooling2D", "MaxPool3D": "MaxPooling3D",
    "AvgPool1D": "AveragePooling1D", "AvgPool2D": "AveragePooling2D", "AvgPool3D": "AveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D", "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D", "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D", "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization", "LSTMV2": "LSTM", "GRUV2": "GRU",
}  # fmt: skip
_MERGES = {"sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum", "dot": "Dot",
           "cos": "Dot"}  # fmt: skip
_KEYS = {
    "nb_filter": "filters", "subsample": "strides", "subsample_length": "strides", "border_mode": "padding",
    "dim_ordering": "data_format", "bias": "use_bias", "filter_length": "kernel_size", "atrous_rate": "dilation_rate",
    "pool_length": "pool_size", "stride": "strides", "p": "rate", "inner_activation": "recurrent_activation",
    "length": "size", "sigma": "stddev",
}  # fmt: skip
_APPLICATIONS = {
    "LayerScale": {"init_values", "projection_dim"},
    "StochasticDepth": {"drop_path_rate"},
    "CustomScaleLayer": {"scale"},
}
"""Layers that keras.applications defines for itself, and their settings."""
_APPLICATION_HOMES = ("keras.", "tf_keras.", "tensorflow.")
_ORDERS = {"tf": "channels_last", "th": "channels_first"}


def renamed(cls: str, config: Mapping[str, Any], version: int) -> str:
    """A class's present name."""
    if cls == "Merge" and version == 1:
        mode = config.get("mode")
        if mode not in _MERGES:
            raise errors.stored_code(f"the Merge layer '{config.get('name')}'")
        return _MERGES[mode]
    return _CLASSES.get(cls, cls)


def upgraded(cls: str, config: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """Settings under their present names. Those of Keras 2 and 3 are left as they are."""
    if version > 1:
        return config
    new = {_KEYS.get(key, key): value for key, value in config.items()}
    if new.get("data_format") in _ORDERS:
        new["data_format"] = _ORDERS[new["data_format"]]
    if "output_dim" in new and cls != "Embedding":
        new["units"] = new.pop("output_dim")
    sizes = [new.pop(k) for k in ("nb_row", "nb_col", "kernel_dim1", "kernel_dim2", "kernel_dim3") if k in new]
    if sizes:
        new["kernel_size"] = sizes
    if cls == "Merge":
        _merge(new)
    for key in ("consume_less", "dropout_W", "dropout_U", "inner_init", "forget_bias_init", "init", "input_dtype",
                "gamma_init", "beta_init"):  # fmt: skip
        if key != "input_dtype":
            new.pop(key, None)
    return new


def _merge(config: dict[str, Any]) -> None:
    """Settings of Keras 1's Merge as those of the layer that replaced it."""
    axis, axes = config.pop("concat_axis", -1), config.pop("dot_axes", -1)
    mode = config.get("mode")
    if config.get("mode_type") not in (None, "raw") or config.get("output_shape_type") not in (None, "raw"):
        config["mode"] = "code"
    for key in ("mode_type", "output_shape", "output_shape_type", "output_mask", "output_mask_type", "arguments"):
        config.pop(key, None)
    if mode == "concat":
        config["axis"] = axis
    elif mode in ("dot", "cos"):
        config["axes"], config["normalize"] = axes, mode == "cos"


def of_applications(cls: str, module: str, config: Mapping[str, Any]) -> str:
    """The name of a class of keras.applications, which some versions register as custom; "" for all others."""
    name = cls.rpartition(">")[2]
    home = module.startswith(_APPLICATION_HOMES) and ".applications" in module if module else cls.startswith("Custom>")
    settings = set(config) - {"name", "trainable", "dtype", "batch_input_shape", "autocast"}
    return name if home and _APPLICATIONS.get(name) == settings else ""


# Weights -----------------------------------------------------------------------------------------------------


def gates(cls: str) -> list[str] | None:
    """Keras 1's weights of a recurrent layer, one matrix a gate; None for other layers."""
    letters = {"LSTM": "icfo", "GRU": "zrh"}.get(cls)
    return None if letters is None else [f"{kind}_{gate}" for gate in letters for kind in "WUb"]


def joined(cls: str, name: str, parts: Mapping[str, Array]) -> Array:
    """One weight of a recurrent layer of present form, from Keras 1's matrices."""
    kind = {"kernel": "W", "recurrent_kernel": "U", "bias": "b"}[name]
    order = {"LSTM": "ifco", "GRU": "zrh"}[cls]
    return np.concatenate([parts[f"{kind}_{gate}"] for gate in order], axis=-1)


def reordered(cls: str, name: str, array: Array, config: Mapping[str, Any]) -> Array:
    """A convolution's weight of Keras 1 with its axes in the present order."""
    if name != "kernel":
        return array
    first = config.get("data_format") == "channels_first"
    if cls == "Conv1D" and array.ndim == 4:
        size = _number(config.get("kernel_size"))
        if array.shape[:2] != (size, 1) or array.shape[3] != config.get("filters"):
            array = array.transpose(2, 3, 1, 0)
        return array[:, 0]
    if cls == "Conv2D" and first:
        return array.transpose(2, 3, 1, 0)
    if cls == "Conv2DTranspose" and array.ndim == 4:
        return array.transpose((2, 3, 0, 1) if first else (0, 1, 3, 2))
    if cls == "Conv3D" and first and array.ndim == 5:
        return array.transpose(2, 3, 4, 1, 0)
    return array


def flipped(cls: str, name: str, array: Array) -> Array:
    """A kernel that Theano wrote, which convolves where others correlate."""
    if not cls.startswith(("Conv", "SeparableConv", "DepthwiseConv")) or not name.endswith("kernel") or array.ndim < 3:
        return array
    return np.flip(array, tuple(range(array.ndim - 2)))


def from_cudnn(cls: str, name: str, array: Array) -> Array:
    """A weight of CuDNNLSTM or CuDNNGRU as LSTM and GRU (with reset_after) have it.

    Each gate's matrix is transposed; the input matrix moreover keeps its shape, so that its rows run over.
    """
    count = 4 if cls == "CuDNNLSTM" else 3
    if name == "bias":
        return array.reshape(2, -1).sum(axis=0) if count == 4 else array.reshape(2, -1)
    parts: Sequence[Array] = np.split(array, count, axis=1)
    if name == "kernel":
        return np.hstack([part.T.reshape(part.shape, order="F") for part in parts])
    return np.hstack([part.T for part in parts])


def _number(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
