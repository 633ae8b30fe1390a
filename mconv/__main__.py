"""``python -m mconv``."""

from .cli import main

main()
