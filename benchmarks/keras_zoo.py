"""Build one network of each family of ``keras.applications``, as SavedModel, ``.keras`` and ``.h5``.

Weights are random but seeded, and batch normalisations have statistics of their own: in a network as it is constructed
they do nothing, which hides errors of conversion.

    python benchmarks/keras_zoo.py --out build/keras --only MobileNetV2 ResNet50

writes ``NAME.keras``, ``NAME.h5`` and the folder ``NAME``. Needs tensorflow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NETWORKS = {
    "Xception": 299, "VGG16": 224, "ResNet50": 224, "ResNet50V2": 224, "InceptionV3": 299, "InceptionResNetV2": 299,
    "MobileNet": 224, "MobileNetV2": 224, "MobileNetV3Small": 224, "DenseNet121": 224, "NASNetMobile": 224,
    "EfficientNetB0": 224, "EfficientNetV2B0": 224, "ConvNeXtTiny": 224,
}  # fmt: skip
"""The factory in keras.applications, and the side of the square images it takes."""

CLASS_SPREAD = 2.0
"""Standard deviation of what the classifier gives the softmax."""


def build(name: str) -> Any:
    """The network with weights that matter."""
    import keras

    keras.utils.set_random_seed(7)
    side = NETWORKS[name]
    model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3))
    _matter(model)
    return model


def _matter(model: Any) -> None:
    import keras
    import numpy as np

    random = np.random.default_rng(7)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            drawn = {
                "gamma": (0.8, 1.2), "beta": (-0.2, 0.2), "moving_mean": (-0.2, 0.2), "moving_variance": (0.6, 1.4),
            }  # fmt: skip
            layer.set_weights([random.uniform(*drawn[w.name], w.shape) for w in layer.weights])
        elif type(layer).__name__ == "LayerScale":  # begins as 1e-6: the block would not be seen
            layer.set_weights([random.uniform(0.3, 0.6, w.shape) for w in layer.weights])
    _spread(model)


def _spread(model: Any) -> None:
    """Scale the classifier so that the classes differ, and none has all: a softmax of one winner hides every error."""
    import keras
    import numpy as np

    last = [layer for layer in model.layers if layer.weights][-1]  # a Dense layer, or a convolution of one place
    features = keras.Model(model.inputs, last.input)
    pictures = np.random.default_rng(3).standard_normal((2, *model.input_shape[1:])).astype(np.float32)
    weight, bias = last.get_weights()
    found = features.predict(pictures, verbose=0).reshape(len(pictures), -1)
    spread = float((found @ weight.reshape(found.shape[1], -1)).std())
    last.set_weights([weight * (CLASS_SPREAD / spread), bias])


def save(model: Any, name: str, folder: Path) -> None:
    """All three forms, each whole or not at all."""
    for suffix in (".keras", ".h5"):
        beside = folder / f"writing{suffix}"
        model.save(beside)
        beside.rename(folder / f"{name}{suffix}")
    beside = folder / "writing"
    shutil.rmtree(beside, ignore_errors=True)
    model.export(beside, verbose=False)
    shutil.rmtree(folder / name, ignore_errors=True)
    beside.rename(folder / name)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/keras"), help="folder to write (default %(default)s)")
    parser.add_argument("--only", nargs="*", choices=NETWORKS, default=list(NETWORKS), help="these networks only")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        if (options.out / name).exists():
            print(f"{name}: there already")
            continue
        model = build(name)
        save(model, name, options.out)
        print(f"{name}: {model.count_params() / 1e6:.1f} million parameters", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
