"""Nets of the forms V1 (``layers``, types by enumeration) and V0 (a ``layer`` within, parameters side by side)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mconv.frontends.caffe.net import _V1_TYPES
from mconv.frontends.caffe.reader import read
from mconv.ir.errors import MconvError

from . import nets

HEAD = 'name: "old" input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n'
V1 = (
    HEAD
    + """
layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
         convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.01 } } }
layers { name: "r" type: RELU bottom: "c" top: "c" }
layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "n" type: LRN bottom: "p" top: "n" lrn_param { local_size: 3 alpha: 0.1 beta: 0.75 } }
layers { name: "f" type: INNER_PRODUCT bottom: "n" top: "f" inner_product_param { num_output: 5 } }
layers { name: "d" type: DROPOUT bottom: "f" top: "f" dropout_param { dropout_ratio: 0.5 } }
layers { name: "l" type: SOFTMAX_LOSS bottom: "f" bottom: "label" top: "l" include: { phase: TRAIN } }
layers { name: "s" type: SOFTMAX bottom: "f" top: "s" exclude: { phase: TRAIN } }
"""
)
V0 = (
    HEAD
    + """
layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "x" top: "pad" }
layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 3 weight_filler { type: "xavier" } biasterm: true
         blobs_lr: 1. weight_decay: 0. } bottom: "pad" top: "c" }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
layers { layer { name: "p" type: "pool" pool: MAX kernelsize: 3 stride: 2 } bottom: "c" top: "p" }
layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.75 } bottom: "p" top: "n" }
layers { layer { name: "f" type: "innerproduct" num_output: 5 } bottom: "n" top: "f" }
layers { layer { name: "d" type: "dropout" dropout_ratio: 0.5 } bottom: "f" top: "f" }
layers { layer { name: "s" type: "softmax" } bottom: "f" top: "s" }
"""
)
NEW = (
    HEAD
    + """
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "n" type: "LRN" bottom: "p" top: "n" lrn_param { local_size: 3 alpha: 0.1 } }
layer { name: "f" type: "InnerProduct" bottom: "n" top: "f" inner_product_param { num_output: 5 } }
layer { name: "s" type: "Softmax" bottom: "f" top: "s" }
"""
)


@pytest.mark.parametrize("text", [V1, V0], ids=["V1", "V0"])
def test_old_nets_compute_what_new_ones_do(text: str, tmp_path: Path) -> None:
    """Against the same net in the newest form, which test_layers.py compares layer by layer."""
    path, _ = nets.with_weights(tmp_path, NEW, name="new")
    weights = path.with_suffix(".caffemodel")
    old, new = read(nets.write(tmp_path, text), weights=weights), read(path)
    feeds = nets.feeds_of(new)
    assert old.output_names == new.output_names == ("s",)
    nets.close(nets.run(old, feeds)["s"], nets.run(new, feeds)["s"])


@nets.needs_opencv
@pytest.mark.parametrize("text", [V1, V0.replace('"padding" pad: 1', '"relu"')], ids=["V1", "V0"])
def test_opencv_runs_them(text: str, tmp_path: Path) -> None:
    from mconv.frontends.caffe.runtime import run

    path = nets.write(tmp_path, text)
    graph = read(path, random_weights=2)
    feeds = nets.feeds_of(graph)
    found = run({".prototxt": str(path)}, feeds, ["s"], random_weights=2)
    nets.close(found["s"], nets.run(graph, feeds)["s"])


def test_names_of_all_types_are_read_or_refused(tmp_path: Path) -> None:
    for name, new in _V1_TYPES.items():
        text = HEAD + f'layers {{ name: "l" type: {name} bottom: "x" top: "y" }}'
        try:
            read(nets.write(tmp_path, text), random_weights=1)
        except MconvError as error:
            assert new in str(error) or error.code in ("MC236", "MC122", "MC235"), error  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('layers { name: "l" bottom: "x" top: "y" }', "has no type"),
        ('layers { name: "l" type: 18 bottom: "x" top: "y" }', "number 18"),
        (
            'layers { layer { name: "l" type: "relu" num_output: 3 } bottom: "x" top: "y" }',
            "'num_output' is no parameter",
        ),
        ('layers { layer { name: "l" type: "relu" slope: 3 } bottom: "x" top: "y" }', "'slope' is no field"),
        ('layers { name: "l" type: RELU bottom: "x" top: "y" stride: 2 }', "'stride' is no field of V1LayerParameter"),
    ],
)
def test_errors(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(MconvError, match=words):
        read(nets.write(tmp_path, HEAD + text))
