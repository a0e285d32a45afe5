"""What is stored, as strips of time, with what heads find in it; and the windows that are most like one.

Heads judge here as `motionsig lookback` judges, in signatures as they were stored: these may lie further apart than
those that a head judges live, so of short motions fewer are found.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, concatenate
from motionsig.control.asking import NOTHING, AskError
from motionsig.control.stretches import windows_of
from motionsig.conventions import NS_PER_MS, NS_PER_S
from motionsig.events import BEGAN, Event
from motionsig.heads.card import HeadCard
from motionsig.heads.teaching import likeness
from motionsig.publishers import iter_events, iter_signatures, split_url
from motionsig.publishers.local import NoneStoredError, Stored
from motionsig.publishers.reading import store_encoders
from motionsig.quality import is_at_rest
from motionsig.teaching import moving
from motionsig.watching import Asked, watch_stored

DAY_S = 86400
MOST_BINS = 400
_BINS_S = (1, 5, 15, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, DAY_S)
MOST_EVENTS = 1000
"""Of one head in one answer, the newest ones."""
_ROWS = 2048  # at a time
_LONGEST_NS = 60 * NS_PER_S  # a window


def look_back(
    url: str, since_ms: int, until_ms: int, cards: Sequence[HeadCard], names: Sequence[str] | None
) -> dict[str, Any]:
    """Return strips of what is stored from since_ms on and before until_ms, as the README of control says.

    cards: the heads that judge, with those that they need. names: of those that are told of; None for all of the cards
    and those that were told then. Raises SinkError for a store that is damaged or none.
    """
    since_ns, until_ns = since_ms * NS_PER_MS, until_ms * NS_PER_MS
    strip = _Strip(since_ns, until_ns)
    now = list[Event]()
    covered_s = dict[bytes, float]()
    of_encoder = defaultdict[bytes, list[HeadCard]](list)
    for card in cards:
        of_encoder[card.encoder].append(card)
    for encoder in sorted({*of_encoder, *_encoders(url)}):
        before_s = strip.covered_s
        parts = strip.counting(_signatures(url, encoder, since_ns, until_ns))
        if encoder in of_encoder:
            now += (event for event in watch_stored(parts, Asked(of_encoder[encoder])) if event.phase != BEGAN)
        else:
            # No head can judge what another encoder made, but it was there.
            for _ in parts:
                pass
        covered_s[encoder] = strip.covered_s - before_s
    then = defaultdict[str, list[Event]](list)
    for event in iter_events(url, since_ns=since_ns, until_ns=until_ns):
        then[event.head].append(event)
    known = {card.name: card for card in cards}
    shown = sorted({*known, *then}) if names is None else names
    judged = defaultdict[str, list[Event]](list)
    for event in now:
        judged[event.head].append(event)
    heads = [
        _of_head(name, then[name], judged[name], covered_s[known[name].encoder] if name in known else None)
        for name in shown
    ]
    return {"since_ms": since_ms, "until_ms": until_ms, **strip.shown(), "heads": heads}


def _encoders(url: str) -> set[bytes]:
    scheme, location, _ = split_url(url)
    return store_encoders(location) if scheme == "store" else set()


def _signatures(url: str, encoder: bytes, since_ns: int, until_ns: int) -> Iterator[Stored]:
    try:
        yield from iter_signatures(url, fingerprint=encoder, since_ns=since_ns, until_ns=until_ns, rows=_ROWS)
    except NoneStoredError:
        return


class _Strip:
    """How much of each bin is covered by signatures, and how much moves in it."""

    def __init__(self, since_ns: int, until_ns: int) -> None:
        span_s = max(until_ns - since_ns, 1) / NS_PER_S
        bin_s = next((it for it in _BINS_S if span_s / it <= MOST_BINS), None)
        self._bin_ns = round((bin_s or DAY_S * -(-span_s // (DAY_S * MOST_BINS))) * NS_PER_S)
        self._since_ns = since_ns
        count = max(1, -(-(until_ns - since_ns) // self._bin_ns))
        self._covered_ns, self._windows, self._moving = (np.zeros(count) for _ in range(3))
        self.covered_s, self._hop_ns = 0.0, 0

    def counting(self, parts: Iterator[Stored]) -> Iterator[Stored]:
        """Pass stored signatures on."""
        count = len(self._windows)
        for part in parts:
            made = part.signatures
            bins = (made.start_ns - self._since_ns) // self._bin_ns
            windows = np.bincount(bins, minlength=count)
            self._windows += windows
            self._covered_ns += windows * made.hop_ns
            self._moving += np.bincount(bins[~is_at_rest(made.quality)], minlength=count)
            self.covered_s += len(made) * made.hop_ns / NS_PER_S
            self._hop_ns = max(self._hop_ns, made.hop_ns)
            yield part

    def shown(self) -> dict[str, Any]:
        there = self._windows > 0
        covered = np.minimum(self._covered_ns / self._bin_ns, 1.0)
        moving = self._moving / np.maximum(self._windows, 1)
        return {
            "bin_ms": self._bin_ns // NS_PER_MS,
            "covered": _shares(covered, there),
            "moving": _shares(moving, there),
            "hop_ms": self._hop_ns // NS_PER_MS or None,
        }


def _shares(values: NDArray[np.float64], there: NDArray[np.bool_]) -> list[float | None]:
    return [round(value, 3) if is_there else None for value, is_there in zip(values.tolist(), there, strict=True)]


def _of_head(name: str, then: list[Event], now: list[Event], covered_s: float | None) -> dict[str, Any]:
    """Return what is shown of a head. covered_s: of signatures that it could judge; None: it is not there any more."""
    events = _joined(then, sorted(now, key=lambda event: (event.start_ns, event.key)))
    return {
        "name": name,
        "events": events[-MOST_EVENTS:],
        "left_out": max(0, len(events) - MOST_EVENTS),
        "per_day": None if covered_s is None else round(len(now) / covered_s * DAY_S, 2) if covered_s else 0.0,
        "would_tell": None if covered_s is None else len(now),
    }


def _joined(then: list[Event], now: list[Event]) -> list[dict[str, Any]]:
    """Return what was told then and what would be told now, by time; what overlaps is one and the same motion."""
    ended = {event.start_ns for event in then if event.phase != BEGAN}
    # A state is told twice, and the second time with how long it lasted, unless the power went.
    then = [event for event in then if event.phase != BEGAN or event.start_ns not in ended]
    starts = np.array([event.start_ns for event in now], np.int64)
    ends = np.maximum.accumulate(np.array([event.end_ns for event in now], np.int64)) if now else starts
    again = set[int]()
    shown = []
    for event in then:
        first, last = np.searchsorted(ends, event.start_ns), np.searchsorted(starts, event.end_ns, side="right")
        same = [at for at in range(int(first), int(last)) if now[at].end_ns >= event.start_ns]
        again.update(same)
        shown.append(_shown(event, told=True, now=bool(same)))
    shown += [_shown(event, told=False, now=True) for at, event in enumerate(now) if at not in again]
    return sorted(shown, key=lambda one: (one["from_ms"], one["to_ms"]))


def _shown(event: Event, *, told: bool, now: bool) -> dict[str, Any]:
    return {
        "from_ms": event.start_ns // NS_PER_MS,
        "to_ms": event.end_ns // NS_PER_MS,
        "score": round(event.score, 3),
        "phase": event.phase,
        "told": told,
        "now": now,
    }


def alike(url: str, from_ms: int, to_ms: int, since_ms: int, until_ms: int, most: int) -> dict[str, Any]:
    """Return the windows from since_ms on and before until_ms that are most like those of a stretch, the best first.

    Raises AskError where nothing is stored there, or nothing moves.
    """
    like_these = stretch(url, from_ms, to_ms)
    examples, encoder = like_these.codes, like_these.spec.fingerprint
    starts, values, labels, length_ns = list[NDArray[np.int64]](), list[NDArray[np.float64]](), dict[int, str](), 0
    for part in _signatures(url, encoder, since_ms * NS_PER_MS, until_ms * NS_PER_MS):
        made = part.signatures
        starts.append(made.start_ns)
        values.append(np.where(is_at_rest(made.quality), -1.0, likeness(made.codes, examples)))
        length_ns = made.spec.length_ns
        if made.labels is not None:
            labels |= {at: text for at, text in zip(made.start_ns.tolist(), made.labels.tolist(), strict=True) if text}
    if not starts:
        return {"windows": []}
    at_ns, like = np.concatenate(starts), np.concatenate(values)
    # Windows that overlap are alike for that alone.
    like[(at_ns < to_ms * NS_PER_MS) & (at_ns + length_ns > from_ms * NS_PER_MS)] = -1.0
    told = list(iter_events(url, since_ns=since_ms * NS_PER_MS, until_ns=until_ms * NS_PER_MS))
    windows = list[dict[str, Any]]()
    while len(windows) < most and like[best := int(like.argmax())] > 0:
        start_ns = int(at_ns[best])
        end_ns = start_ns + length_ns
        names = {event.head for event in told if event.start_ns < end_ns and event.end_ns > start_ns}
        windows.append(
            {
                "from_ms": start_ns // NS_PER_MS,
                "to_ms": end_ns // NS_PER_MS,
                "likeness": round(float(like[best]), 3),
                "labels": sorted(names | ({labels[start_ns]} if start_ns in labels else set())),
            }
        )
        like[np.abs(at_ns - start_ns) < length_ns] = -1.0
    return {"windows": windows}


def stretch(url: str, from_ms: int, to_ms: int, encoder: bytes | None = None) -> SignatureBatch:
    """Return the stored windows that a stretch stands for, and in which something moves.

    encoder: only those of this one. Raises AskError where there are none.
    """
    from_ns, to_ns = from_ms * NS_PER_MS, to_ms * NS_PER_MS
    is_stored = False
    for each in sorted(_encoders(url) if encoder is None else {encoder}):
        parts = [part.signatures for part in _signatures(url, each, from_ns - _LONGEST_NS, to_ns)]
        # Streams may have other hops.
        found = [windows_of(concatenate(list(some)), from_ns, to_ns) for some in _by_hop(parts)]
        is_stored |= any(map(len, found))
        for made in found:
            if len(chosen := moving(made)):
                return chosen
    raise AskError(NOTHING, "expected something that moves then, got rest" if is_stored else NOT_STORED)


def _by_hop(parts: Sequence[SignatureBatch]) -> Iterator[Sequence[SignatureBatch]]:
    for hop_ns in sorted({made.hop_ns for made in parts}):
        yield [made for made in parts if made.hop_ns == hop_ns]


def stretch_text(url: str, from_ms: int, to_ms: int, encoder: bytes) -> dict[str, Any]:
    """Return what `stretch` does as JSON has it."""
    made = stretch(url, from_ms, to_ms, encoder)
    codes = base64.b64encode(made.codes.tobytes()).decode()
    return {"codes": codes, "dim": made.codes.shape[1], "start_ns": made.start_ns.tolist()}


NOT_STORED = "expected signatures that are stored then, got none"
