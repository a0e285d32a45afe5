"""What a scan from /dev/iio:deviceN holds: type strings, layout, decoding.

The kernel describes each channel of a scan by a string such as `le:s12/16>>4` or `be:u24/32X2>>8`: byte order, sign or
float, bits that count, bits stored, how often repeated, shift (Documentation/iio/iio_devbuf.rst). The other bits may
hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import SensorError

_TYPE = re.compile(r"(be|le):([sufSUF])(\d+)/(\d+)(?:X(\d+))?(?:>>(\d+))?")


@dataclass(frozen=True)
class ScanType:
    """One channel's type string, taken apart. kind: "s" two's complement, "u" unsigned, "f" IEEE 754."""

    little: bool
    kind: str
    bits: int
    storage_bits: int
    repeat: int
    shift: int

    @property
    def size(self) -> int:
        """Bytes in a scan; its offset there is a multiple of this, too (industrialio-buffer.c)."""
        return self.storage_bits // 8 * self.repeat


def parse_type(text: str, where: str = "type") -> ScanType:
    """Return a `*_type` attribute as a ScanType; raise SensorError for one that numpy cannot read."""
    match = _TYPE.fullmatch(text.strip())
    if match:
        kind = match[2].lower()
        bits, storage, repeat, shift = (int(number or 0) for number in match.groups()[2:])
        fits = shift == 0 and bits == storage > 8 if kind == "f" else 0 < bits <= storage - shift
        if storage in (8, 16, 32, 64) and fits:
            return ScanType(match[1] == "le", kind, bits, storage, max(repeat, 1), shift)
    raise SensorError(f"{where}: expected a channel type such as le:s12/16>>4, got {text.strip()!r}")


@dataclass(frozen=True)
class Channel:
    """A channel that is part of each scan. index: its place among them."""

    name: str
    index: int
    type: ScanType


def scan_dtype(channels: Iterable[Channel]) -> np.dtype[np.void]:
    """Return the layout of a scan, a field of words for each channel.

    In order of index; each begins at a multiple of its own size, and the whole is padded to one of the largest
    (drivers/iio/industrialio-buffer.c, iio_compute_scan_bytes).
    """
    names, formats, offsets = [], [], []
    end, largest = 0, 1
    for channel in sorted(channels, key=lambda channel: channel.index):
        kind = channel.type
        letter = "f" if kind.kind == "f" else "u"
        start = -(-end // kind.size) * kind.size
        names.append(channel.name)
        offsets.append(start)
        formats.append((f"{'<' if kind.little else '>'}{letter}{kind.storage_bits // 8}", (kind.repeat,)))
        end, largest = start + kind.size, max(largest, kind.size)
    size = -(-end // largest) * largest
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def decode(words: NDArray[np.generic], kind: ScanType) -> NDArray[np.generic]:
    """Return the numbers that words of a field stand for: int64; uint64 if unsigned; as they are if floats."""
    if kind.kind == "f":
        return words.astype(words.dtype.newbyteorder("="))
    # Shifted up to the top, then down: the bits above those that count fall off, and the sign is filled in.
    raw = words.astype(np.uint64) << np.uint64(64 - kind.shift - kind.bits)
    down = 64 - kind.bits
    return raw >> np.uint64(down) if kind.kind == "u" else raw.view(np.int64) >> np.int64(down)
