"""What a person needs to reach a page: a link with a code in it, a QR code of that, and how to get there."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from motionsig.cli.qr import print_qr
from motionsig.errors import MissingExtraError
from motionsig.hints import install_hint


def require_page() -> None:
    """Raise MissingExtraError where a library of the page is not installed."""
    from importlib.util import find_spec

    for library in ("uvicorn", "segno"):
        if find_spec(library) is None:
            raise MissingExtraError(f"the page needs {library}, which is not installed: {install_hint(library)}")


def shown_links(codes: Path, state: Path, port: int, network_port: int | None = None) -> Iterator[str]:
    """Yield the lines that let one browser in: of another device where there is a network port, and of this machine.

    Each gets a code of its own, in the folder `codes`. state: the page's folder, with its certificate. Raises OSError.
    """
    from motionsig.page.people import CODE_S, write_code

    validity = f"It lets one browser in, within {CODE_S // 60} minutes."
    if network_port is None:
        yield f"open    {_link(f'http://localhost:{port}', write_code(codes))}"
        yield f"        {validity}"
        return
    first, *others = _places(network_port)
    code = write_code(codes)
    print_qr(_link(first, code), sys.stdout)
    yield f"open    {_link(first, code)}"
    yield from (f"or      {_link(other, code)}" for other in others)
    yield f"        {validity}"
    yield from _fingerprint_lines(state)
    yield f"here    {_link(f'http://localhost:{port}', write_code(codes))}"
    yield f"        {validity}"


def _link(place: str, code: str) -> str:
    """Return the link to a page. What stands behind # stays in the browser: no server and no log gets it."""
    return f"{place}/#pair={code}"


def from_elsewhere(port: int) -> str:
    """Return the command that brings a port of this machine to the computer where it is typed."""
    # Who logged in is not root: sudo says who it was.
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return f"ssh -L {port}:localhost:{port} {user}@{socket.gethostname()}"


def _places(port: int) -> list[str]:
    """Return where other devices find the page, the surest first: a phone may know the machine by no name."""
    from motionsig.page.certificates import own_addresses, own_names

    addresses = [str(each) if each.version == 4 else f"[{each}]" for each in own_addresses()]
    names = [name for name in own_names() if name.endswith(".local")]
    return [f"https://{host}:{port}" for host in (*addresses[:1], *names)] or [f"https://localhost:{port}"]


def _fingerprint_lines(folder: Path) -> Iterator[str]:
    """Yield what to compare with what the browser shows of the certificate in a folder."""
    from motionsig.page.certificates import fingerprint

    pairs = fingerprint(folder).split(":")
    yield "The browser warns once, as nobody vouches for this machine's own certificate. It is the right one if its"
    yield "details show this SHA-256 fingerprint:"
    yield f"        {':'.join(pairs[:16])}"
    yield f"        {':'.join(pairs[16:])}"
