"""[heads] and [exec]: which heads judge the signatures, and which programs their events start.

Heads are read by the code that opens them later. A head that is not there, is damaged or is not of the model in use
keeps no service from starting: a device that nobody visits goes on without it, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from motionsig.config.draft import Draft
from motionsig.config.keys import shown
from motionsig.errors import HeadError, InputError
from motionsig.events import BEGAN, ENDED, ONCE
from motionsig.model_card import ModelCard
from motionsig.publishers.announcing import MOST_HEADS
from motionsig.windowing import check_heads_hop

if TYPE_CHECKING:
    from motionsig.heads import HeadCard

_MOST_LIMIT_S = 3600.0


class Chosen(NamedTuple):
    """The heads that can be opened, each after those that it needs, and the names of those that were asked for.

    missing: why each of the others cannot, by its name in the configuration.
    """

    heads: tuple[HeadCard, ...]
    names: tuple[str, ...]
    missing: Mapping[str, str]


def check_heads(draft: Draft, model: ModelCard | None) -> Chosen:
    """Return the heads; note what is wrong with their keys. model: of whose windows the hop is checked, if any."""
    cards: dict[str, HeadCard] = {}
    missing: dict[str, str] = {}
    names: list[str] = draft.value("heads.names")
    if names:
        from motionsig.heads import find_head, with_needed
        from motionsig.heads.judging import in_order
    for name in names:
        with draft.noting("heads.names"):
            if "/" in name and not name.startswith("/"):
                raise InputError(f"expected a head's name, or its folder's path from / on, got {shown(name)}")
            try:
                card = find_head(Path(name) if "/" in name else name)
                with_needed([card])
            except HeadError as error:
                missing[name] = str(error)
                continue
            if card.name in cards:
                raise InputError(f"expected each head once, got {card.name} twice")
            cards[card.name] = card
    ordered: list[HeadCard] = []
    if names and len(cards) + len(missing) == len(names):
        with draft.noting("heads.names"):
            ordered = in_order(with_needed(list(cards.values())))
            if len(ordered) > MOST_HEADS:
                raise InputError(f"expected at most {MOST_HEADS} heads, got {len(ordered)}")
    if ordered:
        # A head that was taught anew has the same name.
        draft.digests["heads.names"] = sha256(b"".join(card.fingerprint for card in ordered)).digest()
    if names and model is not None:
        with draft.noting("heads.hop"):
            hop = draft.value("model.hop")
            try:
                check_heads_hop(draft.value("heads.hop"), hop=model.hop if hop is None else hop, length=model.length)
            except InputError as error:
                raise InputError(str(error).removeprefix("heads_hop: ")) from error
    limit_s = draft.value("heads.exec_limit_s")
    if not 0 < limit_s <= _MOST_LIMIT_S:
        draft.note("heads.exec_limit_s", f"expected more than 0 and at most {_MOST_LIMIT_S:g} s, got {limit_s:g}")
    return Chosen(tuple(ordered), tuple(cards), missing)


def check_programs(draft: Draft, chosen: Chosen) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the command for each head and phase; note what cannot be one."""
    gives_state = {card.name: card.is_state for card in chosen.heads if card.name in chosen.names}
    programs = {}
    for key, command in draft.table("exec").items():
        head, _, phase = key.partition(".")
        if head in chosen.missing:
            continue
        with draft.noting(f"exec.{key}"):
            if head not in gives_state:
                known = ", ".join(gives_state) or "none, as heads.names names none"
                raise InputError(f"expected a head of heads.names ({known}), got {shown(head)}")
            if gives_state[head] and phase not in (BEGAN, ENDED):
                raise InputError(f"{head} is a state: expected {head}.{BEGAN} or {head}.{ENDED}, got {shown(key)}")
            if not gives_state[head] and phase:
                raise InputError(f"{head} gives events: expected {head}, got {shown(key)}")
            if not command or not os.path.isabs(command[0]):
                raise InputError(f"expected a program, with its path from / on, and arguments, got {shown(command)}")
            programs[head, phase or ONCE] = tuple(command)
    return programs


def program_key(head: str, phase: str) -> str:
    """Return the key of a command."""
    return f"exec.{head}" if phase == ONCE else f"exec.{head}.{phase}"


def unfit_heads(heads: Iterable[HeadCard], model: ModelCard) -> Iterator[str]:
    """Yield a line for each head that cannot judge what a model makes."""
    from motionsig.heads.judging import check_encoder

    for head in heads:
        try:
            check_encoder(head, model.spec)
        except InputError as error:
            yield f"{error}, or name heads of {model.name} version {model.version}"


def unfit_programs(programs: Mapping[tuple[str, str], tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Yield key and problem for each program that is not there or cannot be run."""
    for (head, phase), (program, *_) in programs.items():
        if not os.path.isfile(program) or not os.access(program, os.X_OK):
            yield program_key(head, phase), f"expected a program that can be run, got {shown(program)}"


def folders_of(names: Iterable[str]) -> Iterator[Path]:
    """Yield the folders of heads that are no part of motionsig."""
    from motionsig.heads import owned_heads

    owned = owned_heads()
    for name in names:
        if "/" in name or name in owned:
            yield Path(name) if "/" in name else owned[name]
