"""Who is let in: codes that work once, and the sessions of browsers that brought one.

A code has 128 random bits. `sudo motionsig page` shows it and leaves its hash in a folder of the page; who reads that
folder can let nobody in. A browser that brings the code gets a token of 256 random bits as a cookie, and the page keeps
the hash of that, too. Hashes need no salt and no slowness here: nobody can try 2^128 codes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motionsig.escaping import escaped, own_logger
from motionsig.files import read_file, replace_file, write_file

CODE_S = 600
"""For how long a code lets in."""

MOST_SESSIONS = 32
IDLE_S, LONGEST_S = 30 * 86400, 180 * 86400
"""A session ends after so long without a request, and after so long whatever happens."""

_SAVE_S = 3600
"""How old the time of a session's last request may be on the disk: SD cards wear out."""

_MOST_S = 1 << 36
"""No time is later."""
_MOST_CODES = 64
_CODE_FILE = re.compile("code-([0-9a-f]{64})")
_SESSIONS = "sessions.json"
_MOST_BYTES = 1 << 16

# A browser calls itself many names; the first of these that it says is what people call it.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)

_logger = own_logger(__name__)


def write_code(folder: Path) -> str:
    """Return a new code (22 letters, digits, - and _), whose hash the page finds in `folder` for 10 minutes.

    It has to be the page's user who writes it. Raises OSError where the folder cannot be written.
    """
    code = secrets.token_urlsafe(16)
    write_file(folder / f"code-{_hash(code)}", b"%d" % (_since_boot_s() + CODE_S), mode=0o600)
    return code


def take_code(folder: Path, code: str) -> bool:
    """Tell whether a code lets in, and have it let in nobody else: of two at the same time, one gets in."""
    wanted, found = _hash(code), None
    for path in _code_files(folder):
        # Whatever the folder holds, all of it is compared, and takes the same time.
        if hmac.compare_digest(path.name, f"code-{wanted}"):
            found = path
    if found is None:
        return False
    try:
        good = _is_good(found)
        found.unlink()  # only one can
    except OSError:
        return False
    return good


def _code_files(folder: Path) -> list[Path]:
    """Return the files of the codes that are good; delete the others."""
    try:
        files = [path for path in folder.iterdir() if _CODE_FILE.fullmatch(path.name)][:_MOST_CODES]
    except OSError:  # no code was ever made
        return []
    good = [path for path in files if _is_good(path)]
    for path in set(files) - set(good):
        with contextlib.suppress(OSError):
            path.unlink()
    return good


def _is_good(path: Path) -> bool:
    try:
        text = read_file(path, 32, follow_links=False)[0]
    except OSError:
        return False
    # One that ends later than any could is of another start of the system, in a folder that outlived it.
    return text.isdigit() and 0 < int(text) - _since_boot_s() <= CODE_S


def _since_boot_s() -> int:
    """Return a time that no setting of the clock moves, and that is the same in all processes."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def csrf_of(token: str) -> str:
    """Return what a session's page puts into the header of each change; another site cannot know it."""
    return _hash("csrf:" + token)


def browser_name(agent: str) -> str:
    """Return what to call a browser in a list, in words of ours alone: "Firefox on Android"."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "A browser")
    system = next((f" on {name}" for mark, name in _SYSTEMS if mark in agent), "")
    return browser + system


@dataclass(frozen=True)
class Session:
    """A browser that was let in. digest: SHA-256 of its token. began, seen: whole s of Unix time."""

    digest: str
    began: int
    seen: int
    browser: str

    @property
    def id(self) -> str:
        """What it is called where all are listed; it opens nothing."""
        return self.digest[:16]


class Sessions:
    """The sessions, in a file of a folder that is the page's own."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = folder / _SESSIONS, clock
        self._known = _read_sessions(self._path)
        self._saved_s = clock()

    def begin(self, browser: str) -> str:
        """Return the token of a new session. The one that was seen least lately makes room where there are too many."""
        token, now = secrets.token_urlsafe(32), int(self._clock())
        for session in self.all()[MOST_SESSIONS - 1 :]:
            del self._known[session.digest]
        digest = _hash(token)
        self._known[digest] = Session(digest, now, now, browser)
        self.save()
        return token

    def find(self, token: str | None) -> Session | None:
        """Return the session of a token, which was seen now; None where there is none that holds."""
        if token is None or len(token) > 64:
            return None
        # A dictionary's comparison takes a time that depends on hashes alone, which nobody can choose.
        return self.see(_hash(token))

    def see(self, digest: str) -> Session | None:
        """Return the session of a token's hash, which was seen now; None where there is none that holds."""
        if not self.holds(digest):
            return None
        now = self._clock()
        session = self._known[digest] = replace(self._known[digest], seen=int(now))
        if not 0 <= now - self._saved_s < _SAVE_S:
            self.save()
        return session

    def holds(self, digest: str) -> bool:
        """Tell whether a session still holds."""
        session, now = self._known.get(digest), self._clock()
        if session is None:
            return False
        # A board without a clock of its own begins in the past until the network tells the time: that ends nothing.
        if now - session.seen < IDLE_S and now - session.began < LONGEST_S:
            return True
        del self._known[digest]
        return False

    def all(self) -> list[Session]:
        """Return all that hold, the one that was seen last first."""
        return sorted(
            filter(lambda each: self.holds(each.digest), list(self._known.values())), key=lambda each: -each.seen
        )

    def end(self, name: str) -> list[Session]:
        """End the session of an id, or "all"; return those that ended."""
        ended = [session for session in self.all() if name in ("all", session.id)]
        for session in ended:
            del self._known[session.digest]
        if ended:
            self.save()
        return ended

    def save(self) -> None:
        """Write them; where that fails, they hold until the page ends."""
        rows = [[each.digest, each.began, each.seen, each.browser] for each in self._known.values()]
        self._saved_s = self._clock()
        try:
            replace_file(self._path, json.dumps(rows).encode(), mode=0o600)
        except OSError as error:
            _logger.warning("sessions: expected to write them, got: %s", errno.errorcode.get(error.errno or 0, "?"))


def _read_sessions(path: Path) -> dict[str, Session]:
    try:
        rows = json.loads(read_file(path, _MOST_BYTES, follow_links=False)[0])
        sessions = [_session(row) for row in rows]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, RecursionError):
        _logger.warning("sessions: expected a readable file, got a damaged one: every browser has to be let in again")
        return {}
    return {session.digest: session for session in sessions}


def _session(row: Any) -> Session:
    digest, began, seen, browser = row
    are_times = all(type(at) is int and 0 <= at < _MOST_S for at in (began, seen))
    if not (re.fullmatch("[0-9a-f]{64}", digest) and are_times):
        raise ValueError
    # Root's terminal shows it, and the page's process, which writes it, may be somebody else's by then.
    return Session(digest, began, seen, escaped(str(browser)[:64]))
