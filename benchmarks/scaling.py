"""How the time of reading and of the passes grows with the nodes of a SavedModel, which should be as they do.

    python benchmarks/scaling.py --nodes 5000 10000 20000

The models are generated: residual blocks with constants, identities and shape arithmetic between them, as exporters
leave them. Nothing but mconv is needed.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mconv import stages
from mconv.__main__ import OBJECTS
from mconv.frontends import Reading
from mconv.frontends.tensorflow.proto import SavedModel
from mconv.passes.base import Context

FLOAT, INT32 = 1, 3
WIDTH = 8


class Writer:
    """A graph being written, node by node."""

    def __init__(self) -> None:
        self.model = SavedModel(saved_model_schema_version=1)
        self.meta = self.model.meta_graphs.add()
        self.meta.meta_info_def.tags.append("serve")
        self.graph = self.meta.graph_def
        self.graph.versions.producer = 1882

    def node(self, op: str, *inputs: str, dtype: int = FLOAT, **attributes: Any) -> str:
        """Add a node; ``attributes`` are numbers of types, or functions that fill an AttrValue."""
        name = f"{op.lower()}_{len(self.graph.node)}"
        node = self.graph.node.add(name=name, op=op, input=inputs)
        for key, value in {"T": dtype, **attributes}.items():
            if callable(value):
                value(node.attr[key])
            elif value is not None:
                node.attr[key].type = value
        return name

    def constant(self, array: np.ndarray[Any, Any], dtype: int = FLOAT) -> str:
        """A Const."""

        name = f"const_{len(self.graph.node)}"
        attributes = self.graph.node.add(name=name, op="Const").attr
        attributes["dtype"].type = dtype
        tensor = attributes["value"].tensor
        tensor.dtype, tensor.tensor_content = dtype, array.tobytes()
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        return name


def saved_model(nodes: int) -> bytes:
    """A SavedModel of about so many nodes."""
    out, random = Writer(), np.random.default_rng(0)
    x = out.graph.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = FLOAT
    for size in (-1, WIDTH):
        x.attr["shape"].shape.dim.add(size=size)
    value = "x"
    while len(out.graph.node) < nodes:
        weight = out.constant((random.standard_normal((WIDTH, WIDTH)) / WIDTH).astype(np.float32))
        product = out.node("MatMul", value, out.node("Identity", weight))
        shifted = out.node("BiasAdd", product, out.constant(np.ones(WIDTH, np.float32)))
        active = out.node("Relu", shifted)
        shape = out.node("Shape", active)
        turned = out.node("Reshape", active, shape, Tshape=INT32)
        scaled = out.node("Mul", turned, out.constant(np.float32(0.5).reshape(())))
        value = out.node("AddV2", value, scaled)
    signature = out.meta.signature_def["serving_default"]
    for ends, name, tensor in ((signature.inputs, "x", "x:0"), (signature.outputs, "y", f"{value}:0")):
        ends[name].name, ends[name].dtype = tensor, FLOAT
    found: bytes = out.model.SerializeToString()
    return found


def measure(nodes: int) -> tuple[float, float, int, int]:
    """CPU seconds of reading and of the passes; the nodes before and after them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "saved_model.pb").write_bytes(saved_model(nodes))
        begin = time.process_time()
        graph = stages.read(Path(folder), stages.Options("", reading=Reading()))
        read = time.process_time()
        before = len(graph)
        stages.rewrite(graph, Context(), channels_last=True)
        return read - begin, time.process_time() - read, before, len(graph)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--nodes", type=int, nargs="+", default=[5000, 10000, 20000], help="sizes (default %(default)s)"
    )
    options = parser.parse_args()
    gc.set_threshold(OBJECTS)  # as the command does
    measure(100)  # what is imported and set up once
    print(f"{'nodes':>7} {'read s':>7} {'passes s':>8} {'us a node':>9}  {'in the graph':>12} {'left':>6}")
    for nodes in options.nodes:
        read, passes, before, after = measure(nodes)
        print(
            f"{nodes:7} {read:7.2f} {passes:8.2f} {(read + passes) / nodes * 1e6:9.0f}  {before:12} {after:6}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
