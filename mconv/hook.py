"""The pre-commit hook: reads every model it is given, and fails when one cannot be read."""

from __future__ import annotations

import sys

import click

from .faults import reported
from .ir.errors import InternalError


def main(paths: list[str]) -> int:
    """Read each model; the exit status: 0 all can be read, 1 one cannot, 5 a fault of mconv."""
    from . import api

    status = 0
    for path in paths:
        try:
            api.load(path, optimize=False)
        except Exception as error:
            told = reported(error)
            click.echo(f"{path}: {told}", err=True)
            status = max(status, told.exit_status if isinstance(told, InternalError) else 1)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
