"""What the receiver's README says of it is so."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from inspect import signature
from pathlib import Path

from made import numbered

from motionsig import open_sink
from motionsig.collector import collect_options, receiving
from motionsig.publishers.brokers import BROKER_OPTIONS

DOCUMENT = (Path(__file__).parents[2] / "motionsig" / "collector" / "README.md").read_text(encoding="utf-8")


def test_the_document_has_every_option() -> None:
    """Those of the login and of the way to the broker are in the README of the publishers."""
    listed = re.search(r"\nOptions follow (.*?)\.\n", DOCUMENT, re.S)[1]  # type: ignore[index]
    named = set(re.findall(r"`(\w+)`", listed))
    assert named == collect_options().keys() - set(BROKER_OPTIONS)
    known = signature(receiving._collect).parameters
    for name, default in re.findall(r"`(\w+)`\s\((\d+)\)", listed):
        assert f"{known[name].default:g}" == default
    assert f"`holes_s` old ({receiving.HOLES_S:g};" in DOCUMENT


def test_the_query_counts_the_holes_of_each_stream(tmp_path: Path) -> None:
    query = " ".join(re.search(r"`(SELECT .+?)`", DOCUMENT, re.S)[1].split())  # type: ignore[index]
    path = tmp_path / "cloud.db"
    with open_sink(f"store:{path}", device="wrist", stream_id=7) as sink:
        for stream_id, seq in ((7, 3), (7, 10), (8, 0)):
            sink.begin(stream_id, seq)
            sink.publish(numbered(4))
    with closing(sqlite3.connect(path)) as store:
        assert store.execute(query).fetchall() == [("wrist", 7, 3), ("wrist", 8, 0)]
