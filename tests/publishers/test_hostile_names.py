"""A device's name that would forge a line: refused where it comes in, readable where it is stored."""

from __future__ import annotations

import csv
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from broker import Broker
from made import numbered, wait_until
from receiving import happened

from motionsig import wire
from motionsig.cli import main
from motionsig.collector import collect
from motionsig.errors import InputError, WireError
from motionsig.events import from_json, to_json
from motionsig.publishers import open_sink, read_events, read_signatures
from motionsig.publishers.brokers import parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.store import Store

FORGED = "x\n<2>kernel: forged \x1b[2J"
MESSAGE = wire.Message(FORGED, 1, 0, numbered(2))
EVENT = replace(happened(1), device=FORGED)


def one_line(error: BaseException) -> bool:
    return len(str(error).splitlines()) == 1 and "\x1b" not in str(error)


@pytest.mark.parametrize("name", [FORGED, "a\x7f", "a\x85", "a\u2028", "a\u202eb", "\0"])
def test_it_is_refused(tmp_path: Path, name: str) -> None:
    for url in ("mqtt://localhost", f"store:{tmp_path}/a.db", f"file:{tmp_path}/a"):
        with pytest.raises(InputError, match="device: expected a name without control") as caught:
            open_sink(url, device=name)
        assert one_line(caught.value)
    for decode, data in (
        (wire.decode, wire.encode(replace(MESSAGE, device=name))),
        (from_json, to_json(replace(EVENT, device=name))),
    ):
        with pytest.raises(WireError, match="device: expected a name without control") as refused:
            decode(data)
        assert one_line(refused.value)
        assert decode(data, stored=True).device == name
    with (
        open_sink("mqtt://localhost", device="w", spool=str(tmp_path / "s"), close_timeout_s=0) as sink,
        pytest.raises(InputError, match="device: expected a name without control"),
    ):
        sink.publish_events([replace(EVENT, device=name)])


def test_what_an_earlier_version_stored_is_read_and_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "a.db")
    store.add_all([MESSAGE], [EVENT])
    store.close()
    file = tmp_path / "a.cbor"
    with open_sink(f"file:{file}", device="w") as sink:
        sink.publish_events([EVENT])
    file.write_bytes(wire.encode(MESSAGE) + file.read_bytes())
    for url in (f"store:{tmp_path}/a.db", f"file:{file}"):
        assert read_signatures(url, device=FORGED) == MESSAGE.signatures
        assert read_events(url) == [EVENT]
        out = tmp_path / "out.csv"
        assert main(["export", url, str(out)]) == 0
        with out.open(newline="") as rows:
            assert {row["device"] for row in csv.DictReader(rows)} == {FORGED}
    assert "\x1b" not in "".join(capsys.readouterr())


def test_a_hostile_client_gets_no_line_of_its_own_into_the_collectors_log(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motionsig.collector.inbox._WARN_EVERY_S", 0.0)
    sent = {
        "motionsig/x/signatures": wire.encode(MESSAGE),
        "motionsig/x/events/wave": to_json(EVENT),
        "motionsig/y/events/wave": to_json(replace(EVENT, device="y", head="wave", stream_id=2)),
        f"motionsig/{FORGED.replace(chr(10), ' ').replace(chr(27), '')}/signatures": b"junk\n<2>\x1b[2J",
        "motionsig/z/signatures": wire.encode(replace(MESSAGE, device="other\u202e")),
    }
    counts = []
    collecting = threading.Thread(
        target=lambda: counts.append(collect(broker.url, f"store:{tmp_path}/a.db", count=2, timeout_s=60))
    )
    collecting.start()
    wait_until(lambda: broker.log.count("Sending SUBACK") >= 2)
    hostile = Connection(parse_broker(broker.url), client_id="hostile", clean_session=True, keepalive_s=5)
    hostile.open(5, lambda: False)
    for topic, payload in sent.items():
        hostile.publish(topic, payload)
    hostile.publish("motionsig/w/signatures", wire.encode(replace(MESSAGE, device="w")))
    wait_until(lambda: (hostile.loop(0.01), len(hostile.acknowledged) == 6)[1])
    hostile.close()
    collecting.join()
    assert (counts[0].stored, counts[0].events, counts[0].junk) == (2, 1, 4)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) >= 4
    assert all(len(line.splitlines()) == 1 and line.isprintable() for line in said), said
