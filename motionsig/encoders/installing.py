"""Install a model, or go back to the previous one; both may be interrupted at any moment.

The files are read once and checked in memory, written into a new folder, tried there, and the folder is renamed to its
place. All of this is on the disk before a link leads to it, and each link moves in one step. Models that no link leads
to are deleted last. After a kill, or on a full disk, the model in use is whole, and the next installation removes what
was left over.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from motionsig import model_card, packing
from motionsig.encoders.models import CURRENT, HIGHEST, PREVIOUS, linked, shipped_models
from motionsig.errors import ModelError
from motionsig.files import locked_folder, sync_folder, write_file
from motionsig.model_card import (
    BACKGROUND_NAME,
    CARD_NAME,
    GOLDEN_NAME,
    MODEL_NAME,
    MOST_CARD_BYTES,
    MOST_FILE_BYTES,
    NOTE_NAME,
    SIGNATURE_NAME,
    ModelCard,
    check_file,
    parse_golden,
    read_plain,
)
from motionsig.state import models_folder

_MOST_SIGNATURE_BYTES = 1024

_FOLDER = re.compile(r"([0-9]{1,9})-([0-9a-f]{16})(?:-[0-9]{1,9})?")
_NEW = ".new-"


@dataclass(frozen=True)
class Package:
    """A model as it was given: its card, and the bytes of all its files by name, which are what the card says."""

    card: ModelCard
    files: Mapping[str, bytes]


def read_package(given: Sequence[Path]) -> Package:
    """Return the model in `given`: its files, or its folder, of which only what a device needs is read.

    Raises ModelError for a damaged card, a file that it does not name or describes otherwise, a missing or large one.
    """
    folder = given[0] if len(given) == 1 and given[0].is_dir() else None
    paths = {path.name: path for path in given} if folder is None else {CARD_NAME: folder / CARD_NAME}
    if len(paths) < len(given):
        raise ModelError("expected the files of one model, got two of the same name")
    missing = [str(path) for path in given if not path.exists()]
    if missing:
        raise ModelError(f"expected the folder of a model, or its files, got {missing[0]!r}, which is not there")
    if CARD_NAME not in paths:
        raise ModelError(f"expected {CARD_NAME} among the files, got {', '.join(paths)}")
    content = read_plain(paths[CARD_NAME], MOST_CARD_BYTES, "a model card")
    card = model_card.parse_card(content, paths[CARD_NAME].parent)
    needed = [MODEL_NAME, GOLDEN_NAME, *([card.compiled.file] if card.compiled else [])]
    if folder is not None:
        # Without a background heads can be judged, but none can be taught; without tables codes are deflated.
        taken = [
            *needed,
            SIGNATURE_NAME,
            *(name for name in (BACKGROUND_NAME, packing.FILE_NAME) if name in card.files),
        ]
        paths |= {name: folder / name for name in taken if os.path.lexists(folder / name)}
    if missing := [name for name in needed if name not in paths or name not in card.files]:
        are = "is" if len(missing) == 1 else "are"
        raise ModelError(f"{card.path}: {' and '.join(missing)} {are} missing, beside {CARD_NAME} or in it")
    files = {CARD_NAME: content}
    for name, path in paths.items():
        if name == SIGNATURE_NAME:
            files[name] = read_plain(path, _MOST_SIGNATURE_BYTES)
        elif name != CARD_NAME:
            if name not in card.files:
                raise ModelError(f"{path}: expected a file that {CARD_NAME} names, got one that it does not")
            files[name] = check_file(path, card.files[name])
    parse_golden(card, files[GOLDEN_NAME])
    return Package(card, files)


def _check_version(card: ModelCard, root: Path, *, take_lower: bool) -> None:
    """Raise ModelError for a version lower than any of its name that is installed, was once, or is shipped.

    Also for one that these have with another fingerprint: a version stands for one network.
    """
    known = []
    for which in (CURRENT, PREVIOUS, HIGHEST):
        if folder := linked(root, card.name, which):
            stated = _FOLDER.fullmatch(folder.name)  # which stands even if the model is damaged, or deleted
            if not stated:
                raise ModelError(f"{folder}: expected a folder VERSION-FINGERPRINT, got {folder.name!r}")
            known.append((which, int(stated[1]), stated[2]))
    if shipped := _shipped(card.name):
        known.append(("shipped", shipped.version, shipped.fingerprint.hex()))
    for which, version, fingerprint in known:
        if card.version < version and not take_lower:
            raise ModelError(
                f"{card.path / CARD_NAME}: expected version {version} of {card.name} or a later one, as the {which} "
                f"model has it, got {card.version}; the way back is sudo motionsig models rollback {card.name}, and "
                "--lower takes an older one all the same"
            )
        if card.version == version and card.fingerprint.hex() != fingerprint:
            raise ModelError(
                f"{card.path / CARD_NAME}: expected another version than {version}, which the {which} model "
                f"{fingerprint} of {card.name} has, got it for {card.fingerprint.hex()}"
            )


def install(
    package: Package,
    signed_by: Path | None,
    trial: Callable[[Path], object],
    root: Path | None = None,
    *,
    take_lower: bool = False,
) -> Path:
    """Make a model the current one of its name; return its folder.

    signed_by: the key that its signature was checked with, if it was. trial: is handed the folder with its files and
    raises if the model does not work here. root: where models are installed, if not in `models_folder()`. take_lower:
    whether to take a version below one that was installed. Raises ModelError for such a version without it, or if the
    folder cannot be written; then, as when the trial raises, all is as before.
    """
    root, card = root or models_folder(), package.card
    home = root / card.name
    files = {name: content for name, content in package.files.items() if signed_by or name != SIGNATURE_NAME}
    files[NOTE_NAME] = (json.dumps({"signed_by": signed_by.name if signed_by else None}) + "\n").encode()
    try:
        with _locked(root):
            _check_version(card, root, take_lower=take_lower)
            _clear(root, card.name)
            new = Path(tempfile.mkdtemp(prefix=_NEW, dir=root))
            try:
                for name, content in files.items():
                    write_file(new / name, content)
                trial(new)
                folder = _kept(home, files) or _put(new, home, f"{card.version}-{card.fingerprint.hex()}")
            finally:
                shutil.rmtree(new, ignore_errors=True)
            before = linked(root, card.name, CURRENT)
            if folder != before:
                # Previous first: interrupted between the two, the current one is as before. A damaged model is none to
                # go back to.
                back: dict[str, Path | None] = {}
                with contextlib.suppress(ModelError):
                    if before is not None:
                        read_package([before])
                    back = {PREVIOUS: before}
                # Before the current one, so that the highest version is never forgotten, whatever is rolled back.
                known = [linked(root, card.name, which) for which in (HIGHEST, CURRENT, PREVIOUS)]
                back[HIGHEST] = max((folder, *filter(None, known)), key=_version)
                _move_links(home, {**back, CURRENT: folder})
            _clear(root, card.name)
    except OSError as error:
        raise ModelError(f"{root}: expected to install a model there, got: {error.strerror}") from error
    return folder


def rollback(name: str) -> Path | None:
    """Exchange the current and the previous model; return the folder of the new current one, None for the shipped one.

    The shipped model counts where fewer than two are installed. Raises ModelError for a damaged one, or none.
    """
    root = models_folder()
    if linked(root, name, CURRENT) == linked(root, name, PREVIOUS):  # none, or an installation was interrupted
        which = "installed" if linked(root, name, CURRENT) is None else "previous"
        raise ModelError(f"{root}: no {which} model {name!r}; `motionsig models` lists those that are there")
    try:
        with _locked(root):
            now, then = (linked(root, name, which) for which in (CURRENT, PREVIOUS))
            if then is not None:
                read_package([then])  # raises if it is damaged
            elif _shipped(name) is None:
                raise ModelError(f"{root / name}: expected a previous or a shipped model, got neither")
            # Current first: interrupted between the two, the rollback has been done.
            _move_links(root / name, {CURRENT: then, PREVIOUS: now})
    except OSError as error:
        raise ModelError(f"{root}: expected to change what is current there, got: {error.strerror}") from error
    return then


def signed_by(folder: Path) -> str | None:
    """Return the file name of the key that an installed model's signature was checked with; None if it was not."""
    try:
        key = json.loads(read_plain(folder / NOTE_NAME, _MOST_SIGNATURE_BYTES))["signed_by"]
    except (ModelError, ValueError, LookupError, TypeError):
        return None
    return str(key) if key else None


def _version(folder: Path) -> int:
    return int(folder.name.partition("-")[0])


def _shipped(name: str) -> ModelCard | None:
    folder = shipped_models().get(name)
    return model_card.load_card(folder) if folder else None


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock of the installed models."""
    if not root.is_dir():
        root.mkdir(parents=True)
        root.chmod(0o755)
        sync_folder(root.parent)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked_folder(root, wait=False))
        except BlockingIOError as error:
            raise ModelError(f"{root}: expected to be alone, got another installation at work; try again") from error
        yield


def _clear(root: Path, name: str) -> None:
    """Delete what was never finished, and the models of that name that no link leads to."""
    linked_to = [linked(root, name, which) for which in (CURRENT, PREVIOUS)]
    unlinked = [path for path in (root / name).glob("*") if _FOLDER.fullmatch(path.name) and path not in linked_to]
    for folder in (*root.glob(f"{_NEW}*"), *unlinked):
        shutil.rmtree(folder, ignore_errors=True)


def _kept(home: Path, files: Mapping[str, bytes]) -> Path | None:
    """Return the folder of an installed model with these very files, if there is one, with the time of now."""
    for which in (CURRENT, PREVIOUS):
        folder = linked(home.parent, home.name, which)
        with contextlib.suppress(ModelError, OSError):  # then it is damaged
            if folder and {path.name: read_plain(path, MOST_FILE_BYTES) for path in folder.iterdir()} == files:
                os.utime(folder)  # whoever rejected it sees that it was installed again
                return folder
    return None


def _put(new: Path, home: Path, name: str) -> Path:
    """Rename a finished folder to its place below `home`, so that a power cut leaves all of it there or nothing."""
    if not home.is_dir():
        home.mkdir()
        home.chmod(0o755)
    places = (home / (f"{name}-{number}" if number > 1 else name) for number in count(1))
    place = next(place for place in places if not os.path.lexists(place))
    new.chmod(0o755)
    sync_folder(new)
    new.rename(place)
    sync_folder(home)
    sync_folder(home.parent)
    return place


def _move_links(home: Path, targets: Mapping[str, Path | None]) -> None:
    """Let links lead to other folders, in this order; a link that would lead to None is deleted."""
    for which, target in targets.items():
        made = home / f".{which}"
        made.unlink(missing_ok=True)
        if target is not None:
            made.symlink_to(target.name)  # all that needs free space, before the first link moves
    for which, target in targets.items():
        if target is None:
            (home / which).unlink(missing_ok=True)
        else:
            (home / f".{which}").replace(home / which)
    sync_folder(home)
