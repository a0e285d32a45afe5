"""What every sink promises, whatever stands behind it."""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from broker import PERSISTENT, Broker
from made import HOP_NS, START_NS, assert_same, event, labelled, lines_until_killed, numbered, wait_until
from receiving import begin_session

from motionsig import wire
from motionsig.blocks import SignatureBatch, concatenate
from motionsig.collector import collect
from motionsig.errors import InputError, SinkError
from motionsig.publishers import (
    SCHEMES,
    Sink,
    iter_events,
    iter_signatures,
    open_sink,
    read_events,
    read_signatures,
    sink_options,
)
from motionsig.publishers.counts import SinkCounts
from motionsig.publishers.local import Stored
from motionsig.quality import Quality

Reader = Callable[[int], list[Stored]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), settings=f"allow_anonymous true\n{PERSISTENT}") as running:
        yield running


@pytest.fixture(params=["store", "postgresql", "parquet", "file", "mqtt"])
def url_and_reader(
    request: pytest.FixtureRequest, new_url: Callable[[str], str], tmp_path: Path
) -> Iterator[tuple[str, Reader]]:
    """A fresh sink's URL, and how to get back what its far end has once so many more signatures have reached it."""
    if request.param != "mqtt":
        url = new_url(request.param)
        yield url, lambda count: list(iter_signatures(url))
        return
    broker: Broker = request.getfixturevalue("broker")
    into = f"store:{tmp_path / 'collected'}"
    prefix = f"test/{tmp_path.name}"
    session = {"prefix": prefix, "client_id": prefix}
    # From here on the broker keeps what is published for this session, connected or not.
    begin_session(broker, into, **session)

    def read(count: int) -> list[Stored]:
        collect(broker.url, into, count=count, timeout_s=60, **session)
        return list(iter_signatures(into))

    yield f"{broker.url}?prefix={prefix}&spool={tmp_path / 'spool'}&retry_s=0.1", read


def together(parts: list[Stored]) -> SignatureBatch:
    return concatenate([part.signatures for part in parts])


def test_what_was_published_is_read_back(url_and_reader: tuple[str, Reader]) -> None:
    url, read = url_and_reader
    with open_sink(url, device="wrist-7", stream_id=5) as sink:
        sink.publish(numbered(0))
        assert (sink.counts.accepted, sink.payload_bytes) == (0, 0)
        sink.publish(numbered(1))
        sink.publish(numbered(250, 1))
        sink.publish(numbered(3, 251))
        assert sink.counts.accepted == 254
    assert_same(together(read(254)), numbered(254))
    assert sink.counts.delivered == 254
    assert (sink.counts.pending, sink.counts.dropped, sink.counts.conflicts) == (0, 0, 0)
    assert 254 * 64 < sink.payload_bytes < 254 * 71 + 4 * 150


def test_the_same_stream_id_published_twice_is_there_once(url_and_reader: tuple[str, Reader]) -> None:
    url, read = url_and_reader
    for _ in range(2):
        with open_sink(url, device="d", stream_id=9) as sink:
            sink.publish(numbered(100))
    with open_sink(url, device="d", stream_id=10) as sink:
        sink.publish(numbered(1, 100))
    assert_same(together(read(101)), numbered(101))


def test_closing_twice_is_harmless_and_use_after_close_is_an_error(
    url_and_reader: tuple[str, Reader], caplog: pytest.LogCaptureFixture
) -> None:
    url, _ = url_and_reader
    sink: Sink = open_sink(url, device="d", stream_id=1)
    sink.publish(numbered(2))
    sink.close()
    sink.close()
    with pytest.raises(SinkError, match="closed"):
        sink.publish(numbered(1))
    assert sink.counts.accepted == 2
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_unknown_options_are_refused_by_name(scheme: str, tmp_path: Path) -> None:
    location = f"{tmp_path / 'x'}?"
    if scheme.startswith(("mqtt", "postgres")):
        location = f"//127.0.0.1?spool={tmp_path}&" if scheme.startswith("mqtt") else "//127.0.0.1/x?"
    with pytest.raises(InputError, match=r"got 'speed'.*max_message_bytes"):
        open_sink(f"{scheme}:{location}speed=9")
    with pytest.raises(InputError, match="got 'speed'"):
        open_sink(f"{scheme}:{location}max_message_bytes=4000", speed=9)
    with pytest.raises(InputError, match="max_message_bytes: expected an integer, got 'many'"):
        open_sink(f"{scheme}:{location}max_message_bytes=many")
    with pytest.raises(InputError, match="max_message_bytes: expected 128 to"):
        open_sink(f"{scheme}:{location}max_message_bytes=4000", max_message_bytes=3)
    assert "max_message_bytes" in sink_options(scheme)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "no scheme"),
        ("plain-path", r"expected mqtt:, mqtts:, ws:, wss:, mqtt\+unix:, store:, "),
        ("http://host", "got http"),
        ("store:", "no path"),
        ("file://", "no path"),
        ("store:x?durable", "name=value"),
        ("store:x?durable=maybe", "true or false"),
        ("store:x?busy_timeout_s=-1", "from 0 up"),
        ("store:x?busy_timeout_s=nan", "from 0 up"),
        ("mqtt://", "host"),
        ("mqtt://h:99999", "port"),
        ("mqtt://h/path", "prefix=NAME"),
        ("mqtt://h?ca=x", "need mqtts"),
        ("mqtts://h?ca=/nowhere.pem", "readable PEM files that fit, got /nowhere.pem"),
        ("mqtts://h?key=x", "key needs cert"),
        ("mqtt://h?prefix=a%2F%23", "without"),
        ("mqtt://h?in_flight=0", "in_flight"),
        ("mqtt://h?retry_s=0", "0 < retry_s"),
        ("mqtt://h?ack_timeout_s=0", "0 < ack_timeout_s"),
        ("mqtt://h?full=both", "oldest, newest, wait"),
        ("mqtt://h?format=xml", "format: expected one of cbor, json, got 'xml'"),
        ("mqtt://h?format=json&compress=true", "compress: expected format cbor with it, got json"),
        ("mqtt://h?home_assistant=a%2F%2Fb", "home_assistant: expected 1 to"),
        ("mqtt://[", "broker URL: expected mqtt://HOST"),
    ],
)
def test_urls_that_mean_nothing(url: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    with pytest.raises(InputError, match=message):
        open_sink(url, device="d", stream_id=1)


def test_no_error_repeats_a_password(tmp_path: Path) -> None:
    for url in (
        "mqtt://me:secret@host:0x5",
        "mqtt://me:secret@[",
        "mqtt://me:secret@host/path",
        "mqtts://me:secret@h?ca=/nowhere.pem",
        "mqtx://me:secret@h",
        "postgresql://me:1/secret@h/x",
        "postgresql://me:secret@[",
        "postgresql://me:secret@h:0x5/x",
        "postgresql://me:1@secret@h/x",
        "postgresql://me@h/x?password=secret&port=x",
    ):
        options = {"spool": str(tmp_path)} if url.startswith("mqtt") else {}
        with pytest.raises(InputError) as caught:
            open_sink(url, device="d", stream_id=1, **options)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("device", "stream_id"), [("", 1), ("d", -1), ("d", 1 << 63), ("x" * 200, 1)])
def test_origins_that_no_message_could_carry(device: str, stream_id: int, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        open_sink(f"store:{tmp_path / 's'}", device=device, stream_id=stream_id)


def test_defaults_name_this_host_and_a_new_stream_id(tmp_path: Path) -> None:
    for _ in range(2):
        with open_sink(f"file:{tmp_path / 'f'}") as sink:
            sink.publish(numbered(1))
    assert len(read_signatures(f"file:{tmp_path / 'f'}")) == 2


def test_only_what_is_at_rest_can_be_read() -> None:
    with pytest.raises(InputError, match=r"expected store:.* to read from"):
        read_signatures("mqtt://host")
    with pytest.raises(InputError, match="expected no options"):
        read_signatures("store:x?durable=1")


def test_begin_numbers_what_follows(url_and_reader: tuple[str, Reader]) -> None:
    url, read = url_and_reader
    with open_sink(url, device="d", stream_id=1) as sink:
        sink.publish(numbered(2))
        sink.begin(7, 100)
        sink.publish(numbered(1, 100))
        sink.publish(numbered(2, 101))
        sink.begin(7, 100)
        sink.publish(numbered(3, 100))
        for stream_id, seq in ((-1, 0), (1 << 63, 0), (1, -1), (1, 1 << 63)):
            with pytest.raises(InputError):
                sink.begin(stream_id, seq)
        for recording in (wire.Recording("", 0), wire.Recording("x" * 257, 0)):
            with pytest.raises(InputError, match="recording: expected a name"):
                sink.begin(1, 0, recording)
        assert sink.counts.accepted == 8
    assert_same(together(read(5)), concatenate([numbered(2), numbered(3, 100)]))


def test_labels_and_the_name_of_the_recording_survive(url_and_reader: tuple[str, Reader]) -> None:
    url, read = url_and_reader
    walk, run = wire.Recording("A/walk.csv", 10**18), wire.Recording("B/läuft.csv", -5)
    with open_sink(url, device="d", stream_id=1) as sink:
        sink.publish(numbered(2))
        sink.begin(2, 0, walk)
        sink.publish(labelled(numbered(150), "", "läuft", "x" * 128))
        sink.publish(numbered(1, 150))
        sink.begin(3, 7, run)
        sink.publish(numbered(3, 7))
        sink.begin(4, 0)
        sink.publish(labelled(numbered(2), "sits"))
    found = read(158)
    assert [(part.device, part.stream_id, part.recording) for part in found] == [
        ("d", 1, None),
        ("d", 2, walk),
        ("d", 3, run),
        ("d", 4, None),
    ]
    assert found[2].seq.tolist() == [7, 8, 9]
    signatures = [part.signatures for part in found]
    assert_same(signatures[0], numbered(2))
    assert_same(signatures[1], labelled(numbered(151), *["", "läuft", "x" * 128] * 50, ""))
    assert_same(signatures[2], numbered(3, 7))
    assert_same(signatures[3], labelled(numbered(2), "sits"))


def test_of_labels_and_names_the_newest_win_and_are_no_conflict(url_and_reader: tuple[str, Reader]) -> None:
    url, read = url_and_reader
    first, second = wire.Recording("walk.csv", 10**18), wire.Recording("A/walk.csv", 10**18)
    with open_sink(url, device="d", stream_id=1) as sink:
        sink.begin(1, 0, first)
        sink.publish(labelled(numbered(6), "walk"))
        sink.begin(1, 2, second)
        sink.publish(labelled(numbered(3, 2), "run", "", "run"))
        # A live sensor says nothing of labels and names, so it takes nothing away; a recording does.
        sink.begin(1, 0)
        sink.publish(numbered(6))
        sink.begin(1, 5, second)
        sink.publish(numbered(1, 5))
        # As the last, so that everything before it has arrived once this has.
        sink.begin(2, 0)
        sink.publish(numbered(1))
    assert sink.counts.conflicts == 0
    named, live = read(7)
    assert (named.recording, live.recording) == (second, None)
    assert_same(named.signatures, labelled(numbered(6), "walk", "walk", "run", "", "run", ""))
    assert_same(live.signatures, numbered(1))


def test_what_is_in_conflict_brings_no_name_and_no_label(url_and_reader: tuple[str, Reader]) -> None:
    url, read = url_and_reader
    one, other = wire.Recording("one.csv", 10**18), wire.Recording("other.csv", 0)
    changed = dataclasses.replace(numbered(6), start_ns=numbered(6).start_ns + np.array([0, 9, 9, 0, 9, 0]))
    by_tpu = dataclasses.replace(numbered(6), quality=numbered(6).quality | np.uint8(Quality.EDGE_TPU))
    with open_sink(url, device="d", stream_id=1) as sink:
        for stream_id in (1, 2):
            sink.begin(stream_id, 0, one)
            sink.publish(labelled(numbered(4), "walk"))
        sink.begin(1, 0, other)
        sink.publish(labelled(changed, "run"))
        # Who ran the network is no content.
        sink.begin(2, 0, other)
        sink.publish(labelled(by_tpu, "run"))
        sink.begin(3, 0)
        sink.publish(numbered(1))
    first, second, _ = read(13)
    assert (first.recording, second.recording) == (one, other)
    kept = concatenate([numbered(4), changed[4:]])
    assert_same(first.signatures, labelled(kept, "run", "walk", "walk", "run", "run", "run"))
    assert second.signatures.labels is not None and second.signatures.labels.tolist() == ["run"] * 6


def test_a_sink_says_how_it_fares(url_and_reader: tuple[str, Reader]) -> None:
    url, _ = url_and_reader
    with open_sink(url, device="d", stream_id=1) as sink:
        began_s = time.monotonic()
        sink.publish(numbered(1))
        wait_until(lambda: sink.heartbeat_s > began_s)
        assert sink.heartbeat_s <= time.monotonic()
        wait_until(lambda: sink.last_error is None)
        assert 0 <= sink.counts.spool_bytes <= sink.counts.spool_limit_bytes
        assert (sink.counts.spool_limit_bytes > 0) == url.startswith("mqtt")


def test_the_old_name_of_an_option_is_still_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    query = f"spool={tmp_path / 'spool'}&stage={tmp_path / 'ram'}&close_timeout_s=0"
    with open_sink(f"mqtt://127.0.0.1:9?{query}", device="d", stream_id=1) as sink:
        sink.publish(numbered(1))
        assert list((tmp_path / "ram").glob("*.segment"))
    assert "option 'stage' is called 'buffer'" in caplog.text
    with pytest.raises(InputError, match="got both"):
        open_sink(f"mqtt://127.0.0.1:9?{query}&buffer={tmp_path}", device="d", stream_id=1)
    with open_sink(f"mqtt://127.0.0.1:9?{query}", device="d", stream_id=1, buffer=str(tmp_path / "other")) as sink:
        sink.publish(numbered(1))
        assert list((tmp_path / "other").glob("*.segment")), "a keyword wins"
    with pytest.raises(InputError, match="got 'stage'"):
        open_sink(f"store:{tmp_path / 's'}?stage=x", device="d", stream_id=1)


@pytest.mark.parametrize("long", ["", "x" * 400])
def test_what_a_sink_shows(url_and_reader: tuple[str, Reader], tmp_path: Path, long: str) -> None:
    url, _ = url_and_reader
    if url.startswith("mqtt"):
        url = url.replace("//", "//me:s3cret@").replace("spool=", f"close_timeout_s=0&password=s3cret{long}&spool=")
    elif long:
        pytest.skip("a file's name is not that long")
    with open_sink(url, device=("wrist" + long)[:128], stream_id=(1 << 63) - 1) as sink:
        sink.publish(numbered(3))
        shown = repr(sink)
        assert type(sink).__name__ in shown and "wrist" in shown and "s3cret" not in shown
        assert (len(shown) <= 200, " 3 " in shown) == (True, True)
        counts = repr(sink.counts)
        assert counts.startswith("SinkCounts(accepted=3, ") and "conflicts" not in counts
    assert len(repr(SinkCounts(*range(10**12, 10**12 + 10)))) <= 200
    assert ("closed" in repr(sink)) == url.startswith("mqtt")


@pytest.fixture(params=["store", "postgresql", "parquet", "file"])
def at_rest(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    return new_url(request.param)


@pytest.fixture(params=["store", "file"])
def local_url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    return new_url(request.param)


def test_events_are_read_back_in_order_beside_signatures(at_rest: str) -> None:
    # The same start for all: then the order is that of their keys.
    began, ended = (event(9, head="walking", phase=phase) for phase in ("began", "ended"))
    others = [event(9, device="ankle é"), event(9, stream_id=(1 << 63) - 1), event(9, head="Knock")]
    with open_sink(at_rest, device="someone", stream_id=1) as sink:
        sink.publish(numbered(3))
        sink.publish_events([event(20), ended, event(9)])
        sink.publish_events([])
        sink.publish(numbered(2, 3))
        sink.publish_events([began, *others, event(10, start_ns=event(9).start_ns), event(8)])
        assert sink.counts.accepted == sink.counts.delivered == 5
    last_but_one = event(10, start_ns=event(9).start_ns)
    expected = [event(8), others[0], others[2], event(9), last_but_one, began, ended, others[1], event(20)]
    assert read_events(at_rest) == expected
    assert next(iter_events(at_rest)) == event(8)
    assert_same(read_signatures(at_rest), numbered(5))


def test_only_the_events_of_a_device_a_stream_a_head_or_a_time(at_rest: str) -> None:
    events = [event(1), event(2, device="ankle"), event(3, stream_id=8), event(4, head="walking", phase="began")]
    with open_sink(at_rest, device="d", stream_id=1) as sink:
        sink.publish_events(events)
    since, until = event(2).start_ns, event(4).start_ns
    assert read_events(at_rest, device="ankle") == [events[1]]
    assert read_events(at_rest, stream_id=8) == [events[2]]
    assert read_events(at_rest, head="walking") == [events[3]]
    assert read_events(at_rest, since_ns=since) == events[1:]
    assert read_events(at_rest, until_ns=until) == events[:3]
    assert read_events(at_rest, since_ns=since, until_ns=until, device="wrist") == [events[2]]
    assert read_events(at_rest, head="walk") == []


def test_an_event_that_comes_again_is_there_once_and_as_it_came_first(at_rest: str) -> None:
    for again in ([event(1), event(2)], [event(2), event(1), event(3), event(3)], [event(1, score=0.5), event(4)]):
        with open_sink(at_rest, device="d", stream_id=1) as sink:
            sink.publish_events(again)
    assert read_events(at_rest) == [event(1), event(2), event(3), event(4)]


def test_where_there_are_only_signatures_there_are_no_events_and_the_other_way_round(
    at_rest: str, new_url: Callable[[str], str]
) -> None:
    with open_sink(at_rest, device="d", stream_id=1) as sink:
        sink.publish_events([event(1)])
    with pytest.raises(InputError, match="expected signatures, got none"):
        read_signatures(at_rest)
    other = new_url(at_rest.partition(":")[0])
    with open_sink(other, device="d", stream_id=1) as sink:
        sink.publish(numbered(1))
    assert read_events(other) == []


def test_a_null_character_in_a_text_is_kept(local_url: str) -> None:
    odd = event(9, device="ankle \0é")
    with open_sink(local_url, device="wrist", stream_id=1) as sink:
        sink.publish(labelled(numbered(1), "wa\0lk"))
        sink.publish_events([odd])
    assert read_events(local_url) == [odd]
    assert_same(read_signatures(local_url), labelled(numbered(1), "wa\0lk"))


def test_a_closed_sink_takes_no_events_and_what_is_not_at_rest_has_none(local_url: str, tmp_path: Path) -> None:
    sink = open_sink(local_url, device="d", stream_id=1)
    sink.close()
    with pytest.raises(SinkError, match="closed"):
        sink.publish_events([event(1)])
    with pytest.raises(InputError, match=r"expected store:.* to read from, got mqtt"):
        read_events("mqtt://host")
    with pytest.raises(InputError, match="expected no options"):
        read_events(f"{local_url}?durable=1")
    with pytest.raises(SinkError, match=r"no such file|cannot be read"):
        read_events(f"{local_url}-nowhere")
    (tmp_path / "notes").write_text("these are notes, and long enough to have a header" * 20)
    with pytest.raises(SinkError, match=r"not a database|expected motionsig messages"):
        read_events(f"{local_url.partition(':')[0]}:{tmp_path / 'notes'}")


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from made import event
from motionsig.publishers import open_sink
sink = open_sink(sys.argv[1], device="d", stream_id=1)
number = 0
while True:
    sink.publish_events([event(number), event(number + 1)])
    number += 2
    print(number, flush=True)
"""


def test_kill_9_loses_no_event_that_was_published(at_rest: str) -> None:
    lines = lines_until_killed(sys.executable, "-c", KILLED, at_rest, str(Path(__file__).parent), after=100)
    read = read_events(at_rest)
    assert len(read) >= int(lines[-1])
    assert read == [event(number) for number in range(len(read))]


def test_signatures_of_a_time(at_rest: str) -> None:
    later = dataclasses.replace(numbered(6, 10), start_ns=numbered(6).start_ns)
    other = dataclasses.replace(numbered(2).spec, fingerprint=b"another!")
    with open_sink(at_rest, device="d", stream_id=1) as sink:
        sink.publish(labelled(numbered(10), *["walk"] * 4, *[""] * 6))
        # A clock may go back within a stream.
        sink.publish(later)
        sink.begin(2, 0)
        sink.publish(numbered(2, 40, spec=other))
        # In conflict with what is there: this is not stored, so nothing begins then.
        sink.begin(1, 0)
        sink.publish(dataclasses.replace(numbered(1), start_ns=np.array([START_NS - HOP_NS])))
    since, until = START_NS + 3 * HOP_NS, START_NS + 8 * HOP_NS
    expected = concatenate([labelled(numbered(5, 3), "walk", "", "", "", ""), later[3:]])
    assert_same(read_signatures(at_rest, since_ns=since, until_ns=until), expected)
    for rows in (2, 3, 100):
        parts = list(iter_signatures(at_rest, since_ns=since, until_ns=until, rows=rows))
        assert np.concatenate([part.seq for part in parts]).tolist() == [3, 4, 5, 6, 7, 13, 14, 15]
        assert_same(together(parts), expected)
    assert_same(read_signatures(at_rest, since_ns=until, until_ns=START_NS + 10 * HOP_NS), numbered(2, 8))
    # Vectors of two encoders are there, but not in this time: nothing is mixed.
    assert_same(read_signatures(at_rest, since_ns=START_NS + 40 * HOP_NS), numbered(2, 40, spec=other))
    with pytest.raises(InputError, match="do not compare"):
        read_signatures(at_rest, since_ns=since)
    assert len(read_signatures(at_rest, since_ns=since, fingerprint=other.fingerprint)) == 2
    for chosen, message in (
        ({"until_ns": START_NS}, f"expected signatures before {START_NS} ns, got none"),
        ({"since_ns": until, "until_ns": until}, f"from {until} ns on before {until} ns, got none"),
        ({"device": "e", "since_ns": since}, f"of device 'e' from {since} ns on, got none"),
        ({"until_ns": until, "fingerprint": other.fingerprint}, f"ns, got {numbered(1).spec.fingerprint.hex()}"),
    ):
        with pytest.raises(InputError, match=message):
            read_signatures(at_rest, **chosen)  # type: ignore[arg-type]


def test_signatures_of_a_time_have_no_labels_where_only_others_between_them_have(at_rest: str) -> None:
    start_ns = numbered(3).start_ns + np.array([0, 9 * HOP_NS, 0])
    with open_sink(at_rest, device="d", stream_id=1) as sink:
        sink.publish(labelled(dataclasses.replace(numbered(3), start_ns=start_ns), "", "run", ""))
    assert_same(read_signatures(at_rest, until_ns=START_NS + 9 * HOP_NS), numbered(3)[[0, 2]])
