"""Whether systemd listens for the page. It is asked: anybody may listen at a port, and asking there starts the page."""

from __future__ import annotations

import subprocess
from pathlib import Path

PAGE, NETWORK = "motionsig-page.socket", "motionsig-page-network.socket"
PORT, NETWORK_PORT = 8765, 8766
"""As in these units."""


def is_installed(root: Path) -> bool:
    """Tell whether the machine whose files are below `root` has the units of the page."""
    return (root / "usr/lib/systemd/system" / PAGE).is_file()


def where_reached() -> str:
    """Return in words who can reach the page of this machine; empty for nobody."""
    command = ["systemctl", "show", "--property=ActiveState", "--value", PAGE, NETWORK]
    try:
        states = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    except FileNotFoundError:  # no systemd
        return ""
    places = f"from this machine, at port {PORT}", f"from the network, at port {NETWORK_PORT}"
    return " and ".join(place for place, state in zip(places, states, strict=False) if state == "active")
