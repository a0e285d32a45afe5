"""Raw motion never reaches the page: a tone in the samples is in no byte of any socket of daemon and page.

The same search finds it in a log, where it belongs.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hand import TONE_HZ, Hand, read_notes
from house import House, until
from leaks import Tap, found

TONE_S = 6.0


class Visitor:
    """What a browser asks, without one: paired, and watching until it is closed."""

    def __init__(self, port, code):
        self.port = port
        self._headers = {"Origin": f"http://127.0.0.1:{port}"}
        answer, _ = self._send("POST", "/api/pair", {"code": code})
        assert answer.status == 200
        self._headers["Cookie"] = answer.getheader("set-cookie").partition(";")[0]
        self._headers["X-Motionsig-CSRF"] = self._send("GET", "/api/session")[1]["csrf"]

    def ask(self, name, /, **parameters):
        return self._send("POST", "/api/ask", {"ask": name, **parameters})[1]

    def watch(self):
        """Read what is told, for as long as it is told."""

        def read():
            broken = contextlib.suppress(OSError, http.client.HTTPException)
            with contextlib.closing(self._requested("GET", "/api/live")) as connection, broken:
                connection.getresponse().read()

        thread = threading.Thread(target=read)
        thread.start()
        return thread

    def _send(self, method, path, body=None):
        with contextlib.closing(self._requested(method, path, body)) as connection:
            answer = connection.getresponse()
            return answer, json.loads(answer.read())

    def _requested(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        headers = self._headers | ({} if body is None else {"Content-Type": "application/json"})
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        return connection


def tones(rate_hz):
    """Return the tone's cycles from one sample to the next: of the sensor, and of the grid of signatures."""
    return TONE_HZ / rate_hz, TONE_HZ / 50


def sockets_of(process_id):
    """Return the kind and the address of each socket of a process that the kernel's tables name."""
    inodes = set()
    for entry in Path(f"/proc/{process_id}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    known = set()
    for kind, place in (("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("unix", 6)):
        for line in Path(f"/proc/{process_id}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[place] in inodes:
                known.add((kind, fields[7] if kind == "unix" and len(fields) > 7 else ""))
    return known


@pytest.fixture(scope="module")
def tapped(tmp_path_factory):
    """All bytes that passed while a tone was measured, and the samples."""
    folder = tmp_path_factory.mktemp("tapped")
    tap_path = folder / "tap.sock"
    control_taps = []

    def between(control):
        if not control_taps:
            listens = socket.socket(socket.AF_UNIX)
            listens.bind(str(tap_path))
            listens.listen()

            def dial():
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(str(control))
                return sock

            control_taps.append(Tap(listens, dial))
        return tap_path

    house = House(folder / "house", between=between, extra='[heads]\nnames = ["still", "walking"]\n')
    house.notes = folder / "notes"
    with house:
        listens = socket.create_server(("127.0.0.1", 0))
        port_tap = Tap(listens, lambda: socket.create_connection(("127.0.0.1", house.port)))
        visitor = Visitor(listens.getsockname()[1], house.code())
        watching = visitor.watch()
        begin = {"name": "tone", "for": "examples", "times": 3, "better": False, "request": "r1"}
        assert "ok" in visitor.ask("lesson.begin", **begin)
        until(lambda: (house.lesson() or {}).get("state") == "perform", "the lesson waits for a performance")
        for _ in range(3):
            house.hand.perform("tone", seconds=TONE_S / 3, after_s=1.5)
        until(lambda: (house.lesson() or {}).get("state") == "enough", "it is enough")
        assert "ok" in visitor.ask("lesson.end", save=True, request="r2")
        now_ms = time.time_ns() // 1_000_000
        span = {"since_ms": now_ms - 60_000, "until_ms": now_ms}
        answers = [
            visitor.ask("lookback", **span, heads=None),
            visitor.ask("alike", **span, from_ms=now_ms - 9000, to_ms=now_ms - 8000, most=20),
            visitor.ask("heads"),
            visitor.ask("status"),
            visitor.ask("export", head="tone"),
            visitor.ask("hello"),
        ]
        assert all("ok" in answer for answer in answers), answers
        status = subprocess.run(
            [sys.executable, "-m", "motionsig", "status", "--json"],
            env=os.environ | {"RUNTIME_DIRECTORY": str(house.folder / "run")},
            capture_output=True,
            timeout=120,
        )
        known = sockets_of(house.daemon.pid), sockets_of(house.page.pid)
        samples, scale = read_notes(house.notes)
        rate_hz = house.ask("status")["sensor"]["rate_hz"]
        for tap in (port_tap, *control_taps):
            tap.close()
        watching.join(60)
        yield {
            "control socket": bytes(control_taps[0].noted),
            "page's port": bytes(port_tap.noted),
            "status socket": status.stdout,
            "sockets": known,
            "samples": samples,
            "scale": scale,
            "rate_hz": rate_hz,
        }


def swung(samples):
    """Return the rows of the tone: the others are rest, whose values could be anybody's."""
    moved = np.abs(samples[:, 0]) > 0.5
    first, last = np.flatnonzero(moved)[[0, -1]]
    return samples[first : last + 1]


@pytest.mark.parametrize("where", ["control socket", "page's port", "status socket"])
def test_no_sample_is_in_any_byte(tapped, where):
    data, samples = tapped[where], swung(tapped["samples"])
    assert len(samples) > 2 * TONE_S / 3 * tapped["rate_hz"] and len(data) > 500
    assert found(data, samples, tapped["scale"], tones(tapped["rate_hz"])) == []


def test_what_was_looked_through_is_what_was_said(tapped):
    for where in ("control socket", "page's port"):
        for part in (b"signatures", b"codes", b"lesson", b"status", b"likeness", b"covered", b"zip"):
            assert part in tapped[where], (where, part)


def test_there_is_no_other_socket(tapped):
    daemon, page = tapped["sockets"]
    assert {kind for kind, _ in daemon} == {"unix"}
    named = {Path(name).name for _, name in daemon if name}
    assert named <= {"control.sock", "status.sock"}, named
    assert {kind for kind, _ in page} <= {"unix", "tcp"}


def test_the_search_finds_what_is_recorded(tmp_path):
    hand, log, notes = Hand(tmp_path / "plan"), tmp_path / "log.msig", tmp_path / "notes"
    hand.perform("tone", seconds=TONE_S)
    script = Path(__file__).with_name("hand.py")
    record = [sys.executable, script, hand.plan, "record", "--sensor", "simulated", "--seconds", "4", "--out", log]
    subprocess.run(record, env=os.environ | {"MOTIONSIG_HAND_NOTES": str(notes)}, check=True, timeout=120)
    table = tmp_path / "log.csv"
    subprocess.run([sys.executable, "-m", "motionsig", "convert", log, table], check=True, timeout=120)
    samples, scale = read_notes(notes)
    rate_hz = 104.0
    ways = found(table.read_bytes(), swung(samples), scale, tones(rate_hz))
    assert "samples as text" in ways, ways
    # The log itself holds counts, a channel after the other or in turn, or numbers.
    assert found(log.read_bytes(), swung(samples), scale, tones(rate_hz))


def test_the_search_finds_each_way_to_write_samples():
    at = np.arange(300) / 104
    samples = np.stack([2 * np.sin(2 * np.pi * TONE_HZ * at + phase) + phase for phase in range(6)], axis=1)
    scale = np.full(6, 0.001)
    samples = (np.rint(samples / scale) * scale).astype(np.float32)
    noise = np.random.default_rng(0).integers(0, 256, 20_000, np.uint8).tobytes()
    assert found(noise, samples, scale, tones(104)) == []
    for kind in ("<f4", ">f4", "<f8", ">f8"):
        assert f"samples as {kind}" in found(
            noise + samples[7:9].astype(kind).tobytes() + noise, samples, scale, tones(104)
        )
    counts = np.rint(samples / scale).astype("<i2").tobytes()
    assert "samples as <i2" in found(noise + counts + noise, samples, scale, tones(104))
    coarse = json.dumps(np.round(samples[:, 1], 1).tolist()).encode()
    assert "a swing of the tone in text" in found(noise + coarse, samples, scale, tones(104))
    inside = json.dumps({"x": base64.b64encode(samples.tobytes()).decode()}).encode()
    assert "in base64, samples as <f4" in found(inside, samples, scale, tones(104))
