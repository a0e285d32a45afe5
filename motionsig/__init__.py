"""Motion-sensor data to int8 motion signatures.

    signatures = motionsig.extract(data, rate_hz=100)   # data (n, 6): m/s² and rad/s
    signatures.codes                                    # (k, 64) int8

The names below are the public surface. Each is imported when it is first used, so that `import motionsig` costs nearly
nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from motionsig.blocks import (
        Quality,
        SampleBlock,
        SignatureBatch,
        Source,
        SourceInfo,
        WindowBatch,
        concatenate,
        sample_block,
    )
    from motionsig.encoders import Encoder, open_encoder
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
    from motionsig.model_card import ModelCard
    from motionsig.pipeline import Summary, extract, run, signature_stream_id, signatures
    from motionsig.publishers import Sink, open_sink, read_signatures
    from motionsig.recordings import Reader, open_recording
    from motionsig.recordings.native import Recorder
    from motionsig.resampling import Resampler
    from motionsig.sensors import open_sensor
    from motionsig.transformer import Signatures
    from motionsig.windowing import Windower

    __version__: str

__all__ = [
    "ConfigError",
    "Encoder",
    "EncoderError",
    "InputError",
    "MissingExtraError",
    "ModelCard",
    "ModelError",
    "MotionsigError",
    "Quality",
    "Reader",
    "Recorder",
    "RecordingError",
    "Resampler",
    "SampleBlock",
    "SensorError",
    "SignatureBatch",
    "Signatures",
    "Sink",
    "SinkError",
    "Source",
    "SourceInfo",
    "Summary",
    "WindowBatch",
    "Windower",
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
    "signatures",
]

_HOME = {
    "motionsig.blocks": (
        "Quality", "SampleBlock", "SignatureBatch", "Source", "SourceInfo", "WindowBatch", "concatenate",
        "sample_block",
    ),
    "motionsig.encoders": ("Encoder", "open_encoder"),
    "motionsig.errors": (
        "ConfigError", "EncoderError", "InputError", "MissingExtraError", "ModelError", "MotionsigError",
        "RecordingError", "SensorError", "SinkError", "WireError",
    ),
    "motionsig.model_card": ("ModelCard",),
    "motionsig.pipeline": ("Summary", "extract", "run", "signature_stream_id", "signatures"),
    "motionsig.publishers": ("Sink", "open_sink", "read_signatures"),
    "motionsig.recordings": ("Reader", "open_recording"),
    "motionsig.recordings.native": ("Recorder",),
    "motionsig.resampling": ("Resampler",),
    "motionsig.sensors": ("open_sensor",),
    "motionsig.transformer": ("Signatures",),
    "motionsig.windowing": ("Windower",),
}  # fmt: skip

__all__ = sorted(name for names in _HOME.values() for name in names)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("motionsig")
    for home, names in _HOME.items():
        if name in names:
            import importlib

            value = getattr(importlib.import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'motionsig' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
