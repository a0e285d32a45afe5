"""The windows that come with a model, run to see whether a device makes of them what it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from motionsig.blocks import Quality, WindowBatch

if TYPE_CHECKING:
    from motionsig.encoders import Encoder


def golden_distance(encoder: Encoder) -> tuple[int, int]:
    """Return by how many steps the golden windows' codes are off at most, and by how many they may be on this device.

    Raises ModelError for damaged golden windows, EncoderError if the device fails.
    """
    windows, codes, tolerance = encoder.card.golden()
    made = encoder.encode(WindowBatch(np.arange(len(windows)), windows, np.zeros(len(windows), np.uint8), 1))
    if (made.quality & Quality.EDGE_TPU).any():
        from motionsig.encoders.edgetpu.worker import MOST_OFF

        tolerance = max(tolerance, MOST_OFF)
    return int(np.abs(made.codes.astype(int) - codes).max()), tolerance
