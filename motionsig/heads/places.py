"""Which heads there are, by name: those of the owner, and those that came with motionsig.

A head's folder is `heads_folder()/NAME`. A head that is taught again takes the place of the former in one step.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from motionsig.encoders import shipped_models
from motionsig.errors import HeadError
from motionsig.events import HEAD_NAME
from motionsig.files import locked_folder, replace_file, sync_folder
from motionsig.heads.card import CARD_NAME, SIGNATURE_NAME, HeadCard, files_of, load_head, parse_head, reader_of
from motionsig.hints import refused
from motionsig.state import state_folder

_LISTING = "`motionsig heads` lists them"

_SERVICES = Path("/var/lib/motionsig-heads")

# Also what a kill left behind: arrays without a card, and files that had not their name yet.
_OURS = re.compile(r"head\.json(\.sig)?|head-[0-9a-f]{16}\.npz|\.head[-.][0-9a-z.]{1,24}\.[0-9a-f]{8}")
_REMOVED = re.compile(rf"\.{HEAD_NAME.pattern}\.[0-9a-f]{{8}}")


def heads_folder() -> Path:
    """Return where the owner's heads are: $MOTIONSIG_HEADS, root's in /var/lib/motionsig-heads, else in the state."""
    if given := os.environ.get("MOTIONSIG_HEADS"):
        return Path(given)
    return _SERVICES if os.geteuid() == 0 or "STATE_DIRECTORY" in os.environ else state_folder() / "heads"


def shipped_heads() -> dict[str, Path]:
    """Return the folders of the heads that came with motionsig's models, by name."""
    found = (card.parent for model in shipped_models().values() for card in sorted(model.glob(f"heads/*/{CARD_NAME}")))
    return {folder.name: folder for folder in found}


def owned_heads(place: Path | None = None) -> dict[str, Path]:
    """Return the folders of the owner's heads, by name. place: where they are, `heads_folder()` for None."""
    found = (card.parent for card in sorted((place or heads_folder()).glob(f"*/{CARD_NAME}")))
    return {folder.name: folder for folder in found if HEAD_NAME.fullmatch(folder.name)}


def all_heads() -> dict[str, HeadCard | HeadError]:
    """Return all heads by name, the owner's in place of shipped ones; of a damaged one what is wrong with it."""
    found: dict[str, HeadCard | HeadError] = {}
    for name in sorted({**shipped_heads(), **owned_heads()}):
        try:
            found[name] = find_head(name)
        except HeadError as error:
            found[name] = error
    return found


def folder_of(head: str | Path) -> Path:
    """Return a head's folder: by name the owner's or else the shipped one, by path itself. Raises HeadError."""
    known = {**shipped_heads(), **owned_heads()}
    folder = known.get(head) if isinstance(head, str) else None
    if folder is None and os.path.exists(Path(head) / CARD_NAME):  # Path.exists raises for a name that is too long
        folder = Path(head)
    if folder is None:
        besides = f"{'' if known else ', as there is none yet,'} or a folder with a {CARD_NAME}"
        raise HeadError(f"head: {refused(str(head), known, what='a head', besides=besides, listing=_LISTING)}")
    return folder


def find_head(head: str | Path) -> HeadCard:
    """Return a head: by name the owner's or else the shipped one, by path a folder's. Raises HeadError."""
    folder = folder_of(head)
    return load_head(folder) if folder == Path(head) else named_head(folder)


def named_head(folder: Path) -> HeadCard:
    """Return the head in a folder that is called as the head is. Raises HeadError, also for one of another name."""
    card = load_head(folder)
    # By its name a head is what the folder says, and another one must not come in its place.
    if card.name != folder.name:
        raise HeadError(f"{folder / CARD_NAME}: expected the head {folder.name}, got one called {card.name}")
    return card


def each_once(cards: Iterable[HeadCard]) -> dict[str, HeadCard]:
    """Return heads by name. Raises HeadError for two heads of one name."""
    known: dict[str, HeadCard] = {}
    for card in cards:
        if known.setdefault(card.name, card).fingerprint != card.fingerprint:
            raise HeadError(f"heads: expected one of each name, got two called {card.name!r}")
    return known


def with_needed(cards: list[HeadCard]) -> list[HeadCard]:
    """Return heads, each once, together with those that they need, which are found by name.

    Raises HeadError where one is missing, or for two heads of one name.
    """
    known = each_once(cards)
    waiting = list(known.values())
    while waiting:
        for name in waiting.pop().needs:
            if name not in known:
                known[name] = find_head(name)
                waiting.append(known[name])
    return list(known.values())


def write_head(card: HeadCard, folder: Path, *, signature: bytes | None = None) -> None:
    """Write a head's files into `folder`, over those of a head that was there; a kill leaves one of the two, whole.

    signature: the content of head.json.sig. Raises HeadError for a head that could not be read again, where it cannot
    be written, or where `folder` is something else than a head.
    """
    files = files_of(card)
    if signature is not None:
        files[SIGNATURE_NAME] = signature
    write_files(files, folder)


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write a head's files by name as they are, as `write_head` does those of a card."""
    parse_head(reader_of(files, str(folder)), str(folder))
    try:
        if os.path.lexists(folder) and not all(_OURS.fullmatch(path.name) for path in folder.iterdir()):
            raise HeadError(f"{folder}: expected a new folder or that of a head, got another one, with files in it")
        folder.mkdir(parents=True, exist_ok=True)
        with locked_folder(folder, wait=True):
            # The card names its file of arrays, so there are two whole heads until the one replaces the other.
            for name in files.keys() - {CARD_NAME, SIGNATURE_NAME}:
                replace_file(folder / name, files[name])
            (folder / SIGNATURE_NAME).unlink(missing_ok=True)
            replace_file(folder / CARD_NAME, files[CARD_NAME])
            if SIGNATURE_NAME in files:
                replace_file(folder / SIGNATURE_NAME, files[SIGNATURE_NAME])
            for left in folder.iterdir():
                if left.name not in files:
                    left.unlink()
            sync_folder(folder.parent)
    except OSError as error:
        raise HeadError(f"{folder}: expected to write a head, got: {error.strerror}") from error


def remove_what_is_left(place: Path) -> None:
    """Delete what a kill left of heads that were being deleted: nobody's examples stay where nobody looks."""
    for gone in place.glob(".*"):
        if _REMOVED.fullmatch(gone.name):
            shutil.rmtree(gone, ignore_errors=True)


def remove_head(name: str, place: Path | None = None) -> Path:
    """Delete one of the owner's heads, its examples too; return its folder. place: as `owned_heads` takes it.

    Raises HeadError where there is none.
    """
    owned = owned_heads(place)
    folder = owned.get(name)
    if folder is None:
        raise HeadError(f"head: {refused(name, owned, what='a head', besides=' of yours', listing=_LISTING)}")
    try:
        gone = folder.rename(folder.with_name(f".{name}.{secrets.token_hex(4)}"))
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(gone)
        remove_what_is_left(folder.parent)
        sync_folder(folder.parent)
    except OSError as error:
        raise HeadError(f"{folder}: expected to delete a head, got: {error.strerror}") from error
    return folder
