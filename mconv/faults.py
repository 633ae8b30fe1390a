"""What a person is told of any exception: ours as they are, the machine's limits, and what nobody expected."""

from __future__ import annotations

import errno
import os

from .ir.errors import InternalError, MconvError, Problem, UsageError


def reported(error: Exception) -> MconvError:
    """The error to show: MC116 where memory or the stack ran out, MC500 for a fault of mconv.

    With the environment variable MCONV_DEBUG set, a fault of mconv is raised as it is.
    """
    if isinstance(error, MconvError):
        return error
    no_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if no_memory or isinstance(error, MemoryError | RecursionError):
        what = f"the model is too large for this machine: {error!r}"
        return UsageError(Problem("MC116", what, hint="smaller sizes with --input-shape or --dim, or --no-verify"))
    if os.environ.get("MCONV_DEBUG"):
        raise error
    what = f"mconv is at fault: {type(error).__name__}: {error}"
    hint = "reporting it with the model; MCONV_DEBUG=1 shows the traceback"
    return InternalError(Problem("MC500", what, hint=hint))
