"""The memory that the child process shares with its parent: windows, codes, how many are done, and the model."""

from __future__ import annotations

import math
import mmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders.host import Codes

_COUNTER_BYTES = 64
"""A cache line of its own."""


class Memory(NamedTuple):
    """Views of one mapping. `done` (1,): how many of the windows asked for have their codes in `outputs`.

    inputs, outputs: (windows, *shape) int8. model: the bytes of the compiled file.
    """

    done: NDArray[np.int64]
    inputs: Codes
    outputs: Codes
    model: NDArray[np.uint8]


class Layout(NamedTuple):
    """Where things are. Shapes are a window's; model: bytes of the model."""

    windows: int
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    model: int

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        each = math.prod(self.input_shape) + math.prod(self.output_shape)
        return _COUNTER_BYTES + self.windows * each + self.model

    def map(self, descriptor: int) -> Memory:
        """Return the views of the file behind `descriptor`, which may be closed afterwards."""
        mapping = mmap.mmap(descriptor, self.size)
        outputs_at = _COUNTER_BYTES + self.windows * math.prod(self.input_shape)
        model_at = outputs_at + self.windows * math.prod(self.output_shape)
        return Memory(
            np.frombuffer(mapping, np.int64, 1),
            np.frombuffer(mapping, np.int8, outputs_at - _COUNTER_BYTES, _COUNTER_BYTES).reshape(-1, *self.input_shape),
            np.frombuffer(mapping, np.int8, model_at - outputs_at, outputs_at).reshape(-1, *self.output_shape),
            np.frombuffer(mapping, np.uint8, self.model, model_at),
        )
