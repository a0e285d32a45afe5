"""What can go wrong, each class also the builtin a caller would have caught anyway.

Every message names what was expected, what was got and where (file and line, key, address).
"""


class MotionsigError(Exception):
    """Anything motionsig raises on purpose."""


class InputError(MotionsigError, ValueError):
    """An array, option or URL that cannot mean what the caller hoped."""


class ConfigError(MotionsigError, ValueError):
    """A configuration that cannot be used; one argument for each problem in it, and one line for each in its text."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong: file, key, expected, got."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(self.args)


class RecordingError(MotionsigError, ValueError):
    """A recording that cannot be read, or that would be read wrongly."""


class SensorError(MotionsigError, OSError):
    """A sensor that cannot be found, configured or read."""


class ModelError(MotionsigError, ValueError):
    """A model whose files, card and use do not agree."""


class EncoderError(MotionsigError, RuntimeError):
    """The inference runtime refused or failed."""


class WireError(MotionsigError, ValueError):
    """Bytes that are not a motionsig message."""


class SinkError(MotionsigError, OSError):
    """A sink that cannot take, keep or deliver signatures."""


class MissingExtraError(MotionsigError, ImportError):
    """An optional dependency is not installed; the message names the extra."""
