"""The port for Prometheus: one that is taken, clients that say nothing, values that are not known."""

import http.client
import socket
import threading

import pytest
from broker import free_port
from made import wait_until

from motionsig.daemon import metrics
from motionsig.daemon.metrics import Metrics
from motionsig.daemon.report import SignalQuality

PORT = free_port()
STATUS = {"uptime_s": 3, "sensor": {"samples": 7}, "signal_quality": None, "at_rest": 5, "above_grid": 2}


@pytest.fixture(scope="module", autouse=True)
def served():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_TIMEOUT_S", 0.3)
        made = Metrics(PORT, lambda: STATUS)
    yield made
    made.close()


def _ask(port=PORT):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        client.request("GET", "/metrics")
        return client.getresponse().read().decode()
    finally:
        client.close()


def test_what_is_not_known_yet_is_left_out():
    text = _ask()
    assert "motionsig_up_seconds 3.0" in text
    assert "motionsig_samples_total 7.0" in text
    assert "motionsig_at_rest_windows_total 5.0" in text and "motionsig_above_grid_windows_total 2.0" in text
    assert "signal_quality" not in text and "backlog" not in text


def test_heads_have_labels(monkeypatch):
    heads = [
        {"name": "knock", "judges": True, "holds": None, "events": 3},
        {"name": "walking", "judges": False, "holds": True, "events": 4},
    ]
    monkeypatch.setitem(STATUS, "heads", heads)
    text = _ask()
    assert 'motionsig_events_total{head="knock"} 3.0' in text
    assert 'motionsig_events_total{head="walking"} 4.0' in text
    assert 'motionsig_head_judges{head="walking"} 0.0' in text
    assert 'motionsig_head_holds{head="walking"} 1.0' in text
    assert 'motionsig_head_holds{head="knock"}' not in text


def test_edge_tpus_have_places(monkeypatch):
    none = dict.fromkeys(("temperature_c", "slowed_from_c", "current_ma", "power"))
    assert "motionsig_edgetpu_" not in _ask().replace("motionsig_edgetpu_signatures", "")
    told = [
        none | {"place": "pci 0000:01:00.0", "temperature_c": 45.3, "slowed_from_c": 84.8, "power": "active"},
        none | {"place": "usb 1-1.4", "current_ma": 896, "power": "suspended"},
        none | {"place": "usb 1-2"},
    ]
    monkeypatch.setitem(STATUS, "edgetpus", told)
    lines = [line for line in _ask().splitlines() if line.startswith("motionsig_edgetpu_")]
    assert lines == [
        'motionsig_edgetpu_temperature_celsius{place="pci 0000:01:00.0"} 45.3',
        'motionsig_edgetpu_slowed_from_celsius{place="pci 0000:01:00.0"} 84.8',
        'motionsig_edgetpu_asked_milliamperes{place="usb 1-1.4"} 896.0',
        'motionsig_edgetpu_awake{place="pci 0000:01:00.0"} 1.0',
        'motionsig_edgetpu_awake{place="usb 1-1.4"} 0.0',
    ]


def test_what_fails_is_one_line(monkeypatch, capfd, caplog):
    monkeypatch.setitem(STATUS, "uptime_s", "x")
    with pytest.raises(http.client.RemoteDisconnected):
        _ask()
    wait_until(lambda: "a client got no answer: ValueError" in caplog.text)
    assert "Traceback" not in "".join(capfd.readouterr())


def _answering(server):
    """Return the threads that answer this server's clients."""
    return [
        thread for thread in threading.enumerate() if getattr(thread, "_target", None) == server.process_request_thread
    ]


def test_clients_that_say_nothing_take_few_threads_and_none_for_long(served):
    server = served._server
    wait_until(lambda: not _answering(server))
    silent = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(7)]
    # Turned away, or dropped in the end: the other side closes every one of them.
    for client in silent:
        client.settimeout(60)
        assert len(_answering(server)) <= metrics._AT_ONCE
        assert client.recv(1) == b""
        client.close()
    wait_until(lambda: not _answering(server))
    assert "motionsig_up_seconds" in _ask()


def test_a_port_that_is_taken_is_had_later(caplog):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        late = Metrics(port, lambda: STATUS)
        assert late.last_error == f"status.prometheus: expected a free port, got {port}: Address already in use"
    late.listen()
    assert late.last_error is not None, "not tried in each heartbeat"
    late._retry_s = 0.0
    late.listen()
    try:
        assert late.last_error is None
        assert "motionsig_up_seconds" in _ask(port)
    finally:
        late.close()
    assert caplog.text.count("trying again") == 1


def test_it_listens_on_the_loopback_interface_alone(served):
    assert served._server.socket.getsockname() == ("127.0.0.1", PORT)


def test_signal_quality_is_the_share_of_the_windows_that_came_without_a_loss(monkeypatch):
    quality = SignalQuality()
    shares = []
    for second in range(0, 601):
        # A window each second; the second five minutes lose every fourth.
        quality.note(float(second), second if second <= 300 else 300 + (second - 300) * 3 // 4)
        shares.append(quality.share(1.0))
    assert shares[:10] == [None] * 10
    assert shares[10:301] == [1.0] * 291
    assert shares[450] == round((150 + 112 + 1) / 300, 3)
    assert shares[600] == round((225 + 1) / 300, 3)
    monkeypatch.setitem(STATUS, "signal_quality", shares[600])
    assert "motionsig_signal_quality_ratio 0.753" in _ask()
