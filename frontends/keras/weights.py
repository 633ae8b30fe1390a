"""Which arrays are a layer's weights, in each form in which Keras keeps them.

A .keras file has them at paths (``layers/conv2d/vars/0``), in the order in which a layer makes its variables. An
HDF5 file has one list for each layer of the model, of all that is trained in it and then all that is not. A live
model has a list a layer, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from mconv.ir.record import Record
from mconv.ir.types import Array

from . import errors, legacy
from .archive import Stored
from .config import Layer, Network
from .hdf5 import File


class Slots(Record):
    """The variables of a layer in their order, with whether training changes them; and those of layers inside it.

    The children's names are their places below the layer's address. ``frozen``: nothing in it is trained.
    """

    own: tuple[tuple[str, bool], ...] = ()
    children: tuple[tuple[str, Slots], ...] = ()
    frozen: bool = False

    def walk(self, prefix: str, frozen: bool = False) -> Iterator[tuple[str, bool]]:
        """Each variable's path and whether training changes it, in the order in which Keras lists them."""
        frozen = frozen or self.frozen
        for name, trained in self.own:
            yield f"{prefix}{name}", trained and not frozen
        for attribute, child in self.children:
            yield from child.walk(f"{prefix}{attribute}/", frozen)

    def at(self, attributes: Sequence[str]) -> Slots:
        """The slots at a path, of which one child may take several steps."""
        if not attributes:
            return self
        for name, child in self.children:
            steps = name.split("/")
            if list(attributes[: len(steps)]) == steps:
                return child.at(attributes[len(steps) :])
        raise errors.bad_weights(f"there are no weights at {'/'.join(attributes)}")


def slots(*names: str, fixed: Sequence[str] = ()) -> Slots:
    """Variables that are trained, and then those that are not."""
    return Slots((*((name, True) for name in names), *((name, False) for name in fixed)))


SlotsOf = Callable[[Layer], Slots]


class Weights(Protocol):
    """Where weights come from."""

    def array(self, layer: Layer, own: Slots, path: str) -> Array:
        """The variable at ``path`` below a layer; MC294 where there is none."""


class ByPath:
    """The weights of a .keras file."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._old = file.has("_layer_checkpoint_dependencies")

    def array(self, layer: Layer, own: Slots, path: str) -> Array:
        """The variable at the path of Keras 3; private attributes have an underscore."""
        *attributes, name = path.split("/")
        index = [variable for variable, _ in own.at(attributes).own].index(name)
        tails = ["/".join(attributes), "/".join(f"_{a}" for a in attributes)]
        for base in self._bases(layer.address):
            for tail in dict.fromkeys(tails):
                place = "/".join(filter(None, (base, tail, "vars")))
                for key in (str(index), name):
                    found = self._file.array(f"{place}/{key}")
                    if found is not None:
                        return found
        raise errors.bad_weights(f"{path} of layer '{layer.name}' is not in the file (at {layer.address})")

    def _bases(self, address: str) -> Iterator[str]:
        yield address
        if self._old:  # Keras 2.12 and 2.13
            yield address.replace("layers", "_layer_checkpoint_dependencies")


class ByLayer:
    """Weights in one list a layer of the outermost model, of functions that read an array each."""

    def __init__(self, network: Network, slots_of: SlotsOf, lists: Mapping[str, Sequence[Callable[[], Array]]],
                 version: int, backend: str = "") -> None:  # fmt: skip
        self._version, self._backend = version, backend
        self._found: dict[str, Callable[[], Array]] = {}
        self._wrong: dict[str, str] = {}
        for name, layer in network.layers.items():
            places = sorted(slots_of(layer).walk(f"{layer.address}/"), key=lambda place: not place[1])
            arrays = lists.get(name, ())
            if len(places) != len(arrays):
                self._wrong[layer.address] = f"layer '{name}' has {len(places)} weights, {len(arrays)} are stored"
            else:
                self._found |= {path: array for (path, _), array in zip(places, arrays, strict=True)}

    def array(self, layer: Layer, own: Slots, path: str) -> Array:
        """The variable at ``path``, in its present form."""
        place = f"{layer.address}/{path}"
        if place not in self._found:
            old = legacy.gates(layer.cls) if self._version == 1 else None
            if old is not None and f"{layer.address}/{old[0]}" in self._found:
                parts = {name: self._found[f"{layer.address}/{name}"]() for name in old}
                return legacy.joined(layer.cls, path.rpartition("/")[2], parts)
            told = next((w for address, w in self._wrong.items() if f"{place}/".startswith(f"{address}/")), None)
            raise errors.bad_weights(told or f"{path} of layer '{layer.name}' is not in the file")
        array = self._found[place]()
        if self._version == 1:
            array = legacy.reordered(layer.cls, path, array, layer.config)
        return legacy.flipped(layer.cls, path, array) if self._backend == "theano" else array


def of_file(stored: Stored, network: Network, slots_of: SlotsOf, version: int) -> Weights:
    """The weights of a file."""
    file = stored.weights
    if stored.by_path:
        return ByPath(file)
    root = "model_weights" if file.has("model_weights") else "/"
    lists: dict[str, list[Callable[[], Array]]] = {}
    for name in file.names(root, "layer_names"):
        place = f"{root}/{name}"
        if name in network.layers and file.has(place):
            lists[name] = [_reader(file, f"{place}/{path}") for path in file.names(place, "weight_names")]
    return ByLayer(network, slots_of, lists, version, stored.backend)


def _reader(file: File, path: str) -> Callable[[], Array]:
    def read() -> Array:
        found = file.array(path)
        if found is None:
            raise errors.bad_weights(f"{path} is not in the file")
        return found

    return read
