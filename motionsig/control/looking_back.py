"""Looking back: what heads find in the signatures that are stored, and what is to be learned from it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from motionsig.blocks import SignatureBatch
from motionsig.control import page_heads
from motionsig.control.asking import GONE, HEAD, NOTHING, REQUEST, AskError
from motionsig.control.children import Children
from motionsig.control.lessons import improved
from motionsig.control.stretches import about_the_middle, windows_of
from motionsig.conventions import NS_PER_MS
from motionsig.encoders import find_model
from motionsig.encoders.models import model_names
from motionsig.errors import ModelError
from motionsig.heads.card import HeadCard
from motionsig.heads.judging import in_order
from motionsig.heads.teaching import Codes
from motionsig.lesson import WINDOWS
from motionsig.model_card import ModelCard
from motionsig.teaching import moving

if TYPE_CHECKING:
    from motionsig.control.shared import Shared

_MOST_SPAN_MS = 32 * 86_400_000
_MOST_STRETCH_MS = 60_000


def look_back(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what moved and what heads find in a span of time."""
    since_ms, until_ms = _span(asked, "since_ms", "until_ms", _MOST_SPAN_MS)
    there = page_heads.cards(control)
    names = asked["heads"]
    chosen = there if names is None else {name: there[name] for name in names if name in there}
    heads = _with_needed(chosen, there), names
    return control.one(Children, Children).ask(
        "look_back", _store(control), since_ms, until_ms, *heads, gone=GONE.get()
    )


def alike(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the windows that are most like one."""
    since_ms, until_ms = _span(asked, "since_ms", "until_ms", _MOST_SPAN_MS)
    from_ms, to_ms = _span(asked, "from_ms", "to_ms", _MOST_STRETCH_MS)
    span = from_ms, to_ms, since_ms, until_ms
    return control.one(Children, Children).ask("alike", _store(control), *span, asked["most"], gone=GONE.get())


def not_this(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add a counter-example to a head; return the head."""
    return _improve(control, asked, is_it=False)


def this_too(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add an example to a head; return the head."""
    return _improve(control, asked, is_it=True)


def _improve(control: Shared, asked: Mapping[str, Any], *, is_it: bool) -> dict[str, Any]:
    from_ms, to_ms = _span(asked, "from_ms", "to_ms", _MOST_STRETCH_MS)
    made = _moving(control, page_heads.own_card_of(control, asked["head"]), from_ms, to_ms)
    # Of two that begin with the same head, the second would forget what the first has added.
    with control.changing:
        card = page_heads.own_card_of(control, asked["head"])
        taught = card.taught
        if is_it:
            new = about_the_middle(made, from_ms * NS_PER_MS, to_ms * NS_PER_MS, WINDOWS).codes
            # Who says now that it is it takes back that it was not.
            card = replace(card, taught=replace(taught, against=_without(taught.against, made.codes)))
            new = _without(new, taught.examples)
        else:
            new = _without(made.codes, taught.against)
        if not len(new) and len(card.taught.against) == len(taught.against):
            # It was added before: by somebody else, or just before a restart.
            return page_heads.shown(control, card.name)
        if not is_it and not len(new := _without(new, taught.examples)):
            raise AskError(
                HEAD,
                f"head {card.name}: expected another motion than it was taught with, got one of its own examples: "
                "teach it anew without that one",
            )
        model = model_of(control, card.encoder)
        added = [new] if len(new) else []
        made_head = improved(card.name, card, model, card.hop_ns, **{"examples" if is_it else "against": added})
        return page_heads.save(control, made_head)


def _without(codes: Codes, known: Codes) -> Codes:
    """Return the rows that are not among those known."""
    return codes[[not (known == row).all(axis=1).any() for row in codes]]


def _moving(control: Shared, card: HeadCard, from_ms: int, to_ms: int) -> SignatureBatch:
    """Return what moves in a stretch: of the rows that heads judged a moment ago, else of what is stored."""
    from_ns, to_ns = from_ms * NS_PER_MS, to_ms * NS_PER_MS
    made = control.feed.recent(from_ns, to_ns, card.encoder)
    made = made and moving(windows_of(made, from_ns, to_ns))
    if made:
        return made
    told = control.one(Children, Children).ask(
        "stretch", _store(control), from_ms, to_ms, card.encoder, gone=GONE.get()
    )
    codes = np.frombuffer(base64.b64decode(told["codes"]), np.int8).reshape(-1, told["dim"])
    spec = model_of(control, card.encoder).spec
    start_ns = np.array(told["start_ns"], np.int64)
    return SignatureBatch(start_ns, codes, np.zeros(len(codes), np.uint8), card.hop_ns, spec)


def model_of(control: Shared, encoder: bytes) -> ModelCard:
    """Return the model that made signatures of an encoder. Raises AskError where it is not here."""
    if control.loop is not None and control.loop.card.fingerprint == encoder:
        return control.loop.card
    for name in model_names():
        with suppress(ModelError):
            if (card := find_model(name)).fingerprint == encoder:
                return card
    raise AskError(HEAD, f"head: expected one of a model that is here, got one of encoder {encoder.hex()}")


_NOT_STORED = "expected signatures that are stored, got none: nothing is kept here to look back on"


def _store(control: Shared) -> str:
    if control.store is None:
        raise AskError(NOTHING, control.why_no_store or _NOT_STORED)
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
