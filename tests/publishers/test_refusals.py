"""What a real broker refuses: it is not lost, it is not called delivered, and nothing else waits for it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from broker import Broker
from made import labelled, numbered, wait_until
from receiving import Listener, Receiver, happened, mqtt
from scripted import Scripted, acknowledgement

from motionsig.events import BEGAN, ENDED, Event
from motionsig.publishers import open_sink

SIGNATURES, EVENTS = "motionsig/wrist-7/signatures", "motionsig/wrist-7/events/wave"


CLOSES, GOES_ON = 0, 1000
"""max_queued_messages: with 0, Mosquitto 2.0 also closes the connection whenever it refuses a message."""


def with_list(folder: Path, *topics: str, queued: int = CLOSES) -> Broker:
    """Return a broker whose clients may write only these topics."""
    folder.mkdir(parents=True)
    allow(folder, *topics)
    return Broker(folder, settings=f"allow_anonymous true\nacl_file {folder}/list\nmax_queued_messages {queued}\n")


def allow(folder: Path, *topics: str) -> None:
    (folder / "list").write_text("topic read #\n" + "".join(f"topic write {topic}\n" for topic in topics))


def reload(broker: Broker, *topics: str) -> None:
    allow(broker.folder, *topics)
    broker._signal(signal.SIGHUP)


@pytest.mark.parametrize("queued", [CLOSES, GOES_ON])
def test_what_the_access_list_denies_waits_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, queued: int
) -> None:
    options = {
        "max_message_bytes": 500,
        "delay_s": 0,
        "hold_s": 0.1,
        "keepalive_s": 1,
        "retry_s": 0.2,
        "max_retry_s": 1,
    }
    with with_list(tmp_path / "broker", "none", queued=queued) as broker, Receiver(broker.url) as receiver:
        with mqtt(broker.url, tmp_path / "spool", **options) as sink:
            for number in range(60):
                sink.publish(numbered(1, number))
            refusal = f"the broker refuses {SIGNATURES}: not authorized; allow this user to publish there"
            # A broker that closes at each refusal is connected to again many times before its answer is read.
            wait_until(lambda: refusal in str(sink.last_error), 90)
            time.sleep(0.5)
            assert (sink.counts.delivered, sink.counts.pending) == (0, 60)
            # On a busy machine each of the 60 may be refused alone, in a connection of its own, and again in parts.
            assert broker.log.count("Denied PUBLISH") < 3 * 60, "it does not go round and round"
            reload(broker, "#")
            wait_until(lambda: sink.counts.pending == 0)
            assert (sink.counts.delivered, sink.last_error) == (60, None)
            wait_until(lambda: sink._spool.used_bytes == 0)
            sink.publish(numbered(1, 60))
            wait_until(lambda: sink.counts.pending == 0)
        # A connection that the broker ends has sent again what was held.
        wait_until(lambda: sorted(receiver.firsts()) == list(range(61)))
    assert caplog.text.count(f"refuses {SIGNATURES}") == 1, "said once, not at every attempt"


def test_what_a_broker_answers_before_it_closes_is_read_at_the_second_attempt(tmp_path: Path) -> None:
    """What we write after its answer would reset the connection, and nothing can be read from it then."""
    options = {"max_message_bytes": 300, "delay_s": 0, "retry_s": 0.001, "max_retry_s": 0.01, "close_timeout_s": 0.0}
    broker = Scripted(brief=True)
    # Later it closes without an answer.
    broker.puback = lambda message: acknowledgement(message, 0x87) if len(broker.received) <= 2 else None
    with broker, mqtt(broker.url, tmp_path / "spool", **options) as sink:
        sink.publish(numbered(2000))
        wait_until(lambda: "the broker refuses motionsig/wrist-7/signatures: not authorized" in str(sink.last_error))


@pytest.mark.parametrize("queued", [CLOSES, GOES_ON])
def test_denied_events_do_not_stop_signatures_and_come_in_order_later(tmp_path: Path, queued: int) -> None:
    with with_list(tmp_path / "broker", SIGNATURES, queued=queued) as broker, Receiver(broker.url) as receiver:
        with (
            mqtt(broker.url, tmp_path / "spool", delay_s=0, hold_s=0.1, keepalive_s=1) as sink,
            Listener(broker.url) as listener,
        ):
            events: list[Event] = []
            for number in range(40):
                sink.publish(numbered(1, number))
                events.append(happened(number, (BEGAN, ENDED)[number % 2]))
                sink.publish_events(events[-1:])
            wait_until(lambda: receiver.firsts() == list(range(40)))
            wait_until(lambda: sink.counts.delivered == 40)
            assert sink.counts.pending == 40
            assert f"the broker refuses {EVENTS}: not authorized" in str(sink.last_error)
            reload(broker, "#")
            wait_until(lambda: sink.counts.pending == 0)
            wait_until(lambda: len(listener.said(EVENTS)) == 40)
            assert [said["seq"] for said in listener.said(EVENTS)] == list(range(40))
            assert (sink.counts.delivered, sink.last_error) == (80, None)
            wait_until(lambda: sink._spool.used_bytes == 0)
        assert queued == CLOSES or receiver.seqs == list(range(40)), "nothing came twice"


def test_what_was_refused_is_there_after_a_restart(tmp_path: Path) -> None:
    with with_list(tmp_path / "broker", "none") as broker, Receiver(broker.url) as receiver:
        with mqtt(broker.url, tmp_path / "spool", delay_s=0, close_timeout_s=0.1) as sink:
            sink.publish(numbered(5))
            wait_until(lambda: "refuses" in str(sink.last_error))
        assert sink.counts.pending == 5
        reload(broker, "#")
        with mqtt(broker.url, tmp_path / "spool", delay_s=0) as sink:
            wait_until(lambda: sink.counts.pending == 0)
        wait_until(lambda: receiver.firsts() == list(range(5)))


def test_records_of_another_name_do_not_stop_ours(tmp_path: Path) -> None:
    """As after a device was renamed, with an access list by name."""
    access = with_list(tmp_path / "broker", "motionsig/new/signatures", queued=GOES_ON)
    with access as broker, Receiver(broker.url) as receiver:
        broker.stop()
        with mqtt(broker.url, tmp_path / "spool", close_timeout_s=0) as sink:
            for number in range(100):
                sink.publish(numbered(1, number))
        broker.start()
        options = {"retry_s": 0.05, "max_retry_s": 0.3, "delay_s": 0.05, "close_timeout_s": 0.5}
        with open_sink(broker.url, device="new", stream_id=4, spool=str(tmp_path / "spool"), **options) as sink:
            sink.publish(numbered(3))
            wait_until(lambda: sink.counts.delivered == 3)
            assert (sink.counts.pending, f"refuses {SIGNATURES}" in str(sink.last_error)) == (100, True)
            reload(broker, "#")
            wait_until(lambda: sink.counts.pending == 0)
        wait_until(lambda: sorted(receiver.firsts()) == list(range(100)))


def test_messages_are_cut_to_the_packet_that_the_broker_takes(tmp_path: Path, receiver: Receiver) -> None:
    """One signature with a long label is too large for it: that one waits, and nothing else does."""
    folder = tmp_path / "narrow"
    with (
        Broker(folder, settings="allow_anonymous true\nmax_packet_size 360\n") as broker,
        Receiver(broker.url) as narrow,
        mqtt(broker.url, tmp_path / "spool", delay_s=0.2, hold_s=0.1, keepalive_s=1) as sink,
    ):
        sink.publish(numbered(30))
        sink.publish(labelled(numbered(1, 30), "ü" * 120))
        sink.publish(numbered(30, 31))
        sink.publish_events([happened(3)])
        wait_until(lambda: sink.counts.delivered == 61)
        wait_until(lambda: narrow.firsts() == [number for number in range(61) if number != 30])
        assert max(narrow.sizes) <= 360 - len(SIGNATURES)
        assert sink.counts.pending == 1
        assert f"to {SIGNATURES}, and a single signature or event has" in str(sink.last_error)
        assert "oversize" not in broker.log
        broker.stop()
        broker.config.write_text(broker.config.read_text().replace("max_packet_size 360\n", ""))
        broker.start()
        wait_until(lambda: sink.counts.pending == 0)
        assert sink.last_error is None
        # The subscriber may come back later than the message.
        assert sink.counts.delivered == 62
        wait_until(lambda: sink._spool.used_bytes == 0)


def test_what_nobody_subscribes_to_is_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Broker(tmp_path / "broker") as broker:
        with mqtt(broker.url, tmp_path / "spool") as sink:
            sink.publish(numbered(5))
            sink.publish_events([happened(3)])
            wait_until(lambda: sink.counts.pending == 0)
            assert (sink.counts.delivered, sink.counts.unheard) == (6, 6)
            with Receiver(broker.url):
                sink.publish(numbered(5, 5))
                wait_until(lambda: sink.counts.pending == 0)
            assert (sink.counts.delivered, sink.counts.unheard) == (11, 6)
        assert f"nobody gets {SIGNATURES}" in caplog.text
        assert "start motionsig collect once" in caplog.text


def test_what_nobody_subscribes_to_can_be_kept(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, mqtt(broker.url, tmp_path / "spool", unheard="keep") as sink:
        sink.publish(numbered(5))
        wait_until(lambda: "nobody subscribes" in str(sink.last_error))
        assert (sink.counts.delivered, sink.counts.pending) == (0, 5)
        with Receiver(broker.url) as receiver:
            wait_until(lambda: receiver.firsts() == list(range(5)))
            wait_until(lambda: sink.counts.pending == 0)
        assert (sink.counts.delivered, sink.counts.unheard, sink.last_error) == (5, 0, None)


def test_a_refused_announcement_is_said_and_does_not_count_as_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        with_list(tmp_path / "broker", SIGNATURES) as broker,
        Receiver(broker.url),
        mqtt(broker.url, tmp_path / "spool", availability=True) as sink,
    ):
        sink.publish(numbered(1))
        wait_until(lambda: sink.counts.delivered == 1)
        wait_until(lambda: "refuses motionsig/wrist-7/availability: not authorized" in caplog.text)
        assert sink.last_error is None
