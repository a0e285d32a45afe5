"""Logs of every format, damaged in ways that files are and in ways that somebody would try, and what comes of them."""

from __future__ import annotations

import gzip
import random
import re
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import MotionsigError
from motionsig.recordings import open_recording
from motionsig.recordings.understanding import UndecidedError

_TEXTS = (".csv", ".txt", ".json", ".tsv", ".jsonl", ".log", ".dat", "")
JUNK = (
    b"\0" * 9,
    b'"',
    b"\n\n",
    b"\r",
    b"\xff\xfe",
    b"#",
    b";",
    b",,,",
    b" " * 99,
    b"9" * 400,
    b"[{",
    b"}",
    b"\xef\xbb\xbf",
)
_NUMBERS = (
    b"nan",
    b"1e999",
    b"-1e300",
    b"0",
    b"",
    b"32767",
    b"9" * 30,
    b"0x1F",
    b"1e-320",
    b"inf",
    b"--",
    b"1,5",
    b"1.234,5",
)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_LARGEST_ACC, _LARGEST_GYR = 100 * STANDARD_GRAVITY, 100.0


def damaged(chance: random.Random, content: bytes, *, text: bool) -> bytes:
    """Return content with one to four damages."""
    if content[:2] == b"\x1f\x8b" and chance.random() < 0.7:
        return gzip.compress(damaged(chance, gzip.decompress(content), text=text), 1)
    found = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        _damage(chance, found, text=text)
    return bytes(found)


def _damage(chance: random.Random, content: bytearray, *, text: bool) -> None:
    # Heads and headers decide most: every third damage is there.
    at = chance.randrange((min(len(content), 600) if chance.random() < 0.33 else len(content)) + 1)
    end = min(len(content), at + chance.choice((1, 2, 4, 8, 80, 500)))
    match chance.randrange(12 if text else 7):
        case 0:
            content[at:at] = chance.choice(JUNK)
        case 1:
            del content[at:end]
        case 2:
            content[at:at] = content[at:end] * chance.choice((1, 3, 40))
        case 3:
            del content[at:]
        case 4:
            content[at:end] = chance.randbytes(end - at)
        case 5:
            content[at:end] = bytes((0, 255)[chance.random() < 0.5] for _ in range(end - at))
        case 6:
            for place in range(at, min(at + 1, len(content))):
                content[place] ^= 1 << chance.randrange(8)
        case 7 | 8:
            numbers = list(_NUMBER.finditer(content, at, min(len(content), at + 4000)))
            if numbers:
                each = chance.choice(numbers)
                content[each.start() : each.end()] = chance.choice(_NUMBERS)
        case _:
            _change_lines(chance, content)


def _change_lines(chance: random.Random, content: bytearray) -> None:
    """Change lines or columns: of other units, frozen, repeated, swapped, in another order."""
    lines = bytes(content).split(b"\n")
    separator = max((b",", b";", b"\t", b" "), key=lambda it: sum(line.count(it) for line in lines[:9]))
    first = chance.randrange(len(lines) + 1)
    last = min(len(lines), first + chance.choice((1, 9, 99, 9999)))
    part = lines[first:last]
    match chance.randrange(8):
        case 0:
            part = part * 2
        case 1:
            part = part[:1] * len(part)
        case 2:
            part = part[::-1]
        case 3:
            part = [*lines[:1], *part]
        case 4:
            part = [b"", *part, chance.choice((b"# boot", b"=====", b"Session 2", b"\x00", b"total,3"))]
        case _:
            cells = [line.split(separator) for line in part]
            width = len(lines[min(1, len(lines) - 1)].split(separator))
            one, other = chance.randrange(width), chance.randrange(width)
            factor = chance.choice((0.0, 1e-3, 57.3, 9.81, 1000.0, -1.0, 1e12))
            way = chance.randrange(4)
            for row in cells:
                if max(one, other) >= len(row):
                    continue
                if way == 0:
                    row[one], row[other] = row[other], row[one]
                elif way == 1:
                    row[one] = b""
                elif way == 2:
                    del row[one]
                elif _NUMBER.fullmatch(row[one].strip()):
                    row[one] = b"%g" % (float(row[one]) * factor)
            part = [separator.join(row) for row in cells]
    content[:] = b"\n".join([*lines[:first], *part, *lines[last:]])


def damaged_copy(seed: int, logs: Sequence[Path], folder: Path) -> Path:
    """Write a damaged copy of one of the logs into `folder`; return its path."""
    chance = random.Random(seed)
    log = logs[seed % len(logs)]
    target = folder / log.name
    if log.is_dir():
        shutil.copytree(log, target)
        victims = sorted(it for it in target.rglob("*") if it.is_file())
        victim = chance.choice(victims)
        if chance.random() < 0.03:
            victim.unlink()
            return target
    else:
        shutil.copyfile(log, target)
        victim = target
    victim.write_bytes(damaged(chance, victim.read_bytes(), text=victim.suffix.lower() in _TEXTS))
    return target


def outcome(path: Path) -> str:
    """Open a log and read it through, with the guesses where it is asked about; return what came of it.

    Raises AssertionError for samples that cannot be right, and whatever else the readers should not raise.
    """
    asked = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            try:
                source = open_recording(path)
            except UndecidedError as error:
                asked = "asked, "
                source = open_recording(path, **error.understanding.answers)
            _check(source)
        except MotionsigError as error:
            assert len(str(error)) < 8000, f"an error of {len(str(error))} letters"
            return asked + "refused"
    return asked + "read"


def _check(source: object) -> None:
    before = None
    for block in source:  # type: ignore[attr-defined]
        assert (np.diff(block.time_ns) > 0).all(), "times that run back within a block"
        if before is not None:
            assert block.gap or block.time_ns[0] > before.time_ns[-1], "times that run back without a gap"
        data = block.data[np.isfinite(block.data).all(axis=1)]
        assert (np.abs(data[:, :3]) <= _LARGEST_ACC).all(), f"acceleration of {np.abs(data[:, :3]).max():.4g} m/s²"
        assert (np.abs(data[:, 3:]) <= _LARGEST_GYR).all(), f"angular rate of {np.abs(data[:, 3:]).max():.4g} rad/s"
        before = block
