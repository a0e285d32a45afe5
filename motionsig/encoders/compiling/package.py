"""Read what edgetpu_compiler put into its operator: a FlexBuffer map with a FlatBuffer inside, a DarwiNN package.

Keys and fields are those of google-coral/libedgetpu: tflite/custom_op_data.cc and executable/executable.fbs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from motionsig.encoders.compiling.graph import Operator, printable
from motionsig.encoders.tflite import Table
from motionsig.errors import ModelError

_EXECUTABLE = "4"
_IDENTIFIER = b"DWN1"
_PARAMETER_CACHING = 1


@dataclass(frozen=True)
class Package:
    """What one operator runs on the Edge TPU.

    min_runtime: the oldest Edge TPU runtime that takes it. cached_bytes: parameters that are loaded once and stay;
    streamed_bytes: those that travel again at each call.
    """

    min_runtime: int
    compiler: str
    cached_bytes: int
    streamed_bytes: int


def read_package(operator: Operator) -> Package | None:
    """Return what an edgetpu-custom-op holds, or None where it is not as the Edge TPU runtime's source has it."""
    from flatbuffers import flexbuffers  # a dependency of the package `tflite`

    try:
        content = flexbuffers.GetRoot(operator.custom_options).AsMap[_EXECUTABLE].AsStringBytes
        if content[4:8] != _IDENTIFIER:
            return None
        package = _root(content)
        cached = streamed = 0
        inside = package.numbers(1, "u1")
        for string in _root(bytes(inside)).tables(0) if len(inside) else ():
            executable = _root(_text(string))
            size = len(executable.numbers(6, "u1"))
            if executable.number(13, "h") == _PARAMETER_CACHING:
                cached += size
            else:
                streamed += size
        stated = package.table(4)
        compiler = printable(_text(stated).decode("ascii", "replace")) if stated else ""
        return Package(package.number(0, "i"), compiler, cached, streamed)
    # What a wild length or type in a FlexBuffer ends in.
    except (struct.error, ValueError, TypeError, LookupError, OverflowError, AssertionError, ModelError):
        return None


def _root(file: bytes) -> Table:
    return Table(file, struct.unpack_from("<I", file)[0])


def _text(string: Any) -> bytes:
    """Return a FlatBuffers string; unlike a table, its place holds its length."""
    (length,) = struct.unpack_from("<I", string.file, string.place)
    start = string.place + 4
    content: bytes = string.file[start : start + length]
    return content
