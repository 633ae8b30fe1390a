"""``python -m mconv``, and the command ``mconv``."""

from __future__ import annotations

import atexit
import gc
import os
import sys

TYPE_CHECKING = False  # as in the package: an interrupt is handled from the first import on that takes its time
if TYPE_CHECKING:
    from typing import NoReturn

OBJECTS = 100_000
"""Objects that are made before those in circles are looked for; modules and graphs make many, and nearly all stay."""


def main() -> NoReturn:
    """Run the command; an interrupt while it is still being imported ends it as quietly as a later one."""
    gc.set_threshold(OBJECTS)
    try:
        from .cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        _leave(130)
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        _leave(ended.code)


def _leave(status: int) -> NoReturn:
    """End the process as the interpreter would, but for freeing every object first: a tenth of a conversion's time."""
    import threading

    if threading.active_count() == 1:
        atexit._run_exitfuncs()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):  # no stream, or one that takes no more: the interpreter's matter
            sys.exit(status)
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    main()
