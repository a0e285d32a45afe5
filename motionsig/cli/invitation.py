"""How a phone is let in as a sensor: what a command shows to the person who holds it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from motionsig.cli.qr import print_qr

if TYPE_CHECKING:
    from motionsig.sensors.phone import Invitation


def show_invitation(invitation: Invitation) -> None:
    """Show the link and its QR code on standard error, and what to do on the phone."""
    pairs = invitation.fingerprint.split(":")
    lines = [
        "Open this link on a phone in the same Wi-Fi; it lets one phone in, until this command ends:",
        f"    {invitation.link}",
        *(f"    or {each}" for each in invitation.others[:1]),
        "Its browser warns once, as nobody vouches for this machine's own certificate: choose to go on. It is the",
        "right one if its details show this SHA-256 fingerprint:",
        f"    {':'.join(pairs[:16])}",
        f"    {':'.join(pairs[16:])}",
        "Then tap Start, and keep the page on the screen. Waiting for the phone; Ctrl-C ends this.",
    ]
    print(*lines, sep="\n", file=sys.stderr, flush=True)
    print_qr(invitation.link, sys.stderr)
