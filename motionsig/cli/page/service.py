"""The page of the service: systemd listens for it, and root says which browser is let in."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from motionsig.cli.page.links import from_elsewhere, require_page, shown_links
from motionsig.cli.page.listening import NETWORK, NETWORK_PORT, PAGE, PORT
from motionsig.errors import InputError, MotionsigError

SERVER, SERVICE, CONTROL = "motionsig-page.service", "motionsig.service", "motionsig-control.socket"
USER = "motionsig-page"
_FURTHER = "motionsig@{}.service"
STATE, RUNTIME = Path("/var/lib/motionsig-page"), Path("/run/motionsig-page")

_TRY = "to try it without the service: motionsig page --sensor simulated"


class NoPageError(MotionsigError, OSError):
    """The page of the service is not there, or not for this user."""


def show(*, network: bool, loopback: bool) -> None:
    """Have systemd listen, and print what lets one browser in.

    network: also for other devices from now on; loopback: no longer. Raises NoPageError, and MissingExtraError for a
    certificate without cryptography.
    """
    owner = _require_service()
    require_page()
    _folder(RUNTIME, owner)
    if network or (not loopback and _is("enabled", NETWORK)):
        from motionsig.page.certificates import keep_certificate

        # Addresses change; the certificate has to have the one that the link names.
        _folder(STATE, owner)
        before = _stamp(STATE)
        keep_certificate(STATE, owner=owner)
        _listen(PAGE, NETWORK, anew=_stamp(STATE) != before)
    else:
        _listen(PAGE, anew=loopback and _is("active", NETWORK), without=NETWORK if loopback else None)
    for line in _lines(is_network=_is("active", NETWORK), owner=owner):
        print(line)
    if not _is("active", CONTROL):
        print(f"The service does not run, so the page has nothing to show: sudo systemctl restart {SERVICE}")
    for line in _others():
        print(line)


def _others() -> Iterator[str]:
    """Yield what to do in place of a page of each further service that runs, motionsig@NAME."""
    command = ["systemctl", "list-units", "--plain", "--no-legend", "--state=active", _FURTHER.format("*")]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    first, last = _FURTHER.split("{}")
    for unit in (line.split()[0] for line in said.splitlines() if line.startswith(first)):
        name = unit.removeprefix(first).removesuffix(last)
        yield f"{first}{name} has no page: this one is of {SERVICE}. To look back on what {first}{name} stores:"
        yield f"        sudo motionsig page store:/var/lib/motionsig-{name}/signatures.db"


def _lines(*, is_network: bool, owner: tuple[int, int]) -> Iterator[str]:
    elsewhere = from_elsewhere(PORT)
    _become(owner)
    if is_network:
        yield from shown_links(RUNTIME, STATE, PORT, NETWORK_PORT)
        yield "No longer for other devices: sudo motionsig page --loopback"
    else:
        yield from shown_links(RUNTIME, STATE, PORT)
        yield f"From another computer first: {elsewhere}"
        yield "For a phone, and without ssh: sudo motionsig page --network"


def print_sessions() -> None:
    """Print the browsers that are let in. Raises NoPageError."""
    from motionsig.page.people import Sessions

    _become(_require_service())
    sessions = Sessions(STATE).all()
    for each in sessions:
        began, seen = (time.strftime("%Y-%m-%d %H:%M", time.localtime(when)) for when in (each.began, each.seen))
        print(f"{each.id}  since {began}, seen {seen}  {each.browser}")
    print("end one: sudo motionsig page --end ID, or all" if sessions else "no browser is let in")


def end_sessions(name: str) -> None:
    """End the session of an id, or "all". Raises InputError where there is none, and NoPageError."""
    from motionsig.page.people import Sessions

    owner = _require_service()
    sockets = [unit for unit in (PAGE, NETWORK) if _is("active", unit)]
    # The page has them in memory, and would write them again when it ends.
    _systemctl("stop", *sockets, SERVER)
    child = os.fork()
    if not child:
        code = 1
        try:
            _become(owner)
            code = 0 if Sessions(STATE).end(name) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if sockets:
        _systemctl("start", *sockets)
    if status:
        raise InputError(f"--end: expected the id of a session, or all, got {name!r:.80}; --sessions lists them")
    print("ended")


def _require_service() -> tuple[int, int]:
    """Return user and group of the page. Raises NoPageError where its units are not there, or this is not root."""
    if shutil.which("systemctl") is None or not _is("loaded", PAGE):
        raise NoPageError(
            f"page: expected the service, which `sudo scripts/install` in a clone sets up, got none; {_TRY}"
        )
    if os.geteuid():
        raise NoPageError(f"page: expected root, who says which browser is let in: sudo motionsig page; {_TRY}")
    try:
        user = pwd.getpwnam(USER)
    except KeyError as error:
        raise NoPageError(f"page: expected the user {USER}, got none: sudo systemd-sysusers") from error
    return user.pw_uid, user.pw_gid


def _is(state: str, unit: str) -> bool:
    """Tell whether a unit is active, enabled or loaded."""
    said = subprocess.run(
        ["systemctl", "show", "--property=ActiveState,UnitFileState,LoadState", "--value", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    return state in said.stdout.split()


def _listen(*units: str, anew: bool = False, without: str | None = None) -> None:
    """Have systemd listen for the page, now and after each start of the machine.

    A page that runs keeps the sockets that it has: it ends where there is another, and the next browser starts it.
    """
    if without is not None:
        _systemctl("disable", "--quiet", without)
    if anew or not all(_is("active", unit) for unit in units):
        _systemctl("stop", PAGE, NETWORK, SERVER)
        # One that could not be started too often is not tried again before that.
        subprocess.run(["systemctl", "reset-failed", PAGE, NETWORK, SERVER], capture_output=True, check=False)
        _systemctl("start", *units)
    _systemctl("enable", "--quiet", *units)


def _systemctl(*words: str) -> None:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split()) or "no reason"
        for unit, port in ((PAGE, PORT), (NETWORK, NETWORK_PORT)):
            if unit in words and not _is("active", unit) and _is_taken(port):
                said = f"port {port} is in use; sudo ss -ltnp 'sport = :{port}' says by whom"
        raise NoPageError(f"page: expected `systemctl {' '.join(words)}` to work, got: {said:.300}")


def _is_taken(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return True
    return False


def _folder(path: Path, owner: tuple[int, int]) -> None:
    """Make a folder of the page as its unit would when it starts."""
    if not path.is_dir():
        path.mkdir(mode=0o700)
        os.chown(path, *owner)


def _stamp(folder: Path) -> bytes:
    """Return the certificate in a folder; nothing where there is none."""
    from motionsig.page.certificates import CERTIFICATE

    path = folder / CERTIFICATE
    return path.read_bytes() if path.is_file() else b""


def _become(owner: tuple[int, int]) -> None:
    """Be the page's user from here on: so what is written is its own, and a link that it made leads nowhere."""
    user, group = owner
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
