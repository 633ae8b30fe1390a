"""Rewriting of graphs: canonicalize, fold, fuse, legalize. Imports only ``mconv.ir``."""

if __name__ == "passes":
    raise ImportError("import mconv.passes, not passes: the package's name is mconv")
