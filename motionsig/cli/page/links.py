"""What a person needs to reach a page: a link with a code in it, a QR code of that, and how to get there."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from motionsig.errors import MissingExtraError
from motionsig.hints import install_hint


def require_page() -> None:
    """Raise MissingExtraError where a library of the page is not installed."""
    from importlib.util import find_spec

    for library in ("uvicorn", "segno"):
        if find_spec(library) is None:
            raise MissingExtraError(f"the page needs {library}, which is not installed: {install_hint(library)}")


class Code(NamedTuple):
    """A code that lets one browser in. validity: for how long and for whom, in words."""

    text: str
    validity: str

    def link(self, place: str) -> str:
        """Return the link to a page. What stands behind # stays in the browser: no server and no log gets it."""
        return f"{place}/#pair={self.text}"


def let_in(folder: Path) -> Code:
    """Write a new code into the folder where the page looks for it. Raises OSError."""
    from motionsig.page.people import CODE_S, write_code

    return Code(write_code(folder), f"It lets one browser in, within {CODE_S // 60} minutes.")


def from_elsewhere(port: int) -> str:
    """Return the command that brings a port of this machine to the computer where it is typed."""
    # Who logged in is not root: sudo says who it was.
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return f"ssh -L {port}:localhost:{port} {user}@{socket.gethostname()}"


def network_links(port: int) -> list[str]:
    """Return where other devices find the page, the surest first: a phone may know the machine by no name."""
    from motionsig.page.certificates import own_addresses, own_names

    addresses = [str(each) if each.version == 4 else f"[{each}]" for each in own_addresses()]
    names = [name for name in own_names() if name.endswith(".local")]
    return [f"https://{host}:{port}" for host in (*addresses[:1], *names)] or [f"https://localhost:{port}"]


def shown_fingerprint(folder: Path) -> Iterator[str]:
    """Yield what to compare with what the browser shows of the certificate in a folder."""
    from motionsig.page.certificates import fingerprint

    pairs = fingerprint(folder).split(":")
    yield "The browser warns once, as nobody vouches for this machine's own certificate. It is the right one if its"
    yield "details show this SHA-256 fingerprint:"
    yield f"        {':'.join(pairs[:16])}"
    yield f"        {':'.join(pairs[16:])}"
