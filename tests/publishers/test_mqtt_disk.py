"""The MQTT sink and its disk: the fsync thread, the buffer, and disks that are full, slow or away."""

from __future__ import annotations

import dataclasses
import errno
import functools
import logging
import shutil
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from broker import Broker
from made import numbered, wait_until
from spooling import fails_once, segments

from motionsig.errors import SinkError
from motionsig.publishers import open_sink
from motionsig.publishers.durable import FSYNC_AFTER_S
from motionsig.publishers.spool import BUFFER_BYTES_AT_LEAST, MIN_MAX_BYTES, Spool


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The promise of 16 s, kept in 0.3 s."""
    monkeypatch.setattr("motionsig.publishers.mqtt.Spool", functools.partial(Spool, fsync_after_s=0.3))


@pytest.mark.parametrize("buffer", [True, False])
def test_the_promise_is_kept_while_the_connection_hangs(
    tmp_path: Path, soon: None, buffer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker's name is found and its port open, but nothing ever answers."""
    monkeypatch.setattr("motionsig.publishers.transport.HANDSHAKE_TIMEOUT_S", 600.0)
    options = {"buffer": str(tmp_path / "buffer")} if buffer else {}
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtts://127.0.0.1:{server.getsockname()[1]}"
        sink = open_sink(url, device="d", stream_id=1, spool=str(tmp_path / "disk"), close_timeout_s=0, **options)
        sink.publish(numbered(1))
        spool = sink._spool  # type: ignore[attr-defined]
        wait_until(lambda: not any(segment.fresh for segment in spool._segments.values()))
        assert sum(segments(tmp_path / "disk").values()) > 64
        sink.publish(numbered(1, 1))
        server.close()
        sink.close()
        assert sink.counts.pending == 2
        shutil.rmtree(tmp_path / "buffer", ignore_errors=True)
        spool = Spool(tmp_path / "disk")
        assert spool.recovered == 2, "an orderly end leaves nothing in RAM alone"
        spool.close()


def test_with_a_broker_there_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for a machine that stands still between a signature and its acknowledgement.
    monkeypatch.setattr("motionsig.publishers.mqtt.Spool", functools.partial(Spool, fsync_after_s=4.0))
    with Broker(tmp_path / "broker") as broker:
        options = {"buffer": str(tmp_path / "buffer"), "delay_s": 0.1, "hold_s": 0.2, "keepalive_s": 1}
        sink = open_sink(broker.url, device="d", stream_id=1, spool=str(tmp_path / "disk"), **options)
        wait_until(lambda: sink.last_error is None)
        for number in range(10):
            sink.publish(numbered(1, number))
            time.sleep(0.5)
            assert segments(tmp_path / "disk") == {}
        wait_until(lambda: sink._spool.used_bytes == 0)  # type: ignore[attr-defined]
        sink.close()
        assert segments(tmp_path / "disk") == segments(tmp_path / "buffer") == {}


def test_the_buffer_of_a_service_is_in_its_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path / 'run'}:/elsewhere")
    for strict in (False, True):
        options = {"close_timeout_s": 0.0, "strict": strict}
        with open_sink("mqtt://127.0.0.1:9", device="a/b".replace("/", "-"), stream_id=1, **options) as sink:
            sink.publish(numbered(1))
            found = [path.parent.name for path in (tmp_path / "run" / "spool").glob("*/*.segment")]
            assert found == ([] if strict else ["127.0.0.1-9-a-b"])
        assert len(segments(tmp_path / "state" / "spool" / "127.0.0.1-9-a-b")) == 1 + strict


def test_a_full_disk_is_logged_by_the_sink_once(tmp_path: Path, soon: None, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "disk").touch()
    with open_sink(
        "mqtt://127.0.0.1:9",
        device="d",
        stream_id=1,
        spool=str(tmp_path / "disk"),
        buffer=str(tmp_path / "buffer"),
        close_timeout_s=0.0,
    ) as sink:
        for number in range(8):
            sink.publish(numbered(1, number))
            time.sleep(0.1)
        wait_until(lambda: "connection refused; " in str(sink.last_error))
        assert "takes no signatures: File exists" in str(sink.last_error)
        assert sink.counts.spool_limit_bytes == BUFFER_BYTES_AT_LEAST
    found = [record for record in caplog.records if record.name.endswith("durable")]
    assert [record.levelno for record in found] == [logging.WARNING]
    assert sink.counts.pending == 8


def test_a_disk_that_is_well_again_is_found_out_without_signatures(tmp_path: Path, soon: None) -> None:
    (tmp_path / "disk").touch()
    options = {"buffer": str(tmp_path / "buffer"), "delay_s": 0.0}
    with (
        Broker(tmp_path / "broker") as broker,
        open_sink(broker.url, device="d", stream_id=1, spool=str(tmp_path / "disk"), **options) as sink,
    ):
        sink.publish(numbered(1))
        wait_until(lambda: sink.counts.delivered == 1)
        assert str(sink.last_error).endswith("the disk takes no signatures: File exists")
        (tmp_path / "disk").unlink()
        wait_until(lambda: sink.last_error is None)
        assert {path.name for path in (tmp_path / "disk").iterdir()} == {"lock"}


NOBODY = "mqtt://127.0.0.1:1"


def test_compressed_signatures_take_less_of_the_spool(tmp_path: Path) -> None:
    smooth, sizes = dataclasses.replace(numbered(500), codes=np.zeros((500, 64), np.int8)), []
    for compress in (False, True):
        spool = str(tmp_path / str(compress))
        with open_sink(NOBODY, device="d", stream_id=1, spool=spool, compress=compress, close_timeout_s=0) as sink:
            sink.publish(smooth)
            sizes.append(sink.counts.spool_bytes)
    assert sizes[1] < sizes[0] / 4


def test_strict_says_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_sink(NOBODY, device="d", stream_id=1, spool=str(tmp_path), strict=True, close_timeout_s=0) as sink:
        sink.publish(numbered(1))
        fails_once(monkeypatch, "write", errno.EIO, lambda _, data: len(data) > 60)
        with pytest.raises(SinkError, match="Input/output error"):
            sink.publish(numbered(1, 1))
        sink.publish(numbered(1, 2))
        assert (sink.counts.accepted, sink.counts.dropped) == (2, 1)


def test_wait_drops_nothing_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_sink(NOBODY, device="d", stream_id=1, spool=str(tmp_path), full="wait", close_timeout_s=0) as sink:
        monkeypatch.setattr(sink._sender.progress, "wait", lambda _: False)  # type: ignore[attr-defined]
        fails_once(monkeypatch, "write", errno.EIO, lambda _, data: len(data) > 60)
        sink.publish(numbered(1))
        assert (sink.counts.accepted, sink.counts.dropped, sink.counts.pending) == (1, 0, 1)


def test_a_drop_elsewhere_is_not_taken_for_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionsig.publishers.mqtt.FULL_TIMEOUT_S", 0.1)
    options = {"full": "wait", "max_bytes": MIN_MAX_BYTES, "close_timeout_s": 0}
    with open_sink(NOBODY, device="d", stream_id=1, spool=str(tmp_path), **options) as sink:
        spool = sink._spool  # type: ignore[attr-defined]
        monkeypatch.setattr(sink._sender.progress, "wait", lambda _: False)  # type: ignore[attr-defined]
        append = spool.append

        def dropping(data: bytes, rows: int, *, may_wait_s: float) -> bool:
            taken = append(data, rows, may_wait_s=may_wait_s)
            spool.dropped += not taken
            return taken

        monkeypatch.setattr(spool, "append", dropping)
        taken = 0
        with pytest.raises(SinkError, match="the spool is full"):
            for taken in range(5000):
                sink.publish(numbered(1, taken))
        assert sink.counts.accepted == taken


def test_a_closed_sink_writes_into_no_file_of_others(tmp_path: Path) -> None:
    sink = open_sink(NOBODY, device="d", stream_id=1, spool=str(tmp_path / "spool"), close_timeout_s=0)
    sink.close()
    with pytest.raises(SinkError, match="closed"):
        sink.begin(1, 0)


def test_company_is_waited_for_no_longer_than_the_disk() -> None:
    from motionsig.publishers.mqtt_options import MqttOptions

    assert MqttOptions().delay_s + 1 <= FSYNC_AFTER_S <= 13, "two slow flushes fit into 16 s"


def test_a_dead_fsync_thread_is_not_hidden(tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    with open_sink(NOBODY, device="d", stream_id=1, spool=str(tmp_path), close_timeout_s=0) as sink:
        sink._spool._retry_s = None  # type: ignore[attr-defined]
        wait_until(lambda: not sink._fsync_thread.is_alive())  # type: ignore[attr-defined]
        with pytest.raises(SinkError, match="the fsync thread ended"):
            sink.publish(numbered(1))
