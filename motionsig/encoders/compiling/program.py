"""Read what edgetpu_compiler put into its operator: a FlexBuffer map with a DarwiNN package, a FlatBuffer.

Keys and fields are those of google-coral/libedgetpu: tflite/custom_op_data.cc and executable/executable.fbs.
"""

from __future__ import annotations

from dataclasses import dataclass

from motionsig.encoders.flatbuffer import FlatBuffer
from motionsig.encoders.tflite import Operator, printable
from motionsig.errors import ModelError

_EXECUTABLE = b"4"
_IDENTIFIER = b"DWN1"
_PARAMETER_CACHING = 1

_STRING, _MAP = 5, 9
"""Types of flatbuffers/flexbuffers.h."""

_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_MOST_KEYS = 64


@dataclass(frozen=True)
class Program:
    """What one operator runs on the Edge TPU.

    min_runtime: the oldest Edge TPU runtime that takes it. cached_bytes: parameters that are loaded once and stay;
    streamed_bytes: those that travel again at each call.
    """

    min_runtime: int
    compiler: str
    cached_bytes: int
    streamed_bytes: int


def read_program(operator: Operator) -> Program | None:
    """Return what an edgetpu-custom-op holds, or None where it is not as the Edge TPU runtime's source has it."""
    try:
        content = _string_of_map(FlatBuffer(operator.custom_options.tobytes()), _EXECUTABLE)
        if content[4:8] != _IDENTIFIER:
            return None
        program = FlatBuffer(content).root()
        cached = streamed = 0
        inside = FlatBuffer(program.data(1))
        for string in inside.root().tables(0) if inside.content else ():
            # Unlike a table, a string has its length at its place.
            content = inside.array(string.place, "u1").tobytes()
            inside.spend(len(content))
            executable = FlatBuffer(content).root()
            size = len(executable.array(6, "u1"))
            if executable.number(13, "h") == _PARAMETER_CACHING:
                cached += size
            else:
                streamed += size
        compiler = printable(program.data(4).decode("ascii", "replace"))
        return Program(program.number(0, "i"), compiler, cached, streamed)
    except ModelError:
        return None


def _string_of_map(buffer: FlatBuffer, key: bytes) -> bytes:
    """Return the string under `key` in the map that a FlexBuffer is. Raises ModelError where there is none."""
    end = len(buffer.content)
    root, kind = end - 2 - buffer.number(end - 1, "B"), buffer.number(end - 2, "B")
    if kind >> 2 != _MAP:
        raise ModelError(f"expected a map, got type {kind >> 2}")
    # The values, their number before them, and before that where the keys are; after them a type for each.
    values, width = _behind(buffer, root, end - 2 - root), 1 << (kind & 3)
    count, keys_width = (_number(buffer, values - part * width, width) for part in (1, 2))
    keys = _behind(buffer, values - 3 * width, width)
    for index in range(min(count, _MOST_KEYS)):
        if buffer.content.startswith(key + b"\0", _behind(buffer, keys + index * keys_width, keys_width)):
            kind = buffer.number(values + count * width + index, "B")
            if kind >> 2 != _STRING:
                raise ModelError(f"expected a string, got type {kind >> 2}")
            start, size_width = _behind(buffer, values + index * width, width), 1 << (kind & 3)
            return buffer.content[start : start + _number(buffer, start - size_width, size_width)]
    raise ModelError(f"expected the key {key!r}, got a map without it")


def _behind(buffer: FlatBuffer, place: int, width: int) -> int:
    """Return where the offset at `place` leads; FlexBuffers have what is referred to in front of the reference."""
    target = place - _number(buffer, place, width)
    if target < 0:
        raise ModelError(f"expected an offset back from {place}, got one to {target}")
    return target


def _number(buffer: FlatBuffer, place: int, width: int) -> int:
    if width not in _WIDTHS:
        raise ModelError(f"expected a width of 1, 2, 4 or 8 bytes, got {width}")
    return buffer.number(place, _WIDTHS[width])
