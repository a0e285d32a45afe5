"""What motionsig/publishers/README.md says: options, promises, how to read a message, a broker's settings."""

import json
import re
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from broker import Broker
from made import event, numbered, wait_until
from receiving import mqtt

from motionsig import collector, wire
from motionsig.blocks import SignatureBatch
from motionsig.encoders import find_model
from motionsig.events import PHASES, from_json, to_json
from motionsig.publishers import open_sink
from motionsig.publishers.brokers import parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.durable import FSYNC_AFTER_S
from motionsig.publishers.file import FileSink
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import SMALL_BACKLOG_BYTES
from motionsig.publishers.parquet.store import ParquetSink
from motionsig.publishers.postgresql.store import PostgresSink
from motionsig.publishers.spool import BUFFER_BYTES_AT_LEAST
from motionsig.publishers.store import StoreSink

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "motionsig" / "publishers" / "README.md").read_text(encoding="utf-8")
MOSQUITTO = ROOT / "systemd" / "mosquitto"


def shown(value):
    """Return a default as the document writes it."""
    if value is None or isinstance(value, bool):
        return {None: "none", False: "no", True: "yes"}[value]
    if isinstance(value, int) and value >= 1 << 20 and value % (1 << 20) == 0:
        return f"{value >> 20} MiB"
    return value if isinstance(value, str) else f"{value:g}"


def test_the_table_has_every_option_of_a_broker_and_its_default():
    section = DOCUMENT.split("\n## Options of a broker\n", 1)[1].split("\n## ", 1)[0]
    stated = {}
    for row in section.strip().splitlines()[2:]:
        names, defaults, *_ = (cell.strip() for cell in row.strip("|").split(" | "))
        stated |= dict(zip(re.findall("`(.+?)`", names), defaults.replace("`", "").split(", "), strict=True))
    assert stated == {option.name: shown(option.default) for option in fields(MqttOptions)}


@pytest.mark.parametrize(
    ("url", "sink"),
    [
        ("store:PATH", StoreSink),
        ("parquet:DIR", ParquetSink),
        ("postgresql://[USER@]HOST/DB", PostgresSink),
        ("file:PATH", FileSink),
    ],
)
def test_the_table_has_every_option_of_a_local_sink_and_its_default(url, sink):
    options = re.search(rf"^\| `{re.escape(url)}` \|.*\| (.+?) \|$", DOCUMENT, re.M)[1]
    known = {name: shown(it.default) for name, it in signature(sink).parameters.items() if it.default is not it.empty}
    assert dict(re.findall(r"`(\w+)`: (\w+)", options)) == known


def test_the_settings_in_the_text_are_those_of_the_code():
    text = " ".join(DOCUMENT.split())
    assert f"within {FSYNC_AFTER_S:g} s" in text
    assert f"{BUFFER_BYTES_AT_LEAST >> 20} MiB of RAM" in text
    assert f"more than {SMALL_BACKLOG_BYTES >> 10} KiB" in text


def test_the_json_is_what_a_device_publishes_and_as_large_as_stated():
    _, block = re.findall(r"```json\n(.*?)```", DOCUMENT, re.S)
    shown = json.loads(block)
    (row,) = shown["signatures"]
    groups = tuple(tuple(group.values()) for group in shown["quantization"])
    length_ns, hop_ns = (round(shown[name] * 1e9) for name in ("length_s", "hop_s"))
    card = find_model("motion64")
    assert (groups, length_ns) == (card.quantization.groups, card.spec.length_ns)
    start_ns = np.array([np.datetime64(row["start"].removesuffix("Z"), "ns").astype(np.int64)])
    signatures = SignatureBatch(start_ns, np.array([row["codes"]], np.int8), np.zeros(1, np.uint8), hop_ns, card.spec)
    message = wire.Message(shown["device"], shown["stream_id"], row["seq"], signatures)
    published = wire.to_json(message)
    assert re.sub(r"\n *", "", block) == published
    sizes = re.search(r"In bytes, without line breaks: (\d+); as CBOR: (\d+);", DOCUMENT)
    assert [int(size) for size in sizes.groups()] == [len(published.encode()), len(wire.encode(message))]


def test_the_event_is_what_a_device_publishes():
    block, _ = re.findall(r"```json\n(.*?)```", DOCUMENT, re.S)
    message = re.sub(r"\n *", "", block).encode()
    assert to_json(from_json(message)) == message


@pytest.mark.parametrize("packed", [True, False])
def test_the_example_reads_a_message(packed, tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.S)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block.replace("compress=False", f"compress={packed}"), names)
    sent = wire.decode((tmp_path / "messages.cbor").read_bytes())
    assert (11 in names["message"]) == packed
    assert np.array_equal(np.reshape(names["codes"], (-1, names["dim"])), sent.signatures.codes)
    assert names["starts"] == sent.signatures.start_ns.tolist()
    assert capsys.readouterr().out == (
        f"{sent.device} 0 {sent.signatures.start_ns[0]} {sent.signatures.codes[0].tolist()}\n"
    )


def test_a_broker_of_mqtt_3_acknowledges_what_it_denies(tmp_path: Path) -> None:
    access = tmp_path / "acl"
    access.write_text("topic write elsewhere/#\n")
    with_access = Broker(tmp_path / "broker", settings=f"allow_anonymous true\nacl_file {access}\n").start()
    try:
        with mqtt(with_access.url, tmp_path / "spool", delay_s=0, protocol="3.1.1") as sink:
            sink.publish(numbered(3))
            wait_until(lambda: sink.counts.delivered == 3)
        assert "Denied PUBLISH" in with_access.log
    finally:
        with_access.kill()


def test_the_query_counts_the_events_of_each_head(tmp_path: Path) -> None:
    section = DOCUMENT.split("\n## Events in a store\n", 1)[1].split("\n## ", 1)[0]
    (query,) = re.findall(r"```sql\n(.*?)```", section, re.S)
    walks = [event(number, head="walking", phase=phase) for number in (5, 9) for phase in ("began", "ended")]
    with open_sink(f"store:{tmp_path / 'mine.db'}", device="wrist") as sink:
        sink.publish_events([event(2), *walks])
    with closing(sqlite3.connect(tmp_path / "mine.db")) as store:
        assert store.execute(query).fetchall() == [
            ("wrist", "knock", 1, 2.56, "2023-11-14 22:13:25"),
            ("wrist", "walking", 2, 5.12, "2023-11-14 22:13:34"),
        ]
        columns = {name: place for _, name, _, _, _, place in store.execute("PRAGMA table_info(events)")}
    stated = re.sub(r"\(.*?\)", "", re.search(r"The key is .*?\)\. ", " ".join(section.split()))[0])
    assert re.findall(r"`(\w+)`", stated) == [name for name, place in columns.items() if place]
    assert {*columns, *PHASES} <= set(re.findall(r"`(\w+)`", section))


def test_mosquitto_takes_the_settings_and_the_access_list(tmp_path: Path) -> None:
    settings, rules = ((MOSQUITTO / f"motionsig.{kind}").read_text("utf-8") for kind in ("conf", "acl"))
    section = DOCUMENT.split("\n## Mosquitto\n", 1)[1]
    named = re.findall(r"`((?:persistence|autosave|max_queued)\w* \w+)`", section)
    assert len(named) == 4 and set(named) <= set(settings.splitlines())
    users = re.findall(r"mosquitto_passwd (?:-c )?/etc/mosquitto/motionsig.passwords (\w+)", section)
    passwords = tmp_path / "motionsig.passwords"
    (tmp_path / "motionsig.acl").write_text(rules)
    passwords.touch(0o600)
    for user in users:
        subprocess.run(["mosquitto_passwd", "-b", passwords, user, f"of {user}"], check=True)
    settings = settings.replace("/etc/mosquitto", str(tmp_path)).replace("listener 1883\n", "")
    device, collects, reads = ({"username": user, "password": f"of {user}"} for user in users)
    running = Broker(tmp_path / "broker", settings=settings).start()
    try:
        with ThreadPoolExecutor() as threads:
            stored = threads.submit(
                collector.collect, running.url, f"store:{tmp_path / 'cloud.db'}", count=3, timeout_s=60, **collects
            )
            wait_until(lambda: "motionsig/+/events/+ (QoS 1)" in running.log)
            announced = {"device": device["username"], "stream_id": 3, "home_assistant": "homeassistant", "delay_s": 0}
            with open_sink(running.url, spool=str(tmp_path / "spool"), **announced, **device) as sink:
                sink.announce_heads({"knock": True})
                sink.publish_events([event(2, device=device["username"], phase="began")])
                sink.publish(numbered(3))
            assert (stored.result().stored, stored.result().events) == (3, 1)
        seen: list[str] = []
        reader = Connection(
            parse_broker(running.url, **reads), client_id="reader", clean_session=True, keepalive_s=5,
            on_message=lambda message: seen.append(message.topic.split("/")[0]),
        )  # fmt: skip
        reader.open(10, lambda: False)
        reader.subscribe("#", 10)
        wait_until(lambda: reader.loop(0.05) or {"motionsig", "homeassistant"} <= set(seen))
        reader.close()
        assert "Denied" not in running.log
    finally:
        running.kill()
