"""The tables: partitions, roles, the types of the codes, and what the document says of them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from made import (
    DAY_NS,
    MONTH_NS,
    START_NS,
    assert_same,
    begun,
    event,
    labelled,
    numbered,
)
from postgres import Server
from test_publisher_clocks import UNSET, message

from motionsig.errors import InputError, SinkError
from motionsig.publishers import read_signatures
from motionsig.publishers.postgresql.store import PostgresStore
from motionsig.publishers.stores import Added
from motionsig.wire import Message, Recording

DOCUMENT = (Path(__file__).parents[3] / "motionsig" / "publishers" / "postgresql" / "README.md").read_text("utf-8")
GRANTS, HOLES, NEAREST = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.S)


def partitions(server: Server, url: str) -> list[str]:
    return [str(name) for (name,) in server.run(url, "SELECT name FROM motionsig.partitions ORDER BY first_ns")]


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
        *GRANTS.replace("TO collector", "TO receiver").strip().split("\n"),
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
        # So would a better time.
        wrong = dataclasses.replace(event(2), end_ns=event(2).end_ns + 1, clock=UNSET)
        early_one = dataclasses.replace(message(3), stream_id=2)
        assert store.add_all([early_one], [wrong]) == Added(3, 0, 0, 1)
        assert store.add_all([Message("d", 2, 1, numbered(2, 1))], [event(2)]) == Added(0, 3)
        assert "the times of 2 signatures stay as they are" in caplog.text
        assert "the times of 1 events stay as they are" in caplog.text
    assert read_signatures(url, recording="walk.csv", device="d") == labelled(numbered(3), "walk")
    with pytest.raises(SinkError, match="keep_days, keep_bytes: expected the role that made the tables"):
        PostgresStore(as_receiver, keep_days=3)
    with pytest.raises(SinkError, match='role "nobody_else" does not exist'):
        PostgresStore(as_receiver.replace("receiver@", "nobody_else@"))


def test_the_document_has_every_table_and_column(postgres: Server, url: str) -> None:
    PostgresStore(url).close()
    columns = postgres.run(
        url,
        "SELECT relname::text, string_agg(attname, ' ' ORDER BY attnum) "
        "FROM pg_class JOIN pg_attribute ON oid = attrelid WHERE relnamespace = 'motionsig'::regnamespace "
        "AND relkind IN ('r', 'p') AND attnum > 0 GROUP BY relname",
    )
    rows = re.findall(r"^\| `(\w+)` \| .+? \| (.+?) \|$", DOCUMENT, re.M)
    stated = {(name, " ".join(re.findall(r"`(\w+)`", listed))) for name, listed in rows}
    assert {row for row in columns if row[0] not in ("about", "partitions", "places")} == stated


def test_the_query_counts_the_holes_of_each_stream(postgres: Server, url: str) -> None:
    with PostgresStore(url) as store:
        for device, seq in (("d", 0), ("d", 9), ("e", 0)):
            store.add_all([Message(device, 1, seq, numbered(4, seq))])
    rows = postgres.run(url, HOLES)
    assert [row[:3] for row in rows] == [("d", 1, 5), ("e", 1, 0)]


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
    assert_same(read_signatures(vector_url, since_ns=START_NS), batch)
    kind = "SELECT pg_typeof(codes)::text, codes::text FROM motionsig.signatures WHERE seq = 0"
    assert postgres.run(vector_url, kind) == [("extras.halfvec", str(codes[0].tolist()).replace(" ", ""))]
    nearest = NEAREST.replace("<->", "OPERATOR(extras.<->)")
    distances = np.linalg.norm(codes.astype(np.float64) - codes[9], axis=1)
    order = np.argsort(distances, kind="stable")[:3]
    found = [(seq, distance) for _, seq, distance in postgres.run(vector_url, nearest)]
    assert found == [(seq, pytest.approx(distances[seq])) for seq in order.tolist()]
