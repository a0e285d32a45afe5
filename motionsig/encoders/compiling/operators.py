"""Which operators edgetpu_compiler 16.0 takes, and up to which version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Taken(NamedTuple):
    """The newest version that is taken, and which inputs may be activations; all, if none is named."""

    version: int
    activations: tuple[int, ...] = ()


OPERATORS: Mapping[str, Taken] = {
    "ADD": Taken(3),
    "AVERAGE_POOL_2D": Taken(3),
    "CONCATENATION": Taken(3),
    "CONV_2D": Taken(5, (0,)),
    "DEPTHWISE_CONV_2D": Taken(6, (0,)),
    "EXPAND_DIMS": Taken(1, (0,)),
    "FULLY_CONNECTED": Taken(9, (0,)),
    "L2_NORMALIZATION": Taken(2),
    "LOGISTIC": Taken(3),
    "MAXIMUM": Taken(4),
    "MAX_POOL_2D": Taken(3),
    "MEAN": Taken(3, (0,)),
    "MINIMUM": Taken(4),
    "MUL": Taken(4),
    "PACK": Taken(3),
    "PAD": Taken(3, (0,)),
    "PRELU": Taken(1, (0,)),
    "QUANTIZE": Taken(2),
    "REDUCE_MAX": Taken(3, (0,)),
    "REDUCE_MIN": Taken(3, (0,)),
    "RELU": Taken(3),
    "RELU6": Taken(3),
    "RELU_N1_TO_1": Taken(1),
    "RESHAPE": Taken(1, (0,)),
    "RESIZE_BILINEAR": Taken(4, (0,)),
    "RESIZE_NEAREST_NEIGHBOR": Taken(4, (0,)),
    "RSQRT": Taken(2),
    "SLICE": Taken(5, (0,)),
    "SOFTMAX": Taken(3),
    "SPACE_TO_DEPTH": Taken(2),
    "SPLIT": Taken(4, (1,)),
    "SQUARED_DIFFERENCE": Taken(2),
    "SQUEEZE": Taken(2),
    "STRIDED_SLICE": Taken(5, (0,)),
    "SUB": Taken(5),
    "SUM": Taken(2, (0,)),
    "TANH": Taken(3),
    "TRANSPOSE": Taken(5, (0,)),
    "TRANSPOSE_CONV": Taken(3, (2,)),
}
"""Which operators: coral.ai's list, with TRANSPOSE since compiler 16 (issue 193). The list of ARTPEC-7, which holds an
Edge TPU, has EXPAND_DIMS, PACK, PRELU, REDUCE_MAX and REDUCE_MIN too (developer.axis.com, supported-ops). RSQRT, SPLIT,
SQUARED_DIFFERENCE, SQUEEZE and SUM are from memory; no log seen shows them mapped.
Which versions: the newest that tensorflow/lite/tools/versioning/runtime_version.cc has for TensorFlow 2.5.0, from
which libedgetpu's release of the same weeks was built (its workspace.bzl). The refusals on record fit: CONV_2D 6
(issue 631; it came with 2.9), QUANTIZE 3 (879; with 2.7), TRANSPOSE_CONV 4 (845), EXP 2 (libedgetpu 71)."""

INSTEAD: Mapping[str, str] = {
    "BATCH_MATMUL": "use FULLY_CONNECTED or CONV_2D with constant weights",
    "DEQUANTIZE": "quantise everything to int8, the output too",
    "GELU": "use RELU or RELU6",
    "HARD_SWISH": "use RELU or RELU6",
    "LEAKY_RELU": "use RELU, RELU6 or PRELU",
}
