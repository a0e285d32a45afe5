"""Messages that cannot be read here yet, because trained tables packed them that this machine lacks: kept in a file.

The file is one of messages, one behind the other. Once the tables are there, read_signatures("file:…") reads it.
"""

from __future__ import annotations

import os
from pathlib import Path

from motionsig.collector.session import digest
from motionsig.errors import SinkError
from motionsig.files import sync_folder, write_all
from motionsig.publishers.stores import FILE_SCHEMES
from motionsig.state import state_path

_MOST_BYTES = 64 << 20


def unread_file(scheme: str, location: str) -> Path:
    """Return the file beside a store that is a file, or in the state's folder."""
    if scheme in FILE_SCHEMES:
        return Path(f"{location.rstrip('/')}.unread")
    # A digest, as the URL may hold a password.
    return state_path("receivers", f"{digest(location)}.unread")


def keep(path: Path, messages: list[bytes]) -> bool:
    """Append messages, on the disk when it returns; return False, and keep none, where the file would become too large.

    Raises SinkError where they cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            data = b"".join(messages)
            if os.fstat(fd).st_size + len(data) > _MOST_BYTES:
                return False
            write_all(fd, data)
            os.fsync(fd)
            sync_folder(path.parent)
        finally:
            os.close(fd)
    except OSError as error:
        raise SinkError(f"{path}: expected to keep messages there that lack tables, got: {error.strerror}") from error
    return True
