"""Motion-sensor data to int8 motion signatures.

These names are the public surface:

* `extract` makes signatures of samples in memory; `Signatures` does so in a pipeline of scikit-learn.
* `open_recording` and `open_sensor` open a `Source`; its `SourceInfo` says what it is. `Recorder` writes a log. A class
  of your own can be a `Source`, too, and a `Reader` opens a file format of your own.
* `run` reads a source, encodes it and hands the signatures to a sink; it returns a `Summary`. `signatures` is the same
  loop as an iterator. Both take an `Encoder`, which `open_encoder` opens; its `ModelCard` says what the model takes and
  makes.
* A loop of your own has the same steps: `sample_block` makes a `SampleBlock` of arrays, a `Resampler` puts it on the
  model's grid, a `Windower` makes a `WindowBatch` of that, and `Encoder.encode` makes a `SignatureBatch`.
* A `SignatureBatch` holds signatures; `Quality` says how each came to be; `concatenate` joins batches.
* `open_sink` opens a `Sink`, which stores or sends signatures; `read_signatures` reads a store or a file again. With
  `signature_stream_id`, a second run of the same recording stores nothing twice.
* An `Event` is what a head found in signatures; a sink takes events, too, and `read_events` reads them again.
* A `Head` turns signatures into events; `teach` makes one from a few performances, and `open_head` opens it. `watch`
  does so with a sensor, a log or what is stored.
* Every error is a `MotionsigError`; its text says what was expected, what was got, and where.

`motionsig.conventions` has the units, the axes and the words. Each name is imported when it is first used, so that
`import motionsig` costs nearly nothing.

Every name has an example, which starts in an empty folder, after these lines:

>>> import numpy as np
>>> import motionsig
>>> data = np.random.default_rng(0).normal(0, 1, (1000, 6)) + [0, 0, 9.81, 0, 0, 0]  # 10 s at 100 Hz: m/s², rad/s
>>> np.savez("walk.npz", acc_mps2=data[:, :3], gyr_rads=data[:, 3:], rate_hz=100)
>>> signatures = motionsig.extract(data, rate_hz=100)
>>> signatures
SignatureBatch(6 signatures from 1970-01-01T00:00:00.000Z, 48 motion + 16 posture codes every 1.28 s, encoder ...)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from motionsig.blocks import (
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
        HeadError,
        InputError,
        MissingExtraError,
        ModelError,
        MotionsigError,
        RecordingError,
        SensorError,
        SinkError,
        WireError,
    )
    from motionsig.events import Event
    from motionsig.heads import Head, open_head
    from motionsig.model_card import ModelCard
    from motionsig.pipeline import Summary, extract, run, signature_stream_id, signatures
    from motionsig.publishers import Sink, open_sink, read_events, read_signatures
    from motionsig.quality import Quality
    from motionsig.recordings import Reader, open_recording
    from motionsig.recordings.native import Recorder
    from motionsig.resampling import Resampler
    from motionsig.sensors import open_sensor
    from motionsig.teaching import teach
    from motionsig.transformer import Signatures
    from motionsig.watching import watch
    from motionsig.windowing import Windower

    __version__: str

__all__ = [
    "ConfigError",
    "Encoder",
    "EncoderError",
    "Event",
    "Head",
    "HeadError",
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
    "open_head",
    "open_recording",
    "open_sensor",
    "open_sink",
    "read_events",
    "read_signatures",
    "run",
    "sample_block",
    "signature_stream_id",
    "signatures",
    "teach",
    "watch",
]

_HOME = {
    "motionsig.blocks": (
        "SampleBlock", "SignatureBatch", "Source", "SourceInfo", "WindowBatch", "concatenate", "sample_block",
    ),
    "motionsig.encoders": ("Encoder", "open_encoder"),
    "motionsig.errors": (
        "ConfigError", "EncoderError", "HeadError", "InputError", "MissingExtraError", "ModelError", "MotionsigError",
        "RecordingError", "SensorError", "SinkError", "WireError",
    ),
    "motionsig.events": ("Event",),
    "motionsig.heads": ("Head", "open_head"),
    "motionsig.model_card": ("ModelCard",),
    "motionsig.pipeline": ("Summary", "extract", "run", "signature_stream_id", "signatures"),
    "motionsig.publishers": ("Sink", "open_sink", "read_events", "read_signatures"),
    "motionsig.quality": ("Quality",),
    "motionsig.recordings": ("Reader", "open_recording"),
    "motionsig.recordings.native": ("Recorder",),
    "motionsig.resampling": ("Resampler",),
    "motionsig.sensors": ("open_sensor",),
    "motionsig.teaching": ("teach",),
    "motionsig.transformer": ("Signatures",),
    "motionsig.watching": ("watch",),
    "motionsig.windowing": ("Windower",),
}  # fmt: skip

__all__ = sorted(name for names in _HOME.values() for name in names)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from motionsig.version import VERSION

        return VERSION
    for home, names in _HOME.items():
        if name in names:
            import importlib

            value = getattr(importlib.import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'motionsig' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
