"""Rights that a process gives up for good before it runs a network of anybody's, which a runtime in C++ takes apart.

Where the kernel has Landlock (from 5.13 on; landlock(7)), the thread that runs the network reaches no files and no
processes of its user's either. What the kernel does not have, or a service's system call filter refuses, is left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
from pathlib import Path

_DYNAMIC_UIDS = range(61184, 65520)
"""Users that nobody is, as systemd chooses them for DynamicUser= (systemd, UIDS-GIDS.md)."""
_MOST_MEMORY_BYTES = 1 << 30
"""More than the process has when it is confined; arrays of the largest network that is taken fit in a quarter."""
_MOST_CPU_S = 120
"""More than a trial's deadline: for a process whose parent is no longer there to end it."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38  # linux/prctl.h
_CLONE_NEWNET = 0x40000000  # linux/sched.h
# linux/landlock.h; system calls that came after 2019 have the same number on every architecture.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights on files each version has, from the first bit on; later ones have 16."""
_READ = 0b1100
_NET_SINCE, _SCOPES_SINCE = 4, 6
_TCP = _SCOPES = 0b11
"""To bind and to connect; abstract sockets and signals of other processes."""


def confine(*, root_will_do: bool, device: bool = False) -> None:
    """Give up root, new processes, files, connections, signals and much memory, for good; what is open stays open.

    root_will_do: whether to go on as root where the system does not let it go, as in a container without other users.
    device: whether a device's library goes on: it may start threads, take memory and read files. Call it in the thread
    that runs the network. Raises OSError where it does not let root go, and may not go on.
    """
    libc = ctypes.CDLL(None)
    with contextlib.suppress(OSError):
        # Where memory runs out, this process has to end, and no other.
        Path("/proc/self/oom_score_adj").write_text("1000")
    if os.geteuid() == 0:
        if not device:
            libc.unshare(_CLONE_NEWNET)
        uid = _DYNAMIC_UIDS[os.getpid() % len(_DYNAMIC_UIDS)]
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        except OSError:
            if not root_will_do:
                raise
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # two of one user could trace each other
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}
    if not device:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        limits |= {
            resource.RLIMIT_NPROC: 0,
            resource.RLIMIT_CPU: _MOST_CPU_S,
            resource.RLIMIT_DATA: _data_bytes() + _MOST_MEMORY_BYTES,
        }
    for what, most in limits.items():
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(OSError):  # systemd's SystemCallFilter=~@resources
            resource.setrlimit(what, (least, least))
    _restrict(libc, reads=device)


def _restrict(libc: ctypes.CDLL, *, reads: bool) -> None:
    """Have Landlock refuse this thread all that it can; reads: but for reading files."""
    call = libc.syscall
    call.restype, call.argtypes = ctypes.c_long, (ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
    version = call(_CREATE_RULESET, None, 0, _VERSION)
    if version < 1:
        return
    files = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    net, scopes = _TCP * (version >= _NET_SINCE), _SCOPES * (version >= _SCOPES_SINCE)
    ruleset = struct.pack("=QQQ", files & ~_READ if reads else files, net, scopes)
    descriptor = call(_CREATE_RULESET, ruleset, len(ruleset), 0)
    if descriptor >= 0:
        call.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_uint)
        call(_RESTRICT_SELF, descriptor, 0)
        os.close(descriptor)


def _data_bytes() -> int:
    """Return this process's data and heap, as RLIMIT_DATA counts them (proc_pid_statm(5))."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * resource.getpagesize()
