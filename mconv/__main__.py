"""``python -m mconv``, and the command ``mconv``."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command; an interrupt while it is still being imported ends it as quietly as a later one."""
    try:
        from .cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
