"""The receiver as systemd starts it: what it tells systemd, the status socket and Prometheus."""

import contextlib
import json
import re
import signal
import socket
import sys
import urllib.request

import pytest
from broker import Broker, free_port
from made import numbered, running, wait_until

from motionsig import open_sink
from motionsig.cli import main
from motionsig.daemon.collecting import is_well, status_line


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What systemd is told, newest last; the runtime folder is the service's."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        lines = []

        def read():
            with contextlib.suppress(BlockingIOError):
                while True:
                    lines.append(manager.recv(4096).decode())
            return lines

        yield read


def receiver(url, tmp_path, *more):
    command = [sys.executable, "-m", "motionsig", "collect", "--from", url, "--into", f"store:{tmp_path / 's'}", *more]
    return running(*command)


def test_the_service_is_ready_is_watched_and_tells_how_it_is(told, tmp_path, capsys):
    port = free_port()
    with Broker(tmp_path / "broker") as broker, receiver(broker.url, tmp_path, "--prometheus", str(port)) as process:
        wait_until(lambda: any("signatures stored" in line for line in told()))
        assert all("READY=1" in line for line in told()) and sum("WATCHDOG=1" in line for line in told()) >= 2
        with open_sink(broker.url, device="wrist", stream_id=7, spool=str(tmp_path / "spool"), delay_s=0) as sink:
            sink.publish(numbered(5))
        wait_until(lambda: "STATUS=5 signatures stored" in told()[-1])
        assert main(["status", "--collect", "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert (status["stored"], status["connected"], status["protocol"]) == (5, True, "5") and is_well(status)
        assert main(["status", "--collect"]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith("well ") and "5 signatures and 0 events of 1 messages" in shown
        assert "holes        0 open" in shown and status["client_id"] in shown and "lag  " in shown
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            metrics = answer.read().decode()
        for line in ("signatures_total 5.0", "connected 1.0", "open_holes 0.0", "missing_signatures 0.0"):
            assert f"motionsig_collect_{line}\n" in metrics
        assert re.search(r"^motionsig_collect_lag_p99_seconds [1-9]", metrics, re.MULTILINE)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "5 signatures and 0 events to" in out and "STOPPING=1" in told()[-1]
    assert main(["status", "--collect"]) == 1
    assert "sudo systemctl start motionsig-collect" in capsys.readouterr().err


def test_without_a_broker_it_is_ready_and_waits_and_says_so(told, tmp_path, capsys):
    with receiver(f"mqtt://127.0.0.1:{free_port()}", tmp_path):
        wait_until(lambda: any("connection refused" in line for line in told()))
        assert "READY=1" in told()[0]
        assert main(["status", "--collect"]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("trouble ") and "connection refused" in shown


def test_holes_are_trouble():
    counts = {"open": 2, "missing": 57, "devices": 1, "found": 2, "filled": 0}
    status = {"connected": True, "holes": counts, "stored": 9, "messages_per_s": None}
    assert not is_well(status) and status_line(status).endswith("2 holes, 57 signatures missing")
    assert is_well({**status, "holes": None})
