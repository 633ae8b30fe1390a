"""A Keras file as its configuration and its weights: a zip archive (.keras), of which nothing is extracted, or HDF5."""

from __future__ import annotations

import json
import mmap
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from . import errors
from .hdf5 import SIGNATURE, File

ZIP = b"PK\x03\x04"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MOST_JSON = 1 << 26
UNPACKED = 1 << 28
"""Bytes that a packed member may have, beyond eight times the archive's size."""
MOST_MEMBERS = 10_000
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError, EOFError, NotImplementedError,
           RuntimeError, KeyError, OverflowError, MemoryError)  # fmt: skip


class Stored:
    """What a file holds: the configuration's JSON, the version of Keras that wrote it, and the file of weights.

    ``by_path`` tells that the weights stand at the paths of Keras 3, not in a list a layer.
    """

    def __init__(self, config: Any, version: str, backend: str, weights: File, *, by_path: bool) -> None:
        self.config, self.version, self.backend = config, version, backend
        self.weights, self.by_path = weights, by_path


def load(path: Path) -> Stored:
    """The content of a .keras or .h5 file, which is mapped. Raises UnreadableError (MC290 to MC293)."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < len(SIGNATURE):
                raise errors.damaged(f"{path.name} has {size} bytes")
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise errors.damaged(f"{path.name} cannot be opened: {error.strerror}") from None
    if data[:8] == SIGNATURE:
        return _hdf5(data, path.name)
    if data[:4] == ZIP:
        return _archive(data, path)
    raise errors.damaged(f"{path.name} is neither a zip archive nor an HDF5 file")


# HDF5 --------------------------------------------------------------------------------------------------------


def _hdf5(data: memoryview, name: str) -> Stored:
    file = File(data, name)
    text = file.attribute("/", "model_config")
    if text is None:
        if _only_weights(file):
            raise errors.weights_only(name)
        raise errors.no_config(f"{name} has no attribute 'model_config': it is an HDF5 file, but not a Keras model")
    group = "model_weights" if file.has("model_weights") else "/"
    version = next((v for v in (file.attribute(g, "keras_version") for g in ("/", group)) if isinstance(v, str)), "1")
    backend = next((v for v in (file.attribute(g, "backend") for g in ("/", group)) if isinstance(v, str)), "")
    return Stored(_json(text, name), version, backend, file, by_path=False)


def _only_weights(file: File) -> bool:
    places = ("layers", "_layer_checkpoint_dependencies", "model_weights", "vars")
    return any(file.has(place) for place in places) or bool(file.names("/", "layer_names"))


# .keras ------------------------------------------------------------------------------------------------------


def _archive(data: memoryview, path: Path) -> Stored:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            _check_names(members, path.name)
            if CONFIG not in members:
                raise errors.no_config(f"{path.name} has no {CONFIG}: it is a zip archive, but not a Keras model")
            config = _json(bytes(_member(data, archive, members[CONFIG], MOST_JSON)), CONFIG)
            version = "3"
            if METADATA in members:
                metadata = _json(bytes(_member(data, archive, members[METADATA], MOST_JSON)), METADATA)
                found = metadata.get("keras_version") if isinstance(metadata, dict) else None
                version = found if isinstance(found, str) else version
            if WEIGHTS not in members:
                raise errors.no_config(f"{path.name} has no {WEIGHTS}")
            weights = _member(data, archive, members[WEIGHTS], max(8 * len(data) + UNPACKED, len(data)))
    except _BROKEN as error:
        raise errors.damaged(f"{path.name} cannot be unpacked: {str(error)[:200]}") from error
    return Stored(config, version, "", File(weights, f"{path.name}: {WEIGHTS}"), by_path=True)


def _check_names(members: dict[str, zipfile.ZipInfo], name: str) -> None:
    if len(members) > MOST_MEMBERS:
        raise errors.unsafe(f"{name} has {len(members)} members")
    for member in members:
        plain = member.replace("\\", "/")
        if plain.startswith("/") or ":" in plain or ".." in PurePosixPath(plain).parts:
            raise errors.unsafe(f"{name} has a member '{member}', which would lie outside of its folder")


def _member(data: memoryview, archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> memoryview:
    """A member's bytes: a view of the archive's where they are stored as they are, else unpacked, ``most`` at most."""
    if info.flag_bits & 1:
        raise errors.damaged(f"{info.filename} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise errors.damaged(f"{info.filename} is packed by a method that Keras does not use")
    if info.file_size > most:
        raise errors.unsafe(f"{info.filename} unpacks to {info.file_size} bytes out of {info.compress_size}")
    if info.compress_type == zipfile.ZIP_STORED:
        lengths = struct.unpack_from("<HH", data, info.header_offset + 26)
        start = info.header_offset + 30 + sum(lengths)
        if info.compress_size != info.file_size or start + info.file_size > len(data):
            raise errors.damaged(f"{info.filename} is longer than its archive")
        return data[start : start + info.file_size]
    with archive.open(info) as file:
        found = file.read(info.file_size + 1)
    if len(found) != info.file_size:
        raise errors.damaged(f"{info.filename} has {len(found)} bytes, not {info.file_size}")
    return memoryview(found)


def _json(text: Any, name: str) -> Any:
    if not isinstance(text, str | bytes):
        raise errors.no_config(f"the configuration in {name} is no text")
    if len(text) > MOST_JSON:
        raise errors.unsafe(f"the configuration in {name} has {len(text)} letters")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise errors.no_config(f"the configuration in {name} is no JSON: {str(error)[:200]}") from None
