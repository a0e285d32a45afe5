"""From windows to signatures: which model, on which device.

An encoder is a front end on the host and an int8 network in a runtime. `open_encoder` finds the model, checks it
against its card and picks the runtime.
"""

from __future__ import annotations

from typing import Protocol

from motionsig.blocks import SignatureBatch, WindowBatch
from motionsig.closing import Closing
from motionsig.encoders.golden import golden_distance
from motionsig.encoders.models import DEFAULT_MODEL, find_model, model_folders, shipped_models
from motionsig.encoders.opening import DEVICES, check_device, open_encoder
from motionsig.model_card import ModelCard

__all__ = [
    "DEFAULT_MODEL", "DEVICES", "Encoder",
    "check_device", "find_model", "golden_distance", "model_folders", "open_encoder", "shipped_models",
]  # fmt: skip


class Encoder(Closing, Protocol):
    """Stateless: each signature depends on its own window alone. `device` says what runs the network now.

    A context manager; left unclosed, it lets go of its device when it is no longer referred to.
    """

    @property
    def card(self) -> ModelCard: ...

    @property
    def device(self) -> str: ...

    def encode(self, windows: WindowBatch) -> SignatureBatch: ...
