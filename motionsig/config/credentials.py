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


def credential_path(folder: Path, name: str) -> str:
    """Return the file of a credential, in a service systemd's copy; raise InputError or OSError for one of no use.

    folder: of the originals. The copy is made when the service starts, so only a restart renews it.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", name):
        # It is not repeated: it may be the secret itself.
        raise InputError(f"expected the name of a file in {folder}, got something else")
    source = folder / name
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    # LoadCredential=motionsig:FOLDER names the copy of FOLDER/NAME so, and leaves out links and names with a dot first.
    file = Path(given, f"motionsig_{name}") if given else source
    try:
        _, status = read_file(file, MAX_FILE_BYTES)
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
    return str(file)
