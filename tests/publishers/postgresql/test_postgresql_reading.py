"""Reading: what is left behind, and what is not looked at."""

from __future__ import annotations

from made import (
    DAY_NS,
    MONTH_NS,
    START_NS,
    assert_same,
    begun,
    numbered,
    wait_until,
)
from postgres import Server

from motionsig.publishers import iter_signatures, read_signatures
from motionsig.publishers.postgresql.store import PostgresStore
from motionsig.wire import Message

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"


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
