"""int8 codes and the numbers they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import InputError

MOST_DIM = 256
"""Codes of one signature that a message has room for."""


class Group(NamedTuple):
    """`size` neighbouring codes that share one scale and zero point."""

    size: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Quantization:
    """value = (code - zero_point) * scale, for each group of neighbouring codes.

    Groups rather than one number per code, because a signature has few kinds of code and the groups travel in every
    message.
    """

    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        """Raise InputError for a group that could not be inverted."""
        object.__setattr__(self, "groups", tuple(Group(*group) for group in self.groups))
        for size, scale, zero_point in self.groups:
            if size < 1 or not 0 < scale < float("inf") or not -128 <= zero_point <= 127:
                raise InputError(
                    "quantization group: expected size >= 1, 0 < scale < inf and -128 <= zero_point <= 127, "
                    f"got size {size}, scale {scale}, zero_point {zero_point}"
                )

    @property
    def dim(self) -> int:
        """Codes described by all groups together."""
        return sum(group.size for group in self.groups)

    def _per_code(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if len(self.groups) == 1:
            # One number instead of one per code: the same values, and many times faster on a whole batch of features.
            return np.array(self.groups[0].scale, np.float32), np.array(self.groups[0].zero_point, np.float32)
        sizes = [group.size for group in self.groups]
        scale = np.repeat(np.array([group.scale for group in self.groups], np.float32), sizes)
        zero_point = np.repeat(np.array([group.zero_point for group in self.groups], np.float32), sizes)
        return scale, zero_point

    def quantize(self, values: NDArray[np.float32]) -> NDArray[np.int8]:
        """Return the int8 codes (..., dim) nearest to `values` (..., dim), clipped to the range of int8."""
        scale, zero_point = self._per_code()
        # rint and clip: a cast alone would truncate towards zero and wrap a hard knock to the opposite sign. In place,
        # because this is on the path of every sample.
        codes = values / scale
        codes += zero_point
        np.rint(codes, out=codes)
        np.clip(codes, -128, 127, out=codes)
        return codes.astype(np.int8)

    def dequantize(self, codes: NDArray[np.int8]) -> NDArray[np.float32]:
        """Return the float32 values (..., dim) that `codes` (..., dim) stand for."""
        scale, zero_point = self._per_code()
        return (codes.astype(np.float32) - zero_point) * scale
