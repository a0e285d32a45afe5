"""Prints with a name before each value, as in `aX = 0.01 | aY = 0.02`, on one line for each sample or on several.

The text between the values is the same for each sample: that is how such a print is recognised, and what is checked of
every one of them.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from motionsig.recordings.names import is_unit

_NUMBER = r"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|nan|inf|ovf)"
_VALUE = re.compile(rf"(?<![\w.^]){_NUMBER}(?![\w.])", re.ASCII)
_BETWEEN = re.compile(r"[,;|\t\n]")
_LETTER = re.compile(r"[^\W\d_]")
_AXES = ("x", "y", "z")
_SIX = ("ax", "ay", "az", "gx", "gy", "gz")
_LOOKED_AT = 600
_LONGEST = 1000
_MOST_VALUES = 64
_MOST_LINES = 12
_OF_NUMBERS = b"0123456789+-. \t"
_SPACE, _TAB = b" \t"
_IN_NUMBERS = np.isin(np.arange(256), np.frombuffer(_OF_NUMBERS.strip(), np.uint8))


@dataclass(frozen=True)
class Labelled:
    """The text between the values of a sample: `pattern` matches a sample and has a group for each value.

    * `names`, `units`: of the values. `assumed`: the names are not written so, but are the custom.
    * `begins`: the text before the first value. `lines`: of the file for each sample.
    * `literals`: what stands before the values and after the last, without white space.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    assumed: bool
    begins: str
    lines: int
    literals: tuple[str, ...]
    pattern: re.Pattern[str] = field(repr=False)

    def cells(self, line: str) -> list[str]:
        """Return the values of a sample, or nothing where the line is written in another way."""
        match = self.pattern.fullmatch(line.strip())
        return list(match.groups()) if match else []

    def joined(self, lines: bytes) -> bytes:
        """Return samples that stand on several lines each on one; `lines` ends where a sample does."""
        begins = re.escape(self.begins.split()[0].encode())
        return re.sub(rb"\r?\n(?![ \t]*%s)" % begins, b" ", lines).rstrip(b" ") + b"\n"

    def unlabelled(self, lines: bytes) -> bytes | None:
        """Return whole lines with commas in place of the labels; None where a line is written in another way."""
        if (quickly := self._at_once(lines)) is not None:
            return quickly
        rows = []
        for line in lines.decode().split("\n"):
            if match := self.pattern.fullmatch(line.strip()):
                rows.append(",".join(match.groups()))
            elif line.strip():
                return None
            else:
                rows.append("")
        return "\n".join(rows).encode()

    def _at_once(self, lines: bytes) -> bytes | None:
        """Return the same where the values are plain numbers and each label has a letter or mark of its own."""
        literals = [literal.encode() for literal in self.literals]
        marks = [literal.translate(None, _OF_NUMBERS) for literal in literals]
        if not all(marks[1:-1]):
            return None
        # All that is no part of a number, of all lines: so labels that are missing or exchanged show.
        if lines.translate(None, _OF_NUMBERS) != (b"".join(marks) + b"\n") * lines.count(b"\n") or _split_number(lines):
            return None
        text = b"\n" + lines.translate(None, b" \t")
        for literal in sorted({*literals} - {b""}, key=len, reverse=True):
            text = text.replace(literal, b",")
        if literals[0]:
            text = text.replace(b"\n,", b"\n")
        if literals[-1]:
            text = text.replace(b",\n", b"\n")
        return text[1:]


def _split_number(lines: bytes) -> bool:
    """Tell whether white space stands between two characters that can be of numbers: it may not be taken away there."""
    text = np.frombuffer(lines, np.uint8)
    spaces = np.flatnonzero((text == _SPACE) | (text == _TAB))
    spaces = spaces[(spaces > 0) & (spaces < len(text) - 1)]
    before, after = text[spaces - 1], text[spaces + 1]
    # The first and the last of each run of white space: as many of these as of those, but at a text's ends.
    first = before[(before != _SPACE) & (before != _TAB)]
    last = after[(after != _SPACE) & (after != _TAB)]
    return len(first) != len(last) or bool((_IN_NUMBERS[first] & _IN_NUMBERS[last]).any())


class FoundLabelled(NamedTuple):
    """How the samples are labelled, the line of the first of them, and their values."""

    how: Labelled
    start: int
    rows: list[list[str]]


def find_labelled(lines: Sequence[str], *, rows_found: int) -> FoundLabelled | None:
    """Return how values are labelled, where most lines are so; rows_found: how many are plain rows of numbers."""
    looked_at = lines[:_LOOKED_AT]
    if not any(map(_LETTER.search, looked_at[len(looked_at) // 2 :])):
        return None  # lines with labels would be more than half of them
    shown = [(at, _texts(line)) for at, line in enumerate(looked_at) if line.strip() and len(line) <= _LONGEST]
    if len(shown) < 2:
        return None
    texts, count = Counter(texts for _, texts in shown).most_common(1)[0]
    if count >= 0.6 * len(shown):
        start = next(at for at, it in shown if it == texts)
        if _labels(texts) and count * 2 > min(rows_found, len(shown)):
            return _found(lines, texts, start, 1)
        return None
    return _in_blocks(lines, shown)


def _texts(line: str) -> tuple[str, ...]:
    """Return what stands before the values of a line and after the last."""
    line = re.sub(r" *\t\s*", "\t", line.strip())
    return tuple(_VALUE.split(re.sub(r" +", " ", line)))


def _labels(texts: Sequence[str]) -> bool:
    """Tell whether texts between values are labels: three with letters, or with letters and a colon before groups."""
    lettered = [text for text in texts[:-1] if _LETTER.search(text)]
    groups = texts[0] in lettered and all(text.rstrip().endswith((":", "=")) for text in lettered)
    return 4 <= len(texts) <= _MOST_VALUES and (len(lettered) >= 3 or groups)


def _in_blocks(lines: Sequence[str], shown: Sequence[tuple[int, tuple[str, ...]]]) -> FoundLabelled | None:
    """Return how values are labelled where each sample has several lines, which come again in the same order."""
    texts = [it for _, it in shown]
    for period in range(2, _MOST_LINES + 1):
        same = [one == other for one, other in zip(texts, texts[period:], strict=False)]
        if len(same) < 2 * period or sum(same) < 0.7 * len(same):
            continue
        first = next((at for at in range(len(same) - period) if all(same[at : at + period])), -1)
        if first < 0:
            continue
        block = texts[first : first + period]
        # A sample begins with a line that is like no other, after an empty line if there are any.
        unique = [
            at for at in range(period) if block[at][0].split() and sum(_alike(it, block[at]) for it in block) == 1
        ]
        after_blank = [at for at in unique if not lines[shown[first + at][0] - 1].strip()]
        if not unique:
            return None
        begin = first + (after_blank or unique)[0]
        joined = texts[begin]
        for other in texts[begin + 1 : begin + period]:
            joined = (*joined[:-1], joined[-1] + "\n" + other[0], *other[1:])
        if not _labels(joined):
            return None
        return _found(lines, joined, shown[begin][0], shown[begin + period][0] - shown[begin][0])
    return None


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    return one[0].split()[:1] == other[0].split()[:1]


def _found(lines: Sequence[str], texts: Sequence[str], start: int, per_sample: int) -> FoundLabelled:
    words = [text.split() for text in texts]
    escaped = [r"\s*".join(map(re.escape, each)) for each in words]
    # Every two values have something between them that is no part of a number, so that there is one way to match.
    joints = [rf"\s*{literal}\s*" if literal else r"\s+" for literal in escaped[1:-1]]
    # Marks alone after the last value may be the frame of the next sample, which the last one does not have.
    tail = rf"\s*{escaped[-1]}" if _LETTER.search(texts[-1]) else r"[^\w+\-.]*"
    pattern = rf"{escaped[0]}\s*" + "".join(f"({_NUMBER}){joint}" for joint in [*joints, tail])
    names, units, assumed = _names(texts)
    literals = tuple("".join(each) for each in words)
    how = Labelled(names, units, assumed, texts[0].strip(), per_sample, literals, re.compile(pattern, re.ASCII))
    body = [line for line in lines[start:] if len(line) <= _LONGEST]
    if per_sample > 1:
        body = how.joined("\n".join(body).encode()).decode().split("\n")
    return FoundLabelled(how, start, [cells for line in body if (cells := how.cells(line))])


def _names(texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return names and units of the values from the texts between them, and whether names had to be assumed."""
    names: list[str] = []
    units: list[str] = []
    groups: list[str] = []
    group = ""
    ends_with_unit = is_unit(texts[-1])
    for before, after in itertools.pairwise(texts):
        # What follows the last separator names the value; what precedes the first is the unit of the one before.
        said = _BETWEEN.split(before)[-1].strip(" =:")
        if not said and not names:
            said = before.strip(" =:\t")
        words = said.split(" ")
        if names and ends_with_unit and len(words) > 1 and is_unit(words[0]):
            said = " ".join(words[1:])
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
        groups.append(group)
        unit = _BETWEEN.split(after)[0].strip(" =:")
        if ends_with_unit and after is not texts[-1]:
            unit = unit.split(" ")[0]
        units.append(unit if is_unit(unit) else "")
    for at in range(len(units) - 2, -1, -1):
        if not units[at] and groups[at] == groups[at + 1]:
            units[at] = units[at + 1]  # said once, after the last axis
    if len(names) == len(_SIX) and not any(names[1:]):
        return _SIX, (), True
    assumed = False
    for at in range(len(names) - 2):
        if names[at] and not names[at + 1] and not names[at + 2] and (at + 3 == len(names) or names[at + 3]):
            names[at : at + 3] = [f"{names[at]} {axis}" for axis in _AXES]
            assumed = True
    return tuple(names), tuple(units) if any(units) else (), assumed
