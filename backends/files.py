"""Files appear whole or not at all.

Every file of a set is written beside its place, and only when all of them are complete are they renamed. Where
the system can (Linux), the bytes go to a file without a name until then, so that not even a killed process leaves
anything; elsewhere to a hidden file that is removed on every way out, an interrupt and SIGTERM included.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from mconv.ir.errors import Problem, UsageError

from .base import Chunk

_AT_ONCE = 1 << 24  # bytes handed to the system in one call


def write_all(
    files: Mapping[Path, Callable[[], Iterable[Chunk]]],
    check: Callable[[Mapping[Path, str]], None] | None = None,
    folder: Path | None = None,
) -> None:
    """Write each path's chunks, all paths or none. All are in ``folder`` where that is given; it is made if missing.

    ``check`` is called when everything is written and nothing has its name yet; it gets, for each path, one under
    which the bytes can be read. What it raises leaves the paths as they were.
    Raises UsageError: MC120 where a folder is missing or closed, MC121 where the disk refuses to take the bytes.
    """
    pending: list[tuple[_Pending, Path]] = []
    new = folder is not None and not folder.exists()
    with _sigterm_raises():
        try:
            for path, chunks in files.items():
                pending.append((_open(folder.parent / path.name if folder is not None and new else path), path))
                _fill(pending[-1][0], path, chunks)
            if check is not None:
                check({path: item.readable for item, path in pending})
            if folder is not None and new:
                _name_in(folder, pending)
                return
            for item, path in pending:
                item.give_name(path)
            for item, path in pending:
                os.replace(item.name, path)
                item.name = ""
        finally:
            for item, _ in pending:
                item.close()


def _name_in(folder: Path, pending: Sequence[tuple[_Pending, Path]]) -> None:
    """Give the files their names in a hidden folder, and that its own name when it is complete."""
    hidden = Path(_hidden(folder))
    try:
        hidden.mkdir()
        for item, path in pending:
            item.give_name(hidden / path.name)
            os.replace(item.name, hidden / path.name)
            item.name = ""
        os.rename(hidden, folder)
    except OSError as error:
        raise UsageError(Problem("MC120", f"cannot write the folder '{folder}': {error.strerror}")) from error
    finally:
        if hidden.exists():
            import shutil

            shutil.rmtree(hidden, ignore_errors=True)


class _Pending:
    """An open file that has no name, or a hidden one, until it is complete."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.descriptor, self.name = descriptor, name

    @property
    def readable(self) -> str:
        """A path under which any process of this user can read the bytes."""
        return self.name or self.readable_descriptor

    @property
    def readable_descriptor(self) -> str:
        """The open file, as other processes see it."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def give_name(self, path: Path) -> None:
        """Let the bytes stand under a hidden name beside ``path``."""
        if self.name:
            return
        name = _hidden(path)
        _remove(name)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            # only with a folder does Python ask the system to follow the link that /proc shows
            os.link(f"/proc/self/fd/{self.descriptor}", name, src_dir_fd=folder, follow_symlinks=True)
        except OSError:
            self.name = name
            import shutil

            shutil.copyfile(self.readable_descriptor, name)
        finally:
            os.close(folder)
        self.name = name

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        if self.name:
            _remove(self.name)
            self.name = ""


def _open(path: Path) -> _Pending:
    if path.is_dir():
        raise UsageError(Problem("MC120", f"cannot write '{path}': it is a folder"))
    unnamed = getattr(os, "O_TMPFILE", 0)
    if unnamed and os.path.isdir("/proc/self/fd"):
        # not every file system has unnamed files
        with contextlib.suppress(OSError):
            return _Pending(os.open(path.parent, unnamed | os.O_RDWR, 0o666), "")
    name = _hidden(path)
    try:
        _remove(name)
        return _Pending(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), name)
    except OSError as error:
        hint = "create the folder, or choose another with -o"
        raise UsageError(Problem("MC120", f"cannot write '{path}': {error.strerror}", hint=hint)) from error


def _fill(item: _Pending, path: Path, chunks: Callable[[], Iterable[Chunk]]) -> None:
    for chunk in _joined(chunks()):
        view = memoryview(chunk)
        while view:
            try:
                view = view[os.write(item.descriptor, view[:_AT_ONCE]) :]
            except OSError as error:
                raise UsageError(Problem("MC121", f"writing '{path}' failed: {error.strerror}")) from error


def _joined(chunks: Iterable[Chunk], limit: int = 1 << 16) -> Iterator[Chunk]:
    """The same bytes with small neighbours in one piece: a system call a weight's tag would be slow."""
    small: list[Chunk] = []
    size = 0
    for chunk in chunks:
        view = memoryview(chunk).cast("B") if memoryview(chunk).nbytes else memoryview(b"")
        if view.nbytes >= limit:
            if small:
                yield b"".join(small)
                small, size = [], 0
            yield view
            continue
        small.append(view)
        size += view.nbytes
        if size >= limit:
            yield b"".join(small)
            small, size = [], 0
    if small:
        yield b"".join(small)


def _hidden(path: Path) -> str:
    return str(path.parent / f".{path.name}.{os.getpid()}.part")


def _remove(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """A SIGTERM ends the writing by an exception, so that the cleaning up is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
