"""A phone's page as a model: its sensors, its clock and its network, over real HTTPS.

What the page's script does is in `send`: numbers, keeping what is not acknowledged, a new run after a sleep.
"""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

G = 9.80665


def flat(t: float) -> tuple[np.ndarray, np.ndarray]:
    """Return specific force and angular rate (3,) of a phone that lies with its screen up, with a sensor's noise."""
    noise = np.random.default_rng(int(t * 1e6) & 0xFFFFFFFF).normal(size=6)
    return np.array([0.0, 0.0, G]) + 0.02 * noise[:3], 0.002 * noise[3:]


def rolling(t: float, *, rate: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    """Return those of a phone that rests for two seconds and then turns about x, its right-hand side, all the time."""
    acc, gyr = flat(t)
    angle = rate * max(0.0, t - 2.0)
    turned = np.array([0.0, G * np.sin(angle), G * np.cos(angle)])
    return turned + (acc - [0, 0, G]), gyr + np.array([rate * (t > 2.0), 0, 0])


@dataclass
class PhoneModel:
    """link: as the command shows it. motion: seconds since the start to what its sensors feel. apple: how it is told.

    offset_s, drift: of its clock against ours. jitter_s: of its timer. convention: from alpha, beta and gamma in deg/s
    about x, y and z to what the browser gives. taken: rows that it has sent or is to send, [time in ms, six values].
    """

    link: str
    motion: Callable[[float], tuple[np.ndarray, np.ndarray]] = flat
    apple: bool = False
    rate_hz: float = 60.0
    offset_s: float = 1234.5
    drift: float = 0.0
    jitter_s: float = 0.001
    delay_s: float = 0.0
    has_gyroscope: bool = True
    convention: Callable[[np.ndarray], np.ndarray] | None = None
    phone: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    taken: list[list[Any]] = field(default_factory=list)
    truths_ns: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.address = urlsplit(self.link)
        self.host = f"127.0.0.1:{self.address.port}"
        self.run = secrets.token_hex(8)
        self.first = self.number = self.tap = 0
        self.waiting: list[list[Any]] = []
        self.answer: dict[str, Any] = {}
        self.connection: http.client.HTTPSConnection | None = None
        self.away, self.asleep, self.hidden = threading.Event(), threading.Event(), threading.Event()
        self.ended = threading.Event()
        self.slept_s = 0.0
        self.lock = threading.Lock()
        self.status = 0
        self.thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> PhoneModel:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        if self.thread.is_alive():
            self.thread.join(60)
        if self.connection:
            self.connection.close()

    def now_ms(self) -> float:
        return ((time.monotonic() - self.slept_s) * (1 + self.drift) + self.offset_s) * 1e3

    def post(self, path: str, said: object, *, headers: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """Return status and answer of a request, as the page makes it; headers: others, "" for none of that name."""
        given = {"Host": self.host, "Origin": f"https://{self.host}", "Content-Type": "application/json"}
        given |= {"X-Motionsig-Phone": self.phone, **(headers or {})}
        given = {name: value for name, value in given.items() if value}
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        time.sleep(self.delay_s)
        with self.lock:
            return self._exchange(path, body, given)

    def _exchange(self, path: str, body: bytes, given: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.connection is None:
            context = ssl._create_unverified_context()
            self.connection = http.client.HTTPSConnection("127.0.0.1", self.address.port, timeout=60, context=context)
        try:
            self.connection.request("POST", path, body, given)
            got = self.connection.getresponse()
            return got.status, json.loads(got.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def begin(self) -> tuple[int, dict[str, Any]]:
        return self.post("/begin", {"token": self.address.fragment, "phone": self.phone, "apple": self.apple})

    def batch(self, rows: list[list[Any]]) -> dict[str, Any]:
        said = {"run": self.run, "first": self.first, "sent_ms": self.now_ms(), "hidden": self.hidden.is_set()}
        return {**said, "tap": self.tap, "samples": rows}

    def send(self) -> None:
        """Send what waits; keep what is not acknowledged."""
        rows = self.waiting[:128]
        if not rows or self.away.is_set():
            return
        try:
            self.status, answer = self.post("/motion", self.batch(rows))
        except (OSError, http.client.HTTPException):
            return
        if self.status == 200:
            done = answer["next"] - self.first
            self.waiting, self.first = self.waiting[done:], answer["next"]
            self.answer = answer
        elif self.status == 400:
            self.waiting, self.first = self.waiting[len(rows) :], self.first + len(rows)

    def _live(self) -> None:
        try:
            self.status, self.answer = self.begin()
        except (OSError, http.client.HTTPException):
            return
        if self.status != 200:
            return
        began = due = time.monotonic()
        rng = np.random.default_rng(1)
        sent = began
        while not self.ended.is_set():
            # A browser's timer that was late does not catch up.
            due = max(due + 1 / self.rate_hz, time.monotonic())
            time.sleep(max(0.0, due + rng.uniform(0, self.jitter_s) - time.monotonic()))
            if self.asleep.is_set():
                slept = time.monotonic()
                while self.asleep.is_set() and not self.ended.is_set():
                    time.sleep(0.01)
                # Its clock stood still, and its page notices.
                self.slept_s += time.monotonic() - slept
                self.run, self.first, self.number, self.tap = secrets.token_hex(8), 0, 0, 0
                self.waiting.clear()
                due = time.monotonic()
                continue
            if not self.hidden.is_set():
                self._sample(time.monotonic() - began)
            if time.monotonic() - sent > 0.12:
                sent = time.monotonic()
                self.send()

    def _sample(self, t: float) -> None:
        truth_ns, now_ms = time.monotonic_ns(), self.now_ms()
        acc, gyr = self.motion(t)
        rates: list[float | None] = np.rad2deg(gyr).tolist()
        if self.convention:
            rates = self.convention(np.rad2deg(gyr)).tolist()
        if not self.has_gyroscope:
            rates = [None] * 3
        row = [now_ms, *(-acc if self.apple else acc).tolist(), *rates]
        self.waiting.append(row)
        self.taken.append(row)
        self.truths_ns.append(truth_ns)
        self.number += 1
