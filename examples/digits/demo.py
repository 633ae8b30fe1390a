"""Converts ``digits.onnx`` to ncnn with verification, then lets both runtimes read the held-back digits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ncnn
import numpy as np
import onnxruntime
from data import load
from numpy.typing import NDArray

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "demo"


def run_onnx(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores [N, 10] from the source model in onnxruntime."""
    session = onnxruntime.InferenceSession(str(HERE / "digits.onnx"), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["scores"], {"image": images})[0])


def run_ncnn(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores [N, 10] from the converted model in ncnn, one image after the other as on a phone."""
    net = ncnn.Net()
    net.load_param(str(BUILD / "digits.param"))
    net.load_model(str(BUILD / "digits.bin"))
    rows = []
    for image in images:
        extractor = net.create_extractor()
        extractor.input("image", ncnn.Mat(image).clone())
        _, scores = extractor.extract("scores")
        rows.append(np.array(scores))
    return np.stack(rows)


def main() -> int:
    """Convert, verify, run, and print both accuracies; 0 when they agree."""
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mconv", str(HERE / "digits.onnx"), "--target", "ncnn", "--verify"]
    subprocess.run([*command, "-o", str(BUILD / "digits")], check=True)
    _, _, images, labels = load()
    found = {"onnxruntime, digits.onnx": run_onnx(images), "ncnn, digits.param": run_ncnn(images)}
    for name, scores in found.items():
        right = int((scores.argmax(axis=1) == labels).sum())
        print(f"{name:26} {right} of {len(labels)} held-back digits right, accuracy {right / len(labels):.2%}")
    left, right_scores = found.values()
    same = bool((left.argmax(axis=1) == right_scores.argmax(axis=1)).all())
    print("both give every digit the same class" if same else "the two DISAGREE on a digit")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
