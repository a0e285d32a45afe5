"""Looks for samples in bytes: number by number, as floats, counts and text, also in base64; and as a swing of a tone.

`Tap` notes all bytes that pass a stream socket, both ways.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from motionsig.closing import Closing

_NUMBER = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}")
_RUN = 48
"""So many numbers in turn, half a second of samples, are looked at for a swing."""
_LIKE = 0.97
"""Of the power of a swing so much is the tone's."""
_DIGITS = 3
"""Behind the point: four numbers in turn that agree to so many are a sample's. The swing tells what is coarser."""


def found(data: bytes, samples: NDArray[np.float32], scale: NDArray[np.float64], tones: tuple[float, ...]) -> list[str]:
    """Return what of the samples (n, 6) is in bytes, a line for each way in which it is; empty where nothing is.

    scale: (6,) m/s² and rad/s of a count. tones: of the samples, cycles from one number to the next.
    """
    inside = b"".join(map(_decoded, _BASE64.findall(data)))
    lines = []
    for where, part in (("", data), ("in base64, ", inside)):
        lines += [f"{where}{how}" for how in _found(part, samples, scale, tones)]
    return lines


def _decoded(text: bytes) -> bytes:
    plain = text.replace(b"-", b"+").replace(b"_", b"/")
    return base64.b64decode(plain[: len(plain) // 4 * 4])


def _orders(samples: NDArray[np.floating]) -> Iterator[tuple[str, NDArray[np.floating]]]:
    """Yield the numbers of samples in each order in which somebody may write them."""
    yield "samples", samples.ravel()
    for name, columns in (("accelerations", samples[:, :3]), ("angular rates", samples[:, 3:])):
        yield name, columns.ravel()
    yield "channels", samples.T.ravel()


def _found(
    data: bytes, samples: NDArray[np.float32], scale: NDArray[np.float64], tones: tuple[float, ...]
) -> Iterator[str]:
    held = {
        offset: np.frombuffer(data, "<u8", (len(data) - offset) // 8, offset) for offset in range(min(8, len(data)))
    }
    texts = _NUMBER.findall(data)
    points = _fours(np.array([float(it) for it in texts if b"." in it]))
    for name, numbers in _orders(samples.astype(np.float64)):
        counts = next(it for of, it in _orders(samples / scale) if of == name)
        for kind in ("<f4", ">f4", "<f8", ">f8", "<i2", ">i2"):
            written = (np.rint(counts) if kind.endswith("i2") else numbers).astype(kind)
            # Eight bytes of them do not come by chance; those that are nearly all the same byte could.
            size = written.itemsize
            windows = np.lib.stride_tricks.sliding_window_view(written.view(np.uint8), 8)[::size]
            varied = np.ascontiguousarray(windows[(np.diff(np.sort(windows, axis=1), axis=1) > 0).sum(axis=1) >= 3])
            if any(np.isin(part, varied.view("<u8").ravel()).any() for part in held.values()):
                yield f"{name} as {kind}"
        if points & _fours(numbers):
            yield f"{name} as text"
    for name, numbers in _series(data, texts):
        if any(_swings(numbers, tone) for tone in tones):
            yield f"a swing of the tone in {name}"


def _fours(numbers: NDArray[np.floating]) -> set[tuple[int, ...]]:
    whole = np.rint(numbers[np.abs(numbers) < 1e9] * 10**_DIGITS).astype(np.int64).tolist()
    return {four for four in zip(whole, whole[1:], whole[2:], whole[3:], strict=False) if len(set(four)) == 4}


def _series(data: bytes, texts: list[bytes]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield every way to read numbers out of bytes, and the numbers in turn."""
    yield "text", np.array([float(it) for it in texts if len(it) < 30], np.float64)
    for kind in ("<i1", "<i2", ">i2", "<f4", ">f4", "<f8", ">f8"):
        size = np.dtype(kind).itemsize
        for offset in range(min(size, len(data))):
            with np.errstate(all="ignore"):
                numbers = np.frombuffer(data, kind, (len(data) - offset) // size, offset).astype(np.float64)
            yield kind, np.where(np.abs(numbers) < 1e6, numbers, 0.0)


def _swings(numbers: NDArray[np.float64], tone: float) -> bool:
    """Tell whether a run of numbers, each of them or every second, third or sixth, swings as the tone does."""
    at = np.arange(_RUN) * tone * 2 * np.pi
    level, *swing = np.linalg.qr(np.stack([np.ones(_RUN), np.cos(at), np.sin(at)], axis=1))[0].T
    for every in (1, 2, 3, 6):
        for first in range(every):
            series = numbers[first::every]
            if len(series) < _RUN:
                continue
            # Sums of neighbours instead of all windows: a second for a megabyte.
            power = np.convolve(series**2, np.ones(_RUN), "valid") - np.convolve(series, level[::-1], "valid") ** 2
            explained = sum(np.convolve(series, wave[::-1], "valid") ** 2 for wave in swing)
            scale = np.convolve(series**2, np.ones(_RUN), "valid")
            if ((explained > _LIKE * power) & (power > 1e-6 * scale) & (power > 0)).any():
                return True
    return False


class Tap(Closing):
    """Stands between the ends of a stream socket and notes what passes. listens: accepts; dial: gives the other end.

    change: what becomes of what the client says, such as another port in its headers.
    """

    def __init__(
        self,
        listens: socket.socket,
        dial: Callable[[], socket.socket],
        change: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.noted = bytearray()
        self._listens, self._dial, self._change = listens, dial, change
        self._open = [listens]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listens.accept()
            except OSError:
                return
            try:
                server = self._dial()
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            for source, target, change in ((client, server, self._change), (server, client, bytes)):
                threading.Thread(target=self._pass, args=(source, target, change), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, change: Callable[[bytes], bytes]) -> None:
        try:
            while data := source.recv(65536):
                self.noted += data
                target.sendall(change(data))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        for each in self._open:
            # A thread that waits in it hears of a shutdown, but not of a close.
            for end in (lambda each=each: each.shutdown(socket.SHUT_RDWR), each.close):
                with contextlib.suppress(OSError):
                    end()
