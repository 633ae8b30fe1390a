"""Runs Caffe nets in OpenCV's DNN module (``cv2``, which is imported only here)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mconv.ir.types import Array

from .inference import Inference, reduce
from .net import Net
from .reader import net_in, translated
from .writing import EXPLICIT, as_caffemodel, as_prototxt


def run(
    files: Mapping[str, str],
    feeds: Mapping[str, Array],
    wanted: Sequence[str],
    *,
    random_weights: int | None = None,
) -> dict[str, Array]:
    """The blobs in ``wanted`` that a layer of OpenCV's gives, on these feeds.

    ``files`` maps ``.prototxt`` and ``.caffemodel`` to paths; with ``random_weights`` the weights are those that the
    reader makes from this seed. Rows of a DetectionOutput come by falling score, as the reader has them, without the
    row that stands for nothing found.
    """
    import cv2

    path = Path(files[".prototxt"])
    net, shapes = net_in(path), {name: array.shape for name, array in feeds.items()}
    part = reduce(net)
    weights = _weights(path, shapes, random_weights) if random_weights is not None else _content(files)
    text = path.read_bytes() if _plain(net, part) else as_prototxt(part, shapes).encode()
    loaded: Any = cv2.dnn.readNetFromCaffe(np.frombuffer(text, np.uint8), np.frombuffer(weights, np.uint8))
    loaded.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    loaded.enableWinograd(False)
    for name, array in feeds.items():
        loaded.setInput(np.ascontiguousarray(array, np.float32), name)
    places = _places(part, wanted, set(loaded.getLayerNames()))
    found = loaded.forwardAndRetrieve([layer for layer, _ in places.values()]) if places else []
    results = {}
    for (name, (_, index)), blobs in zip(places.items(), found, strict=True):
        if index < len(blobs):
            results[name] = np.array(blobs[index])
    detected = {layer.tops[0] for layer in part.layers if layer.type == "DetectionOutput" and layer.tops}
    return {name: _sorted(array) if name in detected else array for name, array in results.items()}


def _content(files: Mapping[str, str]) -> bytes:
    path = Path(files.get(".caffemodel", ""))
    return path.read_bytes() if path.is_file() else as_caffemodel({"-": []})


def _weights(path: Path, shapes: Mapping[str, tuple[int, ...]], seed: int) -> bytes:
    """A .caffemodel of the random weights that the reader makes."""
    _, weights = translated(path, shapes, seed=seed)
    blobs: dict[str, dict[int, Array]] = {}
    for (name, index), array in weights.used.items():
        blobs.setdefault(name, {})[index] = array
    return as_caffemodel({name: [each[i] for i in sorted(each)] for name, each in blobs.items()})


def _plain(net: Net, part: Inference) -> bool:
    """Whether the file is a net for use as it is, in the newest form, and OpenCV understands it as Caffe does."""
    whole = not part.dropped and not part.data
    return whole and all(each.kind == "LayerParameter" and each.type not in EXPLICIT for each in net.layers)


def _places(part: Inference, wanted: Sequence[str], known: set[str]) -> dict[str, tuple[str, int]]:
    """For each blob the layer that makes it last, and the number of its top."""
    makers: dict[str, tuple[str, int]] = {}
    for layer in part.layers:
        for index, top in enumerate(layer.tops):
            # a Convolution may have several tops; OpenCV makes a layer of each, under the top's name
            makers[top] = (top, 0) if layer.type == "Convolution" else (layer.name, index)
    return {name: makers[name] for name in wanted if name in makers and makers[name][0] in known}


def _sorted(rows: Array) -> Array:
    """Detections [1, 1, K, 7] by image and falling score."""
    plain = rows.reshape(-1, 7)
    plain = plain[plain[:, 2] > 0]
    order = np.lexsort((-plain[:, 2], plain[:, 0]))
    return plain[order][None, None]
