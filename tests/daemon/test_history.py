"""What a service keeps to look back on beside its sink, and that the sink gets all whatever becomes of it."""

import threading
import time

import numpy as np
import pytest
from in_process import MadeSensor, running
from made import wait_until
from processes import STALL_S

import motionsig
from motionsig.blocks import SignatureBatch
from motionsig.config import load_config
from motionsig.daemon import history as histories
from motionsig.daemon.history import History, history_path
from motionsig.encoders import find_model
from motionsig.errors import ConfigError
from motionsig.events import Event

HOP_NS = 1_280_000_000
TEXT = 'name = "pi"\n[sink]\nurl = "file:out.cbor"\n[page]\nhistory_days = 5000\n'


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def batch(first, count):
    codes = np.random.default_rng(first).integers(-127, 128, (count, 64), dtype=np.int8)
    start_ns = time.time_ns() + np.arange(first, first + count) * HOP_NS
    return SignatureBatch(start_ns, codes, np.zeros(count, np.uint8), HOP_NS, find_model().spec)


def test_the_history_has_what_the_sink_has_and_can_be_looked_back_on(motion, tmp_path):
    with running(tmp_path, TEXT, MadeSensor(motion)) as daemon:
        wait_until(lambda: daemon.status["sink"]["accepted"] >= 20)
        assert daemon.viewing.control.store == f"store:{history_path()}"
        assert daemon.status["history"] == {"signatures": 0, "lost": 0, "last_error": None}
    sent = motionsig.read_signatures(f"file:{tmp_path}/state/out.cbor")
    assert motionsig.read_signatures(f"store:{history_path()}") == sent
    assert daemon._delivery.history.signatures == len(sent)


def test_signatures_wait_for_each_other_and_are_numbered_as_they_were(monkeypatch):
    written = []
    with History("pi", 7.0) as history:
        write = history._write
        monkeypatch.setattr(history, "_write", lambda: written.append(len(history._held)) or write())
        for seq in range(5):
            history.take(3, seq, batch(seq, 1))
        history.take(4, 9, batch(9, 1))
    assert max(written) == 6
    stored = motionsig.publishers.iter_signatures(f"store:{history_path()}")
    found = {part.stream_id: part.seq.tolist() for part in stored}
    assert found == {3: [0, 1, 2, 3, 4], 4: [9]}


def test_events_are_kept_with_what_came_before_them():
    told = Event("pi", 3, 1, "knock", bytes(8), "once", 0, 1, 0.9)
    with History("pi", 7.0) as history:
        history.take(3, 0, batch(0, 2))
        history.take_events([told])
        wait_until(lambda: history.signatures >= 2)
    assert motionsig.publishers.read_events(f"store:{history_path()}") == [told]


def test_a_history_that_cannot_be_written_is_said_and_the_sink_gets_all(motion, tmp_path, state, monkeypatch):
    monkeypatch.setattr(histories, "_HELD_S", 0.1)
    history_path().mkdir(parents=True)  # where the file should be
    with running(tmp_path, TEXT, MadeSensor(motion)) as daemon:
        wait_until(lambda: daemon.status["history"]["last_error"] and daemon.status["sink"]["accepted"] >= 20)
        assert daemon.status["sink"]["well"] and daemon.status["sink"]["dropped"] == 0
        assert daemon.status["history"]["lost"] > 0
    assert len(motionsig.read_signatures(f"file:{tmp_path}/state/out.cbor")) >= 20


def test_a_disk_that_hangs_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(histories, "_MOST_WAITING", 10)
    monkeypatch.setattr(histories, "_CLOSE_S", 0.1)
    goes_on = threading.Event()
    monkeypatch.setattr(History, "_do", lambda self, kind, value: goes_on.wait(60))
    history, made = History("pi", 7.0), batch(0, 1)
    began_s = time.monotonic()
    for seq in range(30):
        history.take(3, seq, made)
    history.close()
    assert time.monotonic() - began_s < STALL_S
    assert history.lost >= 15 and "the disk does not take" in history.last_error
    goes_on.set()


def test_a_store_needs_no_history_and_without_one_it_is_said_what_to_do(motion, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(TEXT.replace("file:out.cbor", "store:s.db"))
    with pytest.raises(ConfigError, match="history_days: expected 0 with store:"):
        load_config(path)
    with running(tmp_path, TEXT.partition("[page]")[0], MadeSensor(motion)) as daemon:
        control = daemon.viewing.control
        assert control.store is None and "history_days = 7" in control.why_no_store
        assert daemon.status["history"] is None
