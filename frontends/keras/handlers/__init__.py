"""Translations of Keras layers, one module a family; importing a module registers what it has."""
