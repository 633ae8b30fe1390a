"""Translations of single operators, a module a family. `registry.load_handlers` imports those of a domain."""
