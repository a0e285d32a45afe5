"""Heads of the shipped encoder that need no teaching: whether a device moves, and whether it lies still."""

from __future__ import annotations

import numpy as np

from motionsig.encoders import find_model
from motionsig.heads.card import HIGHEST, LOWEST, STATE, HeadCard, Taught, Timing, Weights


def moving(name: str = "moving", **more: object) -> HeadCard:
    """Return a state that holds while anything moves."""
    return _state(name, LOWEST, **more)


def still(name: str = "still", **more: object) -> HeadCard:
    """Return a state that holds while nothing moves."""
    return _state(name, HIGHEST, **more)


def _state(name: str, at_rest: str, **more: object) -> HeadCard:
    weights = Weights(np.zeros((0, 64), np.int8), np.zeros(0), np.zeros(0))
    taught = Taught(np.zeros((0, 64), np.int8), np.zeros(0, np.uint16), np.zeros((0, 64), np.int8))
    settings = {
        "kind": STATE, "is_state": True, "encoder": find_model().fingerprint, "codes": (0, 64), "hop_ns": 160_000_000,
        "at_rest": at_rest, "timing": Timing(0.5, 0.5), "weights": weights, "taught": taught,
    }  # fmt: skip
    return HeadCard(name=name, **settings | more)  # type: ignore[arg-type]
