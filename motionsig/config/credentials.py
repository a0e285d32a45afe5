"""Credentials: files with secrets. The configuration names them and holds no secret itself.

They are in the folder `credentials` beside config.toml, where only root reads them; systemd gives the service a copy
(LoadCredential=motionsig:FOLDER, systemd.exec(5)). No message repeats their content.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from motionsig.config.files import MAX_FILE_BYTES
from motionsig.errors import InputError
from motionsig.files import read_file

_MAX_SECRET_BYTES = 4096


def password(folder: Path, name: str) -> str:
    """Return a credential without the end of its line; raise InputError or OSError where it cannot be used."""
    file, content = _read_credential(folder, name)
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content or len(content) > _MAX_SECRET_BYTES or b"\0" in content:
        raise InputError(f"{file}: expected 1 to {_MAX_SECRET_BYTES} bytes without NUL, got {len(content)}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: expected UTF-8, got byte {error.start} that is not") from error


def key_file(folder: Path, name: str) -> str:
    """Return the path of a credential; raise InputError or OSError where it cannot be used."""
    return str(_read_credential(folder, name)[0])


def _read_credential(folder: Path, name: str) -> tuple[Path, bytes]:
    """Return the file of a credential (in a service: systemd's copy) and its content. folder: of the originals."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", name):
        # It is not repeated: it may be the secret itself.
        raise InputError(f"expected the name of a file in {folder}, got something else")
    source = folder / name
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    # LoadCredential=motionsig:FOLDER names the copy of FOLDER/NAME so, and leaves out links and names with a dot first.
    file = Path(given, f"motionsig_{name}") if given else source
    try:
        content, status = read_file(file, MAX_FILE_BYTES)
    except FileNotFoundError as error:
        hint = f"; it is made from {source} when the service starts, and a link there is left out" if given else ""
        raise InputError(f"expected a file {file}, got none{hint}") from error
    # systemd 254 and later gives its copy to the service by an access list, whose mask stat shows as the group's bits.
    if status.st_mode & (0o007 if given else 0o077):
        raise InputError(f"{file}: expected a file that only its owner can read; sudo chmod 600 {file}")
    # Where we cannot see the source, it is gone, or in a folder that only root may enter: then nobody else can read it.
    with contextlib.suppress(OSError):
        if given and source.stat().st_mode & 0o077:
            raise InputError(f"{source}: expected a file that only its owner can read; sudo chmod 600 {source}")
    return file, content
