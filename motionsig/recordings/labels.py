"""What was done, as a log says it in a column of its own beside the samples.

A column is taken for the label by its name, or because the caller chose it. A name alone may mislead ("class" has
other meanings), so what cannot be a label is passed over in the first case, and an error in the second.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import check_label
from motionsig.conventions import MAX_LABEL_CHARS
from motionsig.errors import RecordingError
from motionsig.escaping import own_logger

log = own_logger(__name__)

NAMES = ("label", "labels", "activity", "class")
"""Whatever their case; of several, the first of this list. With a unit it is a quantity: `activity [counts]`."""

NONE = "none"
"""The value of the option `label` that means: no labels."""

_MISSING = frozenset({"", "nan", "na", "n/a"})
_EMPTY_UNIT = re.compile(r"\s*[\[(]\s*[\])]$")
_PIECE, _FEW = 16, 16


class LabelColumn(NamedTuple):
    """Which column holds the label; chosen: because the caller said so."""

    number: int
    chosen: bool


def find_label(
    names: Sequence[str], chosen: str | None, taken: Collection[int | None], where: str
) -> LabelColumn | None:
    """Return which of the columns holds the label; None where none does.

    chosen: its name, or NONE. taken: columns that hold something else. Raises RecordingError where the chosen one is
    not there.
    """
    if chosen == NONE:
        return None
    bare = [_EMPTY_UNIT.sub("", name).strip() for name in names]
    if chosen is not None:
        if chosen in bare:
            return LabelColumn(bare.index(chosen), True)
        heading = ", ".join(repr(name) for name in names[:24]) + (", ..." if len(names) > 24 else "")
        raise RecordingError(f"{where}: expected a column {chosen!r} with labels, got {heading}")
    found = {name.lower(): index for index, name in reversed(list(enumerate(bare))) if index not in taken}
    return next((LabelColumn(found[name], False) for name in NAMES if name in found), None)


def refuse_choice(chosen: str | None, where: str, why: str) -> None:
    """Raise RecordingError where a column was chosen in a recording that has no columns for labels."""
    if chosen not in (None, NONE):
        raise RecordingError(f"{where}: expected no choice of a column for labels, got label={chosen!r}: {why}")


class LabelCutter:
    """Cuts rows where the label changes.

    chosen: the caller wants this column, so a label that no block can have is an error; else it is passed over.
    """

    def __init__(self, where: str, *, chosen: bool) -> None:
        self._where, self._chosen = where, chosen
        self._passed_over = 0

    def runs(self, labels: NDArray[Any]) -> Iterator[tuple[int, int, str]]:
        """Yield (first row, row after the last, label) of rows with one label; labels: (n,) text or numbers.

        Where it changes more often than every 16 rows, 16 rows are one run, with the label in their middle: blocks of
        one sample each would take a hundred times as long, and a signature spans far more.
        """
        changed = labels[1:] != labels[:-1]
        if labels.dtype.kind == "f":
            changed &= ~(np.isnan(labels[1:]) & np.isnan(labels[:-1]))
        cuts = np.flatnonzero(changed) + 1
        often = len(cuts) > max(len(labels) // _PIECE, _FEW)
        firsts = np.arange(0, len(labels), _PIECE) if often else np.array([0, *cuts])
        ends = np.append(firsts[1:], len(labels))
        heads = (firsts + ends) // 2 if often else firsts
        for first, end, value in zip(firsts.tolist(), ends.tolist(), labels[heads], strict=True):
            yield first, end, self._text(value)

    def _text(self, value: object) -> str:
        if isinstance(value, float | np.floating) and value.is_integer():
            value = int(value)
        text = value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
        text = text.strip()
        if text.lower() in _MISSING:
            return ""
        if len(text) > MAX_LABEL_CHARS and not self._chosen:
            self._passed_over += 1
            return ""
        check_label(text, self._where, RecordingError)
        return text

    def report(self) -> None:
        """Say in the log what was passed over."""
        if self._passed_over:
            log.warning(
                "%s: %d labels of more than %d characters passed over; if the column holds something else, label=none "
                "leaves it alone",
                self._where,
                self._passed_over,
                MAX_LABEL_CHARS,
            )
