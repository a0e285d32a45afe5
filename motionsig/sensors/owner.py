"""One owner for each chip: two programs that set up one chip give each other wrong samples, and no bus prevents that.

The lock (`motionsig.locks`) lies on the node of the device, on the byte of the chip's address: only users who may use
the device can take it. A bus behind a multiplexer reaches the chips on the buses above it: there, the address is locked
as shared, so that two channels may each have a chip with one address, but the bus above and a channel may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from motionsig.closing import Closing
from motionsig.errors import SensorError
from motionsig.locks import THIS, Lock, TakenError, holder, lock

_objects: dict[tuple[int, int], tuple[int, int]] = {}
"""What is owned on buses that are no devices: identity of the bus, and address."""


class Named(Protocol):
    """A bus, as far as its owners go; `nodes`, if it is a device: its own node, then those of the buses above it."""

    name: str


class HeldError(SensorError):
    """A chip or a device that another reader holds; the text names its process."""


class Owned(Closing):
    """What `own` and `own_device` return: nobody else can own the same until this is closed, forgotten, or has died."""

    def __init__(self, bus: object = None, lock: Lock | None = None) -> None:
        self._key: tuple[int, int] | None = None
        self._bus = bus  # its identity is the key: it must not be given to another object meanwhile
        self._lock = lock

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._key is not None:
            _objects.pop(self._key, None)
            self._key = None
        if self._lock is not None:
            self._lock.close()


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
        raise _held(what, THIS)
    owned._key = key
    return owned


def own_device(path: Path, what: str) -> Owned:
    """Own a whole device by its node, or by its folder in sysfs; raise HeldError where it has an owner."""
    return _own((path,), 0, what)


def owner_of(bus: Named, address: int) -> str | None:
    """Return who owns the chip at an address, such as "process 1234 (motionsig run)"; None if nobody does."""
    nodes: Sequence[Path] = getattr(bus, "nodes", ())
    if not nodes:
        return THIS if (id(bus), address) in _objects else None
    return holder(nodes, address)


def device_owner(path: Path) -> str | None:
    """Return who owns a whole device, as `owner_of` does."""
    return holder((path,))


def _own(nodes: Sequence[Path], at: int, what: str) -> Owned:
    try:
        return Owned(lock=lock(nodes, at))
    except TakenError as error:
        raise _held(what, error.who) from error
    except OSError as error:
        raise SensorError(f"{what}: expected to lock {error.filename}, got: {error.strerror}") from error


def _held(what: str, who: str) -> HeldError:
    first = "close that one" if who == THIS else "stop that (a service: sudo systemctl stop motionsig)"
    return HeldError(f"{what}: expected a sensor that nobody else reads, got one held by {who}; {first} first")
