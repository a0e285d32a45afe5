import csv
import dataclasses
import sys

import numpy as np
import pytest

import motionsig
from motionsig.cli import main
from motionsig.events import Event
from motionsig.wire import Recording


def fill(motion, path, stream_id, hop):
    signatures = motionsig.extract(motion(60, 50), rate_hz=50, start_ns=10**18, hop=hop)
    with motionsig.open_sink(f"store:{path}", device="wrist", stream_id=stream_id) as sink:
        sink.publish(signatures)


@pytest.fixture
def store(motion, tmp_path):
    fill(motion, tmp_path / "db", 3, 64)
    return f"store:{tmp_path / 'db'}"


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_export(kind, store, tmp_path, capsys):
    out = tmp_path / f"out.{kind}"
    assert main(["export", store, str(out)]) == 0
    signatures = motionsig.read_signatures(store)
    assert f"{len(signatures):,} signatures" in capsys.readouterr().out
    if kind == "csv":
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
        codes = [[int(row[f"code_{i}"]) for i in range(64)] for row in rows]
        starts = [int(row["start_ns"]) for row in rows]
        assert rows[0]["start_utc"] == "2001-09-09T01:46:40.000000000Z" and rows[0]["device"] == "wrist"
    elif kind == "npz":
        with np.load(out) as table:
            codes, starts = table["codes"].tolist(), table["start_ns"].tolist()
            values = (table["codes"] - table["zero_point"]) * table["scale"]
            assert np.allclose(values, signatures.values) and table["seq"].tolist() == list(range(len(starts)))
    else:
        import pyarrow.parquet as pq

        table = pq.read_table(out)
        codes = table["codes"].to_pylist()
        starts = table["start"].cast("int64").to_pylist()
    assert codes == signatures.codes.tolist() and starts == signatures.start_ns.tolist()
    assert not list(tmp_path.glob("*.part"))


@pytest.fixture
def of_two_logs(motion, tmp_path):
    """Return a store with a live sensor's signatures and those of two logs, one of them labelled; and their number."""
    signatures = motionsig.extract(motion(20, 50), rate_hz=50, start_ns=10**18)
    labels = np.array(["", *["stairs, up"] * (len(signatures) - 1)])
    with motionsig.open_sink(f"store:{tmp_path / 'db'}", device="wrist", stream_id=1) as sink:
        sink.publish(signatures)
        sink.begin(2, 0, Recording("A/walk.csv", 10**18 - 12_345_678))
        sink.publish(dataclasses.replace(signatures, labels=labels))
        sink.begin(3, 0, Recording("B/walk.csv", 10**18))
        sink.publish(signatures)
    return f"store:{tmp_path / 'db'}", len(signatures)


def table(path):
    """Return the columns recording, second and label of an exported table; None for what is empty."""
    names = ("recording", "second", "label")
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            rows = [[row[name] or None for name in names] for row in csv.DictReader(file)]
        return [[name, second and float(second), label] for name, second, label in rows]
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            rows = zip(*(arrays[name].tolist() for name in names), strict=True)
            return [[name or None, None if second != second else second, label or None] for name, second, label in rows]
    import pyarrow.parquet as pq

    return [[row[name] for name in names] for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_each_row_says_which_log_and_which_second_it_is_from(kind, of_two_logs, tmp_path, capsys):
    store, count = of_two_logs
    out = tmp_path / f"out.{kind}"
    assert main(["export", store, str(out)]) == 0
    assert f"{3 * count} signatures to" in capsys.readouterr().out
    seconds = [round(1.28 * number, 3) for number in range(count)]
    labels = [None, *["stairs, up"] * (count - 1)]
    first = [["A/walk.csv", round(second + 0.012, 3), label] for second, label in zip(seconds, labels, strict=True)]
    rows = [[None, None, None]] * count + first + [["B/walk.csv", second, None] for second in seconds]
    assert table(out) == rows
    assert main(["export", store, str(out), "--recording", "B/walk.csv"]) == 0
    assert table(out) == rows[-count:]
    assert main(["export", store, str(out), "--recording", "walk.csv"]) == 2
    assert "of recording 'walk.csv', got A/walk.csv, B/walk.csv" in capsys.readouterr().err


def test_a_csv_has_these_columns(of_two_logs, tmp_path):
    store, _ = of_two_logs
    assert main(["export", store, str(tmp_path / "out.csv")]) == 0
    with open(tmp_path / "out.csv", newline="") as file:
        names, _, *rows = csv.reader(file)
    assert names[:10] == [
        *("device", "recording", "stream_id", "seq", "second", "start_ns", "start_utc", "label", "quality"),
        "fingerprint",
    ]
    assert [row[4] for row in rows if row[1] == "B/walk.csv"][:2] == ["0.000", "1.280"]


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_an_export_that_fails_leaves_the_old_table(kind, store, motion, tmp_path, capsys):
    out = tmp_path / f"out.{kind}"
    assert main(["export", store, str(out)]) == 0
    whole = out.read_bytes()
    fill(motion, tmp_path / "db", 4, 32)
    assert main(["export", store, str(out)]) == 2
    assert "choose a log with --stream-id" in capsys.readouterr().err
    assert out.read_bytes() == whole and not list(tmp_path.glob("*.part"))


def test_a_stream_goes_by_its_old_name_for_one_version(store, motion, tmp_path, capsys, caplog):
    out = tmp_path / "out.csv"
    fill(motion, tmp_path / "db", 4, 32)
    assert main(["export", store, str(out), "--epoch", "4"]) == 0
    assert "export: option 'epoch' is called 'stream_id'; the old name goes with version 0.2" in caplog.text
    with open(out, newline="") as file:
        assert {row["stream_id"] for row in csv.DictReader(file)} == {"4"}
    assert main(["export", store, str(out), "--epoch", "4", "--stream-id", "4"]) == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "epoch" not in capsys.readouterr().out


def test_only_what_one_device_or_one_encoder_made(store, motion, tmp_path, capsys):
    out = tmp_path / "out.csv"
    signatures = motionsig.extract(motion(60, 50, seed=1), rate_hz=50, start_ns=10**18)
    with motionsig.open_sink(store, device="ankle", stream_id=5) as sink:
        sink.publish(signatures)
    assert main(["export", store, str(out), "--device", "ankle"]) == 0
    with open(out, newline="") as file:
        assert {row["device"] for row in csv.DictReader(file)} == {"ankle"}
    assert main(["export", store, str(out), "--fingerprint", signatures.spec.fingerprint.hex()]) == 0
    assert main(["export", store, str(out), "--fingerprint", "00" * 8]) == 2
    assert "expected signatures of encoder 0000000000000000" in capsys.readouterr().err


KNOCK = Event("wrist", 3, 12, "knock", b"\0headed\xff", "once", 10**18, 10**18 + 2_560_000_000, 0.1)
WALK = Event("ankle, left", (1 << 63) - 1, 5, "walking", bytes(8), "began", 10**18 + 1, 10**18 + 1_280_000_001, -2.0)
EVENTS = [
    {
        "device": "wrist",
        "stream_id": 3,
        "head": "knock",
        "seq": 12,
        "phase": "once",
        "start": "2001-09-09T01:46:40.000000000Z",
        "start_ns": 10**18,
        "end_ns": 10**18 + 2_560_000_000,
        "duration_s": 2.56,
        "score": 0.1,
        "fingerprint": "00686561646564ff",
    },
    {
        "device": "ankle, left",
        "stream_id": (1 << 63) - 1,
        "head": "walking",
        "seq": 5,
        "phase": "began",
        "start": "2001-09-09T01:46:40.000000001Z",
        "start_ns": 10**18 + 1,
        "end_ns": 10**18 + 1_280_000_001,
        "duration_s": 1.28,
        "score": -2.0,
        "fingerprint": "00" * 8,
    },
]


@pytest.fixture(params=["store", "file"])
def of_two_heads(request, motion, tmp_path):
    url = f"{request.param}:{tmp_path / 'stored'}"
    with motionsig.open_sink(url, device="wrist", stream_id=3) as sink:
        sink.publish(motionsig.extract(motion(20, 50), rate_hz=50, start_ns=10**18))
        sink.publish_events([WALK, KNOCK])
    return url


def event_table(path):
    """Return the names of an exported table of events, and its rows as in EVENTS."""
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            names, *rows = csv.reader(file)
        kinds = [type(value) for value in EVENTS[0].values()]
        rows = [[kind(value) for kind, value in zip(kinds, row, strict=True)] for row in rows]
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            names, rows = arrays.files, list(zip(*(arrays[name].tolist() for name in arrays.files), strict=True))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        read = pq.read_table(path)
        assert read.schema.field("start").type == pa.timestamp("ns", tz="UTC")
        starts = [f"{np.datetime64(it, 'ns')}Z" for it in read["start"].cast("int64").to_pylist()]
        read = read.set_column(read.column_names.index("start"), "start", pa.array(starts, pa.string()))
        names, rows = read.column_names, [list(row.values()) for row in read.to_pylist()]
    return names, [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_events_are_exported(kind, of_two_heads, tmp_path, capsys):
    out = tmp_path / f"out.{kind}"
    assert main(["export", of_two_heads, str(out), "--events"]) == 0
    assert capsys.readouterr().out == f"2 events to {out}\n"
    assert event_table(out) == (list(EVENTS[0]), EVENTS)
    for chosen, rows in (
        (["--head", "walking"], EVENTS[1:]),
        (["--device", "wrist"], EVENTS[:1]),
        (["--stream-id", "3"], EVENTS[:1]),
        (["--head", "clapping"], []),
    ):
        assert main(["export", of_two_heads, str(out), "--events", *chosen]) == 0
        assert event_table(out) == (list(EVENTS[0]), rows)
    said = capsys.readouterr()
    assert said.out.endswith(f"0 events to {out}\n") and not said.err and not list(tmp_path.glob("*.part"))
    assert main(["export", of_two_heads, str(out)]) == 0
    assert "signatures to" in capsys.readouterr().out


def test_where_no_events_are_stored_it_is_said_who_stores_them(motion, tmp_path, capsys):
    url = f"store:{tmp_path / 'stored'}"
    with motionsig.open_sink(url, device="wrist", stream_id=3) as sink:
        sink.publish(motionsig.extract(motion(20, 50), rate_hz=50, start_ns=10**18))
    assert main(["export", url, str(tmp_path / "out.csv"), "--events"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("0 events to ") and "motionsig lookback" in said.err


def test_what_chooses_signatures_does_not_choose_events(store, tmp_path, capsys):
    out = str(tmp_path / "out.csv")
    for more, said in (
        (["--events", "--recording", "walk"], "--recording: expected it without --events"),
        (["--events", "--fingerprint", "00" * 8], "--fingerprint: expected it without --events"),
        (["--head", "knock"], "--head: expected it with --events"),
    ):
        assert main(["export", store, out, *more]) == 2
        assert said in capsys.readouterr().err


def test_events_as_parquet_need_pyarrow(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export", store, str(tmp_path / "out.parquet"), "--events"]) == 1
    assert "Parquet needs pyarrow: " in capsys.readouterr().err and not list(tmp_path.glob("out*"))
