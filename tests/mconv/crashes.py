"""A runtime's process that ends badly in the way that the request names, and well when it names another."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO

from mconv import runner


def serve() -> None:
    """As runner.serve, but for three requests."""
    line = sys.stdin.readline()
    match json.loads(line)["module"]:
        case "signal":
            os.abort()
        case "exit":
            os._exit(7)
    sys.stdin = StringIO(line)
    runner.serve()
