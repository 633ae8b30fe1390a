"""Reader of TFLite: ``decode`` and ``bounds`` take the flatbuffer apart, ``handlers`` translate operators."""
