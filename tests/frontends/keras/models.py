"""Small models of Keras, one for each layer and option that matters: ``MODELS`` maps names to their builders.

A builder takes the package (``keras`` or ``tf_keras``) and returns a model; ``build`` gives it weights from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Builder = Callable[[Any], Any]
MODELS: dict[str, Builder] = {}
ONLY_KERAS_3: set[str] = set()
"""Models of layers that Keras 2 does not have."""
NOT_AS_H5: set[str] = set()
"""Models that Keras cannot load again from an HDF5 file, or does not save there."""


def model(name: str, *, newer: bool = False, h5: bool = True) -> Callable[[Builder], Builder]:
    """Enter a builder under a name. ``newer``: only Keras 3 has it; ``h5``: an HDF5 file can hold it."""

    def register(builder: Builder) -> Builder:
        assert name not in MODELS, name
        MODELS[name] = builder
        if newer:
            ONLY_KERAS_3.add(name)
        if not h5:
            NOT_AS_H5.add(name)
        return builder

    return register


def _layer(name: str, make: Callable[[Any], Any], *shape: int | None, dtype: str = "float32", **more: bool) -> None:
    """Enter a model of one layer on an input of that shape."""

    def builder(k: Any) -> Any:
        x = k.Input(shape, name="x", dtype=dtype)
        return k.Model(x, make(k.layers)(x))

    model(name, **more)(builder)


def build(name: str, package: Any, seed: int = 0) -> Any:
    """The model of that name, with weights from a seed: variances positive, all others around zero."""
    package.utils.set_random_seed(seed)
    made = MODELS[name](package)
    chance = np.random.default_rng(seed)
    for variable in made.weights:
        value = np.asarray(variable)
        if value.dtype.kind != "f":
            continue
        path = getattr(variable, "path", variable.name)
        new = chance.uniform(0.5, 1.5, value.shape) if "varia" in path else chance.normal(0, 0.4, value.shape)
        variable.assign(new.astype(value.dtype))
    for layer in made.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return made


def feeds(made: Any, seed: int = 0, batch: int = 2, free: int = 6) -> list[np.ndarray[Any, Any]]:
    """An array for each input; sizes that are not known are ``free``, integers count to 9."""
    chance = np.random.default_rng(seed)
    found = []
    for x in made.inputs:
        shape = [d if d is not None else batch if i == 0 else free for i, d in enumerate(x.shape)]
        name = str(getattr(x.dtype, "name", x.dtype))
        if name.startswith("int") or "token" in x.name:
            found.append(chance.integers(0, 10, shape).astype(name))
        else:
            found.append(chance.normal(0, 1, shape).astype(name))
    return found


# Dense, activations -------------------------------------------------------------------------------------------

_layer("dense", lambda ls: ls.Dense(5), 4)
_layer("dense_relu", lambda ls: ls.Dense(5, activation="relu"), 4)
_layer("dense_no_bias_softmax", lambda ls: ls.Dense(5, use_bias=False, activation="softmax"), 4)
_layer("dense_of_sequence", lambda ls: ls.Dense(5, activation="tanh"), 3, 4)
_layer("embedding", lambda ls: ls.Embedding(10, 4), 6, dtype="int32")
_layer("einsum_dense", lambda ls: ls.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d"), 3, 4)
_layer("einsum_dense_heads", lambda ls: ls.EinsumDense("abc,cde->abde", output_shape=(None, 2, 6), bias_axes="de",
                                                     activation="gelu"), 3, 4)  # fmt: skip
for _name in ("relu", "elu", "selu", "softplus", "softsign", "silu", "gelu", "tanh", "sigmoid", "exponential",
              "hard_sigmoid", "linear", "mish", "softmax", "log_softmax"):  # fmt: skip
    _layer(f"activation_{_name}", lambda ls, _name=_name: ls.Activation(_name), 3, 4)
for _name in ("relu6", "leaky_relu", "celu", "glu", "log_sigmoid", "hard_silu", "hard_tanh", "hard_shrink",
              "soft_shrink", "tanh_shrink", "squareplus", "sparse_plus", "sparse_sigmoid"):  # fmt: skip
    _layer(f"activation_{_name}", lambda ls, _name=_name: ls.Activation(_name), 3, 4, newer=True)
_layer("relu", lambda ls: ls.ReLU(), 4)
_layer("relu_6", lambda ls: ls.ReLU(max_value=6.0), 4)
_layer("relu_full", lambda ls: ls.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.3), 40)
_layer("leaky_relu", lambda ls: ls.LeakyReLU(0.2), 4)
_layer("prelu", lambda ls: ls.PReLU(), 3, 4)
_layer("prelu_shared", lambda ls: ls.PReLU(shared_axes=[1, 2]), 3, 4, 5)
_layer("elu", lambda ls: ls.ELU(0.7), 4)
_layer("softmax_axis", lambda ls: ls.Softmax(axis=1), 3, 4)
_layer("softmax_axes", lambda ls: ls.Softmax(axis=[1, 2]), 3, 4)


@model("activation_layers_inside")
def _activation_layers(k: Any) -> Any:
    x = k.Input((4,), name="x")
    return k.Model(x, k.layers.Dense(5, activation=k.layers.LeakyReLU(0.1))(x))


# Convolutions -------------------------------------------------------------------------------------------------

_layer("conv1d", lambda ls: ls.Conv1D(5, 3, strides=2, padding="same", activation="relu"), 9, 4)
_layer("conv1d_causal", lambda ls: ls.Conv1D(5, 3, padding="causal", dilation_rate=2), 9, 4)
_layer("conv1d_free_length", lambda ls: ls.Conv1D(5, 3, padding="same"), None, 4)
_layer("conv2d_valid", lambda ls: ls.Conv2D(5, 3), 8, 9, 4)
_layer("conv2d_same_stride", lambda ls: ls.Conv2D(5, 3, strides=2, padding="same"), 8, 9, 4)
_layer("conv2d_uneven", lambda ls: ls.Conv2D(5, (2, 4), strides=(2, 1), padding="same", use_bias=False), 7, 9, 4)
_layer("conv2d_dilated", lambda ls: ls.Conv2D(5, 3, dilation_rate=(2, 3), padding="same"), 8, 9, 4)
_layer("conv2d_groups", lambda ls: ls.Conv2D(6, 3, groups=2, activation="relu"), 8, 9, 4)
_layer("conv3d", lambda ls: ls.Conv3D(3, (2, 3, 3), strides=(1, 2, 1), padding="same"), 4, 6, 5, 2)
_layer("conv2d_relu6", lambda ls: ls.Conv2D(5, 3, activation="relu6"), 8, 9, 4, newer=True)
_layer("separable_conv1d", lambda ls: ls.SeparableConv1D(5, 3, depth_multiplier=2, padding="same"), 9, 4)
_layer("separable_conv2d", lambda ls: ls.SeparableConv2D(5, 3, strides=2, padding="same", activation="relu"), 8, 9, 4)
_layer("depthwise_conv1d", lambda ls: ls.DepthwiseConv1D(3, strides=2, padding="same"), 9, 4)
_layer(
    "depthwise_conv2d",
    lambda ls: ls.DepthwiseConv2D(3, depth_multiplier=2, padding="valid", activation="relu"),
    8,
    9,
    4,
)
_layer("depthwise_conv2d_same", lambda ls: ls.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False), 8, 9, 4)
_layer("conv1d_transpose", lambda ls: ls.Conv1DTranspose(5, 3, strides=2, padding="same"), 7, 4)
_layer("conv2d_transpose", lambda ls: ls.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu"), 5, 6, 4)
_layer("conv2d_transpose_valid", lambda ls: ls.Conv2DTranspose(5, (2, 4), strides=3, padding="valid"), 5, 6, 4)
_layer("conv2d_transpose_output_padding", lambda ls: ls.Conv2DTranspose(5, 3, strides=2, padding="same",
                                                                      output_padding=1), 5, 6, 4)  # fmt: skip
_layer("conv2d_transpose_even", lambda ls: ls.Conv2DTranspose(5, 4, strides=2, padding="same", use_bias=False), 5, 6, 4)
_layer("conv3d_transpose", lambda ls: ls.Conv3DTranspose(3, 3, strides=2, padding="same"), 3, 4, 3, 2)

# Pools --------------------------------------------------------------------------------------------------------

_layer("max_pooling1d", lambda ls: ls.MaxPooling1D(2, padding="same"), 9, 4)
_layer("max_pooling2d", lambda ls: ls.MaxPooling2D(3, strides=2, padding="same"), 8, 9, 4)
_layer("max_pooling2d_valid", lambda ls: ls.MaxPooling2D((2, 3)), 8, 9, 4)
_layer("max_pooling3d", lambda ls: ls.MaxPooling3D(2), 4, 6, 5, 2)
_layer("average_pooling1d", lambda ls: ls.AveragePooling1D(3, strides=2, padding="same"), 9, 4)
_layer("average_pooling2d", lambda ls: ls.AveragePooling2D(3, strides=2, padding="same"), 8, 9, 4)
_layer("average_pooling3d", lambda ls: ls.AveragePooling3D(2, padding="same"), 4, 6, 5, 2)
for _name in ("1D", "2D", "3D"):
    _shape = (5, 6, 4, 3)[: int(_name[0])]
    _layer(f"global_max_{_name}", lambda ls, _name=_name: getattr(ls, f"GlobalMaxPooling{_name}")(), *_shape, 3)
    _layer(f"global_average_{_name}", lambda ls, _name=_name: getattr(ls, f"GlobalAveragePooling{_name}")(
        keepdims=True), *_shape, 3)  # fmt: skip
_layer("adaptive_average_2d", lambda ls: ls.AdaptiveAveragePooling2D((4, 3)), 8, 7, 3, newer=True)
_layer("adaptive_max_2d", lambda ls: ls.AdaptiveMaxPooling2D((3, 7)), 8, 7, 3, newer=True)
_layer("adaptive_average_1d", lambda ls: ls.AdaptiveAveragePooling1D(4), 10, 3, newer=True)

# Shapes -------------------------------------------------------------------------------------------------------

_layer("flatten", lambda ls: ls.Flatten(), 3, 4, 5)
_layer("reshape", lambda ls: ls.Reshape((6, -1)), 3, 4)
_layer("permute", lambda ls: ls.Permute((3, 1, 2)), 3, 4, 5)
_layer("repeat_vector", lambda ls: ls.RepeatVector(3), 4)
_layer("zero_padding1d", lambda ls: ls.ZeroPadding1D((1, 2)), 5, 3)
_layer("zero_padding2d", lambda ls: ls.ZeroPadding2D(((1, 2), (0, 3))), 4, 5, 3)
_layer("zero_padding3d", lambda ls: ls.ZeroPadding3D((1, 0, 2)), 3, 4, 3, 2)
_layer("cropping1d", lambda ls: ls.Cropping1D((1, 2)), 6, 3)
_layer("cropping2d", lambda ls: ls.Cropping2D(((1, 2), (0, 1))), 6, 5, 3)
_layer("cropping3d", lambda ls: ls.Cropping3D(1), 4, 5, 4, 2)
_layer("up_sampling1d", lambda ls: ls.UpSampling1D(3), 4, 3)
_layer("up_sampling2d", lambda ls: ls.UpSampling2D((2, 3)), 4, 5, 3)
_layer("up_sampling2d_bilinear", lambda ls: ls.UpSampling2D(2, interpolation="bilinear"), 4, 5, 3)
_layer("up_sampling2d_bicubic", lambda ls: ls.UpSampling2D(2, interpolation="bicubic"), 4, 5, 3)
_layer("up_sampling3d", lambda ls: ls.UpSampling3D(2), 2, 3, 2, 2)

# Normalisations -----------------------------------------------------------------------------------------------

_layer("batch_normalization", lambda ls: ls.BatchNormalization(), 4, 5, 3)
_layer("batch_normalization_dense", lambda ls: ls.BatchNormalization(scale=False, epsilon=1e-2), 4)
_layer("batch_normalization_axis", lambda ls: ls.BatchNormalization(axis=2, center=False), 4, 5, 3)
_layer("layer_normalization", lambda ls: ls.LayerNormalization(), 4, 5)
_layer("layer_normalization_axes", lambda ls: ls.LayerNormalization(axis=[1, 2], epsilon=1e-4), 4, 5, 3)
_layer("layer_normalization_plain", lambda ls: ls.LayerNormalization(center=False, scale=False), 4, 5)
_layer("layer_normalization_rms", lambda ls: ls.LayerNormalization(rms_scaling=True), 4, 5, newer=True)
_layer("rms_normalization", lambda ls: ls.RMSNormalization(), 4, 5, newer=True)
_layer("group_normalization", lambda ls: ls.GroupNormalization(2), 4, 5, 6)
_layer("group_normalization_instance", lambda ls: ls.GroupNormalization(-1, scale=False), 4, 5, 6)
_layer("unit_normalization", lambda ls: ls.UnitNormalization(), 4, 5)
_layer("unit_normalization_axes", lambda ls: ls.UnitNormalization(axis=[1, 2]), 4, 5)
_layer("spectral_normalization", lambda ls: ls.SpectralNormalization(ls.Dense(5)), 4, newer=True)
_layer("normalization", lambda ls: ls.Normalization(), 4)
_layer("normalization_given", lambda ls: ls.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0]), 5, 3)
_layer("normalization_invert", lambda ls: ls.Normalization(mean=3.0, variance=2.0, axis=None, invert=True), 5, 3)
_layer("rescaling", lambda ls: ls.Rescaling(1 / 127.5, offset=-1.0), 4, 5, 3)
_layer("resizing", lambda ls: ls.Resizing(7, 4), 5, 6, 3)
_layer("resizing_nearest", lambda ls: ls.Resizing(7, 4, interpolation="nearest"), 5, 6, 3)
_layer("center_crop", lambda ls: ls.CenterCrop(3, 4), 6, 7, 3)
_layer("category_encoding", lambda ls: ls.CategoryEncoding(num_tokens=10, output_mode="multi_hot"), 4, dtype="int32")
_layer("category_one_hot", lambda ls: ls.CategoryEncoding(num_tokens=10, output_mode="one_hot"), 1, dtype="int32")
_layer("discretization", lambda ls: ls.Discretization(bin_boundaries=[-1.0, 0.0, 0.5]), 4)
for _name in ("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D"):
    _layer(f"training_{_name}", lambda ls, _name=_name: getattr(ls, _name)(0.3), 4, 5)

# Recurrent ----------------------------------------------------------------------------------------------------

for _name in ("LSTM", "GRU", "SimpleRNN"):
    _small = _name.lower()
    _layer(_small, lambda ls, _name=_name: getattr(ls, _name)(5), 6, 4)
    _layer(f"{_small}_sequences", lambda ls, _name=_name: getattr(ls, _name)(5, return_sequences=True), 6, 4)
    _layer(f"{_small}_backwards", lambda ls, _name=_name: getattr(ls, _name)(
        5, return_sequences=True, go_backwards=True), 6, 4)  # fmt: skip
    _layer(f"{_small}_state", lambda ls, _name=_name: getattr(ls, _name)(5, return_state=True), 6, 4)
    for _mode in ("concat", "sum", "mul", "ave"):
        _layer(f"bidirectional_{_small}_{_mode}", lambda ls, _name=_name, _mode=_mode: ls.Bidirectional(
            getattr(ls, _name)(5, return_sequences=True), merge_mode=_mode), 6, 4)  # fmt: skip
_layer("lstm_free_length", lambda ls: ls.LSTM(5, return_sequences=True), None, 4)
_layer(
    "lstm_functions",
    lambda ls: ls.LSTM(5, activation="relu", recurrent_activation="hard_sigmoid", use_bias=False),
    6,
    4,
)
_layer("gru_reset_before", lambda ls: ls.GRU(5, reset_after=False, return_sequences=True), 6, 4)
_layer("gru_no_bias", lambda ls: ls.GRU(5, use_bias=False), 6, 4)
_layer("bidirectional_last", lambda ls: ls.Bidirectional(ls.LSTM(5)), 6, 4)
_layer("bidirectional_pair", lambda ls: ls.Bidirectional(ls.GRU(5), merge_mode=None), 6, 4)
_layer("bidirectional_state", lambda ls: ls.Bidirectional(ls.LSTM(5, return_state=True)), 6, 4)
_layer("bidirectional_two_layers", lambda ls: ls.Bidirectional(
    ls.LSTM(5, return_sequences=True),
    backward_layer=ls.LSTM(5, return_sequences=True, go_backwards=True)), 6, 4)  # fmt: skip
_layer("rnn_cell", lambda ls: ls.RNN(ls.LSTMCell(5), return_sequences=True), 6, 4)
_layer(
    "rnn_stacked", lambda ls: ls.RNN([ls.LSTMCell(5), ls.GRUCell(3), ls.SimpleRNNCell(4)], return_sequences=True), 6, 4
)
_layer("time_distributed_dense", lambda ls: ls.TimeDistributed(ls.Dense(5)), 6, 4)
_layer("time_distributed_conv", lambda ls: ls.TimeDistributed(ls.Conv2D(3, 3)), 3, 6, 5, 2)
_layer("conv_lstm1d", lambda ls: ls.ConvLSTM1D(3, 3, padding="same", return_sequences=True), 3, 6, 2)
_layer("conv_lstm2d", lambda ls: ls.ConvLSTM2D(3, 3, strides=2), 3, 7, 6, 2)


@model("lstm_stateful")
def _stateful(k: Any) -> Any:
    x = k.Input(batch_shape=(2, 6, 4), name="x")
    return k.Model(x, k.layers.LSTM(5, stateful=True)(x))


@model("lstm_initial_state")
def _initial_state(k: Any) -> Any:
    x, h, c = (k.Input(s, name=n) for n, s in (("x", (6, 4)), ("h", (5,)), ("c", (5,))))
    y = k.layers.LSTM(5, return_sequences=True, return_state=True)(x, initial_state=[h, c])
    return k.Model([x, h, c], list(y))


def _masked(name: str, make: Callable[[Any], Any]) -> None:
    def builder(k: Any) -> Any:
        x = k.Input((6,), name="tokens", dtype="int32")
        return k.Model(x, make(k.layers)(k.layers.Embedding(10, 4, mask_zero=True)(x % 4)))

    model(name, h5=False, newer=True)(builder)


def _mask_of_zero(name: str, make: Callable[[Any], Any]) -> None:
    """A model whose input is masked where all features are zero."""

    def builder(k: Any) -> Any:
        x = k.Input((6, 4), name="x")
        y = k.layers.Masking()(k.layers.ReLU(threshold=0.7)(x))
        return k.Model(x, make(k.layers)(y))

    model(name)(builder)


@model("masked_lstm_initial_state")
def _masked_initial_state(k: Any) -> Any:
    """Keras 3 hands a layer no mask where tensors are among its other arguments."""
    x, h, c = (k.Input(s, name=n) for n, s in (("x", (6, 4)), ("h", (5,)), ("c", (5,))))
    y = k.layers.Masking()(k.layers.ReLU(threshold=0.7)(x))
    y = k.layers.LSTM(5, return_sequences=True)(y, initial_state=[h, c])
    return k.Model([x, h, c], k.layers.LSTM(3)(y))


_mask_of_zero("masked_lstm", lambda ls: ls.LSTM(5))
_mask_of_zero("masked_lstm_sequences", lambda ls: ls.LSTM(5, return_sequences=True))
_mask_of_zero("masked_gru_backwards", lambda ls: ls.GRU(5, return_sequences=True, go_backwards=True))
_mask_of_zero("masked_gru_state", lambda ls: ls.GRU(5, return_state=True))
_mask_of_zero("masked_bidirectional", lambda ls: ls.Bidirectional(ls.LSTM(5, return_sequences=True)))
_mask_of_zero("masked_mean", lambda ls: ls.GlobalAveragePooling1D())
_mask_of_zero("masked_dense_lstm", lambda ls: lambda x: ls.LSTM(3)(ls.Dropout(0.1)(ls.Dense(5)(x))))
_masked("embedded_mask_lstm", lambda ls: ls.LSTM(5))


# Attention ----------------------------------------------------------------------------------------------------


def _attention(name: str, make: Callable[[Any], Any], *, shapes: Any = ((5, 8), (6, 8)), **more: bool) -> None:
    def builder(k: Any) -> Any:
        xs = [k.Input(s, name=f"x{i}") for i, s in enumerate(shapes)]
        return k.Model(xs, make(k.layers)(xs))

    model(name, **more)(builder)


_attention("multi_head_attention", lambda ls: lambda x: ls.MultiHeadAttention(2, 4)(x[0], x[1]))
_attention("multi_head_attention_self", lambda ls: lambda x: ls.MultiHeadAttention(2, 4)(x[0], x[0]))
_attention("multi_head_attention_value_dim", lambda ls: lambda x: ls.MultiHeadAttention(
    2, 4, value_dim=3, output_shape=7, use_bias=False)(x[0], x[1], key=x[1]))  # fmt: skip
_attention("multi_head_attention_causal", lambda ls: lambda x: ls.MultiHeadAttention(2, 4)(
    x[0], x[0], use_causal_mask=True))  # fmt: skip
_attention("multi_head_attention_scores", lambda ls: lambda x: ls.MultiHeadAttention(2, 4)(
    x[0], x[1], return_attention_scores=True))  # fmt: skip
_attention("multi_head_attention_axes", lambda ls: lambda x: ls.MultiHeadAttention(2, 4, attention_axes=(2,))(
    x[0], x[0]), shapes=((3, 5, 8),))  # fmt: skip
_attention("multi_head_attention_2d", lambda ls: lambda x: ls.MultiHeadAttention(2, 4)(x[0], x[0]), shapes=((3, 5, 8),))
_attention("grouped_query_attention", lambda ls: lambda x: ls.GroupQueryAttention(4, 4, 2)(x[0], x[1]), newer=True)
_attention("attention", lambda ls: ls.Attention())
_attention("attention_scaled_causal", lambda ls: lambda x: ls.Attention(use_scale=True)(x, use_causal_mask=True))
_attention("attention_concat", lambda ls: ls.Attention(score_mode="concat", use_scale=True))
_attention("additive_attention", lambda ls: ls.AdditiveAttention())


@model("multi_head_attention_mask")
def _attention_mask(k: Any) -> Any:
    x, m = k.Input((5, 8), name="x"), k.Input((5, 5), name="m", dtype="bool")
    return k.Model([x, m], k.layers.MultiHeadAttention(2, 4)(x, x, attention_mask=m))


@model("masked_attention")
def _masked_attention(k: Any) -> Any:
    x = k.Input((6, 4), name="x")
    y = k.layers.Masking()(k.layers.ReLU(threshold=0.7)(x))
    return k.Model(x, k.layers.GlobalAveragePooling1D()(k.layers.MultiHeadAttention(2, 4)(y, y)))


# Several tensors, and models in models ------------------------------------------------------------------------

for _name in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract"):
    _attention(f"merge_{_name}", lambda ls, _name=_name: getattr(ls, _name)(), shapes=((3, 4), (3, 4)))
_attention("merge_three", lambda ls: ls.Average(), shapes=((4,), (4,), (4,)))
_attention("merge_broadcast", lambda ls: ls.Multiply(), shapes=((3, 4), (1, 4)))
_attention("concatenate", lambda ls: ls.Concatenate(axis=1), shapes=((2, 4), (3, 4)))
_attention("dot", lambda ls: ls.Dot(axes=(2, 1)), shapes=((3, 4), (4, 5)))
_attention("dot_vectors", lambda ls: ls.Dot(axes=1, normalize=True), shapes=((4,), (4,)))


@model("sequential")
def _sequential(k: Any) -> Any:
    ls = k.layers
    return k.Sequential(
        [ls.Input((8, 8, 3)), ls.Conv2D(4, 3), ls.BatchNormalization(), ls.ReLU(), ls.Flatten(), ls.Dense(5)]
    )


@model("sequential_built_late")
def _built_late(k: Any) -> Any:
    made = k.Sequential([k.layers.Dense(4, activation="relu"), k.layers.Dense(3)])
    made.build((None, 6))
    return made


@model("shared_layer")
def _shared(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    dense = k.layers.Dense(4, activation="tanh")
    return k.Model([a, b], k.layers.Concatenate()([dense(a), dense(dense(b))]))


@model("nested_models")
def _nested(k: Any) -> Any:
    ls = k.layers
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    inner = k.Sequential([k.Input((4,)), ls.Dense(4, name="first"), ls.BatchNormalization(), ls.Dense(4)], name="inner")
    i = k.Input((4,))
    other = k.Model(i, ls.Dense(4, trainable=False, name="frozen")(ls.BatchNormalization()(i)), name="other")
    y = other(other(inner(a)))
    return k.Model([a, b], [ls.Add()([y, inner(b)]), inner(y)])


@model("two_outputs")
def _two_outputs(k: Any) -> Any:
    x = k.Input((4,), name="x")
    y = k.layers.Dense(5, name="trunk")(x)
    return k.Model(x, {"p": k.layers.Dense(2, name="left")(y), "q": k.layers.Dense(3, name="right")(y)})


@model("frozen_layers")
def _frozen(k: Any) -> Any:
    ls = k.layers
    inner = k.Sequential([
        k.Input((6, 6, 3)), ls.Conv2D(4, 3, trainable=False), ls.BatchNormalization(), ls.Conv2D(3, 2),
        ls.BatchNormalization(trainable=False)], name="trunk")  # fmt: skip
    x = k.Input((6, 6, 3), name="x")
    return k.Model(x, ls.GlobalAveragePooling2D()(inner(x)))


# keras.ops ----------------------------------------------------------------------------------------------------


def _operations(name: str, make: Callable[[Any, Any], Any], *shape: int) -> None:
    def builder(k: Any) -> Any:
        x = k.Input(shape, name="x")
        return k.Model(x, make(k.ops, x))

    model(name, newer=True, h5=False)(builder)


_operations("ops_arithmetic", lambda o, x: o.maximum(2 * x + 1, -x / 3) - o.square(x) * 0.5, 3, 4)
_operations("ops_functions", lambda o, x: o.exp(o.tanh(x)) + o.sqrt(o.abs(x)) + o.log1p(o.square(x)) + o.erf(x), 3, 4)
_operations(
    "ops_activations", lambda o, x: o.gelu(x) + o.relu6(x) + o.silu(x) + o.leaky_relu(x) + o.hard_sigmoid(x), 3, 4
)
_operations("ops_reductions", lambda o, x: o.mean(x, axis=1, keepdims=True) + o.max(x, axis=-1, keepdims=True)
            + o.var(x, axis=[1, 2], keepdims=True) + o.logsumexp(x, axis=2, keepdims=True), 3, 4)  # fmt: skip
_operations(
    "ops_shapes", lambda o, x: o.squeeze(o.expand_dims(o.transpose(o.reshape(x, (-1, 4, 3)), (0, 2, 1)), 1), 1), 3, 4
)
_operations(
    "ops_slices", lambda o, x: o.concatenate([x[:, 1:3, ::2], x[:, -2:, 1::2]], axis=1) + x[:, 0, None, :2], 4, 4
)
_operations("ops_products", lambda o, x: o.matmul(x, o.transpose(x, (0, 2, 1))) + o.einsum("bij,bkj->bik", x, x), 3, 4)
_operations("ops_choices", lambda o, x: o.where(x > 0, x, o.cast(o.argmax(x, axis=-1, keepdims=True), "float32")), 3, 4)
_operations("ops_stack", lambda o, x: o.stack([*o.split(x, 2, axis=2), o.flip(x[:, :, :2], axis=1)], axis=2), 3, 4)
_operations(
    "ops_more", lambda o, x: o.pad(o.repeat(o.tile(o.softmax(x), (1, 1, 2)), 2, axis=1), ((0, 0), (1, 0), (0, 2))), 3, 4
)
