"""What is known of a lesson: what shall be taught, and the performances so far; kept in a file from one to the next.

Of a performance its signatures are kept, never its samples. So a restart in the middle loses no performance.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.control.asking import Check, head_name, one_of, or_null, request, whole, yes_or_no
from motionsig.errors import InputError
from motionsig.files import read_file, replace_file
from motionsig.heads.teaching import MOST_EXAMPLES, Codes, likeness, unlike_the_others
from motionsig.lesson import WINDOWS

EXAMPLES, COUNTER = "examples", "counter"
REST, PERFORM, ENOUGH, STOPPED = "rest", "perform", "enough", "stopped"
MOST_PERFORMANCES = MOST_EXAMPLES // WINDOWS // 5
"""In one lesson; a head that is taught anew with more may have had others before."""

_VERSION = 1
_MOST_BYTES = 4 << 20


@dataclass
class Heard:
    """A performance. codes: (k, dim) of its windows, None where there is none of use. why: it is not kept."""

    number: int
    begin_ms: int
    end_ms: int
    codes: Codes | None
    kept: bool
    why: str | None = None
    likeness: float | None = None


@dataclass
class Record:
    """A lesson. purpose: EXAMPLES or COUNTER. encoder: fingerprint of what makes the signatures, in hexadecimal.

    request: which began it. seconds: since it began, or since a restart. made: fingerprint of the head that was made of
    it, where a kill may have come before the lesson's end was noted; ending: the request that made it.
    """

    id: str
    name: str
    purpose: str
    better: bool
    times: int
    encoder: str
    request: str
    state: str = REST
    seconds: float = 0.0
    said: str | None = None
    made: str | None = None
    ending: str | None = None
    performances: list[Heard] = field(default_factory=list)

    @property
    def kept(self) -> list[Codes]:
        """The codes of each performance that is kept."""
        return [one.codes for one in self.performances if one.kept and one.codes is not None]

    def take(self, begin_ms: int, end_ms: int, codes: Codes | None, why: str | None, known: list[Codes]) -> None:
        """Add a performance; it is kept unless there is a reason why not. known: what the head knew before."""
        self.performances.append(
            Heard(len(self.performances) + 1, begin_ms, end_ms, codes, codes is not None and why is None, why)
        )
        if self.purpose == EXAMPLES:
            self._leave_out(known)
        self.compare(known)

    def _leave_out(self, known: list[Codes]) -> None:
        """Keep no longer what the others do not agree with; which one that is, the first two cannot tell."""
        kept = [one for one in self.performances if one.kept]
        codes: Any = [*known, *(one.codes for one in kept)]
        for odd in unlike_the_others(codes):
            at = odd.number - len(known)
            # One with a reason was kept by somebody who knows it.
            if at >= 0 and kept[at].why is None:
                kept[at].kept, kept[at].why = False, odd.why

    def keep(self, number: int, kept: bool, known: list[Codes]) -> None:
        """Keep a performance or not. Raises InputError for one that there is not, or that has nothing to keep."""
        found = [one for one in self.performances if one.number == number]
        if not found:
            count = len(self.performances)
            raise InputError(
                f"number: expected one from 1 to {count}, got {number}" if count else "number: got none yet"
            )
        if kept and found[0].codes is None:
            raise InputError(
                f"performance {number}: expected one that can be used, got one that cannot: {found[0].why}"
            )
        found[0].kept = kept
        self.compare(known)

    def copy(self) -> Record:
        """Return one that changes apart from this one."""
        return replace(self, performances=[replace(one) for one in self.performances])

    def compare(self, known: list[Codes]) -> None:
        """Say how like each performance is to the others that are kept, and whether these are enough."""
        for one in self.performances:
            others = [*known, *(it.codes for it in self.performances if it.kept and it is not one)]
            if one.codes is not None and others:
                rows: Any = others
                one.likeness = float(likeness(one.codes, np.concatenate(rows)).max())
            else:
                one.likeness = None
        if self.state != STOPPED:
            if len(self.kept) >= self.times:
                self.state = ENOUGH
            elif self.state == ENOUGH:
                self.state = REST

    def shown(self) -> dict[str, Any]:
        """Return it as viewers see it."""
        return {
            "id": self.id,
            "name": self.name,
            "for": self.purpose,
            "better": self.better,
            "times": self.times,
            "state": self.state,
            "seconds": round(self.seconds, 1),
            "performances": [
                {
                    "number": one.number,
                    "begin_ms": one.begin_ms,
                    "end_ms": one.end_ms,
                    "kept": one.kept,
                    "why": one.why,
                    "may_keep": one.codes is not None,
                    "likeness": None if one.likeness is None else round(one.likeness, 3),
                }
                for one in self.performances
            ],
            "said": self.said,
        }


@dataclass(frozen=True)
class Ended:
    """The last lesson's end: the request, and the head that was made, None where it was forgotten."""

    request: str
    head: str | None


def write(path: Path, record: Record | Ended) -> None:
    """Put a lesson, or its end, into its file, which is private."""
    values = asdict(record)
    for one in values.get("performances", ()):
        if one["codes"] is not None:
            one["codes"] = [one["codes"].shape[1], base64.b64encode(one["codes"].tobytes()).decode()]
    text = json.dumps({"version": _VERSION, type(record).__name__: values})
    replace_file(path, text.encode(), mode=0o600)


def read(path: Path) -> Record | Ended | None:
    """Return what is in the file, None without one. Raises InputError for one that is damaged."""
    try:
        content, _ = read_file(path, _MOST_BYTES, follow_links=False)
    except FileNotFoundError:
        return None
    try:
        values = json.loads(content)
        if values["version"] != _VERSION:
            raise ValueError(f"version {values['version']!r:.80}")
        if "Ended" in values:
            ended = Ended(**values["Ended"])
            return Ended(request(ended.request), or_null(head_name)(ended.head))
        told = values["Record"]
        heard = [_with_codes(one) for one in told["performances"]]
        for checks, parts in ((_RECORD, [told]), (_HEARD, heard)):
            for part, (name, check) in itertools.product(parts, checks.items()):
                check(part[name])
        if [one["number"] for one in heard] != list(range(1, len(heard) + 1)):
            raise ValueError("other numbers")
        return Record(**told | {"performances": [Heard(**one) for one in heard]})
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: expected a lesson, got: {error!s:.200}") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text")
    return value


_RECORD: Mapping[str, Check] = {
    **dict.fromkeys(("id", "encoder", "request"), request),
    **dict.fromkeys(("made", "ending"), or_null(request)),
    "name": head_name,
    "purpose": one_of(EXAMPLES, COUNTER),
    "state": one_of(REST, PERFORM, ENOUGH, STOPPED),
    "better": yes_or_no,
    "times": whole(1, 50),
    "said": or_null(_text),
}
_WHEN = whole(-(1 << 53), 1 << 53)
_HEARD: Mapping[str, Check] = {
    "number": whole(1, 10_000), "begin_ms": _WHEN, "end_ms": _WHEN, "kept": yes_or_no, "why": or_null(_text),
}  # fmt: skip


def _with_codes(values: dict[str, Any]) -> dict[str, Any]:
    codes = values["codes"]
    if codes is not None:
        dim, text = codes
        codes = np.frombuffer(base64.b64decode(text), np.int8).reshape(-1, dim)
    return values | {"codes": codes, "likeness": None}
