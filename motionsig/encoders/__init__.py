"""From windows to signatures: which model, on which device.

An encoder is a front end on the host and an int8 network in a runtime. `open_encoder` finds the model, checks it
against its card and picks the runtime.
"""

from __future__ import annotations

from motionsig.encoders.host import Encoder, check_golden
from motionsig.encoders.models import DEFAULT_MODEL, DEVICES, find_model, model_folders, open_encoder, shipped_models

__all__ = [
    "DEFAULT_MODEL", "DEVICES", "Encoder",
    "check_golden", "find_model", "model_folders", "open_encoder", "shipped_models",
]  # fmt: skip
