"""Prints with a name before each value, as in `aX = 0.01 | aY = 0.02` or `AX:-164,AY:20`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_NUMBER = r"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|nan|inf|ovf)"
_VALUE = re.compile(rf"(?<![\w.]){_NUMBER}(?![\w.])", re.ASCII)
_SPACES = re.compile(r"\s+")
_LETTER = re.compile(r"[^\W\d_]")
_AXES = ("x", "y", "z")
_LOOKED_AT = 400
_LONGEST = 1000
_MOST = 64
_SIX = ("ax", "ay", "az", "gx", "gy", "gz")


@dataclass(frozen=True)
class Labelled:
    """The text between the values, the same in each row: `pattern` matches a row and has a group for each value.

    `begins`: the first word of a row. `assumed`: what the values are was not written, but is the custom.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    assumed: bool
    begins: str
    pattern: re.Pattern[str] = field(repr=False)

    def cells(self, line: str) -> list[str]:
        """Return the values of a row, or nothing where the line is written in another way."""
        match = self.pattern.fullmatch(line.strip())
        return list(match.groups()) if match else []

    def unlabelled(self, lines: bytes) -> bytes | None:
        """Return whole lines with commas in place of the labels; None where a line is written in another way."""
        rows = []
        for line in lines.decode().split("\n"):
            if match := self.pattern.fullmatch(line.strip()):
                rows.append(",".join(match.groups()))
            elif line.strip():
                return None
            else:
                rows.append("")
        return "\n".join(rows).encode()


class FoundLabelled(NamedTuple):
    """How the rows are labelled, the line of the first of them, their width, and their values."""

    how: Labelled
    start: int
    width: int
    rows: list[list[str]]


def find_labelled(lines: Sequence[str], *, rows_found: int) -> FoundLabelled | None:
    """Return how values are labelled where at least three of them have labels on more lines than are plain rows."""
    between: Counter[tuple[str, ...]] = Counter()
    starts: dict[tuple[str, ...], int] = {}
    for index, line in enumerate(lines[:_LOOKED_AT]):
        if not line.strip() or len(line) > _LONGEST or not _LETTER.search(line):
            continue
        texts = tuple(_SPACES.sub(" ", text) for text in _VALUE.split(line.strip()))
        if 4 <= len(texts) <= _MOST:
            between[texts] += 1
            starts.setdefault(texts, index)
    if not between:
        return None
    texts, count = between.most_common(1)[0]
    lettered = [bool(_LETTER.search(text)) for text in texts[:-1]]
    group = lettered[0] and not any(lettered[1:]) and texts[0].rstrip().endswith(":")
    if count < 2 or count < rows_found or not (sum(lettered) >= 3 or group):
        return None
    names, units, assumed = _names(texts)
    # Every two values have something between them that is no part of a number, so that there is one way to match.
    literals = [r"\s*".join(map(re.escape, text.split())) for text in texts]
    joints = [rf"\s*{literal}\s*" if literal else r"\s+" for literal in literals[1:-1]]
    pattern = rf"{literals[0]}\s*" + "".join(f"({_NUMBER}){joint}" for joint in [*joints, rf"\s*{literals[-1]}"])
    how = Labelled(names, units, assumed, texts[0].split()[0] if texts[0].strip() else "", re.compile(pattern, re.ASCII))
    rows = [cells for line in lines[starts[texts] :] if (cells := how.cells(line))]
    return FoundLabelled(how, starts[texts], len(names), rows)


def _names(texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return names and units of the values from the texts between them, and whether an order had to be assumed."""
    names: list[str] = []
    units: list[str] = []
    group = ""
    for before, after in zip(texts, texts[1:], strict=False):
        # What follows the last separator names the value; what precedes the first is the unit of the one before.
        parts = re.split(r"[,;|\t]| {2,}", before)
        said = parts[-1].strip(" =:")
        if not said and len(parts) > 1 and not names:
            said = parts[0].strip(" =:")
        if "=" in said:
            said = said.rpartition(" ")[2]
        words = [word for word in re.split(r"[\s:=]+", said) if word]
        if len(words) > 1 and words[-1].lower() in _AXES:
            group, said = " ".join(words[:-1]), " ".join(words)
        elif said.lower() in _AXES and group:
            said = f"{group} {said}"
        elif words:
            group = said
        names.append(said)
        unit = re.split(r"[,;|]", after)[0].strip()
        units.append(unit if unit and ("," in after or "|" in after or ";" in after or after is texts[-1]) else "")
    assumed = False
    if len(names) == len(_SIX) and names[0].lower() in ("a/g", "") and not any(names[1:]):
        return _SIX, tuple(units), True
    for at in range(len(names) - 2):
        if names[at] and not names[at + 1] and not names[at + 2] and (at + 3 == len(names) or names[at + 3]):
            names[at : at + 3] = [f"{names[at]} {axis}" for axis in _AXES]
            assumed = True
    return tuple(names), tuple(units) if any(units) else (), assumed
