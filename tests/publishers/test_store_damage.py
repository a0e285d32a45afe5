"""A damaged store: who reads it never gets a wrong vector, and who writes puts it aside and goes on."""

from __future__ import annotations

import random
import resource
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from made import HOP_NS, START_NS, assert_same, event, labelled, numbered
from stored import make_version_1, put

from motionsig.errors import InputError, SinkError
from motionsig.events import Event
from motionsig.publishers import iter_events, iter_signatures, open_sink, read_events, read_signatures
from motionsig.publishers.salvage import main, salvage
from motionsig.publishers.store import Store
from motionsig.publishers.stores import Added
from motionsig.wire import Message, Recording

PAGE = 4096
MESSAGES = [
    *(Message("d", 1, first, numbered(50, first)) for first in range(0, 600, 50)),
    Message("e", 1, 0, numbered(40)),
    Message("f", 1 << 62, 0, labelled(numbered(40), *["walk", "sit"]), Recording("walk.csv", START_NS)),
]
EVENTS = [event(number) for number in range(20)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "s"
    with closing(Store(path)) as store:
        for message in MESSAGES:
            store.add(message)
        store.add_all([], EVENTS)
    return path


Read = list[tuple[object, ...]]


def rows_of(path: Path, **wanted: int | str) -> Read:
    """Return all that reading says of each signature."""
    rows: Read = []
    for device, stream_id, seq, batch, recording in iter_signatures(f"store:{path}", **wanted):  # type: ignore[arg-type]
        labels = [""] * len(batch) if batch.labels is None else batch.labels.tolist()
        columns = seq.tolist(), batch.start_ns.tolist(), batch.quality.tolist(), batch.codes.tolist(), labels
        rows += [(device, stream_id, recording, batch.spec, batch.hop_ns, *row) for row in zip(*columns, strict=True)]
    return rows


def an_hour(path: Path) -> Read:
    return rows_of(path, since_ns=START_NS + 250 * HOP_NS, until_ns=START_NS + 300 * HOP_NS)


def one_device(path: Path) -> Read:
    return rows_of(path, device="e")


def events_of(path: Path) -> list[Event]:
    return list(iter_events(f"store:{path}"))


READINGS: tuple[Callable[[Path], object], ...] = (rows_of, an_hour, one_device, events_of)


def damaged_data(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.choice((1, 1, 1, 4, 64, 512))
    page, other = at // PAGE * PAGE, rng.randrange(len(data) // PAGE) * PAGE
    kind = rng.choice(("flip", "flip", "junk", "zeros", "page", "swap", "cut"))
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if kind in ("junk", "zeros"):
        size = min(size, len(data) - at)
        return data[:at] + (rng.randbytes(size) if kind == "junk" else bytes(size)) + data[at + size :]
    if kind == "cut":
        return data[:at]
    return data[:page] + (bytes(PAGE) if kind == "page" else data[other : other + PAGE]) + data[page + PAGE :]


def test_no_damage_reads_wrongly_without_a_word(good: Path, tmp_path: Path) -> None:
    data, rng, said = good.read_bytes(), random.Random(17), Counter[str]()
    truths = [reading(good) for reading in READINGS]
    path = tmp_path / "s"
    for number in range(60):
        path.write_bytes(damaged_data(data, rng))
        for reading, truth in zip(READINGS, truths, strict=True):
            try:
                read = reading(path)
            except (SinkError, InputError) as error:
                assert f"store:{path}: " in str(error)
                said[reading.__name__] += 1
            else:
                assert read == truth, f"damage {number}, {reading.__name__}"
    # The rest hit what no reading needs: empty tables, the index of events, free space.
    assert said["rows_of"] > 30


CHANGES = {
    "codes": "UPDATE signatures SET codes = zeroblob(64) WHERE seq = 5 AND device = 'd'",
    "fewer codes": "UPDATE signatures SET codes = zeroblob(63) WHERE seq = 5 AND device = 'd'",
    "time": "UPDATE signatures SET start_ns = start_ns + 1 WHERE seq = 5 AND device = 'd'",
    "quality": "UPDATE signatures SET quality = 4 WHERE seq = 5 AND device = 'd'",
    "no number": "UPDATE signatures SET start_ns = 'x' WHERE seq = 5 AND device = 'd'",
    "no checksum": "UPDATE signatures SET crc = NULL WHERE seq = 5 AND device = 'd'",
    "number": "UPDATE signatures SET seq = 5000 WHERE seq = 5 AND device = 'd'",
    "device": "UPDATE signatures SET device = 'dd' WHERE seq = 5 AND device = 'd'",
    "missing": "DROP TRIGGER signature_deleted; DELETE FROM signatures WHERE seq = 5 AND device = 'd'",
    "a missing stream": "DROP TRIGGER signature_deleted; DELETE FROM signatures WHERE device = 'd'",
    "span": "UPDATE spans SET first_ns = 0 WHERE device = 'd'",
    "missing span": "DELETE FROM spans WHERE device = 'd'",
    "scales": "UPDATE encoders SET quantization = replace(quantization, '0.05', '0.06')",
    "label": "UPDATE texts SET text = 'run' WHERE text = 'walk'",
    "missing labels": "DELETE FROM labels",
    "recording": "UPDATE recordings SET start_ns = 0",
    "missing recording": "DROP TRIGGER recordings_deleted; DELETE FROM recordings",
}


@pytest.mark.parametrize("what", CHANGES)
def test_each_part_of_a_signature_is_checked(good: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "s"
    path.write_bytes(good.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(CHANGES[what])
    with pytest.raises(SinkError, match=r"the file is damaged: `python -m motionsig.publishers.salvage .*s NEW` saves"):
        rows_of(path)
    assert events_of(path) == events_of(good)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET score = 0.1 WHERE seq = 3",
        "UPDATE events SET start_ns = start_ns + 1 WHERE seq = 3",
        "UPDATE events SET crc = NULL WHERE seq = 3",
        "DROP TRIGGER events_deleted; DELETE FROM events WHERE seq = 3",
    ],
)
def test_each_part_of_an_event_is_checked(good: Path, tmp_path: Path, change: str) -> None:
    path = tmp_path / "s"
    path.write_bytes(good.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(change)
    with pytest.raises(SinkError, match=r"events.*the file is damaged"):
        events_of(path)
    assert rows_of(path) == rows_of(good)


def test_what_is_deleted_by_hand_is_no_damage(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(good.read_bytes())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM signatures WHERE device = 'e' OR seq % 7 = 0")
        connection.execute("DELETE FROM recordings")
        connection.execute("DELETE FROM events WHERE seq > 5")
    kept = [(*row[:2], None, *row[3:]) for row in rows_of(good) if row[0] != "e" and row[5] % 7]  # type: ignore[operator]
    assert rows_of(path) == kept
    assert events_of(path) == EVENTS[:6]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def zero_pages(data: bytes) -> bytes:
    """Leave the first page alone: it opens, and fails when it is written."""
    return data[:PAGE] + bytes(len(data) - PAGE)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "schema's name": lambda data: flipped(data, data.index(b"tableencodersencoders") + 6),
    "schema's text": lambda data: flipped(data, data.index(b"CREATE TABLE encoders")),
    "name of a column": lambda data: data.replace(b"codes BLOB", b"codez BLOB", 1),
    "half a file": lambda data: data[: len(data) // 2],
    "zero pages": zero_pages,
    "zeros": lambda data: bytes(len(data)),
    "magic": lambda data: flipped(data, 3),
    "application": lambda data: flipped(data, 69),
    "version": lambda data: flipped(data, 61),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_store_is_put_aside_and_a_new_one_begins(
    good: Path, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    path.write_bytes(DAMAGES[what](good.read_bytes()))
    damaged = path.read_bytes()
    with pytest.raises(SinkError):
        read_signatures(url)
    assert path.read_bytes() == damaged, "who only reads changes nothing"
    with open_sink(url, device="d", stream_id=9) as sink:
        sink.publish(numbered(5))
        sink.publish_events([event(1)])
    assert_same(read_signatures(url), numbered(5))
    (aside,) = (it for it in tmp_path.iterdir() if it != path and not it.name.endswith(("-wal", "-shm")))
    assert aside.name.startswith("s.damaged-2")
    (record,) = (it for it in caplog.records if it.levelname == "ERROR")
    assert f"{aside} now, and a new store begins" in record.getMessage()
    assert len(aside.read_bytes()) == len(damaged)


def test_what_waits_in_the_log_of_a_damaged_store_goes_with_it(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(good.read_bytes())
    with closing(sqlite3.connect(path)) as reader, closing(Store(path)) as store:
        reader.execute("SELECT count(*) FROM signatures").fetchone()  # keeps the log from being removed
        store.add(Message("g", 1, 0, numbered(5)))
        store.close()
        with path.open("r+b") as file:
            file.write(zero_pages(path.read_bytes()))
            file.flush()
            put(path, Message("d", 9, 0, numbered(5)))
    names = sorted(it.name.partition(".damaged-")[2].partition("Z")[2] for it in tmp_path.iterdir() if ".d" in it.name)
    assert names == ["", "-shm", "-wal"]
    (aside,) = (it for it in tmp_path.iterdir() if ".d" in it.name and it.name.endswith("Z"))
    with closing(Store(tmp_path / "saved")) as saved:
        salvage(aside, saved)
    assert_same(read_signatures(f"store:{tmp_path / 'saved'}", device="g"), numbered(5))


def test_files_of_others_are_never_put_aside(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("CREATE TABLE signatures (x)")
        connection.execute("INSERT INTO signatures VALUES (zeroblob(20000))")
    (tmp_path / "damaged").write_bytes(zero_pages(foreign.read_bytes()))
    (tmp_path / "cut").write_bytes(foreign.read_bytes()[:5000])
    (tmp_path / "text").write_text("notes of mine " * 1000)
    names = sorted(tmp_path.iterdir())
    for path in names:
        before = path.read_bytes()
        with pytest.raises(SinkError, match="something else"):
            Store(path)
        assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == names


def test_a_full_disk_is_no_damage(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(good.read_bytes())
    store = Store(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, limits[1]))
    try:
        with pytest.raises(
            SinkError, match=r"5 signatures could not be stored: (database or disk is full|disk I/O error)"
        ):
            store.add(Message("g", 1, 0, numbered(5)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.add(Message("g", 1, 0, numbered(5))) == Added(5)
    store.close()
    assert [it.name for it in tmp_path.iterdir()] == ["s"]
    assert len(rows_of(path)) == len(rows_of(good)) + 5


def test_worn_flash_does_not_fill_the_disk_with_damaged_files(
    good: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s"
    for number in range(6):
        path.write_bytes(zero_pages(good.read_bytes()) if number == 1 else bytes(PAGE * (number + 1)))
        put(path, Message("d", 1, 0, numbered(5)))
    kept = [it for it in tmp_path.iterdir() if it != path]
    sizes = sorted(it.stat().st_size for it in kept)
    assert sizes == [PAGE * 5, PAGE * 6, good.stat().st_size]
    assert caplog.text.count("was removed: 3 larger or newer damaged files are kept") == 3


def test_two_writers_put_one_file_aside_once(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(zero_pages(good.read_bytes()))
    with closing(Store(path)) as one, closing(Store(path)) as two:
        assert one.add(Message("a", 1, 0, numbered(5))) == Added(5)
        assert two.add(Message("b", 1, 0, numbered(5))) == Added(5)
        assert one.add(Message("a", 1, 5, numbered(5, 5))) == Added(5)
    assert len(rows_of(path)) == 15
    assert len([it for it in tmp_path.iterdir() if it.name.startswith("s.damaged-") and it.name.endswith("Z")]) == 1


def test_what_is_readable_is_saved_and_nothing_else(good: Path, tmp_path: Path) -> None:
    data, rng, truth, shares = good.read_bytes(), random.Random(3), rows_of(good), list[float]()
    for number in range(8):
        (tmp_path / "damaged").write_bytes(damaged_data(data, rng))
        with closing(Store(tmp_path / f"{number}")) as into:
            counts = salvage(tmp_path / "damaged", into)
        assert {it.key for it in read_events(f"store:{tmp_path / str(number)}")} <= {it.key for it in EVENTS}
        if counts["signatures"]:
            saved = rows_of(tmp_path / f"{number}")
            # A name or a label may be lost; what is said of each signature is right.
            bare = {(*row[:2], *row[3:8], str(row[8])) for row in truth}
            assert {(*row[:2], *row[3:8], str(row[8])) for row in saved} <= bare
            assert len(saved) == counts["signatures"]
        shares.append(counts["signatures"] / len(truth))
    assert sorted(shares)[3] > 0.9


def test_a_store_of_version_1_is_saved_too(tmp_path: Path) -> None:
    put(tmp_path / "new", *MESSAGES[:12])
    with closing(Store(tmp_path / "new")) as store:
        store.add_all([], EVENTS)
    make_version_1(tmp_path / "old", tmp_path / "new")
    with closing(Store(tmp_path / "saved")) as into:
        assert salvage(tmp_path / "old", into) == {"signatures": 600, "events": 20, "unreadable": 0}
    assert rows_of(tmp_path / "saved") == rows_of(tmp_path / "new")


def test_the_command_that_errors_name(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "saved"
    monkeypatch.setattr("sys.argv", ["salvage", str(good), str(saved)])
    main()
    assert capsys.readouterr().out == f"{saved}: 680 signatures and 20 events; 0 signatures were damaged\n"
    assert rows_of(saved) == rows_of(good)
    with pytest.raises(SystemExit, match="expected a file that does not exist yet"):
        main()
