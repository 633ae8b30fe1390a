"""mconv: a neural-network conversion compiler that is never wrong in silence."""

from __future__ import annotations

import os as _os

# In a checkout the four parts stand at the root; an installed mconv holds them itself.
_root = _os.path.dirname(_os.path.dirname(_os.path.abspath(__file__)))
if _os.path.isfile(_os.path.join(_root, "pyproject.toml")) and _os.path.isfile(_os.path.join(_root, "ir", "graph.py")):
    __path__.insert(0, _root)
