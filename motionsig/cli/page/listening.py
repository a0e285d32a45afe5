"""Whether systemd listens for the page, as the kernel's tables say: to ask at the port would start the page."""

from __future__ import annotations

from pathlib import Path

PORT, NETWORK_PORT = 8765, 8766
"""As in motionsig-page.socket and motionsig-page-network.socket."""

_UNIT = "usr/lib/systemd/system/motionsig-page.socket"
_LISTENS = "0A"  # TCP_LISTEN (linux/tcp_states.h)


def is_installed(root: Path) -> bool:
    """Tell whether the machine whose files are below `root` has the units of the page."""
    return (root / _UNIT).is_file()


def listening(root: Path) -> frozenset[int]:
    """Return those of PORT and NETWORK_PORT that somebody listens at, on the machine whose files are below `root`."""
    found = set()
    for table in ("proc/net/tcp", "proc/net/tcp6"):
        try:
            lines = (root / table).read_text().splitlines()
        except OSError:  # a kernel without IPv6
            continue
        for line in lines[1:]:
            # Addresses and ports are hexadecimal (Documentation/networking/proc_net_tcp.rst).
            _, local, _, state, *_ = line.split()
            if state == _LISTENS:
                found.add(int(local.rpartition(":")[2], 16))
    return frozenset(found & {PORT, NETWORK_PORT})


def where(ports: frozenset[int]) -> str:
    """Return in words who can reach the page; empty for nobody."""
    places = ((PORT, f"from this machine, at port {PORT}"), (NETWORK_PORT, f"from the network, at port {NETWORK_PORT}"))
    return " and ".join(text for port, text in places if port in ports)
