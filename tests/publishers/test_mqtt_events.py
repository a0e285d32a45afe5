"""Events at a real broker: topic, order, what it keeps, and kills of either end."""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Set
from pathlib import Path

import pytest
from broker import Broker
from made import lines_until_killed, numbered, running, wait_until
from receiving import Listener, happened, mqtt, retained

from motionsig.errors import InputError, SinkError
from motionsig.events import BEGAN, ENDED, from_json, to_json
from motionsig.publishers import announced
from motionsig.publishers.mqtt import MqttSink

WAVE = "motionsig/wrist-7/events/wave"
WALKING = "motionsig/wrist-7/events/walking"


def seqs(listener: Listener, topic: str = WAVE) -> list[int]:
    return [from_json(payload).seq for heard, payload, _ in list(listener.heard) if heard == topic and payload]


@pytest.mark.parametrize("form", ["cbor", "json"])
def test_an_event_leaves_at_once_while_signatures_wait(broker: Broker, tmp_path: Path, form: str) -> None:
    with Listener(broker.url) as listener, mqtt(broker.url, tmp_path / "spool", delay_s=30, format=form) as sink:
        sink.publish(numbered(3))
        wait_until(lambda: sink.last_error is None)
        time.sleep(0.2)
        assert listener.heard == [], "signatures wait"
        sink.publish_events([happened(2)])
        sink.publish(numbered(2, 3))
        wait_until(lambda: len(listener.heard) == 1)
        time.sleep(0.2)
        sink.flush()
        wait_until(lambda: len(listener.heard) == 2)
        signatures = "motionsig/wrist-7/signatures" + ("/json" if form == "json" else "")
        topics = [topic for topic, *_ in listener.heard]
        assert topics == [WAVE, signatures], "what was published before it comes later"
        assert listener.heard[0][1] == to_json(happened(2))
    assert (sink.counts.accepted, sink.counts.delivered, sink.counts.pending) == (6, 6, 0)
    assert sink.payload_bytes == sum(len(payload) for _, payload, _ in listener.heard)
    assert f"PUBLISH from {sink._sender.client_id} (d0, q1, r0, m" in broker.log


def test_an_event_takes_no_number_of_the_stream(broker: Broker, tmp_path: Path) -> None:
    with Listener(broker.url) as listener, mqtt(broker.url, tmp_path / "spool", delay_s=0) as sink:
        sink.publish(numbered(1))
        sink.publish_events([happened(99, stream_id=8)])
        sink.publish(numbered(1, 1))
        assert sink._seq == 2
        wait_until(lambda: sink.counts.delivered == 3)
        wait_until(lambda: seqs(listener) == [99])


def test_the_broker_keeps_the_newest_state_and_no_other_event(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool") as sink:
        sink.publish_events([happened(1, BEGAN, head="walking"), happened(2), happened(5, ENDED, head="walking")])
        sink.publish_events([happened(7, BEGAN, head="lying")])
    assert sink.counts.delivered == 4
    kept = {
        "motionsig/wrist-7/events/lying": happened(7, BEGAN, head="lying"),
        WALKING: happened(5, ENDED, head="walking"),
    }
    assert retained(broker) == {topic: to_json(what) for topic, what in kept.items()}
    assert "(d0, q1, r1, m" in broker.log


@pytest.mark.parametrize("device", ["a+b", "a#", "a/b", "a\0", "\ud800"])
def test_an_event_of_a_device_that_is_no_part_of_a_topic_is_refused_with_all_that_come_with_it(
    broker: Broker, tmp_path: Path, device: str
) -> None:
    with mqtt(broker.url, tmp_path / "spool") as sink:
        with pytest.raises(InputError, match="device: expected"):
            sink.publish_events([happened(0), happened(1, device=device)])
        assert sink.counts.accepted == 0
    with pytest.raises(SinkError, match="closed"):
        sink.publish_events([])


def test_strict_has_an_event_on_the_disk_when_publish_events_returns(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", strict=True) as sink:
        sink.publish_events([happened(0)])
        assert not any(segment.fresh for segment in sink._spool._segments.values())


def test_a_full_spool_drops_events_by_choice_and_counts_them(tmp_path: Path) -> None:
    absent = Broker(tmp_path / "absent")
    with mqtt(absent.url, tmp_path / "spool", full="newest", max_bytes=65536, close_timeout_s=0.1) as sink:
        sink.publish_events([happened(seq) for seq in range(500)])
        assert 0 < sink.counts.accepted == sink.counts.pending == 500 - sink.counts.dropped < 500


ONE_SHOT = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from made import numbered
from receiving import happened
from motionsig.publishers import open_sink
sink = open_sink(sys.argv[1], device="wrist-7", stream_id=3, spool=sys.argv[2], delay_s=30)
sink.publish(numbered(3))
sink.publish_events([happened(2), happened(3, "began", head="walking")])
print("taken", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_publisher_killed_before_the_acknowledgement_loses_no_event(broker: Broker, tmp_path: Path) -> None:
    absent = Broker(tmp_path / "absent")
    arguments = [absent.url, str(tmp_path / "spool"), str(Path(__file__).parent)]
    assert lines_until_killed(sys.executable, "-c", ONE_SHOT, *arguments, after=1) == ["taken\n"]
    with Listener(broker.url) as listener, mqtt(broker.url, tmp_path / "spool") as sink:
        assert sink.counts.recovered == 5
        wait_until(lambda: sink.counts.delivered == 5)
        wait_until(lambda: (seqs(listener), seqs(listener, WALKING)) == ([2], [3]))
    assert retained(broker) == {WALKING: to_json(happened(3, BEGAN, head="walking"))}


PUBLISHER = """
import sys, time
sys.path.insert(0, sys.argv[3])
from made import numbered
from receiving import happened
from motionsig.publishers import open_sink
url, spool, _, stream_id = sys.argv[1:]
options = {"delay_s": 0.5, "retry_s": 0.05, "max_retry_s": 0.2}
sink = open_sink(url, device="wrist-7", stream_id=int(stream_id), spool=spool, buffer=spool + "-buffer", **options)
number = 0
while True:
    sink.publish(numbered(1, number))
    sink.publish_events([happened(number, stream_id=int(stream_id))])
    number += 1
    print(stream_id, number, flush=True)
    time.sleep(0.001)
"""


def test_kill_9_of_the_publisher_loses_no_event(broker: Broker, tmp_path: Path) -> None:
    chance = random.Random(1)
    accepted: set[tuple[int, int]] = set()
    with Listener(broker.url) as listener:
        for stream_id in range(4):
            arguments = [broker.url, str(tmp_path / "spool"), str(Path(__file__).parent), str(stream_id)]
            pause_s = chance.uniform(0.0, 0.4)
            lines = lines_until_killed(sys.executable, "-c", PUBLISHER, *arguments, after=1, pause_s=pause_s)
            count = max(int(line.split()[1]) for line in lines if len(line.split()) == 2)
            accepted |= {(stream_id, seq) for seq in range(count)}
        with mqtt(broker.url, tmp_path / "spool", buffer=str(tmp_path / "spool-buffer")) as sink:
            assert sink.counts.damaged_bytes == 0
        assert sink.counts.pending == 0
        heard = [from_json(payload) for topic, payload, _ in list(listener.heard) if topic == WAVE]
        keys = list(dict.fromkeys((it.stream_id, it.seq) for it in heard))
        assert accepted <= set(keys)
        assert keys == sorted(keys), "in order"


def test_an_event_that_a_killed_broker_acknowledged_and_lost_is_sent_again(tmp_path: Path) -> None:
    """Nothing is saved when it dies: only holding on to what was acknowledged brings the state back."""
    with Broker(tmp_path / "broker") as broker, mqtt(broker.url, tmp_path / "spool", hold_s=30) as sink:
        sink.publish_events([happened(1, BEGAN, head="walking")])
        wait_until(lambda: sink.counts.pending == 0)
        assert WALKING in retained(broker)
        broker.kill()
        broker.start()
        wait_until(lambda: WALKING in retained(broker))
        assert sink.counts.delivered == 1, "counted once"


def test_a_broker_that_stalls_on_an_event_is_given_up_and_taken_up_again(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", ack_timeout_s=0.4, delay_s=30) as sink:
        wait_until(lambda: sink.last_error is None)
        broker.stall()
        sink.publish_events([happened(1)])
        wait_until(lambda: "no acknowledgement for 0.4 s" in str(sink.last_error))
        broker.go_on()
        wait_until(lambda: sink.counts.delivered == 1)


def test_more_events_than_the_window_arrive_in_order(broker: Broker, tmp_path: Path) -> None:
    with Listener(broker.url) as listener, mqtt(broker.url, tmp_path / "spool", in_flight=3) as sink:
        for first in range(0, 300, 3):
            sink.publish(numbered(2, first))
            sink.publish_events([happened(seq) for seq in range(first, first + 3)])
        wait_until(lambda: sink.counts.delivered == 500)
        wait_until(lambda: seqs(listener) == list(range(300)))


HEADS = {"wave": False, "walking": True}


def home(url: str, spool: Path, **options: object) -> MqttSink:
    return mqtt(url, spool, home_assistant="homeassistant", **options)


def configs(broker: Broker) -> set[str]:
    return {topic for topic in retained(broker) if "/head_" in topic}


EVENT = "homeassistant/event/motionsig_wrist-7/head_wave/config"
STATE = "homeassistant/binary_sensor/motionsig_wrist-7/head_walking/config"


def test_heads_come_to_home_assistant_and_go_with_what_the_broker_kept_of_them(broker: Broker, tmp_path: Path) -> None:
    with Listener(broker.url) as listener, home(broker.url, tmp_path / "spool", hold_s=0) as sink:
        sink.announce_heads(HEADS)
        wait_until(lambda: configs(broker) == {EVENT, STATE})
        sink.publish_events([happened(1, BEGAN, head="walking")])
        wait_until(lambda: WALKING in retained(broker))
        sink.announce_heads({"wave": False})
        wait_until(lambda: configs(broker) == {EVENT} and WALKING not in retained(broker))
        gone = [topic for topic, payload, _ in listener.heard if not payload]
        assert gone == [STATE, WALKING], "the entity goes before its state"
        wait_until(lambda: {each for each in announced.load([tmp_path / "spool"]) if "head_" in each} == {EVENT})
        assert WALKING not in announced.load([tmp_path / "spool"])
        sink.publish_events([happened(2, ENDED, head="walking")])
        wait_until(lambda: sink.counts.delivered == 2)
        assert WALKING not in retained(broker), "what was under way is not kept of a head that is gone"
        sink.announce_heads({"wave": True})
        as_state = "homeassistant/binary_sensor/motionsig_wrist-7/head_wave/config"
        wait_until(lambda: configs(broker) == {as_state})


def test_what_an_earlier_process_announced_is_removed_by_the_next_one(broker: Broker, tmp_path: Path) -> None:
    with home(broker.url, tmp_path / "spool", prefix="old") as sink:
        sink.announce_heads(HEADS)
        sink.publish_events([happened(1, BEGAN, head="walking")])
        wait_until(lambda: len(configs(broker)) == 2)
    assert "old/wrist-7/events/walking" in retained(broker)
    with home(broker.url, tmp_path / "spool", prefix="old") as sink:
        wait_until(lambda: sink.last_error is None)
        assert len(configs(broker)) == 2, "as long as nobody says which heads there are"
    # Another prefix, without Home Assistant.
    with mqtt(broker.url, tmp_path / "spool") as sink:
        wait_until(lambda: retained(broker) == {})


def test_heads_that_stay_keep_their_state_across_a_restart(broker: Broker, tmp_path: Path) -> None:
    for _ in range(2):
        with home(broker.url, tmp_path / "spool") as sink, Listener(broker.url) as listener:
            sink.announce_heads(HEADS)
            wait_until(lambda: configs(broker) == {EVENT, STATE})
            sink.publish_events([happened(1, BEGAN, head="walking")])
            wait_until(lambda: sink.counts.pending == 0)
            assert all(payload for _, payload, _ in listener.heard)
    assert WALKING in retained(broker)


KILLED = """
import sys, time
from motionsig.publishers import open_sink
sink = open_sink(sys.argv[1], device="wrist-7", stream_id=3, spool=sys.argv[2], home_assistant="homeassistant")
sink.announce_heads({"wave": False, "walking": True})
time.sleep(60)
"""


def test_kill_9_right_after_the_announcement_forgets_nothing(broker: Broker, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, broker.url, str(tmp_path / "spool")]
    with Listener(broker.url) as listener, running(*command) as child:
        wait_until(lambda: any("/head_" in topic for topic, *_ in listener.heard))
        child.kill()
    with home(broker.url, tmp_path / "spool") as sink:
        sink.announce_heads({})
        wait_until(lambda: configs(broker) == set())


def test_after_kill_9_nobody_believes_a_state_that_was_left(broker: Broker, tmp_path: Path) -> None:
    with home(broker.url, tmp_path / "spool", hold_s=0) as sink:
        sink.announce_heads(HEADS)
        sink.publish_events([happened(1, BEGAN, head="walking")])
        wait_until(lambda: WALKING in retained(broker))
    command = [sys.executable, "-c", KILLED, broker.url, str(tmp_path / "spool")]
    with running(*command) as child:
        wait_until(lambda: announced.was_cut_off([tmp_path / "spool"]))
        wait_until(lambda: "motionsig/wrist-7/availability" in retained(broker))
        assert WALKING in retained(broker), "the one before ended in order, and had said all that it knew"
        child.kill()
    with home(broker.url, tmp_path / "spool", hold_s=0) as sink:
        sink.announce_heads(HEADS)
        wait_until(lambda: WALKING not in retained(broker))
        sink.publish_events([happened(5, BEGAN, head="walking")])
        wait_until(lambda: WALKING in retained(broker))


BEGAN_THERE = f"""
from motionsig.events import from_json
sink.publish_events([from_json({to_json(happened(1, BEGAN, head="walking"))})])
print(flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("arrived", [True, False])
def test_nor_a_state_that_was_left_in_the_spool(broker: Broker, tmp_path: Path, arrived: bool) -> None:
    with home(broker.url, tmp_path / "spool") as sink:
        sink.announce_heads(HEADS)
        wait_until(lambda: configs(broker) == {EVENT, STATE})
    command = [sys.executable, "-c", KILLED.replace("time.sleep(60)", BEGAN_THERE), broker.url, str(tmp_path / "spool")]
    if not arrived:
        broker.kill()
    with running(*command) as child:
        assert child.stdout is not None
        child.stdout.readline()
        wait_until(lambda: not arrived or WALKING in retained(broker))
        child.kill()
    if not arrived:
        broker.start()
    with Listener(broker.url) as listener, home(broker.url, tmp_path / "spool") as sink:
        sink.announce_heads(HEADS)
        # What the broker had kept, if anything, comes before what the process had left.
        wait_until(lambda: seqs(listener, WALKING) == [1, 1][: 1 + arrived])
        wait_until(lambda: [payload for topic, payload, _ in listener.heard if topic == WALKING][-1] == b"")
        assert WALKING not in retained(broker)
        sink.publish_events([happened(5, BEGAN, head="walking")])
        wait_until(lambda: WALKING in retained(broker))


def test_what_is_announced_is_noted_before_it_is_sent(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bool] = []

    def store(folders: list[Path], topics: Set[str]) -> None:
        time.sleep(0.3)
        sent.append("/head_" in broker.log)
        real(folders, topics)

    real = announced.store
    monkeypatch.setattr(announced, "store", store)
    with home(broker.url, tmp_path / "spool") as sink:
        sink.announce_heads(HEADS)
        wait_until(lambda: configs(broker) == {EVENT, STATE})
        assert announced.load([tmp_path / "spool"]) > {EVENT, STATE, WALKING}
        written = len(sent)
        sink.announce_heads(dict(reversed(HEADS.items())))
        time.sleep(0.2)
    assert not any(sent)
    assert len(sent) == written <= 2, "and the flash is written only when something changes"


def test_a_removal_that_a_killed_broker_may_have_lost_is_repeated(broker: Broker, tmp_path: Path) -> None:
    def removals() -> int:
        return len(
            re.findall(rf"Received PUBLISH from \S+ \(d0, q1, r1, m\d+, '{STATE}', \.\.\. \(0 bytes\)\)", broker.log)
        )

    with home(broker.url, tmp_path / "spool", hold_s=30) as sink:
        sink.announce_heads(HEADS)
        wait_until(lambda: configs(broker) == {EVENT, STATE})
        sink.announce_heads({})
        wait_until(lambda: removals() == 1 and not sink._sender._announced)
        broker.kill()
        broker.start()
        wait_until(lambda: removals() == 2)


def test_heads_of_impossible_names(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool") as sink:
        for name in ("", "a/b", "a+", "ä", "x" * 65):
            with pytest.raises(InputError, match="head: expected"):
                sink.announce_heads({name: True})
        with pytest.raises(InputError, match="at most 256"):
            sink.announce_heads({f"h{number}": True for number in range(257)})
    with pytest.raises(SinkError, match="closed"):
        sink.announce_heads({})
