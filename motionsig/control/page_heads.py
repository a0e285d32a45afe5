"""Heads as viewers see them: those taught here, root's, and those that came with the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from motionsig.control.asking import HEAD, AskError
from motionsig.heads import HeadCard, load_head
from motionsig.heads.places import write_head

if TYPE_CHECKING:
    from motionsig.control.room import Control


def card_of(control: Control, name: str) -> HeadCard:
    """Return the card of any head that viewers see. Raises AskError."""
    raise AskError(HEAD, f"head: expected one that is there, got {name!r}")


def own_card_of(control: Control, name: str) -> HeadCard:
    """Return the card of a head that was taught here, and may be changed here. Raises AskError."""
    return load_head(control.heads_folder / name)


def require_free(control: Control, name: str) -> None:
    """Raise AskError where a new head cannot have this name: it is taken, or root's, or a shipped head's."""


def save(control: Control, card: HeadCard) -> dict[str, Any]:
    """Write a head, new or in place of the one of its name that was taught here; judge with it; return it as shown.

    Raises AskError for a name that is root's or shipped, and HeadError.
    """
    write_head(card, control.heads_folder / card.name)
    if control.loop is not None:
        control.loop.take_heads()
    return shown(control, card.name)


def shown(control: Control, name: str) -> dict[str, Any]:
    """Return one head as `heads` lists it. Raises AskError."""
    return {"name": card_of(control, name).name}
