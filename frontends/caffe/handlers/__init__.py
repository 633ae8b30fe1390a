"""Translations of layers, by family; importing a module registers what it has."""
