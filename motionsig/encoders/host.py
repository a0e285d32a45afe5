"""What runs on the host around any network: its input and the posture codes from windows.

Every encoder puts its own network into this frame, so that signatures depend on the device through the network alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, WindowBatch
from motionsig.errors import ModelError
from motionsig.frontend import CHUNK
from motionsig.model_card import MODEL_NAME, ModelCard

Network = Callable[[NDArray[np.int8]], NDArray[np.int8]]
"""From input codes (k, 1, length, channels), k at most CHUNK, to motion codes (k, motion_dim)."""


class Border(NamedTuple):
    """A network's input or output: its type, shape, scale and zero point."""

    kind: str
    shape: list[int]
    scale: float
    zero_point: int


def encode(card: ModelCard, windows: WindowBatch, network: Network) -> SignatureBatch:
    """Return one signature per window; none for none."""
    codes, posture = np.empty((len(windows), card.dim), np.int8), card.posture
    for first in range(0, len(windows), CHUNK):
        rows = slice(first, first + CHUNK)
        features, upright = card.front_end.apply(windows.data[rows])
        codes[rows, : card.motion_dim] = network(np.ascontiguousarray(card.input.quantize(features))[:, None])
        codes[rows, card.motion_dim :] = posture.quantize(upright)
    return SignatureBatch(windows.start_ns, codes, windows.quality, windows.hop_ns, card.spec)


def check_network(card: ModelCard, given: Border, made: Border) -> None:
    """Hold a network's input and output against the card: a card for another network would give plausible nonsense.

    Raises ModelError.
    """
    shapes = ([1, 1, card.length, card.input.dim], [1, card.motion_dim])
    groups = (card.input.groups[0], card.motion.groups[0])
    for name, border, shape, (_, scale, zero_point) in zip(
        ("input", "output"), (given, made), shapes, groups, strict=True
    ):
        same = np.isclose(border.scale, scale, rtol=1e-6) and border.zero_point == zero_point
        if border.kind != "int8" or border.shape != shape or not same:
            raise ModelError(
                f"{card.path / MODEL_NAME}: expected {name} int8 {shape} with scale {scale} and zero point "
                f"{zero_point} as in the card, got {border.kind} {border.shape} with {border.scale} and "
                f"{border.zero_point}"
            )
