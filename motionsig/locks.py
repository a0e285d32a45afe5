"""One owner for each device: a lock that the kernel holds, names and releases; there is no file to clean up.

The lock lies on a byte of the device's node (F_OFD_SETLK: of the open file, so that a second owner in the same process
is refused, too), or on the device's folder in sysfs (flock). The kernel releases it when the last process that has the
descriptor ends, however it ends. Such a lock does not tell whose it is; so the owner takes a second lock, of the
process, on the byte `_NAMES` further, which tells the process to every user. A folder in sysfs can be locked by every
user, through read-only mounts and from other process namespaces (tried on Linux 6.18). A container with device nodes
or, because it has a network namespace, a sysfs of its own does not see the locks of others.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from motionsig.closing import Closing

_NAMES = 0x1000
_FLOCK = "hhqqi4x"
"""struct flock with 64-bit offsets (fcntl(2)): type, whence, start, length, process."""

_guard = threading.RLock()
"""Held while descriptors are closed or names are given; a signal handler may close a device meanwhile."""
_named: dict[int, int] = {}
"""Open descriptors of this process, and the byte whose owner's name each gives."""

THIS = "this process"


class TakenError(BlockingIOError):
    """Another owner has the lock. who: its process, such as "process 1234 (motionsig run)", or `THIS`."""

    def __init__(self, who: str) -> None:
        super().__init__(errno.EAGAIN, f"held by {who}")
        self.who = who


class Lock(Closing):
    """Nobody else can have the same until this is closed or forgotten, and every process that inherited it has ended.

    files: the locked descriptors; a child that inherits them keeps the lock when this process dies.
    """

    def __init__(self) -> None:
        self.files: list[int] = []

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        with _guard:
            while self.files:
                file = self.files.pop()
                _named.pop(file, None)
                os.close(file)
            name_again()


def lock(nodes: Sequence[Path], at: int = 0) -> Lock:
    """Lock a byte of the first of `nodes`, or that folder; the nodes after it are locked as shared.

    Raises TakenError where another owner has it, another OSError where it cannot be locked.
    """
    taken = Lock()
    try:
        for above, node in enumerate(nodes):
            taken.files.append(file := _open(node, os.O_RDONLY if above else None))
            if os.path.isdir(node):
                # Records in a folder cannot be locked for writing.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                _lock(file, fcntl.F_OFD_SETLK, fcntl.F_RDLCK if above else fcntl.F_WRLCK, at)
            with _guard:
                _named[file] = at
                _lock(file, fcntl.F_SETLK, fcntl.F_RDLCK, _NAMES + at)
    except OSError as error:
        who = _holder(taken.files[-1], at) if error.errno in (errno.EAGAIN, errno.EACCES) and taken.files else None
        if error.errno == errno.EBUSY:
            # A serial port that its owner has made its alone (TIOCEXCL) cannot even be opened.
            who = process_name(_seen(os.stat(node).st_ino, at))
        taken.close()
        error.filename = str(node)
        if who is None:
            raise
        raise TakenError(who) from error
    return taken


def holder(nodes: Sequence[Path], at: int = 0) -> str | None:
    """Return who has locked one of `nodes` so that `lock` would be refused; None also where that may not be asked."""
    return next((who for above, node in enumerate(nodes) if (who := _asked(node, at, shared=above > 0))), None)


def name_again() -> None:
    """Give the names of all owners in this process again.

    The kernel drops a process's locks on a file as soon as it closes any descriptor of that file (fcntl(2)): whoever
    closes one of a device calls this. Without a name, the owner is found only by users who may see its descriptors.
    """
    with _guard:
        for file, at in _named.items():
            with suppress(OSError):
                _lock(file, fcntl.F_SETLK, fcntl.F_RDLCK, _NAMES + at)


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
            return process_name(pid) if (pid := _pid(file, at)) else None
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
    return process_name(_pid(file, at) or _seen(os.fstat(file).st_ino, at))


def _seen(inode: int, at: int) -> int:
    """Return the process one of whose descriptors shows the lock (proc(5), fdinfo); 0 where none may be seen."""
    for pid, info in descriptors("fdinfo"):
        with suppress(OSError):
            locks = [line for line in info.read_text().splitlines() if line.startswith("lock:")]
            if any(f":{inode} {at} {at}" in line or (f":{inode} 0 EOF" in line and "FLOCK" in line) for line in locks):
                return pid
    return 0


def descriptors(folder: str, proc: str = "/proc") -> Iterator[tuple[int, Path]]:
    """Yield process and file of each open descriptor that this user may see. folder: "fd" or "fdinfo", see proc(5)."""
    for process in os.listdir(proc):
        if process.isdigit():
            # It may end at any moment, and `Path.glob` does not pass over what is gone.
            with suppress(OSError):
                for name in os.listdir(f"{proc}/{process}/{folder}"):
                    yield int(process), Path(proc, process, folder, name)


def process_name(pid: int) -> str:
    """Return how a process is called: its number, and its command where that may be seen."""
    if pid == os.getpid():
        return THIS
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
