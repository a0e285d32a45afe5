"""The URL of a database: options of ours and of libpq, passwords, and what can be no URL."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from made import (
    assert_same,
    numbered,
)
from postgres import WITH_PASSWORD, Server
from processes import STALL_S

from motionsig.errors import InputError, SinkError
from motionsig.publishers import open_sink, read_signatures, split_url
from motionsig.publishers.postgresql.store import PostgresStore

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"


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
    assert time.monotonic() - began_s < 5 + STALL_S


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
        (
            "postgresql://h/x?speed=9",
            "an option or a parameter of libpq, got 'speed'; the options are durable, .*retry_for_s",
        ),
        ("postgresql://h:0x5/x", "expected postgresql://.* got another URL"),
        ("postgresql://h/x?partition=hour", "partition: expected one of day, week, month, got 'hour'"),
        ("postgresql://h/x?keep_days=-1", "keep_days: expected a number from 0 up"),
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
