"""The front: command, API, verification."""
