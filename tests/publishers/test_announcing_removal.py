"""What a device announced under another name, or of what is switched off now: nothing of it stays at the broker."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broker import Broker
from made import numbered, running, wait_until
from receiving import Listener, happened, retained

from motionsig.events import BEGAN
from motionsig.publishers import announced, announcing, open_sink
from motionsig.publishers.announcing import Announcer
from motionsig.publishers.brokers import parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.mqtt import MqttSink
from motionsig.publishers.protocol import PROTOCOLS

HEADS = {"wave": False, "walking": True}
BEFORE: dict[str, Any] = {"device": "hall", "home_assistant": "homeassistant"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


def opened(broker: Broker, tmp_path: Path, **options: Any) -> MqttSink:
    quick = {"retry_s": 0.05, "max_retry_s": 0.1, "delay_s": 0, "hold_s": 0, "keepalive_s": 5}
    sink = open_sink(broker.url, stream_id=3, spool=str(tmp_path / "spool"), **{**quick, **options})
    assert isinstance(sink, MqttSink)
    return sink


def tell(broker: Broker, sink: MqttSink, device: str) -> None:
    """Announce heads, report a state, and tell of an event of a state; return when the broker has all of it."""
    sink.announce_heads(HEADS)
    sink.report({"backlog": 3})
    sink.publish_events([happened(1, BEGAN, head="walking", device=device)])
    wait_until(lambda: sink.counts.pending == 0)
    wait_until(lambda: f"motionsig/{device}/state" in retained(broker))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"device": "kitchen", "home_assistant": "homeassistant"}, 6),
        ({"device": "hall", "home_assistant": "other"}, 7),  # its last state stays what it is
        ({"device": "hall", "home_assistant": "homeassistant", "prefix": "house/one"}, 6),
        ({"device": "hall", "availability": True}, 1),
        ({"device": "kitchen"}, 0),
    ],
)
def test_what_no_longer_holds_is_removed(broker: Broker, tmp_path: Path, after: dict[str, Any], said: int) -> None:
    with opened(broker, tmp_path, **BEFORE) as sink:
        tell(broker, sink, "hall")
    before = retained(broker)
    assert len(before) == 7 + 3
    with opened(broker, tmp_path, **after) as sink:
        topic = f"{after.get('prefix', 'motionsig')}/{after['device']}"
        sink.announce_heads({})
        places = (f"{topic}/", f"{after.get('home_assistant')}/")
        wait_until(lambda: len(retained(broker)) == said and all(each.startswith(places) for each in retained(broker)))
    # It is not noted any more, but for what a late will concerns.
    old = {each for each in announced.load([tmp_path / "spool"]) if not each.startswith(places)}
    assert old <= {"motionsig/hall/availability", "homeassistant/binary_sensor/motionsig_hall/connection/config"}


KILLED = """
import sys, time
from motionsig.publishers import open_sink
sink = open_sink(sys.argv[1], device="hall", stream_id=3, spool=sys.argv[2], home_assistant="homeassistant")
time.sleep(60)
"""


def test_after_kill_9_in_between(broker: Broker, tmp_path: Path) -> None:
    with Listener(broker.url) as listener, running(sys.executable, "-c", KILLED, broker.url, str(tmp_path / "spool")):
        wait_until(lambda: any("homeassistant/" in topic for topic, *_ in listener.heard))
    # The broker says now that it is offline.
    wait_until(lambda: "motionsig/hall/availability" in retained(broker))
    with opened(broker, tmp_path, device="kitchen"):
        wait_until(lambda: retained(broker) == {})


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_denies_it_blocks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """With MQTT 5 it says so; with 3.1.1 it acknowledges what it discards."""
    monkeypatch.setitem(PROTOCOLS, "auto", PROTOCOLS[protocol])
    access = tmp_path / "access"
    access.write_text("topic readwrite #\n")
    with Broker(tmp_path / "broker", settings=f"allow_anonymous true\nacl_file {access}\n") as broker:
        with opened(broker, tmp_path, **BEFORE):
            wait_until(lambda: len(retained(broker)) == 6)
        broker.stop()
        access.write_text("topic read #\ntopic write motionsig/kitchen/#\n")
        broker.start()
        with opened(broker, tmp_path, device="kitchen", availability=True) as sink:
            sink.publish(numbered(5))
            wait_until(lambda: sink.counts.delivered == 5)
            wait_until(lambda: "motionsig/kitchen/availability" in retained(broker))
            assert sink.last_error is None


def test_the_late_will_of_the_old_name_is_removed_too(broker: Broker, tmp_path: Path) -> None:
    """It takes one and a half keep-alive intervals, of which none is below a second."""
    with opened(broker, tmp_path, **BEFORE):
        wait_until(lambda: "motionsig/hall/availability" in retained(broker))
    where = "motionsig/hall/availability"
    will = (where, b'{"state":"offline","epoch":3}')
    hung = Connection(parse_broker(broker.url), client_id="old", clean_session=True, keepalive_s=60, will=will)
    hung.open(60, lambda: False)
    with opened(broker, tmp_path, device="kitchen", keepalive_s=1):
        wait_until(lambda: retained(broker) == {})
        hung.drop()
        wait_until(lambda: where in retained(broker))
        wait_until(lambda: retained(broker) == {})
        wait_until(lambda: announced.load([tmp_path / "spool"]) == frozenset())


def test_a_device_that_has_the_old_name_by_now_announces_itself_again(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("AGAIN_AFTER_S", 0.1), ("AGAIN_JITTER_S", 0.1), ("REMOVED_BY_OTHER_S", 0.3)):
        monkeypatch.setattr(announcing, name, seconds)
    with opened(broker, tmp_path, **BEFORE):
        wait_until(lambda: len(retained(broker)) == 6)
    with opened(broker, tmp_path / "other", **BEFORE) as hall:
        wait_until(lambda: hall.last_error is None)
        with Listener(broker.url) as listener:
            with opened(broker, tmp_path, device="kitchen"):
                wait_until(lambda: sum(not payload for _, payload, _ in listener.heard) == 7)
                wait_until(lambda: len(retained(broker)) == 6)
            assert b"online" in retained(broker)["motionsig/hall/availability"]


def test_a_state_that_waited_under_the_old_name_is_not_kept(broker: Broker, tmp_path: Path) -> None:
    broker.stop()
    with opened(broker, tmp_path, **BEFORE, close_timeout_s=0.1) as sink:
        sink.publish_events([happened(1, BEGAN, head="walking", device="hall")])
    broker.start()
    with Listener(broker.url) as listener, opened(broker, tmp_path, device="kitchen"):
        wait_until(lambda: any(topic == "motionsig/hall/events/walking" for topic, *_ in listener.heard))
        assert retained(broker) == {}


def test_a_kept_event_is_noted_though_nobody_announced_its_head(broker: Broker, tmp_path: Path) -> None:
    with opened(broker, tmp_path, device="hall") as sink:
        sink.publish_events([happened(1, BEGAN, head="walking", device="hall")])
        # Another one's, which the caller passes on: it is kept, and not ours to remove.
        sink.publish_events([happened(2, BEGAN, head="walking", device="other")])
        wait_until(lambda: len(retained(broker)) == 2)
    assert announced.load([tmp_path / "spool"]) == {"motionsig/hall/events/walking"}
    with opened(broker, tmp_path, device="kitchen"):
        wait_until(lambda: retained(broker).keys() == {"motionsig/other/events/walking"})


def test_a_removal_that_ends_the_connection_twice_is_tried_an_hour_later() -> None:
    gone = frozenset({"motionsig/hall/state", "motionsig/hall/availability"})
    announcer = Announcer(
        prefix="motionsig", device="kitchen", availability=True, home_assistant=None, version="1", remembered=gone
    )

    def asked(now_s: float) -> set[str]:
        return {topic for topic, payload in announcer.due(now_s, 1) if not payload}

    for began_s in (0.0, 10.0):
        announcer.connected(began_s)
        assert asked(began_s) == gone, "a network may end a connection, too"
        announcer.acknowledged("motionsig/hall/state", b"", began_s + 1)
    announcer.connected(20.0)
    assert asked(20.0) == {"motionsig/hall/state"}
    assert asked(3619.0) == set()
    assert asked(3620.0) == {"motionsig/hall/availability", "motionsig/hall/state"}
    announcer.refused("motionsig/hall/availability", 3621.0)
    announcer.connected(3630.0)
    assert asked(3630.0) == {"motionsig/hall/state"}
    assert asked(7221.0) >= {"motionsig/hall/availability"}
    announcer.acknowledged("motionsig/hall/availability", b"", 7222.0)
    announcer.forget(7222.0)
    assert "motionsig/hall/availability" not in announcer.remembered


def test_where_a_will_would_be_kept_is_noted_before_the_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        with open_sink(url, device="hall", spool=str(tmp_path), availability=True, close_timeout_s=0.1) as sink:
            client, _ = server.accept()
            assert sink.last_error == "no connection yet"
            wait_until(lambda: announced.load([tmp_path]) == {"motionsig/hall/availability"})
            client.close()
