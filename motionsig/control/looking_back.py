"""Looking back: what heads find in the signatures that are stored, and what is to be learned from it."""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from motionsig.control import page_heads
from motionsig.control.asking import BUSY, GONE, HEAD, NOTHING, REQUEST, AskError
from motionsig.control.lessons import improved
from motionsig.heads.card import HeadCard
from motionsig.heads.judging import in_order
from motionsig.heads.teaching import MOST_AGAINST, Codes

if TYPE_CHECKING:
    from motionsig.control.children import Children
    from motionsig.control.room import Control

_MOST_SPAN_MS = 32 * 86_400_000
_MOST_STRETCH_MS = 60_000
_NS_PER_MS = 1_000_000
_improving = threading.Lock()
_creating = threading.Lock()


def look_back(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what moved and what heads find in a span of time."""
    since_ms, until_ms = _span(asked, "since_ms", "until_ms", _MOST_SPAN_MS)
    there = page_heads.cards(control)
    names = asked["heads"]
    chosen = there if names is None else {name: there[name] for name in names if name in there}
    heads = _with_needed(chosen, there), names
    return _children(control).ask("look_back", _store(control), since_ms, until_ms, *heads, gone=GONE.get())


def alike(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the windows that are most like one."""
    since_ms, until_ms = _span(asked, "since_ms", "until_ms", _MOST_SPAN_MS)
    from_ms, to_ms = _span(asked, "from_ms", "to_ms", _MOST_STRETCH_MS)
    span = from_ms, to_ms, since_ms, until_ms
    return _children(control).ask("alike", _store(control), *span, asked["most"], gone=GONE.get())


def not_this(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add a counter-example to a head; return the head."""
    return _improve(control, asked, is_it=False)


def this_too(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add an example to a head; return the head."""
    return _improve(control, asked, is_it=True)


def _improve(control: Control, asked: Mapping[str, Any], *, is_it: bool) -> dict[str, Any]:
    from_ms, to_ms = _span(asked, "from_ms", "to_ms", _MOST_STRETCH_MS)
    if not _improving.acquire(timeout=_PATIENCE_S):
        raise AskError(BUSY, "expected one head that is taught at a time, got another one: try again")
    try:
        card = page_heads.own_card_of(control, asked["head"])
        codes = _codes(control, card, from_ms, to_ms)
        taught = card.taught
        known = taught.examples if is_it else taught.against
        new = codes[~np.array([(known == row).all(axis=1).any() for row in codes], bool)]
        if not len(new):
            # Asked again after a restart, or by a second viewer.
            return page_heads.shown(control, card.name)
        if not is_it:
            opposite = np.array([(taught.examples == row).all(axis=1).any() for row in new], bool)
            if opposite.all():
                raise AskError(
                    HEAD,
                    f"head {card.name}: expected another motion than it was taught with, got one of its own examples: "
                    "remove the head, and teach it anew without that one",
                )
            new = new[~opposite]
        elif len(new) + len(known) > _MOST_OWN:
            raise AskError(HEAD, f"head {card.name}: expected at most {_MOST_OWN:,} examples, got more: teach it anew")
        made = improved(control, card, examples=[new] if is_it else (), against=() if is_it else [new])
        return page_heads.save(control, made)
    finally:
        _improving.release()


_PATIENCE_S = 5.0
_MOST_OWN = 2 * MOST_AGAINST


def _codes(control: Control, card: HeadCard, from_ms: int, to_ms: int) -> Codes:
    """Return what moves in a stretch: of the rows that heads judged a moment ago, else of what is stored."""
    recent = control.feed.between(from_ms * _NS_PER_MS, to_ms * _NS_PER_MS, card.encoder)
    if recent is not None and len(recent):
        return recent
    if control.store is None:
        raise AskError(NOTHING, _NOT_STORED)
    told = _children(control).ask("stretch", control.store, from_ms, to_ms, card.encoder, gone=GONE.get())
    return np.frombuffer(base64.b64decode(told["codes"]), np.int8).reshape(-1, told["dim"])


_NOT_STORED = (
    "expected signatures that are stored, got none: this service sends them to a broker and keeps none; with history_days "
    "in [page] of its configuration it keeps some to look back on"
)


def _store(control: Control) -> str:
    if control.store is None:
        raise AskError(NOTHING, _NOT_STORED)
    return control.store


def _span(asked: Mapping[str, Any], first: str, last: str, most_ms: int) -> tuple[int, int]:
    begin, end = asked[first], asked[last]
    if not 0 < end - begin <= most_ms:
        raise AskError(REQUEST, f"{last}: expected up to {most_ms:,} ms after {first}, got {end - begin:,}")
    return begin, end


def _with_needed(chosen: Mapping[str, HeadCard], there: Mapping[str, HeadCard]) -> list[HeadCard]:
    """Return heads with those that they need; without those whose need is not there."""
    cards = dict(chosen)
    waiting = list(chosen)
    while waiting:
        name = waiting.pop()
        for need in cards[name].needs:
            if need in there and need not in cards:
                cards[need] = there[need]
                waiting.append(need)
    while broken := [name for name, card in cards.items() if any(need not in cards for need in card.needs)]:
        for name in broken:
            del cards[name]
    return in_order(list(cards.values()))


def _children(control: Control) -> Children:
    from motionsig.control.children import Children

    with _creating:
        if control.children is None:
            control.children = Children()
        return control.children
