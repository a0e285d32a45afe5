"""The tables in the database, in a schema of their own, `motionsig`; the first writer makes them.

Signatures are partitioned by the time at which they begin, so that old ones go by dropping a table. A unique key over
all partitions would have to hold that time, and would let the same signature in once more with another time. So each
partition has the primary key (stream, seq) for itself, and `places` says which partitions may hold numbers of a block
of 65,536 of a stream: almost always one, two where the time passes from one partition to the next. Whoever writes looks
into the other partitions of the block, too, and so finds a conflict (`store`).

What changes rarely (streams, encoders, places, partitions) changes only under the exclusive advisory lock WRITERS. Who
adds signatures to what is known holds it shared, so this does not change meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from motionsig.errors import InputError, SinkError

if TYPE_CHECKING:
    import psycopg

VERSION = 1
WRITERS = 0x6D53696700000001  # an advisory lock: "mSig", 1
_MAKING = 0x6D53696700000002  # and that of who makes the tables
BLOCK_BITS = 16
PARTITIONS = ("day", "week", "month")

_TABLES = """
CREATE SCHEMA IF NOT EXISTS motionsig;
CREATE TABLE motionsig.about (version integer NOT NULL, partition text NOT NULL);
CREATE TABLE motionsig.encoders (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    hop_ns bigint NOT NULL,
    quantization text NOT NULL,
    motion_dim integer NOT NULL,
    length_ns bigint NOT NULL,
    UNIQUE (device, fingerprint, hop_ns)
);
CREATE TABLE motionsig.streams (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device text COLLATE "C" NOT NULL,
    stream_id bigint NOT NULL,
    boot bytea,
    offset_ns bigint,
    UNIQUE (device, stream_id)
);
CREATE TABLE motionsig.recordings (
    stream bigint PRIMARY KEY REFERENCES motionsig.streams ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    start_ns bigint NOT NULL
);
CREATE INDEX ON motionsig.recordings (name);
CREATE TABLE motionsig.partitions (name text PRIMARY KEY, first_ns bigint NOT NULL UNIQUE, last_ns bigint NOT NULL);
CREATE TABLE motionsig.places (
    stream bigint REFERENCES motionsig.streams ON DELETE CASCADE,
    block bigint,
    first_ns bigint,
    PRIMARY KEY (stream, block, first_ns)
);
CREATE TABLE motionsig.signatures (
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    encoder integer NOT NULL,
    start_ns bigint NOT NULL,
    quality smallint NOT NULL,
    codes {codes} NOT NULL,
    label text
) PARTITION BY RANGE (start_ns);
CREATE INDEX ON motionsig.signatures USING brin (start_ns);
CREATE TABLE motionsig.events (
    device text COLLATE "C" NOT NULL,
    stream_id bigint NOT NULL,
    head text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    phase text COLLATE "C" NOT NULL,
    start_ns bigint NOT NULL,
    end_ns bigint NOT NULL,
    score double precision NOT NULL,
    fingerprint bytea NOT NULL,
    boot bytea,
    offset_ns bigint,
    PRIMARY KEY (device, stream_id, head, seq, phase)
);
CREATE INDEX ON motionsig.events (start_ns);
CREATE INDEX ON motionsig.events (device, boot) WHERE boot IS NOT NULL;
"""

# It runs as the owner of the tables, so that a role that may only select and insert gets its partitions, and takes
# nothing but a time, so that this role can make no others. Days, weeks and months all begin on these two Mondays; what
# lies outside is a clock that was not set, and must not make thousands of tables. A new table is attached, as that does
# not wait for readers.
_MAKE_PARTITION = """
CREATE FUNCTION motionsig.make_partition(at_ns bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first CONSTANT timestamp := '2018-01-01';
    last CONSTANT timestamp := '2052-01-01';
    unit CONSTANT text := (SELECT partition FROM motionsig.about);
    at CONSTANT timestamp := to_timestamp(at_ns / 1000000000) AT TIME ZONE 'UTC';
    start timestamp := date_trunc(unit, at);
    stop timestamp := date_trunc(unit, at) + ('1 ' || unit)::interval;
    leaf text := 'signatures_' || to_char(date_trunc(unit, at), 'YYYY_MM_DD');
    begins bigint;
    ends bigint;
BEGIN
    IF at < first THEN
        leaf := 'signatures_before'; start := '-infinity'; stop := first;
    ELSIF at >= last THEN
        leaf := 'signatures_after'; start := last; stop := 'infinity';
    END IF;
    begins := CASE WHEN isfinite(start) THEN extract(epoch FROM start) * 1000000000 ELSE -9223372036854775808 END;
    ends := CASE WHEN isfinite(stop) THEN extract(epoch FROM stop) * 1000000000 - 1 ELSE 9223372036854775807 END;
    IF EXISTS (SELECT FROM motionsig.partitions WHERE first_ns = begins) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE motionsig.%I (LIKE motionsig.signatures)', leaf);
    EXECUTE format('ALTER TABLE motionsig.%I ADD PRIMARY KEY (stream, seq)', leaf);
    EXECUTE format('ALTER TABLE motionsig.signatures ATTACH PARTITION motionsig.%I FOR VALUES FROM (%s) TO (%s)', leaf,
        CASE WHEN isfinite(start) THEN begins::text ELSE 'MINVALUE' END,
        CASE WHEN isfinite(stop) THEN (ends + 1)::text ELSE 'MAXVALUE' END);
    INSERT INTO motionsig.partitions VALUES (leaf, begins, ends);
END
$$
"""


class Layout(NamedTuple):
    """How the tables were made. codes: the type of the codes, bytea or halfvec, with its schema."""

    partition: str
    codes: str

    @property
    def vectors(self) -> str:
        """The schema of pgvector; "" where codes are bytea."""
        return self.codes.rpartition(".")[0]


def layout(connection: psycopg.Connection[tuple[object, ...]], shown: str) -> Layout | None:
    """Return how the tables were made, None where there are none; raise SinkError for a newer version's."""
    # Not to_regclass, which does not see what somebody else has made since this session first looked.
    query = (
        "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = 'about'"
    )
    if connection.execute(query, ["motionsig"]).fetchone() is None:
        return None
    found = connection.execute(
        "SELECT version, partition, (SELECT CASE typname WHEN 'bytea' THEN 'bytea' "
        "ELSE format('%I.%I', nspname, typname) END FROM pg_attribute JOIN pg_type t ON t.oid = atttypid "
        "JOIN pg_namespace n ON n.oid = typnamespace "
        "WHERE attrelid = 'motionsig.signatures'::regclass AND attname = 'codes') FROM motionsig.about"
    ).fetchone()
    if found is None or found[0] != VERSION:
        raise SinkError(
            f"{shown}: expected a store of version {VERSION}, got version {found and found[0]}; "
            "a newer motionsig wrote it, so read it with that one"
        )
    return Layout(str(found[1]), str(found[2]))


def complete(connection: psycopg.Connection[tuple[object, ...]], shown: str, partition: str | None) -> Layout:
    """Return how the tables were made; make them where there are none, partitioned by month unless told otherwise.

    Raises InputError where they are partitioned otherwise than `partition` says, SinkError where they cannot be used.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise SinkError(f"{shown}: expected a database in UTF8, got one in {encoding}; make one with createdb -E UTF8")
    found = layout(connection, shown)
    if found is None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKING])
            # Somebody else may have made them while this waited for the lock.
            found = layout(connection, shown)
            if found is None:
                codes = connection.execute(
                    "SELECT format('%I.halfvec', nspname) FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace "
                    "JOIN pg_depend d ON d.objid = t.oid AND d.deptype = 'e' "
                    "JOIN pg_extension e ON e.oid = d.refobjid WHERE typname = 'halfvec' AND extname = 'vector'"
                ).fetchone()
                found = Layout(partition or "month", "bytea" if codes is None else str(codes[0]))
                connection.execute(_TABLES.format(codes=found.codes).encode())
                connection.execute(_MAKE_PARTITION.encode())
                connection.execute("INSERT INTO motionsig.about VALUES (%s, %s)", [VERSION, found.partition])
    if partition not in (None, found.partition):
        raise InputError(
            f"{shown}: partition: expected {found.partition}, by which its tables were made, got {partition}"
        )
    return found
