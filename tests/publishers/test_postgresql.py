"""What a store in PostgreSQL has of its own: the URL, partitions, roles, several writers, a server that goes away."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from made import HOP_NS, SPEC, START_NS, assert_same, event, labelled, lines_until_killed, numbered, wait_until
from postgres import WITH_PASSWORD, Server

from motionsig.blocks import SignatureBatch, concatenate
from motionsig.errors import InputError, SinkError
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures, split_url
from motionsig.publishers.postgresql.store import PostgresStore
from motionsig.publishers.stores import Added
from motionsig.wire import Message, Recording

DAY_NS = 86_400 * 10**9
MONTH_NS = 31 * DAY_NS
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"


@pytest.fixture
def url(new_url: Callable[[str], str]) -> str:
    return new_url("postgresql")


def begun(batch: SignatureBatch, later_ns: int) -> SignatureBatch:
    """Return the batch so much later."""
    return dataclasses.replace(batch, start_ns=batch.start_ns + later_ns)


def at_once(*calls: Callable[[], None]) -> None:
    """Run the calls at the same time; an exception of one is raised."""
    with ThreadPoolExecutor(len(calls)) as threads:
        for done in [threads.submit(call) for call in calls]:
            done.result(60)


def partitions(server: Server, url: str) -> list[str]:
    return [str(name) for (name,) in server.run(url, "SELECT name FROM motionsig.partitions ORDER BY first_ns")]


# The URL


def test_options_of_ours_and_of_libpq_stand_side_by_side() -> None:
    url = "postgresql://me@h/x?sslmode=verify-full&durable=no&application_name=a%26b&keep_days=3"
    assert split_url(url) == (
        "postgresql",
        "postgresql://me@h/x?sslmode=verify-full&application_name=a%26b",
        {"durable": "no", "keep_days": "3"},
    )
    assert split_url("postgres://h/x?durable=no") == ("postgres", "postgres://h/x", {"durable": "no"})


def test_the_parameters_of_libpq_arrive_and_its_deadlines_are_ours(postgres: Server, url: str) -> None:
    with PostgresStore(f"{url}?application_name=receiver+%201&tcp_user_timeout=7000"):
        assert postgres.run(url, f"SELECT application_name {OTHERS}") == [("receiver+ 1",)]
    began_s = time.monotonic()
    with pytest.raises(SinkError, match=r"postgresql://me@127.0.0.1:1/x: cannot be reached: .*refused"):
        PostgresStore("postgresql://me:secret@127.0.0.1:1/x")
    assert time.monotonic() - began_s < 5


def test_passwords_are_taken_from_where_libpq_looks_and_never_shown(
    postgres: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = url.rpartition("/")[2]
    postgres.run(
        url,
        f"DROP ROLE IF EXISTS {WITH_PASSWORD}",
        f"CREATE ROLE {WITH_PASSWORD} LOGIN SUPERUSER PASSWORD 's3cr:t/@?'",
    )
    bare = postgres.url(database, WITH_PASSWORD)
    passfile, services = tmp_path / "pgpass", tmp_path / "services"
    passfile.write_text(rf"127.0.0.1:*:{database}:{WITH_PASSWORD}:s3cr\:t/@?")
    passfile.chmod(0o600)
    services.write_text(
        f"[fleet]\nhost=127.0.0.1\nport={postgres.port}\ndbname={database}\nuser={WITH_PASSWORD}\npassword=s3cr:t/@?"
    )
    with pytest.raises(SinkError, match=r"walker@127.0.0.1:\d+/test_\d+: cannot be reached: .*no password"):
        PostgresStore(bare)
    with pytest.raises(SinkError, match="password authentication failed") as caught:
        PostgresStore(bare.replace("walker@", "walker:wr0ng@"))
    assert "wr0ng" not in str(caught.value)
    for number, (given, variables) in enumerate(
        (
            (bare.replace("walker@", "walker:s3cr%3At%2F%40%3F@"), {}),
            (bare, {"PGPASSWORD": "s3cr:t/@?"}),
            (bare, {"PGPASSFILE": str(passfile)}),
            ("postgresql:///?service=fleet", {"PGSERVICEFILE": str(services)}),
        )
    ):
        with monkeypatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            with open_sink(given, device="d", stream_id=number) as sink:
                sink.publish(numbered(2))
                assert "s3cr" not in repr(sink) + repr(sink._store)  # type: ignore[attr-defined]
            assert_same(read_signatures(given, stream_id=number), numbered(2))
    assert "s3cr" not in caplog.text


def test_what_can_be_no_url_and_what_is_no_store(postgres: Server, url: str) -> None:
    for wrong, message in (
        ("postgresql://h/x?speed=9", "one of the options durable, .*retry_for_s, or a parameter of libpq, got 'speed'"),
        ("postgresql://h:0x5/x", "expected postgresql://.* got another URL"),
        ("postgresql://h/x?partition=hour", "partition: expected one of day, week, month, got 'hour'"),
        ("postgresql://h/x?keep_days=0", "keep_days: expected a number above 0"),
        ("postgresql://h/x?keep_bytes=0", "keep_bytes: expected a number above 0"),
    ):
        with pytest.raises(InputError, match=message):
            open_sink(wrong, device="d", stream_id=1)
    with pytest.raises(SinkError, match="expected a motionsig store, got a database without its tables"):
        read_signatures(url)
    with pytest.raises(SinkError, match=r"database .* does not exist"):
        read_signatures(postgres.url("nowhere"))
    latin = postgres.new_database("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(SinkError, match="expected a database in UTF8, got one in LATIN1"):
        PostgresStore(latin)
    PostgresStore(url).close()
    postgres.run(url, "UPDATE motionsig.about SET version = 2")
    for use in (PostgresStore, read_signatures):
        with pytest.raises(SinkError, match="expected a store of version 1, got version 2; a newer motionsig"):
            use(url)


# The content


def test_what_one_device_says_of_an_encoder_binds_that_device_alone(url: str) -> None:
    liar = dataclasses.replace(SPEC, motion_dim=10)
    with PostgresStore(url) as store:
        assert store.add_all([Message("evil", 1, 0, numbered(2, spec=liar))]) == Added(2)
        assert store.add_all([Message("honest", 1, 0, numbered(3))]) == Added(3)
        assert store.add_all([Message("honest", 1, 3, numbered(3, 3, spec=liar))]) == Added(conflicts=3)
        # Under another hop it is another encoder, which must not say anything else either.
        double = dataclasses.replace(numbered(3, 3, spec=liar), hop_ns=2 * HOP_NS)
        assert store.add_all([Message("honest", 1, 3, double), Message("honest", 1, 3, numbered(1, 3))]) == Added(
            1, 0, 3
        )
    assert_same(read_signatures(url, device="honest"), numbered(4))
    assert_same(read_signatures(url, device="evil"), numbered(2, spec=liar))


def test_a_null_character_is_a_conflict_and_the_rest_of_the_batch_goes_on(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    odd = [
        Message("wrist \0", 1, 0, numbered(2)),
        Message("d", 1, 0, labelled(numbered(1), "wa\0lk")),
        Message("d", 1, 0, numbered(1), Recording("a\0", 0)),
        Message("\ud800", 1, 0, numbered(1)),
    ]
    with PostgresStore(url) as store:
        added = store.add_all([*odd, Message("d", 1, 0, numbered(3))], [event(1, device="\0"), event(2)])
        assert store.newest_numbers("wrist \0", 1, 0, 9, 9) == []
    assert added == Added(3, 0, 6, 1)
    assert (
        "2 signatures of 'wrist \\x00', stream 1 are not stored: expected texts without the character NUL"
        in caplog.text
    )
    assert "1 events are not stored, the first of '\\x00'" in caplog.text
    assert_same(read_signatures(url), numbered(3))
    assert read_events(url) == [event(2)]


def test_signatures_of_other_lengths_than_64(url: str) -> None:
    half = dataclasses.replace(
        SPEC,
        fingerprint=b"half\0\0\0\0",
        motion_dim=48,
        quantization=dataclasses.replace(SPEC.quantization, groups=SPEC.quantization.groups[:1]),
    )
    short = dataclasses.replace(numbered(3), codes=numbered(3).codes[:, :48], spec=half)
    with PostgresStore(url) as store:
        assert store.add_all([Message("d", 1, 0, numbered(2)), Message("e", 1, 0, short)]) == Added(5)
        assert store.add_all([Message("e", 1, 0, short), Message("d", 1, 0, numbered(2))]) == Added(0, 5)
    assert_same(read_signatures(url, device="e"), short)
    assert_same(read_signatures(url, device="d"), numbered(2))


def test_every_code_is_read_back_as_it_was(url: str) -> None:
    codes = np.arange(-128, 128, dtype=np.int8).reshape(4, 64)
    batch = dataclasses.replace(numbered(4), codes=codes)
    with PostgresStore(url) as store:
        store.add_all([Message("d", 1, 0, batch)])
    assert_same(read_signatures(url), batch)


def test_the_newest_numbers_of_a_stream(url: str) -> None:
    with PostgresStore(url) as store:
        store.add_all([Message("d", 1, 0, numbered(5)), Message("d", 1, 9, begun(numbered(2, 9), MONTH_NS))])
        assert store.newest_numbers("d", 1, 0, 100, 4) == [10, 9, 4, 3]
        assert store.newest_numbers("d", 1, 1, 3, 4) == [3, 2, 1]
        assert store.newest_numbers("d", 2, 0, 100, 4) == []


# Partitions


@pytest.mark.parametrize(
    ("partition", "names"),
    [
        (None, ["signatures_2023_11_01", "signatures_2023_12_01"]),
        ("week", ["signatures_2023_11_13", "signatures_2023_11_20", "signatures_2023_12_11"]),
        ("day", ["signatures_2023_11_14", "signatures_2023_11_20", "signatures_2023_12_15"]),
    ],
)
def test_partitions_are_made_as_they_are_needed(
    postgres: Server, url: str, partition: str | None, names: list[str]
) -> None:
    with PostgresStore(url, partition=partition) as store:
        for seq, later_ns in enumerate((0, 6 * DAY_NS, MONTH_NS, 0)):
            assert store.add_all([Message("d", 1, seq, begun(numbered(1), later_ns))]) == Added(1)
    assert partitions(postgres, url) == names
    with pytest.raises(InputError, match=f"partition: expected {partition or 'month'}, by which its tables were made"):
        PostgresStore(url, partition="day" if partition != "day" else "week")


def test_clocks_that_were_not_set_make_two_partitions_and_no_more(postgres: Server, url: str) -> None:
    least, most = -(1 << 63), (1 << 63) - 1
    times = [least, -1, 0, 1_514_764_800 * 10**9 - 1, 2_587_680_000 * 10**9, most]
    with PostgresStore(url) as store:
        for seq, start_ns in enumerate(times):
            batch = dataclasses.replace(numbered(1), start_ns=np.array([start_ns]))
            assert store.add_all([Message("d", 1, seq, batch)]) == Added(1)
            assert store.add_all([Message("d", 1, seq, batch)]) == Added(0, 1)
    assert partitions(postgres, url) == ["signatures_before", "signatures_after"]
    assert read_signatures(url).start_ns.tolist() == times


def test_a_signature_with_another_time_is_a_conflict_in_whichever_partition(postgres: Server, url: str) -> None:
    with PostgresStore(url) as store:
        assert store.add_all([Message("d", 1, 0, numbered(4))]) == Added(4)
        # The last two are new; the block is in two partitions from here on.
        later = begun(numbered(4, 2), MONTH_NS)
        assert store.add_all([Message("d", 1, 2, later)]) == Added(2, 0, 2)
        assert store.add_all([Message("d", 1, 2, later)]) == Added(0, 2, 2)
        # Back into the older one: what is there is a duplicate, what is in the newer one a conflict.
        assert store.add_all([Message("d", 1, 0, numbered(7))]) == Added(1, 4, 2)
        # Another block of the stream has nothing to do with it.
        assert store.add_all([Message("d", 1, 1 << 20, begun(numbered(2), 2 * MONTH_NS))]) == Added(2)
    (part,) = iter_signatures(url)
    assert part.seq.tolist() == [0, 1, 2, 3, 4, 5, 6, 1 << 20, (1 << 20) + 1]
    expected = [numbered(4), later[2:], numbered(1, 6), begun(numbered(2), 2 * MONTH_NS)]
    assert_same(part.signatures, concatenate(expected))
    assert postgres.run(url, "SELECT block, count(*) FROM motionsig.places GROUP BY block ORDER BY block") == [
        (0, 2),
        (16, 1),
    ]


def test_old_partitions_are_dropped_with_all_that_was_theirs(postgres: Server, url: str) -> None:
    now_ns = time.time_ns()
    ages = {"old": 100, "young": 3}
    with PostgresStore(url) as store:
        for device, days in ages.items():
            start_ns = now_ns - days * DAY_NS - START_NS
            store.add_all(
                [Message(device, 1, 0, begun(numbered(3), start_ns), Recording(f"{device}.csv", 0))],
                [event(1, device=device, start_ns=now_ns - days * DAY_NS, end_ns=now_ns)],
            )
        with PostgresStore(url, keep_days=40) as keeping:
            assert keeping.add_all([Message("new", 1, 0, begun(numbered(1), now_ns - START_NS))]) == Added(1)
        assert [part.device for part in iter_signatures(url)] == ["new", "young"]
        assert [it.device for it in read_events(url)] == ["young"]
        with pytest.raises(InputError, match=r"recording 'old.csv', got young.csv"):
            read_signatures(url, recording="old.csv")
        # Whoever still knew stream and partition stores into new ones.
        again = Message("old", 1, 0, begun(numbered(3), now_ns - 100 * DAY_NS - START_NS))
        assert store.add_all([again]) == Added(3)
    assert len(read_signatures(url, device="old")) == 3


def test_the_oldest_partitions_are_dropped_while_all_are_too_large(postgres: Server, url: str) -> None:
    with PostgresStore(url) as store:
        for month in range(3):
            store.add_all([Message("d", 1, 10 * month, begun(numbered(3), month * MONTH_NS))])
    with PostgresStore(url, keep_bytes=1) as store:
        store.add_all([Message("d", 1, 30, begun(numbered(1), 2 * MONTH_NS))])
    assert partitions(postgres, url) == ["signatures_2024_01_01"]
    assert len(read_signatures(url)) == 4


def test_a_reader_is_in_the_way_of_dropping_for_two_seconds_only(
    postgres: Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with PostgresStore(url) as store:
        store.add_all([Message("d", 1, 0, numbered(5)), Message("e", 1, 0, numbered(5))])
    reading = iter_signatures(url, rows=1)
    next(reading)
    with PostgresStore(url, keep_days=1) as store:
        assert store.add_all([Message("d", 1, 5, numbered(1, 5))]) == Added(1)
        assert "old signatures could not be dropped: canceling statement due to lock timeout" in caplog.text
        assert sum(1 for _ in reading) == 9
        store._dropped_at_s = float("-inf")
        store.add_all([Message("d", 1, 6, numbered(1, 6))])
    assert partitions(postgres, url) == []


# Roles


def test_a_role_that_may_only_select_and_insert_fills_tables_that_are_there(
    postgres: Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    postgres.run(url, "CREATE ROLE receiver LOGIN")
    as_receiver = url.replace("postgres@", "receiver@")
    with pytest.raises(SinkError, match="cannot be used as a store: permission denied"):
        PostgresStore(as_receiver)
    PostgresStore(url).close()
    postgres.run(
        url,
        "GRANT USAGE ON SCHEMA motionsig TO receiver",
        "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA motionsig TO receiver",
    )
    named = Message("d", 1, 0, labelled(numbered(3), "walk"), Recording("walk.csv", 0))
    with PostgresStore(as_receiver) as store:
        assert store.add_all([named, Message("e", 1, 0, begun(numbered(2), MONTH_NS))], [event(1)]) == Added(5, 0, 0, 1)
        assert store.add_all([named], [event(1)]) == Added(0, 4)
        assert not caplog.records
        # A newer label or name would be a change.
        other = Message("d", 1, 0, labelled(numbered(3), "run"), Recording("run.csv", 0))
        assert store.add_all([other]) == Added(0, 3)
        assert "the labels of 3 signatures stay as they are" in caplog.text
        assert "the name of recording 'walk.csv' stay" in caplog.text
    assert read_signatures(url, recording="walk.csv", device="d") == labelled(numbered(3), "walk")
    with pytest.raises(SinkError, match="keep_days, keep_bytes: expected the role that made the tables"):
        PostgresStore(as_receiver, keep_days=3)
    with pytest.raises(SinkError, match='role "nobody_else" does not exist'):
        PostgresStore(as_receiver.replace("receiver@", "nobody_else@"))


# Several writers, and a server that goes away


def test_a_batch_that_fails_halfway_leaves_nothing_behind(postgres: Server, url: str) -> None:
    with PostgresStore(url) as store:
        postgres.run(url, "ALTER TABLE motionsig.events ADD CONSTRAINT no CHECK (seq != 3)")
        with pytest.raises(SinkError, match=r"5 signatures and 2 events could not be stored: .*violates check"):
            PostgresStore(f"{url}", retry_for_s=0.2).add_all([Message("d", 1, 0, numbered(5))], [event(2), event(3)])
        for table in ("signatures", "encoders", "streams", "places", "partitions", "events"):
            assert postgres.run(url, f"SELECT count(*) FROM motionsig.{table}") == [(0,)]
        postgres.run(url, "ALTER TABLE motionsig.events DROP CONSTRAINT no")
        assert store.add_all([Message("d", 1, 0, numbered(5))], [event(2), event(3)]) == Added(5, 0, 0, 2)


def test_durable_is_what_the_server_is_told(url: str) -> None:
    for durable in (True, False):
        with PostgresStore(
            f"{url}?options=-csynchronous_commit%3D{'off' if durable else 'on'}", durable=durable
        ) as store:
            assert store._connection is not None
            told = store._connection.execute("SHOW synchronous_commit").fetchone()
            assert told == ("on" if durable else "off",)


def test_several_writers_of_the_same_neither_stop_each_other_nor_count_twice(url: str) -> None:
    """Each stores the same batches in another order, half of the devices in a month of their own."""
    results: list[Added] = []

    def fill(seed: int) -> None:
        dice = np.random.default_rng(seed)
        with PostgresStore(url) as store:
            for batch in dice.permutation(20).tolist():
                messages = [
                    Message(f"d{device}", 1, batch * 4, begun(numbered(4, batch * 4), (device % 2) * MONTH_NS))
                    for device in dice.permutation(8).tolist()
                ]
                results.append(store.add_all(messages, [event(batch)]))

    at_once(*(partial(fill, seed) for seed in range(3)))
    rows = 20 * 4 * 8
    assert Added(*map(sum, zip(*results, strict=True))) == Added(rows, 2 * (rows + 20), 0, 20)
    assert [len(part.seq) for part in iter_signatures(url)] == [80] * 8


def test_two_writers_of_one_signature_with_two_times_store_one(url: str) -> None:
    """Into two partitions at the same time, of which neither sees what the other is about to do."""
    results: list[Added] = []

    def fill(later_ns: int) -> None:
        with PostgresStore(url) as store:
            batches = [[Message("d", 1, seq, begun(numbered(1, seq), later_ns))] for seq in range(30)]
            results.extend([store.add_all(batch) for batch in batches])

    at_once(partial(fill, 0), partial(fill, MONTH_NS))
    assert Added(*map(sum, zip(*results, strict=True))) == Added(30, 0, 30)
    assert len(read_signatures(url)) == 30


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from made import event, numbered
from motionsig.publishers.postgresql.store import PostgresStore
from motionsig.wire import Message
store = PostgresStore(sys.argv[1])
number = 0
while True:
    messages = [Message(f"d{device}", 1, number, numbered(3, number)) for device in range(20)]
    added = store.add_all(messages, [event(number)])
    assert added == (60, 0, 0, 1), added
    number += 3
    print(number, flush=True)
"""


def complete(url: str, lines: list[str]) -> None:
    """Fail unless all that a writer said it had stored is there once, and of its last batch all or nothing."""
    parts = list(iter_signatures(url, rows=10**6))
    (count,) = {len(part.seq) for part in parts}
    assert len(parts) == 20 and count >= int(lines[-1])
    for part in parts:
        assert part.seq.tolist() == list(range(count))
    assert [it.seq for it in read_events(url)] == list(range(0, count, 3))


def test_kill_9_of_the_writer_loses_and_doubles_nothing(url: str) -> None:
    lines = lines_until_killed(sys.executable, "-c", WRITER, url, str(Path(__file__).parent), after=15)
    complete(url, lines)


def test_kill_9_of_the_server_loses_and_doubles_nothing_and_the_writer_goes_on(
    postgres: Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    added: list[Added] = []
    stop = threading.Event()

    def write() -> None:
        with PostgresStore(url) as store:
            while not stop.is_set():
                number = 3 * len(added)
                messages = [Message(f"d{device}", 1, number, numbered(3, number)) for device in range(20)]
                added.append(store.add_all(messages, [event(number)]))

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        reached = len(added) + 3
        wait_until(lambda: len(added) >= reached, 30)  # noqa: B023
        postgres.kill()
        postgres.start()
    reached = len(added) + 2
    wait_until(lambda: len(added) >= reached, 30)
    stop.set()
    writer.join(30)
    # Each batch was counted as stored, also the one whose commit arrived and whose answer did not.
    assert set(added) == {Added(60, 0, 0, 1)}
    assert "are not stored yet, this goes on for" in caplog.text
    complete(url, [str(3 * len(added))])


def test_a_commit_whose_answer_is_lost_is_not_counted_as_duplicates(
    postgres: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresStore(url)
    import psycopg

    leave = psycopg.Transaction.__exit__
    calls = 0

    def lost(self: psycopg.Transaction, *error: object) -> object:
        nonlocal calls
        calls += 1
        result = leave(self, *error)  # type: ignore[arg-type]
        if error == (None, None, None) and calls == 2:
            self.connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return result

    monkeypatch.setattr(psycopg.Transaction, "__exit__", lost)
    assert store.add_all([Message("d", 1, 0, numbered(5))]) == Added(5)
    assert store.add_all([Message("d", 1, 0, numbered(5))]) == Added(0, 5)
    store.close()


def test_a_server_that_stays_away_is_an_error_with_what_was_not_stored(postgres: Server, url: str) -> None:
    with PostgresStore(url, retry_for_s=0.5) as store:
        store.add_all([Message("d", 1, 0, numbered(1))])
        postgres.kill()
        try:
            began_s = time.monotonic()
            with pytest.raises(SinkError, match=r"/test_\d+: cannot be reached: .*refused"):
                store.add_all([Message("d", 1, 1, numbered(5, 1))])
            assert 0.4 < time.monotonic() - began_s < 10
        finally:
            postgres.start()
        assert store.add_all([Message("d", 1, 1, numbered(5, 1))]) == Added(5)
    assert_same(read_signatures(url), numbered(6))


# Reading


def test_who_reads_a_part_leaves_no_connection_behind(postgres: Server, url: str) -> None:
    with PostgresStore(url) as store:
        store.add_all([Message("d", 1, 0, numbered(50))])
    reading = iter_signatures(url, rows=7)
    assert len(next(reading).seq) == 7
    reading.close()
    wait_until(lambda: postgres.run(url, f"SELECT count(*) {OTHERS}") == [(0,)])


def test_a_time_is_looked_for_in_its_partitions_only(postgres: Server, url: str) -> None:
    with PostgresStore(url) as store:
        for month in range(4):
            store.add_all([Message("d", 1, 10 * month, begun(numbered(3), month * MONTH_NS))])
    query = f"SELECT * FROM motionsig.signatures WHERE start_ns >= {START_NS} AND start_ns < {START_NS + DAY_NS}"
    plan = str(postgres.run(url, f"EXPLAIN {query}"))
    assert "signatures_2023_11_01" in plan and "signatures_2023_12" not in plan
    found = read_signatures(url, since_ns=START_NS + MONTH_NS, until_ns=START_NS + 2 * MONTH_NS)
    assert_same(found, begun(numbered(3), MONTH_NS))


# pgvector


@pytest.fixture
def vector_url(postgres: Server, url: str) -> str:
    if postgres.run(url, "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'") != [(1,)]:
        pytest.skip("pgvector is not installed; Debian 12 has no package of it (13: postgresql-17-pgvector)")
    # In a schema of its own, which is not on anybody's search path.
    postgres.run(url, "CREATE SCHEMA extras", "CREATE EXTENSION vector SCHEMA extras")
    return url


def test_with_pgvector_codes_are_half_precision_vectors_that_hold_them_exactly(
    postgres: Server, vector_url: str
) -> None:
    codes = np.concatenate([np.arange(-128, 128, dtype=np.int8).reshape(4, 64), numbered(20).codes])
    batch = dataclasses.replace(numbered(24), codes=codes)
    changed = dataclasses.replace(batch, codes=codes ^ np.int8(1))
    with PostgresStore(vector_url) as store:
        assert store.add_all([Message("d", 1, 0, batch), Message("d", 1, 0, batch)]) == Added(24, 24)
        assert store.add_all([Message("d", 1, 0, changed)]) == Added(0, 0, 24)
    assert_same(read_signatures(vector_url), batch)
    kind = "SELECT pg_typeof(codes)::text, codes::text FROM motionsig.signatures WHERE seq = 0"
    assert postgres.run(vector_url, kind) == [("extras.halfvec", str(codes[0].tolist()).replace(" ", ""))]
    nearest = (
        "SELECT seq FROM motionsig.signatures ORDER BY codes OPERATOR(extras.<->) "
        "(SELECT codes FROM motionsig.signatures WHERE seq = 9) LIMIT 3"
    )
    distances = np.linalg.norm(codes.astype(np.float64) - codes[9], axis=1)
    assert [seq for (seq,) in postgres.run(vector_url, nearest)] == np.argsort(distances)[:3].tolist()
