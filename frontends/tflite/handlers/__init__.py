"""One module a family of operators; importing them registers their handlers."""
