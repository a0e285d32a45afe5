"""What becomes of a batch: encoders, texts, codes, times; all of it or nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made import (
    HOP_NS,
    MONTH_NS,
    SPEC,
    assert_same,
    begun,
    event,
    labelled,
    numbered,
)
from postgres import Server

from motionsig.blocks import concatenate
from motionsig.errors import SinkError
from motionsig.publishers import iter_signatures, read_events, read_signatures
from motionsig.publishers.postgresql.store import PostgresStore
from motionsig.publishers.stores import Added
from motionsig.wire import Message, Recording


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


def test_a_batch_that_fails_halfway_leaves_nothing_behind(postgres: Server, url: str) -> None:
    with PostgresStore(url) as store:
        postgres.run(url, "ALTER TABLE motionsig.events ADD CONSTRAINT no CHECK (seq != 3)")
        with pytest.raises(SinkError, match=r"5 signatures and 2 events could not be stored: .*violates check"):
            PostgresStore(f"{url}", retry_for_s=0.2).add_all([Message("d", 1, 0, numbered(5))], [event(2), event(3)])
        for table in ("signatures", "encoders", "streams", "places", "partitions", "events"):
            assert postgres.run(url, f"SELECT count(*) FROM motionsig.{table}") == [(0,)]
        postgres.run(url, "ALTER TABLE motionsig.events DROP CONSTRAINT no")
        assert store.add_all([Message("d", 1, 0, numbered(5))], [event(2), event(3)]) == Added(5, 0, 0, 2)
