"""Motion-sensor data to int8 motion signatures.

    signatures = motionsig.extract(data, rate_hz=100)   # data (n, 6): m/s² and rad/s
    signatures.codes                                    # (k, 64) int8

The names below are the public surface. They are imported when first used: `import motionsig` costs what numpy costs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from motionsig.blocks import Quality, SampleBlock, SignatureBatch, SourceInfo, WindowBatch, concatenate, sample_block
from motionsig.errors import (
    ConfigError,
    EncoderError,
    InputError,
    MissingExtraError,
    ModelError,
    MotionsigError,
    RecordingError,
    SensorError,
    SinkError,
    WireError,
)

if TYPE_CHECKING:
    from motionsig.encoders import open_encoder
    from motionsig.model_card import ModelCard
    from motionsig.pipeline import Summary, extract, run, signature_stream_id
    from motionsig.publishers import open_sink, read_signatures
    from motionsig.recordings import open_recording
    from motionsig.recordings.native import Recorder
    from motionsig.sensors import open_sensor

__all__ = [
    "ConfigError",
    "EncoderError",
    "InputError",
    "MissingExtraError",
    "ModelCard",
    "ModelError",
    "MotionsigError",
    "Quality",
    "Recorder",
    "RecordingError",
    "SampleBlock",
    "SensorError",
    "SignatureBatch",
    "SinkError",
    "SourceInfo",
    "Summary",
    "WindowBatch",
    "WireError",
    "concatenate",
    "extract",
    "open_encoder",
    "open_recording",
    "open_sensor",
    "open_sink",
    "read_signatures",
    "run",
    "sample_block",
    "signature_stream_id",
]

_LAZY = {
    "open_encoder": "motionsig.encoders",
    "ModelCard": "motionsig.model_card",
    "Summary": "motionsig.pipeline",
    "extract": "motionsig.pipeline",
    "run": "motionsig.pipeline",
    "signature_stream_id": "motionsig.pipeline",
    "open_sink": "motionsig.publishers",
    "read_signatures": "motionsig.publishers",
    "Recorder": "motionsig.recordings.native",
    "open_recording": "motionsig.recordings",
    "open_sensor": "motionsig.sensors",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'motionsig' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
