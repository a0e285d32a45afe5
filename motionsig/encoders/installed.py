"""Where installed models are, and which of them is in use. Asked every second by the daemon, so it has to be cheap.

    FOLDER/NAME/VERSION-FINGERPRINT/    a model: card, files, the card's signature, a note on who signed it
    FOLDER/NAME/current, previous       links to two of them; no `current`: the shipped model of that name is in use

A model's folder is never changed once it has its name; a model that is installed again gets a folder of its own.
`installing` writes all this, and nothing else does.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from motionsig.errors import ModelError

CURRENT, PREVIOUS = "current", "previous"

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What may become a folder or file here: one part of a path, not hidden, without surprises on a terminal."""


def models_folder() -> Path:
    """Return the folder of the installed models; $MOTIONSIG_MODELS names another."""
    return Path(os.environ.get("MOTIONSIG_MODELS") or "/var/lib/motionsig-models")


def current(name: str) -> Path | None:
    """Return the folder of the installed model of that name that is in use; None where the shipped one is, or none.

    Raises ModelError where that cannot be told.
    """
    return linked(models_folder(), name, CURRENT)


def previous(name: str) -> Path | None:
    """Return the folder of the installed model to go back to; None where that is the shipped one, or none.

    Raises ModelError where that cannot be told.
    """
    folder = linked(models_folder(), name, PREVIOUS)
    return None if folder == current(name) else folder


def names() -> list[str]:
    """Return the names of the models that are installed, in use or to go back to."""
    links = (link for which in (CURRENT, PREVIOUS) for link in models_folder().glob(f"*/{which}"))
    return sorted({link.parent.name for link in links})


def linked(root: Path, name: str, which: str) -> Path | None:
    """Return where one of a model's links leads, whatever is there; None where there is no link."""
    if not PLAIN_NAME.fullmatch(name):
        return None
    link = root / name / which
    try:
        return link.parent / os.readlink(link)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ModelError(f"{link}: expected a link to an installed model, got: {error.strerror}") from error
