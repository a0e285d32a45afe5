"""What systemd is told of a service."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(**fields: object) -> None:
    """Send systemd fields such as READY=1 or STATUS="..." (sd_notify(3)); do nothing where it does not listen.

    The manual page says to write this oneself; the packages are abandoned (sdnotify) or need systemd's headers.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    text = "\n".join(f"{name}={str(value).replace(chr(10), ' ')}" for name, value in fields.items())
    # A manager that restarts must not end the daemon; it gets the next message.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        # A leading @ stands for the NUL of Linux's abstract namespace.
        sock.sendto(text.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
