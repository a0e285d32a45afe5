"""The daemon's heads, in this process: exchanged by a reload, off with another model, and told in the right time."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from broker import Broker
from in_process import carried_by_turns, running
from installing import install
from made import wait_until
from made_heads import by_rest
from receiving import Listener, retained

from motionsig.blocks import SignatureBatch, concatenate
from motionsig.control.feed import Feed
from motionsig.daemon import delivery, heads, loop
from motionsig.daemon.programs import Programs
from motionsig.encoders import find_model, open_encoder
from motionsig.events import BEGAN, ENDED, from_json
from motionsig.heads.card import Timing
from motionsig.heads.places import remove_head, write_head
from motionsig.pipeline import run, signature_stream_id
from motionsig.publishers import iter_signatures, read_events
from motionsig.quality import Quality

CARD = find_model("motion64")


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    monkeypatch.setattr(loop, "_HEARTBEAT_S", 0.05)


@pytest.fixture
def sensor(motion):
    return carried_by_turns(motion)


@pytest.fixture
def put(tmp_path):
    def put(name, **more):
        write_head(by_rest(name, **{"encoder": CARD.fingerprint} | more), tmp_path / "heads" / name)

    return put


def _text(tmp_path, names, more=""):
    listed = ", ".join(f'"{name}"' for name in names)
    return f'name = "pi"\n[sink]\nurl = "store:{tmp_path}/s.db"\n[heads]\nnames = [{listed}]\n{more}'


def _reload(daemon, tmp_path, text):
    (tmp_path / "config.toml").write_text(text)
    daemon.reload()
    wait_until(lambda: not daemon._reload_asked)
    before = daemon.status["uptime_s"]
    wait_until(lambda: daemon.status["uptime_s"] > before)


def _head(daemon, name="moving"):
    return next(head for head in daemon.status["heads"] if head["name"] == name)


def _as_without_heads(tmp_path, sensor):
    """Assert that the store holds what it would hold without heads."""
    (part,) = iter_signatures(f"store:{tmp_path}/s.db")
    assert part.seq.tolist() == list(range(len(part.seq)))
    again, made = type(sensor)(lambda seconds, rate_hz: sensor._data), []
    with open_encoder(device="cpu") as encoder:

        def take(signatures):
            made.append(signatures)
            if sum(map(len, made)) >= len(part.seq):
                again.close()

        run(again, encoder, take)
    assert part.stream_id == signature_stream_id(sensor.info.stream_id, CARD)
    assert part.signatures == concatenate(made)[: len(part.seq)]


def test_a_reload_takes_up_heads_and_leaves_the_signatures_alone(tmp_path, sensor, put):
    put("moving")
    put("still", moves=False, is_state=False)
    with running(tmp_path, _text(tmp_path, []), sensor) as daemon:
        wait_until(lambda: daemon.status["windows"] >= 5)
        assert daemon.status["heads"] == []
        _reload(daemon, tmp_path, _text(tmp_path, ["moving"]))
        wait_until(lambda: _head(daemon)["events"] >= 2)
        wait_until(lambda: _head(daemon)["holds"])
        _reload(daemon, tmp_path, _text(tmp_path, ["moving", "still"]))
        before = _head(daemon)
        wait_until(lambda: _head(daemon, "still")["events"] >= 1)
        # The one that stayed did not begin anew: it ended once and has not begun.
        assert _head(daemon)["events"] - before["events"] <= 1
        wait_until(lambda: _head(daemon)["holds"])
        # Taught anew, it is another head: what the former one found ends.
        put("moving", timing=Timing(1.0, 1.0, least_s=0.2))
        former = _head(daemon)["fingerprint"]
        daemon.reload()
        wait_until(lambda: _head(daemon)["fingerprint"] != former)
        wait_until(lambda: _head(daemon)["holds"])
        _reload(daemon, tmp_path, _text(tmp_path, ["still"]))
        assert [head["name"] for head in daemon.status["heads"]] == ["still"]
        assert daemon.status["needs_restart"] == ()
        _reload(daemon, tmp_path, _text(tmp_path, []))
        windows = daemon.status["windows"]
        wait_until(lambda: daemon.status["windows"] > windows + 2)
    assert daemon.status["windows_lost"] == 0
    _as_without_heads(tmp_path, sensor)
    moving = read_events(f"store:{tmp_path}/s.db", head="moving")
    assert [event.phase for event in moving] == [BEGAN, ENDED] * (len(moving) // 2)
    taught = [event for event in moving if event.fingerprint.hex() != former]
    assert [event.phase for event in taught] == [BEGAN, ENDED]
    assert {event.stream_id for event in moving} == {signature_stream_id(sensor.info.stream_id, CARD, 8)}
    # An event has the number of its window among all that there are at the heads' hop.
    first_ns = 1_700_000_000 * 10**9
    for event in moving:
        assert event.seq == (event.end_ns - 2_560_000_000 - first_ns) // 160_000_000


def test_a_head_that_cannot_be_opened_leaves_the_former_ones(tmp_path, sensor, put):
    put("moving")
    with running(tmp_path, _text(tmp_path, ["moving"]), sensor) as daemon:
        wait_until(lambda: _head(daemon)["events"] >= 1)
        remove_head("moving")
        _reload(daemon, tmp_path, _text(tmp_path, ["moving"]))
        assert "heads.names: head: expected one of" in daemon.status["last_error"]["text"]
        events = _head(daemon)["events"]
        wait_until(lambda: _head(daemon)["events"] > events + 1)
    _as_without_heads(tmp_path, sensor)


def test_a_head_that_cannot_be_opened_keeps_no_daemon_from_starting(tmp_path, sensor, put):
    put("moving")
    with running(tmp_path, _text(tmp_path, ["gone", "moving"]), sensor) as daemon:
        wait_until(lambda: _head(daemon)["events"] >= 1)
        assert daemon.status["heads_error"].startswith("heads off: gone: head: expected one of moving, ")


def test_heads_are_off_while_another_model_is_in_use(tmp_path, sensor, put, models):
    put("moving")
    with running(tmp_path, _text(tmp_path, ["moving"]), sensor) as daemon:
        wait_until(lambda: _head(daemon)["holds"])
        folder = install(models, 2)
        wait_until(lambda: daemon.status["heads_error"])
        assert daemon.status["heads_error"].startswith(
            "heads off: moving: head moving: expected signatures of encoder "
        )
        assert "teach the head again" in daemon.status["heads_error"]
        assert daemon.status["last_error"]["text"] == daemon.status["heads_error"]
        assert not _head(daemon)["judges"]
        assert not _head(daemon)["holds"], "what held has ended"
        windows = daemon.status["windows"]
        wait_until(lambda: daemon.status["windows"] > windows + 5)
        (models / "motion64" / "current").unlink()
        wait_until(lambda: _head(daemon)["judges"])
        events = _head(daemon)["events"]
        wait_until(lambda: _head(daemon)["events"] > events + 2)
        assert daemon.status["last_error"]["over"]
    assert (daemon.status["windows_lost"], folder.exists()) == (0, True)
    assert daemon.status["sink"]["accepted"] == daemon.status["windows"]
    keys = [event.key for event in read_events(f"store:{tmp_path}/s.db")]
    assert len(set(keys)) == len(keys)


def test_heads_of_a_model_with_other_windows_work_with_it(tmp_path, sensor, put, models):
    put("moving")
    new = install(models, 2, hop=20)
    put("new", encoder=find_model(new).fingerprint)
    (models / "motion64" / "current").unlink()
    with running(tmp_path, _text(tmp_path, ["moving", "new"], "hop = 4\n"), sensor) as daemon:
        wait_until(lambda: _head(daemon)["events"] >= 2)
        assert (_head(daemon)["judges"], _head(daemon, "new")["judges"]) == (True, False)
        (models / "motion64" / "current").symlink_to(new.name)
        wait_until(lambda: _head(daemon, "new")["events"] >= 2)
        assert (_head(daemon)["judges"], _head(daemon, "new")["judges"]) == (False, True)
    assert daemon.status["sink"]["accepted"] == daemon.status["windows"]


def test_a_hop_that_the_model_does_not_have_switches_heads_off(tmp_path, sensor, put, models):
    put("moving")
    with running(tmp_path, _text(tmp_path, ["moving"]), sensor) as daemon:
        wait_until(lambda: _head(daemon)["events"] >= 1)
        folder = install(models, 2, hop=20)
        put("moving", encoder=find_model(folder).fingerprint)
        wait_until(lambda: daemon.status["model"]["trial_windows_left"] not in (None, 500))
        _reload(daemon, tmp_path, _text(tmp_path, ["moving"], "hop = 4\n"))
        assert "heads.hop: expected a part of the hop of 20 samples" in daemon.status["heads_error"]
        assert daemon.status["needs_restart"] == ("heads.hop",)
        windows = daemon.status["windows"]
        wait_until(lambda: daemon.status["windows"] > windows + 5)


def test_events_have_the_time_of_the_clock_that_is_set(tmp_path, sensor, put, monkeypatch):
    put("moving")
    offset_ns = [sensor.unix_offset_ns]
    monkeypatch.setattr(loop, "unix_offset_ns", lambda clock: offset_ns[0])
    with running(tmp_path, _text(tmp_path, ["moving"]), sensor) as daemon:
        wait_until(lambda: _head(daemon)["events"] >= 3 and _head(daemon)["holds"])
        offset_ns[0] += 3600 * 10**9
        wait_until(lambda: daemon.status["clock_steps"] == 1)
        events = _head(daemon)["events"]
        wait_until(lambda: _head(daemon)["events"] > events + 2)
    found = read_events(f"store:{tmp_path}/s.db")
    streams = [signature_stream_id(sensor.info.stream_id + branch, CARD, 8) for branch in (0, 1)]
    assert [event.phase for event in found] == [BEGAN, ENDED] * (len(found) // 2)
    first_ns = 1_700_000_000 * 10**9
    for event in found:
        number = (event.end_ns - 2_560_000_000 - first_ns) / 160_000_000
        assert number == event.seq + (3600 / 0.16) * streams.index(event.stream_id)
        # It goes on over the step: in every twenty seconds it moves for ten, and for the rest of a window.
        assert event.phase == BEGAN or event.duration_s > 10
    assert {event.stream_id for event in found} == set(streams)


def test_a_state_ends_when_nothing_is_heard_for_long(tmp_path, sensor, put, monkeypatch):
    monkeypatch.setattr(heads, "_SILENT_S", 0.2)
    put("moving")
    with running(tmp_path, _text(tmp_path, ["moving"]), sensor) as daemon:
        wait_until(lambda: _head(daemon)["holds"])
        sensor.quiet.set()
        wait_until(lambda: not _head(daemon)["holds"])
    assert [event.phase for event in read_events(f"store:{tmp_path}/s.db")][-1] == ENDED


def test_events_are_held_while_there_is_no_sink_and_published_in_order(tmp_path, sensor, put, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(delivery, "MOST_EVENTS_HELD", 3)
    put("moving")
    folder = tmp_path / "in the way"
    folder.write_text("a file where a folder should be")
    text = _text(tmp_path, ["moving"]).replace(f"{tmp_path}/s.db", f"{folder}/s.db")
    with running(tmp_path, text, sensor) as daemon:
        wait_until(lambda: _head(daemon)["events"] >= 5)
        assert "moving began" in caplog.text and "is dropped: " in caplog.text
        folder.unlink()
        folder.mkdir()
        wait_until(lambda: daemon.status["sink"]["well"] and not daemon.status["sink"]["pending"])
    found = read_events(f"store:{folder}/s.db")
    assert len(found) + daemon.status["sink"]["dropped"] == _head(daemon)["events"]
    assert len(found) >= 3
    assert found == sorted(found, key=lambda event: event.start_ns)


def test_windows_that_are_lost_keep_their_numbers(tmp_path, sensor, put, monkeypatch):
    put("moving")
    with running(tmp_path, _text(tmp_path, ["moving"]), sensor) as daemon:
        wait_until(lambda: _head(daemon)["events"] >= 1)
        encoder = daemon._encoder._now.encoder
        daemon._encoder._retry_s = math.inf  # until then it is not opened again

        def fails(windows):
            raise RuntimeError("the device is away")

        monkeypatch.setattr(encoder, "encode", fails)
        wait_until(lambda: daemon.status["windows_lost"] > 1)
        daemon._encoder._retry_s = 0.0
        events = _head(daemon)["events"]
        wait_until(lambda: _head(daemon)["events"] > events + 2)
    (part,) = iter_signatures(f"store:{tmp_path}/s.db")
    first_ns = 1_700_000_000 * 10**9
    np.testing.assert_array_equal(part.signatures.start_ns, first_ns + part.seq * 1_280_000_000)
    assert len(part.seq) == daemon.status["windows"] - daemon.status["windows_lost"]
    for event in read_events(f"store:{tmp_path}/s.db"):
        assert event.seq == (event.end_ns - 2_560_000_000 - first_ns) // 160_000_000


def test_a_broker_hears_which_heads_there_are(tmp_path, sensor, put, monkeypatch):
    put("moving")
    put("still", moves=False, is_state=False)
    told, opened = [], delivery.open_sink

    def with_announcements(*arguments, **options):
        sink = opened(*arguments, **options)
        sink.announce_heads = told.append
        return sink

    monkeypatch.setattr(delivery, "open_sink", with_announcements)
    with running(tmp_path, _text(tmp_path, ["moving", "still"]), sensor) as daemon:
        wait_until(lambda: told)
        _reload(daemon, tmp_path, _text(tmp_path, ["still"]))
        daemon._delivery._let_go()
        wait_until(lambda: len(told) == 3)
    assert told == [{"moving": True, "still": False}, {"still": False}, {"still": False}]


def test_only_heads_that_are_named_tell(tmp_path, sensor, put):
    put("moving")
    put("late", timing=Timing(1.0, 1.0, least_s=2.0), while_head="moving")
    with running(tmp_path, _text(tmp_path, ["late"]), sensor) as daemon:
        wait_until(lambda: _head(daemon, "late")["events"] >= 2)
        assert [head["name"] for head in daemon.status["heads"]] == ["late"]
    assert {event.head for event in read_events(f"store:{tmp_path}/s.db")} == {"late"}


def test_a_broker_gets_events_and_forgets_heads_that_are_gone(tmp_path, sensor, put):
    put("moving")
    put("still", moves=False, is_state=False)
    with Broker(tmp_path / "broker") as broker, Listener(broker.url) as listener:
        text = _text(tmp_path, ["moving", "still"]).replace(f"store:{tmp_path}/s.db", broker.url)
        text = text.replace("[heads]", "[status]\nhome_assistant = true\n[heads]")
        topic = "motionsig/pi/events/moving"
        with running(tmp_path, text, sensor) as daemon:
            wait_until(lambda: len(listener.said(topic)) >= 4)
            wait_until(lambda: any(name.endswith("head_moving/config") for name in retained(broker)))
            _reload(daemon, tmp_path, text.replace('"moving", ', ""))
            wait_until(lambda: not any("moving" in name for name in retained(broker)))
        # The last message, an empty one, lets the broker forget.
        phases = [from_json(payload).phase for heard, payload, _ in listener.heard if heard == topic and payload]
        assert phases == [BEGAN, ENDED] * (len(phases) // 2)


def test_an_event_that_is_told_after_a_step_has_the_time_of_its_signature():
    """The state holds for half a second without a signature, in which the clock is set."""
    sink = SimpleNamespace(correction_ns=0, publish_events=lambda events: None, announce=lambda heads: None)
    sink.clock_is_set, sink.clock = True, None
    sink.stream_id_at = lambda hop: 100 + sink.correction_ns // 10**9
    encoder = SimpleNamespace(maker=CARD, card=CARD, head_windows=0)
    card = by_rest("moving", encoder=CARD.fingerprint, timing=Timing(1.0, 1.0, hold_s=0.5))

    options = {"device": "pi", "hop": None, "heads_hop": 8, "feed": Feed()}
    judging = heads.Heads([card], ["moving"], {}, encoder, sink, Programs({}, 1.0), **options)
    told = []
    for row in range(8):
        sink.correction_ns = 3600 * 10**9 * (row >= 3)
        encoder.head_windows += 1
        quality = np.array([Quality.AT_REST * (row >= 2)], np.uint8)
        codes, start_ns = np.zeros((1, CARD.dim), np.int8), np.array([row * 160_000_000])
        told += judging.judge(SignatureBatch(start_ns, codes, quality, 160_000_000, CARD.spec))
    assert [(event.phase, event.stream_id, event.seq) for event in told] == [(BEGAN, 100, 0), (ENDED, 100, 1)]
    assert [event.end_ns for event in told] == [2_560_000_000, 2_720_000_000]
