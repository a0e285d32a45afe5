"""What a device says of itself over a real broker, and what little the network can make of it."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from broker import Broker, Proxy
from made import numbered, running, wait_until
from processes import STALL_S
from receiving import Listener, happened, retained

from motionsig.errors import InputError, SinkError
from motionsig.events import BEGAN, ENDED, ONCE, to_json
from motionsig.publishers import announcing, open_sink
from motionsig.publishers.announcing import Announcer
from motionsig.publishers.brokers import parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.identity import stable_client_id
from motionsig.publishers.mqtt import MqttSink

QUICK = {"retry_s": 0.05, "max_retry_s": 0.2, "delay_s": 0.05, "keepalive_s": 5}
WHERE = "motionsig/wrist/availability"


def mqtt(url: str, spool: Path, **options: Any) -> MqttSink:
    sink = open_sink(url, device="wrist", stream_id=3, spool=str(spool), **{**QUICK, **options})
    assert isinstance(sink, MqttSink)
    return sink


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


def test_a_device_is_there_until_it_is_not(broker: Broker, tmp_path: Path) -> None:
    with Listener(broker.url) as listener:
        with mqtt(broker.url, tmp_path / "spool", availability=True) as sink:
            wait_until(lambda: listener.said(WHERE) == [{"state": "online", "epoch": 3}])
            sink.begin(4, 0)
            wait_until(lambda: listener.said(WHERE)[1:] == [{"state": "online", "epoch": 4}])
            sink.publish(numbered(2))
        wait_until(lambda: listener.said(WHERE)[2:] == [{"state": "offline", "epoch": 4}])
        topics = {topic for topic, *_ in listener.heard}
    assert topics == {WHERE, "motionsig/wrist/signatures"}, "nothing else unless asked for"
    assert (sink.counts.accepted, sink.counts.delivered) == (2, 2), "announcements are no signatures"
    assert json.loads(retained(broker)[WHERE]) == {"state": "offline", "epoch": 4}


def test_nothing_is_announced_by_default(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool") as sink:
        sink.report({"backlog": 1})
        sink.publish(numbered(2))
    assert retained(broker) == {}


PUBLISHER = """
import sys, time
from motionsig.publishers import open_sink
sink = open_sink(sys.argv[1], device="wrist", stream_id=8, spool=sys.argv[2], availability=True)
time.sleep(60)
"""


def test_the_will_of_a_killed_publisher_and_the_return_of_a_hung_one(broker: Broker, tmp_path: Path) -> None:
    with Listener(broker.url) as listener:
        with running(sys.executable, "-c", PUBLISHER, broker.url, str(tmp_path / "spool")):
            wait_until(lambda: listener.said(WHERE) == [{"state": "online", "epoch": 8}])
        wait_until(lambda: listener.said(WHERE)[1:] == [{"state": "offline", "epoch": 8}])
        assert json.loads(retained(broker)[WHERE]) == {"state": "offline", "epoch": 8}, "for who comes later"
        # A connection that the broker still takes for alive, of the same name.
        name = stable_client_id("wrist", [tmp_path / "spool"])
        will = (WHERE, b'{"state":"offline","epoch":8}')
        hung = Connection(parse_broker(broker.url), client_id=name, clean_session=True, keepalive_s=60, will=will)
        hung.open(60, lambda: False)
        with mqtt(broker.url, tmp_path / "spool", availability=True):
            wait_until(lambda: len(listener.said(WHERE)) == 4)
            assert [said["epoch"] for said in listener.said(WHERE)] == [8, 8, 8, 3], "the late will came before"
            assert json.loads(retained(broker)[WHERE]) == {"state": "online", "epoch": 3}
        hung.drop()


def test_an_announcement_without_an_answer_ends_the_connection(broker: Broker, tmp_path: Path) -> None:
    proxy = Proxy(broker.port, range(1))
    try:
        with mqtt(f"mqtt://127.0.0.1:{proxy.port}", tmp_path / "spool", availability=True, ack_timeout_s=0.2) as sink:
            wait_until(lambda: proxy.connections == 2 and sink.last_error is None)
            sink.publish(numbered(1))
            wait_until(lambda: sink.counts.delivered == 1)
    finally:
        proxy.close()


def test_a_goodbye_that_is_not_taken_leaves_the_word_to_the_will(broker: Broker, tmp_path: Path) -> None:
    proxy = Proxy(broker.port, range(1, 9))
    try:
        with Listener(broker.url) as listener:
            with mqtt(f"mqtt://127.0.0.1:{proxy.port}", tmp_path / "spool", availability=True):
                wait_until(lambda: proxy.seen == 1)
                began_s = time.monotonic()
            assert time.monotonic() - began_s < STALL_S
            wait_until(lambda: [said["state"] for said in listener.said(WHERE)] == ["online", "offline", "offline"])
    finally:
        proxy.close()


CONFIGS = {
    f"homeassistant/{component}/motionsig_wrist/{key}/config"
    for component, key in (
        ("binary_sensor", "connection"),
        ("sensor", "signal_quality"),
        ("sensor", "backlog"),
        ("sensor", "device"),
        ("sensor", "last_error"),
    )
}
STATE = {"signal_quality": 99.5, "backlog": 3, "device": "cpu", "last_error": None}


def test_home_assistant_finds_it(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", home_assistant="homeassistant") as sink:
        sink.report(STATE)
        wait_until(lambda: retained(broker).keys() == CONFIGS | {WHERE, "motionsig/wrist/state"})
        kept = retained(broker)
    assert json.loads(kept["motionsig/wrist/state"]) == STATE
    configs = {topic: json.loads(kept[topic]) for topic in CONFIGS}
    assert len({config["unique_id"] for config in configs.values()}) == 5
    assert len({json.dumps(config["device"]) for config in configs.values()}) == 1
    for topic, config in configs.items():
        assert not any(key.startswith("command") for key in config)
        assert WHERE in (config.get("availability_topic"), config["state_topic"]), topic


def test_state_is_sent_when_it_changes_and_not_too_often() -> None:
    announcer = Announcer(prefix="p", device="d", availability=False, home_assistant="ha", version="1")

    def states(now_s: float) -> list[bytes]:
        return [payload for topic, payload in announcer.due(now_s, 1) if topic == "p/d/state"]

    announcer.connected(0.0)
    assert states(0.0) == []
    announcer.report({"backlog": 1})
    assert (states(1.0), states(2.0)) == ([b'{"backlog":1}'], [])
    announcer.report({"backlog": 2})
    announcer.report({"backlog": 3})
    assert (states(30.0), states(31.0), states(99.0)) == ([], [b'{"backlog":3}'], [])
    announcer.connected(100.0)
    assert states(100.0) == [b'{"backlog":3}']
    with pytest.raises(InputError, match="JSON"):
        announcer.report({"x": object()})
    announcer.report({"x": float("nan"), "y": "\ud800"})
    assert states(200.0) == [b'{"x":null,"y":"\\ud800"}']
    Announcer(prefix="p", device="d", availability=True, home_assistant=None, version="1").report({"x": object()})


def test_a_long_error_fits_into_a_state() -> None:
    announcer = Announcer(prefix="p", device="d", availability=True, home_assistant="ha", version="1")
    announcer.connected(0.0)
    (config,) = (json.loads(payload) for topic, payload in announcer.due(0.0, 1) if "/last_error/" in topic)
    (length,) = re.findall(r"truncate\((\d+), true\)", config["value_template"])
    # https://jinja.palletsprojects.com/en/stable/templates/#jinja-filters.truncate: the leeway is 5 by default.
    assert int(length) + 5 <= 255


def test_a_fleet_does_not_answer_home_assistant_at_once() -> None:
    answers = []
    for _ in range(200):
        announcer = Announcer(prefix="p", device="d", availability=True, home_assistant="ha", version="1")
        announcer.connected(0.0)
        assert len(announcer.due(0.0, 1)) == 6
        for now_s in range(1000, 1100):
            announcer.heard("ha/status", b"online", now_s / 10)
            if now_s == 1000:
                answers.append(announcer._again_s)
            announcer.due(now_s / 10, 1)
        assert announcer.due(104.99, 1) == []
        assert announcer._again_s >= 110, "once in ten seconds, however often it is asked"
    assert min(answers) < 100.5
    assert max(answers) > 104.5
    assert max(answers) <= 105


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("ha/status", b"offline"), ("ha/status", b"online "), ("ha/status", b""), ("p/d/status", b"online")],
)
def test_only_one_word_in_one_place_is_heard(topic: str, payload: bytes) -> None:
    announcer = Announcer(prefix="p", device="d", availability=True, home_assistant="ha", version="1")
    announcer.connected(0.0)
    announcer.due(0.0, 1)
    announcer.heard(topic, payload, 1.0)
    assert announcer.due(1000.0, 1) == []


def test_nothing_from_the_network_does_more(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(announcing, "AGAIN_AFTER_S", 0.5)
    monkeypatch.setattr(announcing, "AGAIN_JITTER_S", 0.1)
    flood = Connection(parse_broker(broker.url), client_id="flood", clean_session=True, keepalive_s=60)
    flood.open(60, lambda: False)
    with mqtt(broker.url, tmp_path / "spool", home_assistant="homeassistant") as sink:
        sink.report(STATE)
        wait_until(lambda: retained(broker).keys() == CONFIGS | {WHERE, "motionsig/wrist/state"})
        before = retained(broker)
        began_s = time.monotonic()
        with Listener(broker.url) as listener:
            topics = ["homeassistant/status", "motionsig/wrist/command", "motionsig/wrist/signatures/set", "x"]
            for number in range(1000):
                flood.publish("homeassistant/status", b"online")
                if number % 50 == 0:
                    for topic in topics:
                        flood.publish(topic, bytes(range(256)) * (number % 8))
                    flood.loop(0.001)
            for topic in topics:
                flood.publish(topic, b"x" * 1_000_000)
            flood.publish("homeassistant/sensor/motionsig_wrist/backlog/set", b"0")
            wait_until(lambda: (flood.loop(0.01), len(flood.acknowledged) >= 1085)[1])
            wait_until(lambda: len(listener.said("motionsig/wrist/state")) >= 2)
            sink.publish(numbered(3))
            wait_until(lambda: sink.counts.pending == 0)
            taken_s = time.monotonic() - began_s
            ours = [topic for topic, _, kept in listener.heard if topic in before and not kept]
        again = ours.count("motionsig/wrist/state")
        assert 1 <= again <= taken_s / 0.5 + 1
        assert {topic: ours.count(topic) for topic in before} == dict.fromkeys(before, again)
        assert retained(broker) == before
        assert (sink.last_error, sink.counts.delivered, sink.counts.dropped) == (None, 3, 0)
    flood.close()
    assert not caplog.records


def test_what_was_retained_before_is_no_event(broker: Broker, tmp_path: Path) -> None:
    earlier = Connection(parse_broker(broker.url), client_id="earlier", clean_session=True, keepalive_s=60)
    earlier.open(60, lambda: False)
    earlier.publish("homeassistant/status", b"online", retain=True)
    wait_until(lambda: (earlier.loop(0.01), earlier.acknowledged)[1] != [])
    with mqtt(broker.url, tmp_path / "spool", home_assistant="homeassistant") as sink:
        wait_until(lambda: re.search(r"Sending PUBLISH to \S+ \(d0, q0, r1, m0, 'homeassistant/status'", broker.log))
        sink.publish(numbered(1))
        wait_until(lambda: sink.counts.pending == 0)
        assert sink._announcer._again_s == math.inf, "read before the acknowledgement, and nothing is announced again"
    earlier.close()


def test_a_refused_subscription_does_not_stop_the_signatures(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection(parse_broker("mqtt://h"), client_id="x", clean_session=True, keepalive_s=5)
    connection._listening = 7
    connection._on_subscribe(None, None, 7, [128])
    assert connection._refused is None
    assert "can be done without" in caplog.text
    connection._on_subscribe(None, None, 8, [128])
    with pytest.raises(SinkError, match="refused the subscription"):
        connection._check(0)


def test_devices_of_odd_names_share_no_entities() -> None:
    seen = set()
    for prefix, device in (
        ("p", "a b"),
        ("p", "a_b"),
        ("p", "ä" * 100),
        ("q", "a_b"),
        ("p/q", "a_b"),
        ("p_q", "a"),
        ("p", "q_a"),
        ("p/q", "a"),
    ):
        announcer = Announcer(prefix=prefix, device=device, availability=True, home_assistant="ha", version="1")
        announcer.connected(0.0)
        topics = [topic for topic, _ in announcer.due(0.0, 1) if topic.startswith("ha/")]
        assert all(topic.isascii() and " " not in topic and topic.count("/") == 4 for topic in topics)
        seen |= set(topics)
    assert len(seen) == 40


def announcer_of(**options: Any) -> Announcer:
    return Announcer(
        **{"prefix": "p", "device": "d", "availability": True, "home_assistant": "ha", "version": "1", **options}
    )


COMMON = {
    "availability_topic": "p/d/availability",
    "availability_template": "{{ value_json.state }}",
    "device": {"identifiers": ["p_d"], "name": "d", "manufacturer": "motionsig", "sw_version": "1"},
    "origin": {"name": "motionsig", "sw_version": "1"},
}
GOLDEN = {
    "ha/event/p_d/head_wave/config": {
        "name": "wave",
        "state_topic": "p/d/events/wave",
        "event_types": ["wave"],
        "value_template": "{{ '' if value_json is not defined or this.attributes.get('stream_id') == "
        "value_json.stream_id and this.attributes.get('seq', -1) >= value_json.seq else {'event_type': 'wave', "
        "'start': value_json.start, 'end': value_json.end, 'duration_s': value_json.duration_s, "
        "'score': value_json.score, 'stream_id': value_json.stream_id, 'seq': value_json.seq} | tojson }}",
        "unique_id": "p_d_head_wave",
        **COMMON,
    },
    "ha/binary_sensor/p_d/head_walking/config": {
        "name": "walking",
        "state_topic": "p/d/events/walking",
        "value_template": "{{ value_json.phase if value_json is defined else 'None' }}",
        "payload_on": "began",
        "payload_off": "ended",
        "unique_id": "p_d_head_walking",
        **COMMON,
    },
}
HEADS = {"wave": False, "walking": True}


def heads_of(said: list[tuple[str, bytes]]) -> dict[str, Any]:
    return {
        topic: json.loads(payload or b"null") for topic, payload in said if "/head_" in topic or "/events/" in topic
    }


def test_home_assistant_is_told_of_heads() -> None:
    announcer = announcer_of()
    announcer.connected(0.0)
    assert heads_of(announcer.due(0.0, 1)) == {}
    announcer.announce_heads(HEADS)
    assert heads_of(announcer.due(1.0, 1)) == GOLDEN
    assert announcer.due(2.0, 1) == [], "once"
    announcer.heard("ha/status", b"online", 100.0)
    assert heads_of(announcer.due(200.0, 1)) == GOLDEN, "and when Home Assistant has started"
    announcer.connected(300.0)
    assert heads_of(announcer.due(300.0, 1)) == GOLDEN, "and with each connection"


def rendered(config: dict[str, Any], shown: dict[str, Any], **values: Any) -> str:
    """Return what Home Assistant makes of a message while the entity's attributes are `shown`."""
    jinja2 = pytest.importorskip("jinja2")
    template = jinja2.Template(config["value_template"], undefined=jinja2.StrictUndefined)
    return str(template.render(this=SimpleNamespace(attributes=shown), **values))


def test_home_assistant_makes_of_an_event_what_it_expects() -> None:
    """https://www.home-assistant.io/integrations/event.mqtt/: JSON with an event_type that is among event_types."""
    for phase, config in ((ONCE, GOLDEN["ha/event/p_d/head_wave/config"]),
                          (BEGAN, GOLDEN["ha/binary_sensor/p_d/head_walking/config"]),
                          (ENDED, GOLDEN["ha/binary_sensor/p_d/head_walking/config"])):  # fmt: skip
        value = rendered(config, {}, value_json=json.loads(to_json(happened(3, phase))))
        if phase == ONCE:
            said = json.loads(value)
            assert said.pop("event_type") in config["event_types"]
            assert said.keys() == {"start", "end", "duration_s", "score", "stream_id", "seq"}
            assert (said["duration_s"], said["score"]) == (2.56, 0.75)
        else:
            assert value == config[{BEGAN: "payload_on", ENDED: "payload_off"}[phase]]


def test_home_assistant_shows_an_event_that_comes_twice_once_and_ignores_an_empty_message() -> None:
    config = GOLDEN["ha/event/p_d/head_wave/config"]
    shown = json.loads(rendered(config, {}, value_json=json.loads(to_json(happened(3)))))
    for number, stream_id, new in ((2, 3, False), (3, 3, False), (4, 3, True), (3, 2, True), (0, (1 << 63) - 1, True)):
        said = json.loads(to_json(happened(number, stream_id=stream_id)))
        assert bool(rendered(config, shown, value_json=said)) == new, (number, stream_id)
    # Home Assistant finds no JSON in an empty message; None is its word for a state that is unknown.
    assert [rendered(config, shown) for config in GOLDEN.values()] == ["", "None"]


def test_without_home_assistant_only_what_the_broker_keeps_is_removed() -> None:
    announcer = announcer_of(availability=False, home_assistant=None)
    announcer.announce_heads(HEADS)
    announcer.connected(0.0)
    assert announcer.due(0.0, 1) == []
    assert announcer.remembered == {"p/d/events/walking"}
    announcer.announce_heads({"wave": False})
    assert announcer.due(1.0, 1) == [("p/d/events/walking", b"")]


def test_a_topic_is_remembered_until_its_removal_was_held_long_enough() -> None:
    state, config = "p/d/events/walking", "ha/binary_sensor/p_d/head_walking/config"
    announcer = announcer_of(remembered=frozenset({state, config, "old/d/events/x"}), hold_s=10)
    announcer.connected(0.0)
    assert heads_of(announcer.due(0.0, 1)) == {"old/d/events/x": None}, "nobody said yet which heads there are"
    announcer.announce_heads({})
    gone = [(config, b""), ("old/d/events/x", b""), (state, b"")]
    assert announcer.due(1.0, 1) == gone
    kept = announcer.remembered - {state, config, "old/d/events/x"}
    assert len(kept) == 7, "what describes the service, its state and its availability"
    announcer.acknowledged(*gone[0], 2.0)
    announcer.acknowledged(*gone[1], 5.0)
    announcer.forget(11.9)
    assert announcer.remembered - kept == {state, config, "old/d/events/x"}
    announcer.forget(12.0)
    assert announcer.remembered - kept == {state, "old/d/events/x"}
    announcer.connected(13.0)
    assert [one for one in announcer.due(13.0, 1) if not one[1]] == gone[1:], "a killed broker may have lost it"
    announcer.forget(100.0)
    assert announcer.remembered - kept == {state, "old/d/events/x"}, (
        "what was acknowledged over another connection does not count"
    )


def test_a_state_that_an_earlier_process_left_is_unknown_until_this_one_tells_of_it() -> None:
    state = "p/d/events/walking"
    for told in (False, True):
        announcer = announcer_of(remembered=frozenset({state, "p/d/events/still"}), cut_off=True)
        announcer.announce_heads({**HEADS, "still": True})
        announcer.connected(0.0)
        if told:
            # What it left in the spool is sent first, and says that the state ended.
            assert announcer.keeps("walking")
        empty = [topic for topic, payload in announcer.due(0.0, 1) if not payload]
        assert empty == ["p/d/events/still", *([] if told else [state])]
        announcer.acknowledged("p/d/events/still", b"", 1.0)
        announcer.keeps("walking")
        announcer.connected(2.0)
        assert [topic for topic, payload in announcer.due(2.0, 1) if not payload] == []
        assert state in announcer.remembered
    orderly = announcer_of(remembered=frozenset({state}))
    orderly.announce_heads(HEADS)
    orderly.connected(0.0)
    assert all(payload for _, payload in orderly.due(0.0, 1)), "the last process said what ended"


def test_what_an_earlier_process_left_to_be_sent_is_believed_only_where_it_says_that_a_state_ended() -> None:
    state = "p/d/events/walking"
    for cut_off in (False, True):
        announcer = announcer_of(remembered=frozenset({state}), cut_off=cut_off)
        announcer.announce_heads(HEADS)
        announcer.connected(0.0)
        announcer.due(0.0, 1)
        assert announcer.keeps("walking", left=True) == (not cut_off)
        announcer.acknowledged(state, b"", 1.0)  # of what was said before it
        assert announcer.due(1.0, 1) == ([(state, b"")] if cut_off else [])
        assert announcer.due(1.0, 1) == []
        # That it began, and then that it ended, or that it began now.
        announcer.keeps("walking", left=True)
        assert announcer.keeps("walking")
        assert announcer.due(2.0, 1) == []


def test_a_head_that_comes_back_while_its_removal_is_under_way_stays() -> None:
    announcer = announcer_of()
    announcer.announce_heads(HEADS)
    announcer.connected(0.0)
    announcer.due(0.0, 1)
    announcer.announce_heads({})
    gone = announcer.due(1.0, 1)
    assert len(gone) == 3
    announcer.acknowledged(*gone[0], 2.0)
    announcer.announce_heads(HEADS)
    announcer.due(3.0, 1)
    for one in gone[1:]:
        announcer.acknowledged(*one, 4.0)
    announcer.forget(5.0)
    assert announcer.remembered > {*GOLDEN, "p/d/events/walking"}
    assert announcer.due(6.0, 1) == []


def test_the_state_of_a_head_that_is_known_to_be_gone_is_not_kept() -> None:
    announcer = announcer_of()
    assert announcer.keeps("walking"), "nobody said yet which heads there are"
    announcer.announce_heads(HEADS)
    assert [announcer.keeps(name) for name in ("walking", "wave", "lying")] == [True, False, False]
