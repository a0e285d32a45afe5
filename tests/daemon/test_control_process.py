"""The real daemon on a simulated sensor, while clients of its control socket do their worst."""

import contextlib
import itertools
import signal
import time
from pathlib import Path

import pytest
from control_client import Client, ask_at
from daemons import Daemon
from processes import STALL_S

from motionsig.control.serving import SOCKET_NAME


@pytest.fixture
def daemon(tmp_path):
    with Daemon(tmp_path, f"store:{tmp_path}/s.db").start(MOTIONSIG_HEADS=str(tmp_path / "roots")) as daemon:
        daemon.until_told("READY")
        yield daemon


def resident_kb(daemon):
    text = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


def test_mean_clients_slow_nothing_and_are_let_go_at_the_end(daemon, tmp_path):
    path = tmp_path / "run" / SOCKET_NAME
    with Client(path) as viewer:
        viewer.send({"ask": "live", "after": None})
        rows = viewer.lines("signatures")
        next(rows)
        before_kb = resident_kb(daemon)
        clients = [Client(path) for _ in range(20)]
        for client in clients[:5]:
            client.send({"ask": "live", "after": None})  # and read nothing
        for client in clients[5:10]:
            client.send(b'{"ask": ')
        for client in clients[10:15]:
            client.socket.setblocking(False)
        until_s = time.monotonic() + 1.0
        asked = 0
        while time.monotonic() < until_s:
            for client in clients[10:15]:
                with contextlib.suppress(OSError):
                    asked += client.socket.send(b'{"ask": "hello"}\n' * 100) > 0  # and read nothing
            time.sleep(0.01)
        assert asked
        # Rows come in time: a window each 160 ms.
        began_s = time.monotonic()
        taken = list(itertools.islice(rows, 8))
        assert sum(len(row["quality"]) for row in taken) >= 8
        assert time.monotonic() - began_s < 4.0 + STALL_S
        numbers = [row["seq"] + at for row in taken for at in range(len(row["quality"]))]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert ask_at(path, "status")["windows_lost"] == 0
        assert resident_kb(daemon) - before_kb < 15_000
        began_s = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(60) == 0
        assert time.monotonic() - began_s < 5.0 + STALL_S
        for client in clients:
            client.close()
    assert "Traceback" not in daemon.log
    assert not path.exists()
