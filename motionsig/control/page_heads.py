"""Heads as viewers see them: those taught here, root's, and those that came with the model.

Those taught here are folders in `Control.heads_folder`, and judge while their names are in a file beside them, as a
shipped head does. Root's are configured, and nothing here changes them: their names are taken.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from motionsig.control.asking import BUSY, HEAD, AskError
from motionsig.control.feed import HEADS
from motionsig.control.judged import hand_over, switch, switched_on
from motionsig.encoders.signing import KEYS_FOLDER, signer
from motionsig.errors import HeadError, ModelError
from motionsig.escaping import own_logger
from motionsig.heads import HeadCard, heads_folder, owned_heads, remove_head, shipped_heads
from motionsig.heads.card import CARD_NAME, PROTOTYPES, SIGNATURE_NAME
from motionsig.heads.expectation import expectation
from motionsig.heads.places import named_head, write_files, write_head
from motionsig.heads.sending import MOST_ZIP_BYTES, read_files, read_zip, zipped

if TYPE_CHECKING:
    from motionsig.control.shared import Shared

log = own_logger(__name__)

PAGE, ROOT, SHIPPED = "page", "root", "shipped"


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _alone(change: Callable[Concatenate[Shared, _P], _T]) -> Callable[Concatenate[Shared, _P], _T]:
    """Have whoever changes heads wait for others who do."""

    @wraps(change)
    def changed(control: Shared, /, *given: _P.args, **named: _P.kwargs) -> _T:
        with control.changing:
            return change(control, *given, **named)

    return changed


@dataclass(frozen=True)
class _Seen:
    """A head, whose it is, and its folder. source: where it is read, or its card, where it was read before."""

    whose: str
    folder: Path | None
    source: Path | HeadCard

    @cached_property
    def card(self) -> HeadCard | HeadError:
        """Its card, read once, when it is first asked for; what is wrong with it where it cannot be read."""
        if isinstance(self.source, HeadCard):
            return self.source
        try:
            return named_head(self.source)
        except HeadError as error:
            return error

    def readable(self) -> HeadCard:
        """Return its card. Raises AskError where it cannot be read."""
        if isinstance(self.card, HeadError):
            raise AskError(HEAD, str(self.card))
        return self.card


def own_card_of(control: Shared, name: str) -> HeadCard:
    """Return the card of a head that was taught here, and may be changed here. Raises AskError."""
    seen = _seen(control, name)
    if seen.whose != PAGE:
        raise AskError(HEAD, f"head: expected one that was taught here, got {name}, which {_WHOSE[seen.whose]}")
    return seen.readable()


def require_free(control: Shared, name: str) -> None:
    """Raise AskError where a new head cannot have this name: it is taken, or root's, or a shipped head's."""
    whose = _taken(control).get(name) or (PAGE if name in owned_heads(control.heads_folder) else None)
    if whose is not None:
        raise AskError(HEAD, f"name: expected one that no head has, got {name}, which {_WHOSE[whose]}")


@_alone
def save(control: Shared, card: HeadCard) -> dict[str, Any]:
    """Write a head, new or in place of the one of its name that was taught here; judge with it; return it as shown.

    Raises AskError for a name that is root's or shipped, and HeadError.
    """
    if whose := _taken(control).get(card.name):
        raise AskError(HEAD, f"name: expected another one, got {card.name}, which {_WHOSE[whose]}")
    if card.name not in owned_heads(control.heads_folder):
        # First this: one that is taught again stays paused, and a name without a head does no harm.
        switch(control.heads_folder, card.name, on=True)
    write_head(card, control.heads_folder / card.name)
    return _changed(control, card.name)


def listed(control: Shared, _: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return all heads: those taught here, then root's, then shipped ones."""
    ordered = sorted(_all(control).items(), key=lambda item: ((PAGE, ROOT, SHIPPED).index(item[1].whose), item[0]))
    on = switched_on(control.heads_folder)
    return [_shown(control, name, seen, on) for name, seen in ordered]


def shown(control: Shared, name: str) -> dict[str, Any]:
    """Return one head as `heads` lists it. Raises AskError."""
    return _shown(control, name, _seen(control, name), switched_on(control.heads_folder))


def cards(control: Shared) -> dict[str, HeadCard]:
    """Return the heads to look back with: all but those that are damaged, and shipped ones that nobody wants."""
    on = {*switched_on(control.heads_folder), *({} if control.loop is None else control.loop.heads_off)}
    return {
        name: seen.card
        for name, seen in sorted(_all(control).items())
        if isinstance(seen.card, HeadCard) and (seen.whose != SHIPPED or name in on)
    }


@_alone
def pause(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Let a head judge no longer, or again."""
    name = asked["head"]
    seen = _require_may(control, name, "pause")
    switch(control.heads_folder, name, on=not asked["paused"])
    _take_heads(control)
    return _shown(control, name, seen, switched_on(control.heads_folder))


@_alone
def rename(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Give a head another name: it keeps its examples, and the events of the old name end."""
    former, name = asked["head"], asked["name"]
    seen = _require_may(control, former, "rename")
    _require_no_lesson(control, former, name)
    made = replace(seen.readable(), name=name)
    # Where a kill came in the middle, there are two of them by now.
    if name == former or not _is_there(control, made):
        require_free(control, name)
    others = [(one, seen) for one, seen in _all(control).items() if one not in (former, name)]
    needing = [one for one, seen in others if former in getattr(seen.card, "needs", ())]
    if needing:
        raise AskError(HEAD, f"head: expected one that no other needs, got {former}, which {needing[0]} needs")
    write_head(made, control.heads_folder / name)
    try:
        # Until then the new one is paused, and from then on the former one.
        hand_over(control.heads_folder, former, name)
    except OSError:
        remove_head(name, control.heads_folder)
        raise
    _remove(control, former)
    return _changed(control, name)


@_alone
def remove(control: Shared, asked: Mapping[str, Any]) -> str:
    """Delete a head and its examples; return its name."""
    name = str(asked["head"])
    _require_may(control, name, "remove")
    _require_no_lesson(control, name)
    _remove(control, name)
    _take_heads(control)
    return name


def export(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a head as a zip file, its examples with it."""
    name = asked["head"]
    folder = _seen(control, name).folder
    if folder is None:
        raise AskError(HEAD, f"head: expected one in a folder of heads, got {name}, which is elsewhere")
    files = read_files(folder).files
    return {"name": name, "zip": base64.b64encode(zipped(files)).decode(), "signed": SIGNATURE_NAME in files}


@_alone
def take(control: Shared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take a head from elsewhere, where somebody signed it whose key root has pinned."""
    sent = read_zip(asked["zip"], "zip")
    name, keys = sent.card.name, control.keys_folder or KEYS_FOLDER
    if SIGNATURE_NAME not in sent.files:
        raise AskError(
            HEAD,
            f"{name}: expected a head with {SIGNATURE_NAME}, got an unsigned one: anybody may have made it; sign it by "
            f"a key whose public half is in {keys} (motionsig heads sign), or take it on the device (sudo motionsig "
            "heads import FILE.zip --unsigned) and name it in heads.names",
        )
    try:
        signer(sent.files[CARD_NAME], sent.files[SIGNATURE_NAME], keys, name=SIGNATURE_NAME)
    except ModelError as error:
        raise AskError(HEAD, str(error)) from error
    require_free(control, name)
    _require_no_lesson(control, name)
    switch(control.heads_folder, name, on=True)
    write_files(sent.files, control.heads_folder / name)
    return _changed(control, name)


def zip_file(value: Any) -> bytes:
    """Take a zip file in base64: the check of a parameter."""
    if not isinstance(value, str) or len(value) > MOST_ZIP_BYTES * 4 // 3 + 4:
        raise ValueError(f"expected base64 of at most {MOST_ZIP_BYTES:,} B")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        raise ValueError("expected base64") from error


def _remove(control: Shared, name: str) -> None:
    remove_head(name, control.heads_folder)
    try:
        switch(control.heads_folder, name, on=False)
    except OSError as error:
        log.warning("%s; a head that is called %s from here on judges at once", error, name)


def _require_no_lesson(control: Shared, *names: str) -> None:
    """Raise AskError where a lesson is about a head of one of these names: it could not be saved then."""
    if control.lesson_name in names:
        raise AskError(BUSY, f"expected no lesson of {control.lesson_name!r}, got one: end it first")


def _is_there(control: Shared, card: HeadCard) -> bool:
    """Return whether this very head was taught here."""
    try:
        return own_card_of(control, card.name).fingerprint == card.fingerprint
    except AskError:
        return False


def _changed(control: Shared, name: str) -> dict[str, Any]:
    _take_heads(control)
    return shown(control, name)


def _take_heads(control: Shared) -> None:
    """Have the loop judge with the heads that there are now, and tell viewers which these are."""
    if control.loop is not None:
        try:
            control.loop.take_heads()
        except AskError as error:
            # It comes to it in its next heartbeat.
            log.warning("%s; heads were changed, and judge later", error)
    control.feed.put(HEADS, lambda: listed(control))


def _all(control: Shared) -> dict[str, _Seen]:
    """Return all heads by name, none of them read yet; where there are two of one name, root's, or the shipped one."""
    taken = _taken(control)
    folders = {**owned_heads(control.heads_folder), **shipped_heads(), **_roots(control)}
    seen = {name: _Seen(taken.get(name, PAGE), folder, folder) for name, folder in folders.items()}
    for card in () if control.loop is None else control.loop.root_heads:
        # What judges is what was read with the configuration.
        seen[card.name] = _Seen(taken[card.name], folders.get(card.name), card)
    return seen


def _taken(control: Shared) -> dict[str, str]:
    """Return the names that no head taught here can have, and whose they are."""
    taken = {**dict.fromkeys(_roots(control), ROOT), **dict.fromkeys(shipped_heads(), SHIPPED)}
    if control.loop is not None:
        needed = dict.fromkeys((card.name for card in control.loop.root_heads), ROOT)
        taken = {**needed, **taken, **dict.fromkeys(control.loop.root_names, ROOT)}
    return taken


def _roots(control: Shared) -> dict[str, Path]:
    """Return the heads in root's folder; in a user's own service that is the page's, and there are none."""
    return {} if control.heads_folder.resolve() == heads_folder().resolve() else owned_heads()


def _seen(control: Shared, name: str) -> _Seen:
    seen = _all(control).get(name)
    if seen is None:
        raise AskError(HEAD, f"head: expected one that is there, got {name}")
    return seen


def _require_may(control: Shared, name: str, what: str) -> _Seen:
    """Return a head that may be changed so. Raises AskError."""
    seen = _seen(control, name)
    if what not in _may(seen):
        raise AskError(
            HEAD, f"head: expected one that may be changed here ({what}), got {name}, which {_WHOSE[seen.whose]}"
        )
    return seen


def _may(seen: _Seen) -> list[str]:
    """Return what may be done with a head here."""
    may = {PAGE: ["pause", "rename", "remove"], ROOT: [], SHIPPED: ["pause"]}[seen.whose]
    if isinstance(seen.card, HeadError):
        return [what for what in may if what == "remove"]
    if seen.folder is not None:
        may.append("export")
    if seen.whose == PAGE and seen.card.kind == PROTOTYPES and len(seen.card.taught.examples):
        may.append("improve")
    return may


def _shown(control: Shared, name: str, seen: _Seen, on: Collection[str]) -> dict[str, Any]:
    """Return a head as viewers see it. on: the heads that judge for the page."""
    paused = seen.whose != ROOT and name not in on
    why_not = _why_not(control, name, seen, paused)
    shown: dict[str, Any] = {
        "name": name,
        "whose": seen.whose,
        "judges": why_not is None,
        "why_not": why_not,
        "paused": paused,
        "may": _may(seen),
    }
    card = seen.card
    if isinstance(card, HeadError):
        unknown = ("kind", "gives", "holds", "on", "off", "hold_s", "rate", "given", "found")
        return shown | dict.fromkeys(unknown) | {"expectation": [], "examples": 0, "counter_examples": 0}
    holding = () if control.loop is None else control.loop.status["heads"]
    rate = card.measured.get("false_alarms_an_hour")
    given, found = (card.measured.get(key) for key in ("given", "found"))
    return shown | {
        "kind": card.kind,
        "gives": "state" if card.is_state else "event",
        "holds": next((head["holds"] for head in holding if head["name"] == name), None),
        "on": card.timing.on,
        "off": card.timing.off,
        "hold_s": card.timing.hold_s,
        "expectation": _expectation(card),
        "rate": rate if _is_interval(rate) else None,
        "given": given if isinstance(given, int) else None,
        "found": found if isinstance(found, int) else None,
        "examples": len(set(card.taught.performance.tolist())),
        "counter_examples": len(card.taught.against),
    }


def _why_not(control: Shared, name: str, seen: _Seen, paused: bool) -> str | None:
    """Return why a head does not judge now, or None where it does."""
    if isinstance(seen.card, HeadError):
        return str(seen.card)
    if control.loop is None:
        return "no sensor runs here"
    why = control.loop.heads_off.get(name)
    if why is not None:
        return why or None
    if paused:
        return "it is paused" if seen.whose == PAGE else "it came with motionsig, and nobody has switched it on"
    return "root has this head, and heads.names does not name it" if seen.whose == ROOT else "it is not read yet"


def _expectation(card: HeadCard) -> list[str]:
    try:
        return expectation(card)
    except (TypeError, ValueError, LookupError):
        # What a card says of its mistakes is not checked, and may be anybody's.
        return []


def _is_interval(rate: Any) -> bool:
    return isinstance(rate, list | tuple) and len(rate) == 3 and all(isinstance(one, int | float) for one in rate)


_WHOSE = {PAGE: "was taught here", ROOT: "is root's", SHIPPED: "came with motionsig"}
