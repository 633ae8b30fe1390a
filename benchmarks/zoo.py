"""Build the torchvision networks the benchmarks and the acceptance tests read, as ONNX files.

Every network is exported twice, once by each of PyTorch's exporters, as `<net>.torchscript.onnx` and
`<net>.dynamo.onnx`.  Weights are random but seeded, so the same command gives the same networks anywhere, and
they are made to *matter*: a freshly constructed network hides conversion errors, because its BatchNorms are
identities, its ConvNeXt blocks are scaled by 1e-6 and ViT's head is all zeros.  See `randomise`.

    python benchmarks/zoo.py --out build/zoo --only resnet18 vit_b_16

Needs the packages torch, torchvision and onnxscript, none of which mconv itself needs.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

EXPORTERS = ("torchscript", "dynamo")


@dataclass(frozen=True)
class Network:
    """How to construct one torchvision network, and the side of the square image it is exported for."""

    factory: str
    side: int = 224
    options: tuple[tuple[str, Any], ...] = ()
    segmentation: bool = False


_SEGMENTATION = (("weights_backbone", None), ("aux_loss", False))
_NO_AUX = (("aux_logits", False), ("init_weights", True))

NETWORKS: dict[str, Network] = {
    **{
        name: Network(f"torchvision.models.{name}")
        for name in (
            "alexnet",
            "vgg11",
            "squeezenet1_1",
            "resnet18",
            "resnet50",
            "resnext50_32x4d",
            "wide_resnet50_2",
            "densenet121",
            "mobilenet_v2",
            "mobilenet_v3_small",
            "mnasnet1_0",
            "shufflenet_v2_x1_0",
            "efficientnet_b0",
            "efficientnet_v2_s",
            "regnet_y_400mf",
            "convnext_tiny",
            "vit_b_16",
            "swin_t",
            "maxvit_t",
        )
    },
    "googlenet": Network("torchvision.models.googlenet", options=_NO_AUX),
    "inception_v3": Network("torchvision.models.inception_v3", side=299, options=_NO_AUX),
    "lraspp_mobilenet_v3_large": Network(
        "torchvision.models.segmentation.lraspp_mobilenet_v3_large",
        options=(("weights_backbone", None),),
        segmentation=True,
    ),
    "deeplabv3_mobilenet_v3_large": Network(
        "torchvision.models.segmentation.deeplabv3_mobilenet_v3_large",
        options=_SEGMENTATION,
        segmentation=True,
    ),
    "fcn_resnet50": Network("torchvision.models.segmentation.fcn_resnet50", options=_SEGMENTATION, segmentation=True),
    "mobilenet_v3_large": Network("torchvision.models.mobilenet_v3_large"),
    "vgg16": Network("torchvision.models.vgg16"),
}
ON_REQUEST = ("mobilenet_v3_large", "vgg16")
"""Networks that are built only where `--only` names them."""


class ZooError(Exception):
    """A network could not be built, or came out unfit to compare converters with."""


def import_torchvision() -> tuple[ModuleType, ModuleType]:
    """Import torch and torchvision, also where torchvision's compiled operators do not load.

    torchvision registers shape functions for two of its compiled operators when it is imported, and fails if their
    library was built for another torch.  No network here uses them, so declaring their signatures is enough.
    """
    try:
        torch = importlib.import_module("torch")
        importlib.import_module("onnxscript")
    except ImportError as error:
        raise ZooError(f"{error}: building the zoo needs `pip install torch torchvision onnxscript`") from error
    try:
        return torch, importlib.import_module("torchvision")
    except ImportError as error:
        raise ZooError(f"{error}: building the zoo needs `pip install torchvision`") from error
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torchvision = importlib.import_module("torchvision")
    # A Library takes its declarations with it when it is collected.
    torchvision._declared_operators = library  # type: ignore[attr-defined]
    return torch, torchvision


def construct(name: str) -> Any:
    """The network `name` in eval mode, seeded, with statistics that make every layer count; returns tensors only."""
    torch, _ = import_torchvision()
    network = NETWORKS[name]
    module, _, factory = network.factory.rpartition(".")
    torch.manual_seed(sum(name.encode()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(importlib.import_module(module), factory)(weights=None, **dict(network.options))
    if network.segmentation:
        model = _tensors_only(model)
    randomise(model, network.side)
    model.eval()
    check(name, model)
    return model


def _tensors_only(model: Any) -> Any:
    """Wrap a segmentation network, which returns a dictionary, into one that returns its `out` tensor."""
    torch, _ = import_torchvision()

    class Segmentation(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: Any) -> Any:
            return self.model(image)["out"]

    return Segmentation()


def randomise(model: Any, side: int) -> None:
    """Give every parameter a value that shows in the output, and BatchNorms the statistics of real activations.

    - Networks without any normalisation get He weights: with PyTorch's default ones the signal fades, and the
      output is little more than the last bias.
    - Parameters left constant by their constructor (zero biases, ViT's head, ConvNeXt's 1e-6 layer scales, affine
      parameters of the norms) get random ones.
    - BatchNorms take the mean and variance of one random batch, then are moved off it a little, so that activations
      stay in range at any depth and yet nothing is exactly normalised.
    """
    torch, _ = import_torchvision()
    nn = torch.nn
    modules = list(model.modules())
    batch_norms = [m for m in modules if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [*batch_norms, *(m for m in modules if isinstance(m, nn.LayerNorm))]
    with torch.no_grad():
        if not norms:
            for module in modules:
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(module.weight)
        for norm in norms:
            norm.weight.uniform_(0.7, 1.3)
            norm.bias.normal_(0.0, 0.1)
        for parameter in model.parameters():
            if bool((parameter == parameter.flatten()[0]).all()):
                if parameter.squeeze().ndim > 1:
                    nn.init.xavier_normal_(parameter)
                else:
                    parameter.uniform_(0.05, 0.3)
        _calibrate(model, batch_norms, side)


def _calibrate(model: Any, batch_norms: list[Any], side: int) -> None:
    """Set the running statistics of `batch_norms` from one random batch, then perturb them."""
    torch, _ = import_torchvision()
    if not batch_norms:
        return
    model.eval()
    for norm in batch_norms:
        norm.momentum = 1.0
        norm.train()
    model(torch.randn(4, 3, side, side))
    for norm in batch_norms:
        norm.momentum = 0.1
        norm.eval()
        norm.running_mean += torch.randn_like(norm.running_mean) * 0.1 * norm.running_var.sqrt()
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)
        # A channel that was nearly constant over the batch would otherwise amplify rounding noise without bound.
        norm.running_var.clamp_(min=1e-3)


def check(name: str, model: Any) -> None:
    """Refuse a network whose output is not finite, is constant, or hardly depends on its input."""
    torch, _ = import_torchvision()
    side = NETWORKS[name].side
    with torch.no_grad():
        one, two = (model(torch.randn(1, 3, side, side)) for _ in range(2))
    largest = float(one.abs().max())
    if not bool(one.isfinite().all()) or not 1e-3 < largest < 1e4:
        raise ZooError(f"{name}: outputs reach {largest:.3g}, out of a sane range")
    if float(one.std()) < 0.01 * largest or float((one - two).abs().max()) < 0.01 * largest:
        raise ZooError(f"{name}: the output is constant, or does not depend on the input")


def export(model: Any, side: int, exporter: str, path: Path) -> None:
    """Write `model` to `path` with one of PyTorch's two exporters, everything else at the exporter's default."""
    torch, _ = import_torchvision()
    image = torch.zeros(1, 3, side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (image,),
            str(path),
            dynamo=exporter == "dynamo",
            input_names=["input"],
            output_names=["output"],
            verbose=False,
        )


def build(names: list[str], out: Path, exporters: tuple[str, ...] = EXPORTERS) -> list[str]:
    """Write the files of `names` that are not in `out` yet; returns a line for each that could not be made."""
    out.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for name in names:
        wanted = {exporter: out / f"{name}.{exporter}.onnx" for exporter in exporters}
        missing = {exporter: path for exporter, path in wanted.items() if not path.exists()}
        if not missing:
            continue
        try:
            model = construct(name)
        except ZooError as error:
            failures.append(str(error))
            continue
        for exporter, path in missing.items():
            began = time.perf_counter()
            # Exported beside and moved, so that an interrupted run leaves no file that looks finished.  The data file
            # of the dynamo exporter is named inside the model, hence a folder and not another name.
            beside = out / ".unfinished" / path.name
            beside.parent.mkdir(exist_ok=True)
            try:
                export(model, NETWORKS[name].side, exporter, beside)
            except Exception as error:  # one exporter's failure must not cost the other files
                failures.append(f"{path.name}: {type(error).__name__}: {error}")
                continue
            for file in sorted(beside.parent.glob(f"{path.name}.*")):
                file.replace(out / file.name)
            beside.replace(path)
            print(f"{path.name}: {time.perf_counter() - began:.1f} s", flush=True)
    shutil.rmtree(out / ".unfinished", ignore_errors=True)
    return failures


def main(arguments: list[str] | None = None) -> int:
    """The command line; exit status 1 when a file could not be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/zoo"), help="folder to write (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=sorted(NETWORKS), metavar="NET", help="only these networks")
    parser.add_argument("--exporters", nargs="+", choices=EXPORTERS, default=EXPORTERS, help="(default both)")
    parser.add_argument("--list", action="store_true", help="print the names of the networks and stop")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(NETWORKS))
        return 0
    try:
        import_torchvision()
    except ZooError as error:
        parser.error(str(error))
    names = options.only or [name for name in NETWORKS if name not in ON_REQUEST]
    failures = build(names, options.out, tuple(options.exporters))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
