"""The port for Prometheus: one that is taken, clients that say nothing, values that are not known."""

import http.client
import socket
import threading

import pytest
from broker import free_port
from made import wait_until

from motionsig.daemon import metrics
from motionsig.daemon.metrics import Metrics

PORT = free_port()
STATUS = {"uptime_s": 3, "sensor": {"samples": 7}, "signal_quality": None}


@pytest.fixture(scope="module", autouse=True)
def served():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_TIMEOUT_S", 0.3)
        made = Metrics(PORT, lambda: STATUS)
    yield
    made.close()


def _ask(port=PORT):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", "/metrics")
        return client.getresponse().read().decode()
    finally:
        client.close()


def test_what_is_not_known_yet_is_left_out():
    text = _ask()
    assert "motionsig_up_seconds 3.0" in text
    assert "motionsig_samples_total 7.0" in text
    assert "signal_quality" not in text and "backlog" not in text


def test_what_fails_is_one_line(monkeypatch, capfd, caplog):
    monkeypatch.setitem(STATUS, "uptime_s", "x")
    with pytest.raises(http.client.RemoteDisconnected):
        _ask()
    wait_until(lambda: "a client got no answer: ValueError" in caplog.text)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_clients_that_say_nothing_take_few_threads_and_none_for_long():
    before = threading.active_count()
    silent = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(7)]
    # Turned away, or dropped in the end: the other side closes every one of them.
    for client in silent:
        client.settimeout(10)
        assert threading.active_count() <= before + metrics._AT_ONCE
        assert client.recv(1) == b""
        client.close()
    wait_until(lambda: threading.active_count() == before)
    assert "motionsig_up_seconds" in _ask()


def test_a_port_that_is_taken_is_had_later(caplog):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        late = Metrics(port, lambda: STATUS)
        assert late.last_error == f"status.prometheus: expected a free port, got {port}: Address already in use"
    late.look()
    assert late.last_error is not None, "not tried at each turn"
    late._retry_s = 0.0
    late.look()
    try:
        assert late.last_error is None
        assert "motionsig_up_seconds" in _ask(port)
    finally:
        late.close()
    assert caplog.text.count("trying again") == 1
