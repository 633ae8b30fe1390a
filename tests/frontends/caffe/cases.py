"""One case or more for each layer that is read: its parameters, its bottoms, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mconv.ir import Array

from . import formulas as f

Formula = Callable[..., Array | Sequence[Array]]
"""From bottoms, then ``w`` (the layer's blobs), to the tops."""


@dataclass(frozen=True)
class Case:
    """A layer; ``formula`` None says that OpenCV-DNN is asked."""

    kind: str
    params: str = ""
    inputs: Mapping[str, Sequence[int]] = field(default_factory=lambda: {"x": (1, 4, 6, 5)})
    tops: Sequence[str] = ("y",)
    low: float = -2.0
    high: float = 2.0
    formula: Formula | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.params}".strip()[:70]


IMAGE = {"x": (1, 4, 6, 5)}
BATCH = {"x": (2, 4, 6, 5)}
FLAT = {"x": (3, 7)}
TWO = {"x": (1, 4, 6, 5), "z": (1, 4, 6, 5)}


def conv(params: str, kind: str = "Convolution", **rest: object) -> Case:
    return Case(kind, f"convolution_param {{ {params} }}", **rest)  # type: ignore[arg-type]


def pool(params: str, **rest: object) -> Case:
    return Case("Pooling", f"pooling_param {{ {params} }}", **rest)  # type: ignore[arg-type]


OPENCV = [
    conv("num_output: 3 kernel_size: 3"),
    conv("num_output: 3 kernel_size: 3 pad: 1 stride: 2 bias_term: false", inputs=BATCH),
    conv("num_output: 8 kernel_size: 3 pad: 2 dilation: 2 group: 2"),
    conv("num_output: 3 kernel_h: 3 kernel_w: 2 pad_h: 1 pad_w: 0 stride_h: 1 stride_w: 2"),
    conv("num_output: 4 kernel_size: 3 group: 4 pad: 1"),
    conv("num_output: 4 kernel_size: 3 kernel_size: 2 pad: 1 pad: 0 stride: 2 stride: 1"),
    conv("num_output: 3 kernel_size: [3, 2, 3] pad: [1, 0, 1] stride: [1, 1, 2]", inputs={"x": (1, 2, 4, 5, 6)}),
    conv("num_output: 6 kernel_size: 4 stride: 2 pad: 1", "Deconvolution"),
    conv("num_output: 4 kernel_size: 3 stride: 2 group: 2 bias_term: false", "Deconvolution"),
    pool("pool: MAX kernel_size: 2 stride: 2"),
    pool("pool: MAX kernel_size: 3 stride: 2 pad: 1", inputs={"x": (1, 2, 7, 8)}),
    pool("pool: AVE kernel_size: 3 stride: 2", inputs={"x": (1, 2, 8, 7)}),
    pool("pool: AVE kernel_size: 3 stride: 2 pad: 1", inputs={"x": (1, 2, 8, 7)}),
    pool("pool: AVE kernel_size: 3 stride: 3 pad: 1", inputs={"x": (1, 2, 9, 10)}),
    pool("pool: MAX kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0"),
    pool("pool: MAX kernel_size: 3 stride: 2 ceil_mode: false"),
    pool("pool: AVE global_pooling: true", inputs=BATCH),
    pool("pool: MAX global_pooling: true"),
    Case("InnerProduct", "inner_product_param { num_output: 3 }"),
    Case("InnerProduct", "inner_product_param { num_output: 3 bias_term: false }", BATCH),
    Case("InnerProduct", "inner_product_param { num_output: 3 axis: 3 }", BATCH),
    Case("BatchNorm", "batch_norm_param { eps: 0.001 }"),
    Case("BatchNorm", "batch_norm_param { use_global_stats: true }", BATCH),
    Case("Scale", "scale_param { bias_term: true }"),
    Case("Scale", "scale_param { axis: 1 num_axes: 1 }"),
    Case("Scale", "scale_param { axis: 0 }", {"x": (2, 4, 6, 5), "z": (2, 4)}),
    Case("ReLU"),
    Case("ReLU", "relu_param { negative_slope: 0.1 }"),
    Case("ReLU6", low=-4.0, high=9.0),
    Case("PReLU"),
    Case("PReLU", "prelu_param { channel_shared: true }"),
    Case("ELU"),
    Case("ELU", "elu_param { alpha: 0.5 }"),
    Case("Sigmoid"),
    Case("TanH"),
    Case("AbsVal"),
    Case("Power", "power_param { power: 2 scale: 0.5 shift: 1 }"),
    Case("Power", "power_param { power: 1.5 scale: 0.5 shift: 3 }"),
    Case("Power", "power_param { power: -0.5 scale: 0.5 shift: 3 }"),
    Case("Power", "power_param { scale: 0.0078125 shift: -0.5 }"),
    Case("Exp"),
    Case("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }"),
    Case("BNLL"),
    Case("Swish"),
    Case("Mish"),
    Case("Dropout", "dropout_param { dropout_ratio: 0.4 }"),
    Case("LRN", "lrn_param { local_size: 5 alpha: 0.1 beta: 0.75 }", {"x": (1, 9, 4, 3)}),
    Case("MVN"),
    Case("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }"),
    Case("Normalize", "norm_param { across_spatial: false channel_shared: false }"),
    Case("Normalize", "norm_param { across_spatial: true channel_shared: true }"),
    Case("MVN", "mvn_param { across_channels: true }", BATCH),
    Case("MVN", "mvn_param { normalize_variance: false }"),
    Case("Eltwise", "", TWO),
    Case("Eltwise", "eltwise_param { operation: PROD }", TWO),
    Case("Eltwise", "eltwise_param { operation: MAX }", {**TWO, "u": (1, 4, 6, 5)}),
    Case("Eltwise", "eltwise_param { operation: SUM coeff: 0.5 coeff: -2 }", TWO),
    Case("Concat", "", {"x": (1, 4, 6, 5), "z": (1, 2, 6, 5)}),
    Case("Concat", "concat_param { axis: -1 }", {"x": (1, 4, 6, 5), "z": (1, 4, 6, 2)}),
    Case("Slice", "slice_param { slice_point: 1 slice_point: 3 }", tops=("y", "p", "q")),
    Case("Flatten", "", BATCH),
    Case("Flatten", "flatten_param { axis: 1 end_axis: 2 }", BATCH),
    Case("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 10 } }", BATCH),
    Case("Reshape", "reshape_param { shape { dim: 2 dim: 3 } axis: 2 num_axes: 1 }", BATCH),
    Case("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"),
    Case("Reorg", "reorg_param { stride: 2 }", {"x": (1, 8, 6, 4)}),
    Case("Crop", "crop_param { axis: 2 offset: 1 offset: 2 }", {"x": (1, 4, 6, 5), "z": (1, 4, 3, 2)}),
    Case("Crop", "crop_param { axis: 1 offset: 1 }", {"x": (1, 4, 6, 5), "z": (1, 2, 3, 2)}),
    Case("Softmax"),
    Case("Softmax", "softmax_param { axis: 2 }", BATCH),
    Case("Interp", "interp_param { height: 9 width: 11 }"),
    Case("Interp", "interp_param { zoom_factor: 2 }"),
    Case("ShuffleChannel", "shuffle_channel_param { group: 2 }"),
    Case("ROIPooling", "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 }",
         {"x": (1, 4, 8, 9), "z": (2, 5)}),
    Case("PSROIPooling", "psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 0.5 }",
         {"x": (1, 8, 8, 9), "z": (2, 5)}),
    Case("PriorBox", "prior_box_param { min_size: 3 max_size: 6 aspect_ratio: 2 flip: true clip: true"
         " variance: [0.1, 0.1, 0.2, 0.2] }", {"x": (1, 4, 3, 4), "z": (1, 3, 24, 30)}),
]  # fmt: skip

RECURRENT = {"x": (5, 2, 3), "marks": (5, 2)}

FORMULAS = [
    conv("num_output: 4 kernel_size: 3 pad: 1 stride: 2 group: 4", "DepthwiseConvolution", formula=f.depthwise(2, 1)),
    conv("num_output: 4 kernel_size: 3", "ConvolutionDepthwise", formula=f.depthwise(1, 0)),
    conv("num_output: 4 kernel_size: 3 stride: 2", "DepthwiseDeconvolution", formula=f.transposed_depthwise),
    pool("pool: AVE kernel_size: 3 stride: 2 pad: 1", inputs={"x": (2, 2, 7, 10)}, formula=f.average_pool(3, 2, 1)),
    pool("pool: AVE kernel_size: 4 stride: 3 pad: 2", inputs={"x": (1, 2, 9, 8)}, formula=f.average_pool(4, 3, 2)),
    Case("InnerProduct", "inner_product_param { num_output: 3 transpose: true }",
         formula=lambda x, w: x.reshape(1, -1) @ w[0] + w[1]),
    Case("Bias", "bias_param { axis: 1 num_axes: 2 }", formula=lambda x, w: x + w[0][..., None]),
    Case("Bias", "bias_param { axis: 0 }", {"x": (2, 4, 6, 5), "z": (2, 4)},
         formula=lambda x, z, w: x + z[..., None, None]),
    Case("Scale", "scale_param { axis: 1 num_axes: -1 bias_term: true }", formula=lambda x, w: x * w[0] + w[1]),
    Case("Scale", "scale_param { num_axes: 0 }", formula=lambda x, w: x * w[0]),
    Case("Scale", "scale_param { axis: 1 bias_term: true }", {"x": (2, 4, 6, 5), "z": (4, 6)},
         formula=lambda x, z, w: x * z[..., None] + w[0][..., None]),
    Case("BatchNorm", "batch_norm_param { scale_bias: true eps: 0.01 }",
         formula=lambda x, w: (x - f.wide(w[0])) / np.sqrt(f.wide(w[1]) + 0.01) * f.wide(w[3]) + f.wide(w[4])),
    Case("BN", "bn_param { bn_mode: INFERENCE }", formula=lambda x, w: x * w[0] + w[1]),
    Case("BN", "bn_param { slope_filler { value: 1 } bias_filler { value: 0 } frozen: true momentum: 0.9 eps: 0.01 }",
         formula=lambda x, w: (x - w[2]) / np.sqrt(w[3] + 0.01) * w[0] + w[1]),
    Case("LRN", "lrn_param { local_size: 5 alpha: 0.1 beta: 0.75 k: 2 }", {"x": (1, 9, 4, 3)}, formula=f.lrn),
    Case("MVN", "mvn_param { eps: 0.1 }", formula=f.mvn),
    Case("Normalize", "norm_param { across_spatial: true channel_shared: false eps: 0.5 }",
         formula=lambda x, w: x / np.sqrt((x**2).sum() + 0.5) * f.wide(w[0])),
    Case("Clip", "clip_param { min: -0.5 max: 1 }", formula=lambda x, w: np.clip(x, -0.5, 1)),
    Case("Threshold", "threshold_param { threshold: 0.5 }", formula=lambda x, w: (x > 0.5).astype(np.float32)),
    Case("HardSwish", low=-5, high=5, formula=lambda x, w: x * np.clip(x + 3, 0, 6) / 6),
    Case("HardSigmoid", "hardsigmoid_param { alpha: 0.3 beta: 0.4 }",
         formula=lambda x, w: np.clip(0.3 * x + 0.4, 0, 1)),
    Case("Swish", "swish_param { beta: 1.5 }", formula=lambda x, w: x * f.sigmoid(1.5 * x)),
    Case("Log", "log_param { base: 10 scale: 2 shift: 5 }", formula=lambda x, w: np.log10(2 * x + 5)),
    Case("Log", low=0.1, formula=lambda x, w: np.log(x)),
    Case("Exp", "exp_param { base: 3 shift: -1 }", formula=lambda x, w: 3 ** (x - 1)),
    Case("Dropout", "dropout_param { dropout_ratio: 0.25 scale_train: false }", formula=lambda x, w: 0.75 * x),
    Case("Axpy", "", {"a": (2, 4, 1, 1), "x": (2, 4, 6, 5), "z": (2, 4, 6, 5)}, formula=lambda a, x, z, w: a * x + z),
    Case("Axpy", "", {"a": (2, 4), "x": (2, 4, 6, 5), "z": (2, 4, 6, 5)},
         formula=lambda a, x, z, w: a[..., None, None] * x + z),
    Case("Concat", "concat_param { concat_dim: 0 }", TWO, formula=lambda x, z, w: np.concatenate([x, z])),
    Case("Slice", "slice_param { slice_dim: 2 }", tops=("y", "p", "q"), formula=lambda x, w: np.split(x, 3, axis=2)),
    Case("Split", tops=("y", "p"), formula=lambda x, w: (x, x)),
    Case("Tile", "tile_param { axis: -1 tiles: 3 }", formula=lambda x, w: np.tile(x, (1, 1, 1, 3))),
    Case("Reduction", formula=lambda x, w: x.sum()),
    Case("Reduction", "reduction_param { operation: ASUM axis: 1 coeff: 0.5 }", BATCH,
         formula=lambda x, w: 0.5 * np.abs(x).sum(axis=(1, 2, 3))),
    Case("Reduction", "reduction_param { operation: SUMSQ axis: -1 }", formula=lambda x, w: (x**2).sum(axis=3)),
    Case("Reduction", "reduction_param { operation: MEAN axis: 2 }", formula=lambda x, w: x.mean(axis=(2, 3))),
    Case("ArgMax", "", BATCH, formula=lambda x, w: x.reshape(2, -1).argmax(1).reshape(2, 1, 1, 1)),
    Case("ArgMax", "", FLAT, formula=lambda x, w: x.argmax(1).reshape(3, 1, 1)),
    Case("ArgMax", "argmax_param { out_max_val: true top_k: 3 }", BATCH, formula=f.arg_max_of_all),
    Case("ArgMax", "argmax_param { axis: 1 }", BATCH, formula=lambda x, w: x.argmax(1)[:, None]),
    Case("ArgMax", "argmax_param { axis: 1 out_max_val: true top_k: 2 }", BATCH,
         formula=lambda x, w: -np.sort(-x, axis=1)[:, :2]),
    Case("Interp", "interp_param { shrink_factor: 2 }", {"x": (1, 2, 7, 9)}, formula=f.aligned(4, 5)),
    Case("Interp", "interp_param { shrink_factor: 2 zoom_factor: 3 }", {"x": (1, 2, 7, 9)}, formula=f.aligned(10, 13)),
    Case("Interp", "interp_param { zoom_factor: 2 pad_beg: -1 pad_end: -2 }", {"x": (1, 2, 7, 9)},
         formula=lambda x, w: f.aligned(7, 11)(x[:, :, 1:-2, 1:-2], w)),
    Case("Upsample", "upsample_param { scale: 2 }", formula=lambda x, w: x.repeat(2, axis=2).repeat(2, axis=3)),
    Case("Resize", "resize_param { height: 9 width: 4 }", formula=f.half_pixel(9, 4)),
    Case("Resize", "resize_param { height: 9 width: 4 interp_mode: NEAREST }",
         formula=lambda x, w: x[:, :, np.arange(9) * 6 // 9][..., np.arange(4) * 5 // 4]),
    Case("Reorg", "reorg_param { stride: 2 reverse: true }", {"x": (1, 8, 3, 2)}, formula=f.darknet_reorg_reversed),
    Case("Flatten", "flatten_param { axis: 2 }", formula=lambda x, w: x.reshape(1, 4, 30)),
    Case("Reshape", "reshape_param { shape { dim: -1 } axis: -2 }", formula=lambda x, w: x.reshape(1, 4, 6, 5)),
    Case("Permute", "permute_param { order: 1 }", BATCH, formula=lambda x, w: x.transpose(1, 0, 2, 3)),
    Case("Embed", "embed_param { num_output: 3 input_dim: 9 }", {"i": (2, 4)}, low=0, high=8,
         formula=lambda i, w: w[0][i.astype(int)] + w[1]),
    Case("Parameter", "parameter_param { shape { dim: 2 dim: 3 } }", {}, formula=lambda w: w[0]),
    Case("PriorBox", "prior_box_param { min_size: 3 min_size: 4 aspect_ratio: 2 aspect_ratio: 3 flip: false"
         " variance: 0.1 step: 7 offset: 0.25 img_size: 28 }", {"x": (1, 4, 3, 4), "z": (1, 3, 24, 30)},
         formula=f.prior_boxes),
    Case("DetectionOutput", "detection_output_param { num_classes: 3 code_type: CENTER_SIZE keep_top_k: 4"
         " confidence_threshold: 0.3 nms_param { nms_threshold: 0.45 top_k: 5 } }",
         {"locations": (1, 48), "scores": (1, 36), "priors": (1, 2, 48)}, formula=f.detections),
    Case("Proposal", "proposal_param { post_nms_topn: 10 nms_thresh: 0.5 }",
         {"scores": (1, 18, 5, 6), "deltas": (1, 36, 5, 6), "size": (1, 3)}, low=-0.5, high=0.5, formula=f.proposals),
    Case("LSTM", "recurrent_param { num_output: 4 }", {"x": (5, 2, 3)}, formula=lambda x, w: f.lstm(x, None, w)[0]),
    Case("LSTM", "recurrent_param { num_output: 4 }", RECURRENT, formula=lambda x, marks, w: f.lstm(x, marks, w)[0]),
    Case("LSTM", "recurrent_param { num_output: 4 }", {**RECURRENT, "s": (2, 6)},
         formula=lambda x, marks, s, w: f.lstm(x, marks, w, static=s)[0]),
    Case("LSTM", "recurrent_param { num_output: 4 expose_hidden: true }",
         {**RECURRENT, "h": (1, 2, 4), "c": (1, 2, 4)}, tops=("y", "p", "q"),
         formula=lambda x, marks, h, c, w: f.lstm(x, marks, w, h[0], c[0])),
    Case("RNN", "recurrent_param { num_output: 4 }", {"x": (5, 2, 3)}, formula=lambda x, w: f.rnn(x, None, w)),
    Case("RNN", "recurrent_param { num_output: 4 }", RECURRENT, formula=f.rnn),
]  # fmt: skip
