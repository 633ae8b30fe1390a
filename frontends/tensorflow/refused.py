"""Operators that have no place in an inference engine, and why; the rest that has no handler is just not read."""

from __future__ import annotations

import re

_RANDOM = "random numbers; at inference nothing draws them (dropout that is still there belongs to training)"
_STRINGS = "strings are not tensors of numbers"
_TABLES = "a lookup table lives beside the graph, and holds strings mostly"
_DATA = "data pipelines stay outside of an inference engine"
_TRAINING = "variables are written while a network is trained, not while it is used"
_FILES = "files are not read or written by an inference engine"
_CODE = "it calls code that is not in the file"
_REASONS: tuple[tuple[str, str], ...] = (
    (r"(Stateless)?(Random|Multinomial|TruncatedNormal|ParameterizedTruncated|Stateful.*Random)", _RANDOM),
    (
        r"StatelessTruncatedNormal|StatelessMultinomial|StatefulUniform|StatefulStandard|StatefulTruncated|RngSkip",
        _RANDOM,
    ),
    (r".*(HashTable|LookupTable|InitializeTable)", _TABLES),
    (r"(Static|Unsorted)?(String|Regex|Substr|AsString|Unicode|ReduceJoin|DecodeBase64|EncodeBase64)", _STRINGS),
    (r"Static(Regex)", _STRINGS),
    (r"(DecodeRaw|DecodeCSV|DecodeJSON|ParseExample|ParseSequence|ParseSingle|ParseTensor|SerializeTensor)", _STRINGS),
    (
        r"(Decode|Encode)(Jpeg|Png|Gif|Bmp|Image|Wav|Webp|Compressed|Padded|AndCrop)",
        "pictures and sounds in files are decoded in front of the network",
    ),
    (r".*(Dataset|Iterator)", _DATA),
    (r"(Queue|FIFOQueue|RandomShuffleQueue|PaddingFIFO|Batch$|Unbatch|Barrier|Stage|Unstage|RecordInput)", _DATA),
    (
        r"(Resource)?(Sparse)?Apply(?!Bind)|Assign|ScatterUpdate|ScatterAdd|Resource(Scatter|StridedSliceAssign)",
        _TRAINING,
    ),
    (r"(Save|Restore|MergeV2Checkpoints|ReadFile|WriteFile|MatchingFiles|ShardedFilename|WholeFileReader)", _FILES),
    (r"(PyFunc|EagerPyFunc|PyFuncStateless|CustomCall|XlaLaunch|RemoteCall|RemoteFusedGraph)", _CODE),
    (r"(.*Summary|Print|PrintV2|Timestamp|Stats)", "it writes reports"),
    (r"Dilation2D|Erosion2D", "morphology is not computed by any target"),
)


def reason_of(op: str) -> str:
    """Why an operator is refused; "" where it is only not read."""
    return next((why for pattern, why in _REASONS if re.match(pattern, op)), "")
