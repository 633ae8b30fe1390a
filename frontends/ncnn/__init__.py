"""Reader of ncnn's .param and .bin: ``reader`` opens, ``param`` and ``weights`` decode, ``handlers`` translate."""
