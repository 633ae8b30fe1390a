"""What fields the messages of a .prototxt have, of which types and with which defaults.

The facts are those of caffe.proto, of the branches whose layers are read as well (SSD, Faster R-CNN, R-FCN, SegNet,
DeepLab, ...). A line names a message and its fields: ``name type``, ``*`` after the type where it may repeat,
``= default`` where the schema has one. ``A|B=3`` are the names of an enumeration, numbered from 0 on
(``_`` has no name). ``Anything`` is not looked into.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from mconv.ir.record import Record

from . import errors
from .prototxt import Field, Message, Scalar

_ENGINE = "DEFAULT|CAFFE|CUDNN=DEFAULT"
_TABLE = f"""
NetParameter: name str; input str*; input_shape BlobShape*; input_dim i32*; force_backward bool=false; state NetState;
    debug_info bool=false; layer LayerParameter*; layers V1LayerParameter*
NetState: phase TRAIN|TEST=TEST; level i32=0; stage str*
NetStateRule: phase TRAIN|TEST; min_level i32; max_level i32; stage str*; not_stage str*
BlobShape: dim i64*
FillerParameter: type str=constant; value f32=0; min f32=0; max f32=1; mean f32=0; std f32=1; sparse i32=-1;
    variance_norm FAN_IN|FAN_OUT|AVERAGE=FAN_IN; diag_val f32*; file str
ParamSpec: name str; share_mode STRICT|PERMISSIVE; lr_mult f32=1; decay_mult f32=1
LayerParameter: name str; type str; bottom str*; top str*; phase TRAIN|TEST; loss_weight f32*; param ParamSpec*;
    propagate_down bool*; include NetStateRule*; exclude NetStateRule*; engine str;
    argmax_param ArgMaxParameter; axpy_param Empty; batch_norm_param BatchNormParameter; bias_param BiasParameter;
    bn_param BNParameter; clip_param ClipParameter; concat_param ConcatParameter;
    convolution_param ConvolutionParameter; crop_param CropParameter;
    detection_output_param DetectionOutputParameter; dropout_param DropoutParameter;
    dummy_data_param DummyDataParameter; eltwise_param EltwiseParameter; elu_param ELUParameter;
    embed_param EmbedParameter; exp_param ExpParameter; flatten_param FlattenParameter;
    hard_sigmoid_param HardSigmoidParameter; hardsigmoid_param HardSigmoidParameter;
    inner_product_param InnerProductParameter; input_param InputParameter; interp_param InterpParameter;
    log_param LogParameter; lrn_param LRNParameter; memory_data_param MemoryDataParameter; mish_param EngineParameter;
    mvn_param MVNParameter; norm_param NormalizeParameter; normalize_bbox_param NormalizeParameter;
    padding_param PaddingParameter;
    parameter_param ParameterParameter; permute_param PermuteParameter; pooling_param PoolingParameter;
    power_param PowerParameter; prelu_param PReLUParameter; prior_box_param PriorBoxParameter;
    proposal_param ProposalParameter; psroi_pooling_param PSROIPoolingParameter; python_param PythonParameter;
    recurrent_param RecurrentParameter; reduction_param ReductionParameter; relu_param ReLUParameter;
    relu6_param ReLUParameter; reorg_param ReorgParameter; reshape_param ReshapeParameter;
    resize_param ResizeParameter; roi_pooling_param ROIPoolingParameter; scale_param ScaleParameter;
    shuffle_channel_param ShuffleChannelParameter; sigmoid_param EngineParameter; slice_param SliceParameter;
    softmax_param SoftmaxParameter; swish_param SwishParameter; tanh_param EngineParameter;
    threshold_param ThresholdParameter; tile_param TileParameter; upsample_param UpsampleParameter;
    accuracy_param Anything; annotated_data_param Anything; blobs Anything*; contrastive_loss_param Anything;
    data_param Anything; hdf5_data_param Anything; hdf5_output_param Anything; hinge_loss_param Anything;
    image_data_param Anything; infogain_loss_param Anything; loss_param Anything; multibox_loss_param Anything;
    quantization_param Anything; transform_param Anything; window_data_param Anything
Empty:
EngineParameter: engine {_ENGINE}
ArgMaxParameter: out_max_val bool=false; top_k u32=1; axis i32
BatchNormParameter: use_global_stats bool; moving_average_fraction f32=0.999; eps f32=1e-5; engine {_ENGINE};
    scale_bias bool=false; scale_filler FillerParameter; bias_filler FillerParameter
BiasParameter: axis i32=1; num_axes i32=1; filler FillerParameter
BNParameter: scale_filler FillerParameter; slope_filler FillerParameter; shift_filler FillerParameter;
    bias_filler FillerParameter; bn_mode LEARN|INFERENCE=LEARN; momentum f32=0.9; eps f32=1e-5; var_eps f32=1e-9;
    frozen bool=false; engine {_ENGINE}
ClipParameter: min f32; max f32
ConcatParameter: axis i32=1; concat_dim u32=1
ConvolutionParameter: num_output u32; bias_term bool=true; pad u32*; kernel_size u32*; stride u32*; dilation u32*;
    pad_h u32=0; pad_w u32=0; kernel_h u32; kernel_w u32; stride_h u32; stride_w u32; group u32=1;
    weight_filler FillerParameter; bias_filler FillerParameter; engine {_ENGINE}; axis i32=1;
    force_nd_im2col bool=false
CropParameter: axis i32=2; offset u32*
NonMaximumSuppressionParameter: nms_threshold f32=0.3; top_k i32; eta f32=1
SaveOutputParameter: output_directory str; output_name_prefix str; output_format str; label_map_file str;
    name_size_file str; num_test_image u32; resize_param ResizeParameter
DetectionOutputParameter: num_classes u32; share_location bool=true; background_label_id i32=0;
    nms_param NonMaximumSuppressionParameter; save_output_param SaveOutputParameter;
    code_type _|CORNER|CENTER_SIZE|CORNER_SIZE=CORNER; variance_encoded_in_target bool=false; keep_top_k i32=-1;
    confidence_threshold f32; visualize bool=false; visualize_threshold f32; save_file str; objectness_score f32=0.01;
    normalized_bbox bool=true; clip bool=false
DropoutParameter: dropout_ratio f32=0.5; scale_train bool=true; sample_weights_test bool=false
DummyDataParameter: data_filler FillerParameter*; shape BlobShape*; num u32*; channels u32*; height u32*; width u32*
EltwiseParameter: operation PROD|SUM|MAX=SUM; coeff f32*; stable_prod_grad bool=true
ELUParameter: alpha f32=1
EmbedParameter: num_output u32; input_dim u32; bias_term bool=true; weight_filler FillerParameter;
    bias_filler FillerParameter
ExpParameter: base f32=-1; scale f32=1; shift f32=0
FlattenParameter: axis i32=1; end_axis i32=-1
HardSigmoidParameter: alpha f32=0.2; beta f32=0.5
InnerProductParameter: num_output u32; bias_term bool=true; weight_filler FillerParameter;
    bias_filler FillerParameter; axis i32=1; transpose bool=false
InputParameter: shape BlobShape*
InterpParameter: height i32=0; width i32=0; zoom_factor i32=1; shrink_factor i32=1; pad_beg i32=0; pad_end i32=0
LogParameter: base f32=-1; scale f32=1; shift f32=0
LRNParameter: local_size u32=5; alpha f32=1; beta f32=0.75;
    norm_region ACROSS_CHANNELS|WITHIN_CHANNEL=ACROSS_CHANNELS; k f32=1; engine {_ENGINE}
MemoryDataParameter: batch_size u32; channels u32; height u32; width u32
MVNParameter: normalize_variance bool=true; across_channels bool=false; eps f32=1e-9
NormalizeParameter: across_spatial bool=true; scale_filler FillerParameter; channel_shared bool=true; eps f32=1e-10
PaddingParameter: pad u32=0
ParameterParameter: shape BlobShape
PermuteParameter: order u32*
PoolingParameter: pool MAX|AVE|STOCHASTIC=MAX; pad u32=0; pad_h u32=0; pad_w u32=0; kernel_size u32; kernel_h u32;
    kernel_w u32; stride u32=1; stride_h u32; stride_w u32; engine {_ENGINE}; global_pooling bool=false;
    ceil_mode bool=true; round_mode CEIL|FLOOR=CEIL
PowerParameter: power f32=1; scale f32=1; shift f32=0
PReLUParameter: filler FillerParameter; channel_shared bool=false
PriorBoxParameter: min_size f32*; max_size f32*; aspect_ratio f32*; flip bool=true; clip bool=false; variance f32*;
    img_size u32; img_h u32; img_w u32; step f32; step_h f32; step_w f32; offset f32=0.5
ProposalParameter: feat_stride u32=16; base_size u32=16; min_size u32=16; ratio f32*; scale f32*;
    pre_nms_topn u32=6000; post_nms_topn u32=300; nms_thresh f32=0.7
PSROIPoolingParameter: spatial_scale f32; output_dim i32; group_size i32
PythonParameter: module str; layer str; param_str str; share_in_parallel bool=false
RecurrentParameter: num_output u32=0; weight_filler FillerParameter; bias_filler FillerParameter;
    debug_info bool=false; expose_hidden bool=false
ReductionParameter: operation _|SUM|ASUM|SUMSQ|MEAN=SUM; axis i32=0; coeff f32=1
ReLUParameter: negative_slope f32=0; engine {_ENGINE}
ReorgParameter: stride u32=2; reverse bool=false
ReshapeParameter: shape BlobShape; axis i32=0; num_axes i32=-1
ResizeParameter: prob f32=1; resize_mode _|WARP|FIT_SMALL_SIZE|FIT_LARGE_SIZE_AND_PAD=WARP; height u32=0; width u32=0;
    height_scale u32=0; width_scale u32=0; pad_mode _|CONSTANT|MIRRORED|REPEAT_NEAREST=CONSTANT; pad_value f32*;
    interp_mode _|LINEAR|AREA|NEAREST|CUBIC|LANCZOS4*
ROIPoolingParameter: pooled_h u32=0; pooled_w u32=0; spatial_scale f32=1
ScaleParameter: axis i32=1; num_axes i32=1; filler FillerParameter; bias_term bool=false; bias_filler FillerParameter
ShuffleChannelParameter: group u32=1
SliceParameter: axis i32=1; slice_point u32*; slice_dim u32=1
SoftmaxParameter: engine {_ENGINE}; axis i32=1
SwishParameter: beta f32=1
ThresholdParameter: threshold f32=0
TileParameter: axis i32=1; tiles i32
UpsampleParameter: scale f32; scale_h i32; scale_w i32; pad_out_h bool=false; pad_out_w bool=false; upsample_h u32;
    upsample_w u32
V1LayerParameter: name str; bottom str*; top str*; include NetStateRule*; exclude NetStateRule*; type str; param str*;
    blob_share_mode STRICT|PERMISSIVE*; blobs_lr f32*; weight_decay f32*; loss_weight f32*; layer V0LayerParameter
V0LayerParameter: name str; type str; num_output u32; biasterm bool=true; weight_filler FillerParameter;
    bias_filler FillerParameter; pad u32=0; kernelsize u32; group u32=1; stride u32=1; pool MAX|AVE|STOCHASTIC=MAX;
    dropout_ratio f32=0.5; local_size u32=5; alpha f32=1; beta f32=0.75; k f32=1; source str; scale f32=1;
    meanfile str; batchsize u32; cropsize u32=0; mirror bool=false; blobs_lr f32*; weight_decay f32*; rand_skip u32=0;
    det_fg_threshold f32=0.5; det_bg_threshold f32=0.5; det_fg_fraction f32=0.25; det_context_pad u32=0;
    det_crop_mode str; new_num i32=0; new_channels i32=0; new_height i32=0; new_width i32=0;
    shuffle_images bool=false; concat_dim u32=1
"""


class Spec(Record):
    """A field: its type (str, i32, u32, i64, f32, bool, enum, or a message's name), and its default's text."""

    name: str
    type: str
    repeated: bool
    default: str | None
    names: tuple[str, ...] = ()


@cache
def messages() -> dict[str, dict[str, Spec]]:
    """The fields of each message, by name."""
    result: dict[str, dict[str, Spec]] = {}
    for line in _TABLE.replace("\n    ", " ").strip().splitlines():
        name, _, rest = line.partition(":")
        specs = (_spec(item) for item in rest.split(";") if item.strip())
        result[name] = {spec.name: spec for spec in specs}
    params = {n: s for n, s in result["LayerParameter"].items() if n.endswith("_param")}
    result["V1LayerParameter"] = {**params, **result["V1LayerParameter"]}
    return result


def _spec(item: str) -> Spec:
    name, _, rest = item.strip().partition(" ")
    kind, equals, default = rest.partition("=")
    repeated = kind.endswith("*")
    kind = kind.rstrip("*")
    names = tuple(kind.split("|")) if "|" in kind else ()
    return Spec(name, "enum" if names else kind, repeated, default if equals else None, names)


def spec_of(message: str, name: str) -> Spec:
    """The field of a message; KeyError where there is none."""
    return messages()[message][name]


def check(message: Message, kind: str, file: str) -> None:
    """MC232 where a field is not one of its message's, has a value of another type, or is given twice."""
    known = messages()[kind]
    seen: dict[str, int] = {}
    for field in message.fields:
        where = f"{file}:{field.line}:{field.column}"
        spec = known.get(field.name)
        if spec is None:
            raise errors.bad_field(f"'{field.name}' is no field of {kind}", where)
        if not spec.repeated and field.name in seen:
            raise errors.bad_field(f"'{field.name}' is given again; line {seen[field.name]} has it first", where)
        seen[field.name] = field.line
        if spec.type == "Anything":
            continue
        if spec.type[0].isupper():
            if not isinstance(field.value, Message):
                raise errors.bad_field(f"'{field.name}' is a message in braces, not {field.value.text[:60]}", where)
            check(field.value, spec.type, file)
        else:
            value_of(field, spec, file)


_RANGES = {"i32": (-(2**31), 2**31 - 1), "u32": (0, 2**32 - 1), "i64": (-(2**63), 2**63 - 1)}
_TRUTH = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False, "0": False}


def value_of(field: Field, spec: Spec, file: str) -> Any:
    """A scalar field's value in Python; MC232 with the value's place where it is of another type."""
    if isinstance(field.value, Message):
        what = f"'{field.name}' is one value, not a message in braces"
        raise errors.bad_field(what, f"{file}:{field.line}:{field.column}")
    found = _convert(field.value, spec)
    if found is None:
        wanted = {"str": "a text in quotes", "bool": "true or false", "f32": "a number",
                  "enum": f"one of {', '.join(n for n in spec.names if n != '_')}"}.get(spec.type)  # fmt: skip
        if wanted is None:
            least, most = _RANGES[spec.type]
            wanted = f"an integer from {least} to {most}"
        shown = f'"{field.value.text[:60]}"' if field.value.kind == "string" else field.value.text[:60]
        what = f"'{field.name}' is {wanted}, not {shown}"
        raise errors.bad_field(what, f"{file}:{field.value.line}:{field.value.column}")
    return found


def _convert(scalar: Scalar, spec: Spec) -> Any:
    text, kind = scalar.text, spec.type
    if kind == "str":
        return text if scalar.kind == "string" else None
    if scalar.kind == "string":
        return None
    if kind == "bool":
        return _TRUTH.get(text)
    if kind == "enum":
        if scalar.kind == "word":
            return text if text in spec.names and text != "_" else None
        number = _integer(text)
        fits = number is not None and 0 <= number < len(spec.names) and spec.names[number] != "_"
        return spec.names[number] if fits and number is not None else None
    if kind == "f32":
        return _real(text)
    number = _integer(text)
    least, most = _RANGES[kind]
    return number if number is not None and least <= number <= most else None


def _integer(text: str) -> int | None:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    if len(digits) > 30:
        return None
    try:
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
        return sign * int(digits, 8 if octal else 16 if digits[:2] in ("0x", "0X") else 10)
    except ValueError:
        return None


def _real(text: str) -> float | None:
    hexadecimal = _integer(text) if "x" in text.lower() else None
    if hexadecimal is not None:
        return float(hexadecimal)
    try:
        return float(text.rstrip("fF") if "inf" not in text.lower() else text)
    except ValueError:
        return None


def default_of(spec: Spec) -> Any:
    """The default in Python, None where the schema has none."""
    if spec.default is None:
        return None
    kind = "string" if spec.type == "str" else "word" if spec.type in ("enum", "bool") else "number"
    return _convert(Scalar(kind, spec.default, 0, 0), spec)
