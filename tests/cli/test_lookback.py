"""motionsig lookback: what a head would have found in what is stored, and how much there was to search."""

import datetime
import json
import time

import numpy as np
import pytest
from real_heads import moving, still

import motionsig
from motionsig.blocks import SignatureBatch
from motionsig.cli import main
from motionsig.encoders import find_model
from motionsig.events import from_json
from motionsig.heads.places import write_head
from motionsig.quality import Quality

HOP_NS = 1_280_000_000
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
NOON_NS = int(NOON.timestamp()) * 10**9


@pytest.fixture(autouse=True)
def heads(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    for card in (moving(), still()):
        write_head(card, tmp_path / "heads" / card.name)
    yield
    monkeypatch.undo()
    time.tzset()


def stored(device, starts_ns, at_rest, stream_id=1):
    """Store signatures that begin then, some of them at rest."""
    count = len(starts_ns)
    quality = np.where(at_rest, np.uint8(Quality.AT_REST), np.uint8(0)).astype(np.uint8)
    codes = np.random.default_rng(0).integers(-127, 128, (count, 64), dtype=np.int8)
    batch = SignatureBatch(np.asarray(starts_ns, np.int64), codes, quality, HOP_NS, find_model().spec)
    with motionsig.open_sink("store:s.db", device=device, stream_id=stream_id) as sink:
        sink.publish(batch)


@pytest.fixture
def store():
    """Two days of one device: at rest but for five signatures at three times, with a gap of an hour."""
    number = np.arange(2 * 67_500)
    at_rest = np.ones(len(number), bool)
    for first in (1000, 40_000, 100_000):
        at_rest[first : first + 5] = False
    there = (number < 50_000) | (number >= 50_000 + 3600_000 // 1280)
    stored("wrist", (NOON_NS + number * HOP_NS)[there], at_rest[there])
    return "store:s.db"


def looked(capsys, *arguments):
    code = main(["lookback", *arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_events_and_a_summary(store, capsys):
    code, lines, err = looked(capsys, "moving", store)
    assert (code, err) == (0, "")
    assert lines[:4] == [
        "2026-11-20 12:21:20.0+00:00      7.7 s  score 1.00",
        "2026-11-21 02:13:20.0+00:00      7.7 s  score 1.00",
        "2026-11-21 23:33:20.0+00:00      7.7 s  score 1.00",
        "",
    ]
    assert lines[4:7] == [
        f"2026-11-20  |{' ' * 24}1{'.' * 23}|",
        f"2026-11-21  |....1{'.' * 6}{lines[5][24:27]}{'.' * 33}1|",
        f"2026-11-22  |{'.' * 24}{' ' * 24}|",
    ]
    assert lines[7] == (
        "3 events, 1.53 a day, in 47.0 h of signatures from 2026-11-20 12:00:00.0+00:00 to 2026-11-22 11:59:58.7+00:00"
    )
    assert lines[8] == "largest gap: 60.0 min from 2026-11-21 05:46:40.0+00:00 on"
    assert lines[9].startswith("stored signatures are 1.28 s apart, and live a head judges one each 0.16 s: of short")


def test_json_has_the_same_events_and_a_summary(store, capsys):
    _, lines, _ = looked(capsys, "moving", store, "--json")
    events, summary = [from_json(line.encode()) for line in lines[:-1]], json.loads(lines[-1])
    assert events == [event for event in motionsig.watch(store, "moving") if event.phase == "ended"]
    assert summary["events"] == 3 and summary["hop_s"] == 1.28 and summary["largest_gap_s"] == pytest.approx(3599.36)
    assert summary["searched_s"] == pytest.approx(summary["signatures"] * 1.28)


def test_only_a_time_and_a_device(store, capsys):
    stored("ankle", NOON_NS + np.arange(100) * HOP_NS, np.arange(100) != 50)
    _, lines, _ = looked(capsys, "moving", store)
    assert (
        lines[0].endswith("  ankle") and lines[1].endswith("  wrist") and "largest gap of wrist: " in "\n".join(lines)
    )
    _, lines, _ = looked(capsys, "moving", store, "--device", "ankle", "--json")
    assert json.loads(lines[-1])["events"] == 1
    _, lines, _ = looked(capsys, "moving", store, "--since", "2026-11-21", "--until", "2026-11-21T12:00", "--json")
    assert [json.loads(line).get("start", "")[:13] for line in lines] == ["2026-11-21T02", ""]
    assert json.loads(lines[-1])["first_ns"] >= NOON_NS + 12 * 3600 * 10**9


def test_a_time_ago(capsys):
    now_ns = time.time_ns()
    stored("wrist", now_ns - np.arange(3000)[::-1] * HOP_NS, np.zeros(3000, bool))
    for text, count in (("1h", 2812), ("0.5h", 1406), ("30m", 1406), ("7d", 3000), ("1w", 3000), ("100s", 78)):
        _, lines, _ = looked(capsys, "still", "store:s.db", "--since", text, "--json")
        assert json.loads(lines[-1])["signatures"] == pytest.approx(count, abs=10), text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["moving", "store:none.db"], 1, "store:none.db: no such file"),
        (["moving", "none.db"], 2, "expected store:, file:, postgresql:, postgres:, parquet: to read from"),
        (["movin", "store:s.db"], 1, "head: expected one of moving, running, still"),
        (["moving", "store:s.db", "--since", "yesterday"], 2, "--since: expected a time such as 12h, 7d or 2026-11-01"),
        (["moving", "store:s.db", "--until", "2026-13-01"], 2, "--until: expected a time"),
        (["moving", "store:s.db", "--until", "99999w"], 2, "expected signatures of encoder"),
        (["moving", "store:s.db", "--device", "nobody"], 2, "of device 'nobody'"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_in_a_line(arguments, code, message, capsys):
    stored("wrist", NOON_NS + np.arange(5) * HOP_NS, np.zeros(5, bool))
    got, lines, err = looked(capsys, *arguments)
    assert (got, lines, err.count("\n")) == (code, [], 1) and message in err
