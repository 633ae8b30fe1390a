"""Readers: from each format people train in to the intermediate representation.

A reader decodes and translates; it does not optimise.  Imports only ``mconv.ir``.
"""

if __name__ == "frontends":  # an editable install puts the checkout's root on sys.path
    raise ImportError("import mconv.frontends, not frontends: the package's name is mconv")

from .options import Reading
from .registry import Format, files_of, format_of, load

__all__ = ["Format", "Reading", "files_of", "format_of", "load"]
