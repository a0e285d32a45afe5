"""One owner for each chip: two programs that set up one chip give each other wrong samples, and no bus prevents that.

The lock lies on the node of the device, on the byte of the chip's address: there is no file to clean up, only users who
may use the device can lock it, and the kernel releases the lock when its process ends, however it ends. It is a lock of
the open file (F_OFD_SETLK), so that a second reader in the same process is refused, too. Such a lock does not tell
whose it is; so the owner takes a second lock, of the process, on the byte `_NAMES` further, which tells the process to
every user. A bus behind a multiplexer reaches the chips on the buses above it: there, the address is locked as shared,
so that two channels may each have a chip with one address, but the bus above and a channel may not.
Containers with device nodes of their own do not see each other's locks.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from motionsig.closing import Closing
from motionsig.errors import SensorError

_NAMES = 0x1000
_FLOCK = "hhqqi4x"
"""struct flock with 64-bit offsets (fcntl(2)): type, whence, start, length, process."""

_guard = threading.RLock()
"""Held while descriptors are closed or names are given; a signal handler may close a sensor meanwhile."""
_objects: dict[tuple[int, int], tuple[int, int]] = {}
"""What is owned on buses that are no devices: identity of the bus, and address."""
_named: dict[int, int] = {}
"""Open descriptors of this process, and the byte whose owner's name each gives."""


class Named(Protocol):
    """A bus, as far as its owners go; `nodes`, if it is a device: its own node, then those of the buses above it."""

    name: str


class HeldError(SensorError):
    """A chip or a device that another reader holds; the text names its process."""


class Owned(Closing):
    """What `own` and `own_device` return: nobody else can own the same until this is closed, forgotten, or has died."""

    def __init__(self, bus: object = None) -> None:
        self._key: tuple[int, int] | None = None
        self._bus = bus  # its identity is the key: it must not be given to another object meanwhile
        self._files: list[int] = []

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._key is not None:
            _objects.pop(self._key, None)
            self._key = None
        with _guard:
            while self._files:
                file = self._files.pop()
                _named.pop(file, None)
                os.close(file)
            name_again()


def own(bus: Named, address: int) -> Owned:
    """Own the chip at an address, whoever else talks to other chips there; raise HeldError where it has an owner.

    A bus whose `nodes` are device nodes (its own first, then those of the buses above it) is locked among processes;
    any other bus among the readers of this very object.
    """
    # A chip on SPI has no address.
    what = f"{bus.name} address 0x{address:02x}" if address else bus.name
    nodes: Sequence[Path] = getattr(bus, "nodes", ())
    if nodes:
        return _own(nodes, address, what)
    owned, key = Owned(bus), (id(bus), address)
    if _objects.setdefault(key, key) is not key:
        raise _held(what, _name(os.getpid()))
    owned._key = key
    return owned


def own_device(path: Path, what: str) -> Owned:
    """Own a whole device by its node, or by its folder in sysfs; raise HeldError where it has an owner."""
    return _own((path,), 0, what)


def owner_of(bus: Named, address: int) -> str | None:
    """Return who owns the chip at an address, such as "process 1234 (motionsig run)"; None if nobody does."""
    nodes: Sequence[Path] = getattr(bus, "nodes", ())
    if not nodes:
        return _name(os.getpid()) if (id(bus), address) in _objects else None
    return next((who for at, node in enumerate(nodes) if (who := _asked(node, address, shared=at > 0))), None)


def device_owner(path: Path) -> str | None:
    """Return who owns a whole device, as `owner_of` does."""
    return _asked(path, 0, shared=False)


def name_again() -> None:
    """Give the names of all owners in this process again.

    The kernel drops a process's locks on a file as soon as it closes any descriptor of that file (fcntl(2)): whoever
    closes one of a device calls this. Without a name, the owner is found only by users who may see its descriptors.
    """
    with _guard:
        for file, at in _named.items():
            with suppress(OSError):
                _lock(file, fcntl.F_SETLK, fcntl.F_RDLCK, _NAMES + at)


def _own(nodes: Sequence[Path], at: int, what: str) -> Owned:
    owned = Owned()
    try:
        for above, node in enumerate(nodes):
            owned._files.append(file := _open(node, os.O_RDONLY if above else None))
            if os.path.isdir(node):
                # Records in a folder cannot be locked for writing.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                _lock(file, fcntl.F_OFD_SETLK, fcntl.F_RDLCK if above else fcntl.F_WRLCK, at)
            with _guard:
                _named[file] = at
                _lock(file, fcntl.F_SETLK, fcntl.F_RDLCK, _NAMES + at)
    except OSError as error:
        who = _holder(owned._files[-1], at) if error.errno in (errno.EAGAIN, errno.EACCES) and owned._files else None
        if error.errno == errno.EBUSY:
            # A serial port that its owner has made its alone (TIOCEXCL) cannot even be opened.
            who = _name(_seen(os.stat(node).st_ino, at))
        owned.close()
        if who is None:
            raise SensorError(f"{what}: expected to lock {node}, got: {error.strerror}") from error
        raise _held(what, who) from error
    return owned


def _held(what: str, who: str) -> HeldError:
    first = "close that one" if who == _THIS else "stop that (a service: sudo systemctl stop motionsig)"
    return HeldError(f"{what}: expected a sensor that nobody else reads, got one held by {who}; {first} first")


def _open(node: Path, flags: int | None = None) -> int:
    """Open a node as its lock needs: to write, and a folder to read."""
    if flags is None:
        flags = os.O_RDONLY if node.is_dir() else os.O_RDWR
    # Opening a terminal must not make it this process's.
    return os.open(node, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)


def _asked(node: Path, at: int, *, shared: bool) -> str | None:
    """Return who holds a byte so that it could not be locked; None also where that may not be asked."""
    try:
        file = _open(node, os.O_RDONLY)
    except OSError:
        return None
    try:
        if node.is_dir():
            # That a folder is locked shows only in the name: to try the lock would refuse it to whoever wants it now.
            return _name(pid) if (pid := _pid(file, at)) else None
        kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
        free = _lock(file, fcntl.F_OFD_GETLK, kind, at)[0] == fcntl.F_UNLCK
        return None if free else _holder(file, at)
    finally:
        with _guard:
            os.close(file)
            name_again()


def _lock(file: int, command: int, kind: int, at: int) -> tuple[int, ...]:
    """Lock a byte, or ask about it; return (type, whence, start, length, process) of what is in the way."""
    done = fcntl.fcntl(file, command, struct.pack(_FLOCK, kind, os.SEEK_SET, at, 1, 0))
    return struct.unpack(_FLOCK, done)


def _pid(file: int, at: int) -> int:
    """Return the process that gave its name for a byte; 0 where none did."""
    kind, _, _, _, pid = _lock(file, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, _NAMES + at)
    return 0 if kind == fcntl.F_UNLCK else pid


def _holder(file: int, at: int) -> str:
    return _name(_pid(file, at) or _seen(os.fstat(file).st_ino, at))


def _seen(inode: int, at: int) -> int:
    """Return the process one of whose descriptors shows the lock (proc(5), fdinfo); 0 where none may be seen."""
    for info in Path("/proc").glob("[0-9]*/fdinfo/*"):
        with suppress(OSError):
            locks = [line for line in info.read_text().splitlines() if line.startswith("lock:")]
            if any(f":{inode} {at} {at}" in line or (f":{inode} 0 EOF" in line and "FLOCK" in line) for line in locks):
                return int(info.parts[2])
    return 0


_THIS = "this process"


def _name(pid: int) -> str:
    """Return how a process is called: its number, and its command where that may be seen."""
    if pid == os.getpid():
        return _THIS
    if pid <= 0:
        return "another process"
    words: list[str] = []
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    if len(words) > 1 and os.path.basename(words[0]).startswith("python"):
        # An interpreter's name says little; options of its own are followed by what runs.
        words = words[2:] if words[1] == "-m" else words[1:]
    # A command and what it is to do, as in `motionsig run`; the rest may be long.
    shown = [os.path.basename(word) for word in words[:1]] + [word for word in words[1:2] if word.isalpha()]
    command = "".join(letter if letter.isprintable() else "?" for letter in " ".join(shown)[:60])
    return f"process {pid} ({command})" if command else f"process {pid}"
