"""Which of the page's heads judge: their names in a file beside their folders, which outlives the service."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from motionsig.errors import HeadError
from motionsig.escaping import own_logger
from motionsig.events import HEAD_NAME
from motionsig.files import read_file, replace_file
from motionsig.publishers.announcing import MOST_HEADS

if TYPE_CHECKING:
    from motionsig.heads import HeadCard

log = own_logger(__name__)

_SETTINGS = ".page.json"
_MOST_BYTES = 64 << 10


def switched_on(place: Path) -> list[str]:
    """Return the names of heads that judge for the page: those taught there, in `place`, and shipped ones."""
    try:
        return _read(place)
    except OSError as error:
        log.error("%s; the page's heads are paused", error)
        return []


def _read(place: Path) -> list[str]:
    """Return the names in the file, none where it is damaged. Raises OSError for one that cannot be read at present."""
    path = place / _SETTINGS
    try:
        content, _ = read_file(path, _MOST_BYTES, follow_links=False)
        names = json.loads(content)["on"]
        if not all(isinstance(name, str) and HEAD_NAME.fullmatch(name) for name in names):
            raise ValueError("other names")
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        log.error("%s: expected the names of heads, got: %s; the page's heads are paused", path, error)
        return []
    return list(dict.fromkeys(names))


def _write(place: Path, names: Collection[str]) -> None:
    replace_file(place / _SETTINGS, json.dumps({"on": list(names)}).encode() + b"\n", mode=0o600)


def switch(place: Path, name: str, *, on: bool) -> None:
    """Have a head judge for the page or not. Raises OSError."""
    names = _read(place)
    if (name in names) != on:
        _write(place, [*names, name] if on else [one for one in names if one != name])


def hand_over(place: Path, former: str, name: str) -> None:
    """Have a head judge in the place of another one, if that one does: never both, never neither. Raises OSError."""
    names = _read(place)
    if former in names:
        _write(place, dict.fromkeys(name if one == former else one for one in names))


def switch_on_first(place: Path, names: Collection[str]) -> None:
    """Have heads judge for the page where nobody has said yet which ones do. Raises OSError."""
    if not (place / _SETTINGS).exists():
        _write(place, sorted(names))


def chosen_heads(place: Path) -> tuple[dict[str, HeadCard], dict[str, str]]:
    """Return the heads that judge for the page, by name, and why others of these cannot be read."""
    if not (names := switched_on(place)):
        return {}, {}
    from motionsig.heads import owned_heads, shipped_heads
    from motionsig.heads.places import named_head

    cards: dict[str, HeadCard] = {}
    missing: dict[str, str] = {}
    folders = {**owned_heads(place), **shipped_heads()}
    for name in names:
        if name not in folders:
            continue  # it is about to be written, or was removed
        try:
            cards[name] = named_head(folders[name])
        except HeadError as error:
            missing[name] = str(error)
    return cards, missing


def together(
    roots: Sequence[HeadCard], names: Collection[str], own: Mapping[str, HeadCard]
) -> tuple[list[HeadCard], list[str], dict[str, str]]:
    """Return root's heads, then those of the page with what they need.

    Return the names of those of the page that are among them, too, and why each of the others is not. names: that root
    has given.
    """
    from motionsig.heads.judging import in_order
    from motionsig.heads.places import each_once

    chosen, more, off = list(roots), list[str](), dict[str, str]()
    for name, card in own.items():
        if name in names:
            # Another head of this name judges.
            off[f"{name} of the page"] = "root has configured a head of this name"
            continue
        try:
            with_it = in_order(list(each_once([*chosen, *_with_needed(card, own)]).values()))
            if len(with_it) > MOST_HEADS:
                raise HeadError(f"expected at most {MOST_HEADS} heads, got more")
        except HeadError as error:
            off[name] = str(error)
            continue
        chosen = with_it
        more.append(name)
    return chosen, more, off


def _with_needed(card: HeadCard, own: Mapping[str, HeadCard]) -> list[HeadCard]:
    """Return a head with all that it needs. Raises HeadError where one is missing."""
    from motionsig.heads import with_needed

    wanted = [card]
    for one in wanted:
        wanted += [own[name] for name in one.needs if name in own and own[name] not in wanted]
    return with_needed(wanted)  # others than the page's are found by name
