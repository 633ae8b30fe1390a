"""The pre-commit hook: reads every model it is given, and fails when one cannot be read."""

from __future__ import annotations

import sys

import click

from .ir.errors import MconvError


def main(paths: list[str]) -> int:
    """Read each model; the number of models that fail, at most 1 as an exit status."""
    from . import api

    failed = 0
    for path in paths:
        try:
            api.load(path, optimize=False)
        except MconvError as error:
            click.echo(f"{path}: {error}", err=True)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
