"""Broken and hostile inputs, made by script, and what the command must do with them: ``python -m tests.hostile``."""
