"""Edge Impulse's acquisition format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cbor2
import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA
from reading import whole

from motionsig.errors import RecordingError
from motionsig.recordings.formats.edge_impulse import READER, tables


@pytest.mark.parametrize("made", [made_logs.edge_impulse, made_logs.edge_impulse_cbor])
def test_names_units_and_rate_are_the_files(tmp_path: Path, made: Any) -> None:
    path = made(tmp_path)
    assert READER.recognises(path, path.read_bytes()[:65536]) == 3
    (table,) = tables(path)
    assert table.names == ("accX", "accY", "accZ", "gyrX", "gyrY", "gyrZ")
    assert table.units == ("m/s2",) * 3 + ("rad/s",) * 3
    assert (table.rate_hz, table.rows) == (100, COUNT)
    assert {fact.what: fact.value for fact in table.facts} == {
        "device": "BOARD",
        "setting start (when it was signed)": "1718030736",
    }
    np.testing.assert_array_equal(np.column_stack(list(whole(table)[0].values())), DATA)


def write(folder: Path, **payload: Any) -> Path:
    document = made_logs.edge_impulse_document()
    document["payload"] |= payload
    (folder / "window").write_text(json.dumps(document))
    return folder / "window"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"values": ["Ref-BINARY-i16"]}, "got 'Ref-BINARY-i16': sound"),
        ({"values": []}, "expected values, a list for each sample"),
        ({"values": [[1, 2, 3, 4, 5, 6], [1]]}, r"expected 6 values for each sample, got \[1, 6\]"),
        ({"values": [[1, 2, 3, 4, 5, "x"]]}, "expected numbers, got: "),
        ({"values": [[1, 2, 3, 4, 5, [6]]]}, "expected numbers, got: "),
        ({"interval_ms": 0}, "expected interval_ms of 0.01 to 10000, got '0'"),
        ({"interval_ms": True}, "expected interval_ms"),
        ({"sensors": []}, "expected sensors with names and units"),
        ({"sensors": ["accX"]}, "expected sensors with names and units"),
    ],
)
def test_what_is_no_motion_is_refused(tmp_path: Path, payload: dict[str, Any], message: str) -> None:
    path = write(tmp_path, **payload)
    with pytest.raises(RecordingError, match=message) as caught:
        tables(path)
    assert str(path) in str(caught.value)


def test_a_value_that_is_missing_is_nan(tmp_path: Path) -> None:
    (table,) = tables(write(tmp_path, values=[[1, 2, 3, 4, 5, None], [1, 2, 3, 4, 5, 6]]))
    assert np.isnan(table.head[5]).tolist() == [True, False]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"payload": 1}',
        b"[1]",
        b"\xa3iprotected",
        b"\xbb" + b"\xff" * 8,  # a map of 2^64 - 1 pairs
        b"\x9b" + b"\x00\x00\x00\xff" * 2,  # a list of 2^40 elements
        b"[" * 100_000,
        b"\x81" * 100_000,
    ],
)
def test_damage_is_named_and_takes_no_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "window"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="window: expected "):
        tables(path)


def test_other_json_and_cbor_is_not_taken() -> None:
    for other in ({"payload": 1}, {"protected": 1, "signature": "", "payload": {"values": []}}):
        assert READER.recognises(Path("x"), json.dumps(other).encode()) == 0
        assert READER.recognises(Path("x"), cbor2.dumps(other)) == 0
