"""Whole lines made plain: one newline after each row, one delimiter between two cells, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.recordings.text.dialects import COMMENTS, Dialect

_TO_SPACES = bytes.maketrans(b"\t\v\f", b"   ")
_MARKS = tuple(mark.encode() for mark in COMMENTS)
_NEWLINE, _RETURN, _SPACE = 10, 13, 32


class Lines(NamedTuple):
    """Where the lines of a text are: the places of their newlines (n,), and the first byte of each (n,)."""

    ends: NDArray[np.int64]
    firsts: NDArray[np.uint8]

    @property
    def rows(self) -> int:
        """How many lines are not empty."""
        return int(np.count_nonzero(self.firsts != _NEWLINE))

    def before_rows(self) -> Sequence[int]:
        """Return the rows, from 0, before which empty lines stand; the number of rows for those at the end."""
        empty = self.firsts == _NEWLINE
        rows: list[int] = np.unique(np.cumsum(~empty)[empty]).tolist()
        return rows


def lines_in(text: bytes) -> Lines:
    """Return where the lines are of a text that ends with a newline."""
    content = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(content == _NEWLINE)
    firsts = np.empty(len(ends), np.uint8)
    firsts[:1] = content[:1]
    firsts[1:] = content[ends[:-1] + 1]
    return Lines(ends, firsts)


def without_comments(text: bytes, lines: Lines) -> tuple[bytes, Lines]:
    """Return a text without the lines that are remarks, and where its lines are."""
    marked = np.isin(lines.firsts, np.frombuffer(b"#/%", np.uint8))
    parts, at = [], 0
    for line in np.flatnonzero(marked).tolist():
        start = int(lines.ends[line - 1]) + 1 if line else 0
        if text.startswith(_MARKS, start):
            parts.append(text[at:start])
            at = int(lines.ends[line]) + 1
    if not at:
        return text, lines
    text = b"".join([*parts, text[at:]])
    return text, lines_in(text)


def plain(lines: bytes, dialect: Dialect) -> bytes | None:
    r"""Return whole lines (valid UTF-8) with "\n" at their ends and single delimiters.

    None where lines of labelled values, or their ends, need a closer look.
    """
    if dialect.newline == b"\r":
        lines = lines.replace(b"\r", b"\n")
    elif b"\r" in lines:
        lines = lines.replace(b"\r\r\n", b"\r\n")
        content = np.frombuffer(lines, np.uint8)
        returns = np.flatnonzero(content == _RETURN)
        if (content[returns + 1] != _NEWLINE).any():
            return None
        lines = lines.translate(None, b"\r")
    if dialect.labelled is not None:
        return dialect.labelled.unlabelled(lines)
    if b'"' in lines and dialect.delimiter != " ":
        # As a csv.reader does that skips spaces after a delimiter.
        mark = dialect.delimiter.encode()
        if mark + b" " in lines:
            # What stands in quotes stays: in "stairs, ""up""" the mark is no delimiter.
            lines = re.sub(b'("(?:[^"\n]|"")*")|' + re.escape(mark) + b' +(?=")', lambda it: it[1] or mark, lines)
    if dialect.line_end:
        lines = _without_line_ends(lines, dialect.line_end.encode(), dialect.delimiter.encode())
    return _single_spaces(lines) if dialect.delimiter == " " else lines


def _without_line_ends(lines: bytes, mark: bytes, delimiter: bytes) -> bytes:
    if mark != delimiter and lines.count(mark) == lines.count(b"\n"):
        content = np.frombuffer(lines, np.uint8)
        marks = np.flatnonzero(content == mark[0])
        if (content[marks + 1] == _NEWLINE).all():
            return lines.translate(None, mark)
    if mark + b" " in lines:
        lines = re.sub(re.escape(mark) + b" +\n", mark + b"\n", lines)
    return lines.replace(mark + b"\n", b"\n")


def _single_spaces(lines: bytes) -> bytes:
    """Return lines with one space for each run of them, and none at their ends."""
    text = np.frombuffer(lines.translate(_TO_SPACES), np.uint8)
    space = text == _SPACE
    between = np.empty(len(text), bool)  # a space before it, or a line's start
    between[0] = True
    between[1:] = space[:-1] | (text[:-1] == _NEWLINE)
    stays = ~(space & between)
    # One is left of each run; one that stands before a newline goes, too.
    single = text[stays]
    ends = np.flatnonzero(single == _NEWLINE)
    ends = ends[(ends > 0) & (single[ends - 1] == _SPACE)] - 1
    return np.delete(single, ends).tobytes() if len(ends) else single.tobytes()
