"""What a format is: how it is recognised, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from motionsig.blocks import Source


@dataclass(frozen=True)
class Reader:
    """A format of recordings; an entry point of the group `motionsig.readers` names one.

    name: of the format, for messages. recognises(path, head): how sure it is that the file or folder at `path` has this
    format; `head` is a file's first 64 KiB, b"" for a folder. 0: it has not; 1: the general shape fits, as of any table
    of numbers; 2: the layout of one application; 3: a signature that no other format has. It must not raise for bytes
    it does not know. open(path, **options): return the recording as a Source; raise RecordingError. Its keyword-only
    parameters are the options that `open_recording` takes for this format; text from a command line becomes the type
    that a parameter is annotated with (str, int, float, bool, Mapping).
    """

    name: str
    recognises: Callable[[Path, bytes], int] = field(repr=False)
    open: Callable[..., Source] = field(repr=False)
