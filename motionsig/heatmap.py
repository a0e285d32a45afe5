"""A small picture of signature codes for a notebook's cell, as HTML, without a plotting library."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np
from numpy.typing import NDArray

_MOST_COLUMNS = 600
_ROW_PX = 3
_CELL_PX = 12

# Blue below zero, white at it, orange above: they differ for colour-blind readers, too.
_BELOW, _ZERO, _ABOVE = np.array([[33, 102, 172], [250, 250, 250], [230, 97, 1]], np.float32)


def html(codes: NDArray[np.int8], motion_dim: int, caption: str) -> str:
    """Return codes (k, dim) as an image below a caption: time from left to right, motion above posture.

    More than 600 signatures are thinned out evenly.
    """
    text = f"<div><code>{escape(caption)}</code></div>"
    if not len(codes):
        return text
    step = -(-len(codes) // _MOST_COLUMNS)
    rows = _colours(codes[::step]).swapaxes(0, 1)
    width = max(1, min(_CELL_PX, _MOST_COLUMNS // rows.shape[1]))
    line = np.full((1, rows.shape[1], 3), 96, np.uint8)
    rows = np.repeat(rows, _ROW_PX, axis=0)
    picture = np.concatenate([rows[: motion_dim * _ROW_PX], line, rows[motion_dim * _ROW_PX :]])
    data = base64.b64encode(_png(np.repeat(picture, width, axis=1))).decode("ascii")
    shown = "" if step == 1 else f"; one of {step} signatures is shown"
    note = f"{motion_dim} motion codes above the line, {codes.shape[1] - motion_dim} posture codes below{shown}"
    return f'{text}<img alt="{note}" title="{note}" src="data:image/png;base64,{data}">'


def _colours(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Return (k, dim, 3) RGB; the square root makes small codes visible."""
    size = np.sqrt(np.abs(codes.astype(np.float32)) / 128)[..., None]
    towards = np.where((codes < 0)[..., None], _BELOW, _ABOVE)
    return np.asarray(_ZERO + size * (towards - _ZERO), np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG file of (height, width, 3) RGB (ISO/IEC 15948: signature, IHDR, IDAT, IEND)."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 6)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
