"""The characters of a text: its encoding, and what is no text at all."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO

from motionsig.recordings.members import HEAD_BYTES

_ZEROS = re.compile(b"\0+")
_CUTS = 3
_NOT_SHOWN = dict.fromkeys(map(ord, "\t\r\n\f\0"))


def decode(head: bytes) -> tuple[str, str] | None:
    """Return the encoding and text of a file's first bytes, or None where they are not text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", head[: len(head) & ~1].decode("utf-16", errors="ignore")
    # Zeros are what a power cut leaves of a file's last page. More of them than after a cut or two mean binary.
    if not head.strip(b"\0 \t\r\n") or len(_ZEROS.findall(head.rstrip(b"\0"))) > _CUTS:
        return None
    whole = head[: head.rfind(b"\n") + 1 or None] if len(head) == HEAD_BYTES else head
    try:
        encoding, text = "utf-8-sig", whole.decode("utf-8-sig")
    except UnicodeDecodeError:
        encoding, text = _older(whole)
    shown = text.translate(_NOT_SHOWN)
    # Nearly always all is printable, which is a hundred times quicker to know than how much is not.
    odd = 0 if shown.isprintable() else sum(not char.isprintable() for char in shown)
    return (encoding, text) if odd * 50 <= len(text) else None


def _older(content: bytes) -> tuple[str, str]:
    """Return encoding and text of what is no UTF-8: Chinese where all that is not ASCII is, else Western European."""
    try:
        text = content.decode("gb2312")
    except UnicodeDecodeError:
        return "latin-1", content.decode("latin-1")
    return "gb18030", text


def as_utf8(file: IO[bytes], encoding: str, size: int) -> Iterator[bytes]:
    """Yield a text's bytes, about `size` at a time and cut anywhere, as UTF-8; what is no text becomes U+FFFD."""
    if encoding == "utf-16":
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        while data := file.read(size):
            yield decoder.decode(data).encode("utf-8", errors="replace")
        return
    first = True
    while data := file.read(size):
        yield data.removeprefix(codecs.BOM_UTF8) if first else data
        first = False


def valid_utf8(lines: bytes, encoding: str) -> bytes:
    """Return whole lines of a text in `encoding` as valid UTF-8."""
    if lines.isascii():
        return lines
    if encoding in ("latin-1", "gb18030"):
        return lines.decode(encoding, errors="replace").encode()
    try:
        lines.decode()
    except UnicodeDecodeError:
        return lines.decode(errors="replace").encode()
    return lines
