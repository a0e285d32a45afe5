"""What can go wrong. Each class is also the built-in exception that a caller would have caught anyway.

Every message says what was expected, what was got and where (file and line, key, address).
"""

from __future__ import annotations

from typing import Any


class MotionsigError(Exception):
    """Whatever motionsig raises on purpose: the base of all other errors here.

    >>> try:
    ...     motionsig.open_recording("run.csv")
    ... except motionsig.MotionsigError as error:
    ...     print(type(error).__name__, "in", error)
    RecordingError in run.csv: expected a readable recording, got: No such file or directory
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Have pickle restore it without `__init__`, which may take more than a text: errors come from workers, too."""
        made: Any = super().__reduce__()
        return (_remade, made[:2], *made[2:])


class InputError(MotionsigError, ValueError):
    """An array, an option or a URL that a function cannot use; also a ValueError.

    >>> try:
    ...     motionsig.extract(data / 9.81, rate_hz=100)
    ... except motionsig.InputError as error:
    ...     print(error)
    data: expected |acc| near 9.81 m/s², got ... m/s² on average; this looks like g: multiply acc by 9.80665 ...
    """


class ConfigError(MotionsigError, ValueError):
    """A configuration of the service that cannot be used; its text has a line for each problem. Also a ValueError.

    >>> from pathlib import Path
    >>> from motionsig.config import load_config
    >>> file = Path("config.toml")
    >>> _ = file.write_text('sink.url = "s3://mine"')
    >>> try:
    ...     load_config(file)
    ... except motionsig.ConfigError as error:
    ...     print(error)
    config.toml: sink.url: expected mqtt://HOST[:PORT], the same with mqtts, ws or wss, mqtt+unix:/PATH, ...
    """

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems, one text each: file, key, what was expected, what was got."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(self.args)


class RecordingError(MotionsigError, ValueError):
    """A recording that cannot be read, or that would be read wrongly; also a ValueError.

    >>> np.savetxt("walk.csv", data, delimiter=",")
    >>> try:
    ...     motionsig.open_recording("walk.csv")
    ... except motionsig.RecordingError as error:
    ...     print(error)
    walk.csv: expected a log that says all that is needed, got one that leaves open columns, rate_hz, gyr_unit: ...
    """


class SensorError(MotionsigError, OSError):
    """A sensor that cannot be found, configured or read; also an OSError.

    >>> try:
    ...     motionsig.open_sensor("lsm6dsox", bus=99)
    ... except motionsig.SensorError as error:
    ...     print(error)
    /dev/i2c-99: expected to open it, got: No such file or directory; see `motionsig doctor`
    """


class ModelError(MotionsigError, ValueError):
    """A model that is not there, or whose files, card and use do not agree; also a ValueError.

    >>> try:
    ...     motionsig.open_encoder("motion65")
    ... except motionsig.ModelError as error:
    ...     print(error)
    model: expected one of motion64 or a folder with a card.json, got 'motion65'; did you mean motion64?
    """


class HeadError(MotionsigError, ValueError):
    """A head that is not there, whose files are damaged or no head's, or that belongs to another encoder.

    Also a ValueError.

    >>> try:
    ...     motionsig.open_head("sleepwalking")
    ... except motionsig.HeadError as error:
    ...     print(error)
    head: expected one of ... or a folder with a head.json, got 'sleepwalking'; did you mean walking?
    """


class EncoderError(MotionsigError, RuntimeError):
    """A device or runtime that cannot run the network, or an encoder that was closed; also a RuntimeError.

    >>> encoder = motionsig.open_encoder()
    >>> encoder.close()
    >>> try:
    ...     motionsig.extract(data, rate_hz=100, encoder=encoder)
    ... except motionsig.EncoderError as error:
    ...     print(error)
    motion64: expected an open encoder, got one that was closed
    """


class WireError(MotionsigError, ValueError):
    """Bytes that are not a message of signatures, from `motionsig.wire.decode`; also a ValueError.

    >>> from motionsig import wire
    >>> try:
    ...     wire.decode(b"hello")
    ... except motionsig.WireError as error:
    ...     print(error)
    message: expected to begin with d9d9f7, got 68656c
    """


class SinkError(MotionsigError, OSError):
    """A sink that cannot be opened, take, keep or deliver signatures, or a store that cannot be read; also an OSError.

    >>> try:
    ...     motionsig.read_signatures("store:mine.db")
    ... except motionsig.SinkError as error:
    ...     print(error)
    store:mine.db: no such file
    """


class MissingExtraError(MotionsigError, ImportError):
    """A library that only this call needs is not installed; the text says how to install it. Also an ImportError.

    >>> try:
    ...     table = signatures.to_pandas()
    ... except motionsig.MissingExtraError as error:
    ...     table = signatures.codes  # without pandas, the codes alone
    >>> len(table)
    6
    """


def _remade(kind: type[MotionsigError], args: tuple[Any, ...]) -> MotionsigError:
    error = kind.__new__(kind, *args)
    error.args = error.args or args  # of an OSError with an `__init__` of its own they are set there
    return error
