"""What onnxruntime specifies of its own operators, those that there are handlers for.

Made from onnxruntime's registry by `python -m tests.frontends.onnx.contrib_table`; do not edit.  For each operator: the
least and greatest number of operands, the same of results, and its attributes with type, default and whether it must be
given.
"""

from __future__ import annotations

from typing import Any

Counts = tuple[int, int]

CONTRIB: dict[str, tuple[Counts, Counts, dict[str, tuple[str, Any, bool]]]] = {
    "Attention": (
        (2, 7),
        (1, 2),
        {
            "do_rotary": ("INT", None, False),
            "mask_filter_value": ("FLOAT", None, False),
            "num_heads": ("INT", None, True),
            "past_present_share_buffer": ("INT", None, False),
            "qkv_hidden_sizes": ("INTS", None, False),
            "rotary_embedding_dim": ("INT", None, False),
            "scale": ("FLOAT", None, False),
            "unidirectional": ("INT", 0, False),
        },
    ),
    "BiasAdd": (
        (3, 3),
        (1, 1),
        {},
    ),
    "BiasGelu": (
        (2, 2),
        (1, 1),
        {},
    ),
    "DequantizeLinear": (
        (2, 3),
        (1, 1),
        {
            "axis": ("INT", None, False),
        },
    ),
    "DynamicQuantizeMatMul": (
        (3, 5),
        (1, 1),
        {},
    ),
    "EmbedLayerNormalization": (
        (7, 9),
        (1, 3),
        {
            "epsilon": ("FLOAT", 9.999999960041972e-13, False),
            "mask_index_type": ("INT", None, False),
        },
    ),
    "ExpandDims": (
        (2, 2),
        (1, 1),
        {},
    ),
    "FastGelu": (
        (1, 2),
        (1, 1),
        {},
    ),
    "FusedConv": (
        (2, 4),
        (1, 1),
        {
            "activation": ("STRING", None, False),
            "activation_params": ("FLOATS", None, False),
            "auto_pad": ("STRING", "NOTSET", False),
            "dilations": ("INTS", None, False),
            "group": ("INT", 1, False),
            "kernel_shape": ("INTS", None, False),
            "pads": ("INTS", None, False),
            "strides": ("INTS", None, False),
        },
    ),
    "FusedGemm": (
        (2, 3),
        (1, 1),
        {
            "activation": ("STRING", None, False),
            "activation_alpha": ("FLOAT", None, False),
            "activation_beta": ("FLOAT", None, False),
            "activation_gamma": ("FLOAT", None, False),
            "alpha": ("FLOAT", 1.0, False),
            "beta": ("FLOAT", 1.0, False),
            "transA": ("INT", 0, False),
            "transB": ("INT", 0, False),
        },
    ),
    "FusedMatMul": (
        (2, 2),
        (1, 1),
        {
            "alpha": ("FLOAT", 1.0, False),
            "transA": ("INT", 0, False),
            "transB": ("INT", 0, False),
            "transBatchA": ("INT", 0, False),
            "transBatchB": ("INT", 0, False),
        },
    ),
    "GatherND": (
        (2, 2),
        (1, 1),
        {},
    ),
    "Gelu": (
        (1, 1),
        (1, 1),
        {},
    ),
    "GemmFastGelu": (
        (2, 3),
        (1, 1),
        {},
    ),
    "GridSample": (
        (2, 2),
        (1, 1),
        {
            "align_corners": ("INT", 0, False),
            "mode": ("STRING", "bilinear", False),
            "padding_mode": ("STRING", "zeros", False),
        },
    ),
    "MatMulIntegerToFloat": (
        (4, 7),
        (1, 1),
        {},
    ),
    "MatMulNBits": (
        (3, 6),
        (1, 1),
        {
            "K": ("INT", None, True),
            "N": ("INT", None, True),
            "accuracy_level": ("INT", 0, False),
            "bits": ("INT", 4, False),
            "block_size": ("INT", None, True),
            "weight_prepacked": ("INT", 0, False),
        },
    ),
    "MultiHeadAttention": (
        (1, 10),
        (1, 4),
        {
            "mask_filter_value": ("FLOAT", None, False),
            "num_heads": ("INT", None, True),
            "scale": ("FLOAT", None, False),
            "unidirectional": ("INT", 0, False),
        },
    ),
    "NhwcMaxPool": (
        (1, 1),
        (1, 1),
        {
            "auto_pad": ("STRING", "NOTSET", False),
            "ceil_mode": ("INT", 0, False),
            "dilations": ("INTS", None, False),
            "kernel_shape": ("INTS", None, True),
            "pads": ("INTS", None, False),
            "strides": ("INTS", None, False),
        },
    ),
    "Pad": (
        (2, 3),
        (1, 1),
        {
            "mode": ("STRING", "constant", False),
        },
    ),
    "QAttention": (
        (5, 9),
        (1, 2),
        {
            "do_rotary": ("INT", None, False),
            "mask_filter_value": ("FLOAT", None, False),
            "num_heads": ("INT", None, True),
            "past_present_share_buffer": ("INT", None, False),
            "scale": ("FLOAT", None, False),
            "unidirectional": ("INT", 0, False),
        },
    ),
    "QGemm": (
        (6, 9),
        (1, 1),
        {
            "alpha": ("FLOAT", 1.0, False),
            "transA": ("INT", 0, False),
            "transB": ("INT", 0, False),
        },
    ),
    "QLinearAdd": (
        (7, 8),
        (1, 1),
        {},
    ),
    "QLinearAveragePool": (
        (4, 5),
        (1, 1),
        {
            "auto_pad": ("STRING", "NOTSET", False),
            "ceil_mode": ("INT", 0, False),
            "channels_last": ("INT", 0, False),
            "count_include_pad": ("INT", 0, False),
            "kernel_shape": ("INTS", None, True),
            "pads": ("INTS", None, False),
            "strides": ("INTS", None, False),
        },
    ),
    "QLinearConcat": (
        (3, 2147483647),
        (1, 1),
        {
            "axis": ("INT", None, True),
        },
    ),
    "QLinearConv": (
        (8, 9),
        (1, 1),
        {
            "auto_pad": ("STRING", "NOTSET", False),
            "channels_last": ("INT", 0, False),
            "dilations": ("INTS", None, False),
            "group": ("INT", 1, False),
            "kernel_shape": ("INTS", None, False),
            "pads": ("INTS", None, False),
            "strides": ("INTS", None, False),
        },
    ),
    "QLinearGlobalAveragePool": (
        (5, 5),
        (1, 1),
        {
            "channels_last": ("INT", 0, False),
        },
    ),
    "QLinearLeakyRelu": (
        (4, 5),
        (1, 1),
        {
            "alpha": ("FLOAT", 0.009999999776482582, False),
        },
    ),
    "QLinearMul": (
        (7, 8),
        (1, 1),
        {},
    ),
    "QLinearReduceMean": (
        (4, 5),
        (1, 1),
        {
            "axes": ("INTS", None, True),
            "keepdims": ("INT", None, True),
        },
    ),
    "QLinearSigmoid": (
        (4, 5),
        (1, 1),
        {},
    ),
    "QLinearSoftmax": (
        (5, 5),
        (1, 1),
        {
            "axis": ("INT", -1, False),
            "opset": ("INT", None, True),
        },
    ),
    "QLinearWhere": (
        (9, 9),
        (1, 1),
        {},
    ),
    "QuantizeLinear": (
        (2, 3),
        (1, 1),
        {
            "axis": ("INT", None, False),
        },
    ),
    "QuickGelu": (
        (1, 1),
        (1, 1),
        {
            "alpha": ("FLOAT", 1.7020000219345093, False),
        },
    ),
    "Range": (
        (2, 3),
        (1, 1),
        {},
    ),
    "RotaryEmbedding": (
        (4, 4),
        (1, 1),
        {
            "interleaved": ("INT", None, False),
            "is_packed_batching": ("INT", None, False),
            "num_heads": ("INT", None, False),
            "rotary_embedding_dim": ("INT", None, False),
            "scale": ("FLOAT", None, False),
        },
    ),
    "SimplifiedLayerNormalization": (
        (2, 2),
        (1, 2),
        {
            "axis": ("INT", -1, False),
            "epsilon": ("FLOAT", 9.999999747378752e-06, False),
            "stash_type": ("INT", 1, False),
        },
    ),
    "SkipLayerNormalization": (
        (3, 5),
        (1, 4),
        {
            "epsilon": ("FLOAT", 9.999999960041972e-13, False),
        },
    ),
    "SkipSimplifiedLayerNormalization": (
        (3, 4),
        (1, 4),
        {
            "epsilon": ("FLOAT", 9.999999960041972e-13, False),
        },
    ),
    "TransposeMatMul": (
        (2, 2),
        (1, 1),
        {
            "alpha": ("FLOAT", 1.0, False),
            "transA": ("INT", 0, False),
            "transB": ("INT", 0, False),
        },
    ),
    "Trilu": (
        (1, 2),
        (1, 1),
        {
            "upper": ("INT", 1, False),
        },
    ),
    "UnfoldTensor": (
        (1, 1),
        (1, 1),
        {
            "dim": ("INT", -1, False),
            "size": ("INT", None, True),
            "step": ("INT", 1, False),
        },
    ),
}
