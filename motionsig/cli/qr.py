"""QR codes of links, for a phone to read from a terminal."""

from __future__ import annotations

from typing import TextIO

from motionsig.hints import install_hint


def print_qr(link: str, out: TextIO) -> None:
    """Draw a QR code of a link where `out` is a terminal; say what is missing where it cannot be drawn."""
    if not out.isatty():
        return
    try:
        import segno
    except ImportError:
        print(f"With segno, a QR code of the link is shown here: {install_hint('segno')}", file=out)
        return
    segno.make(link, error="l", micro=False).terminal(out=out, compact=True)
    out.flush()
