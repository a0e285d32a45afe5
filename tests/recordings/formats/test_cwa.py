"""Axivity's CWA; actfast, where it is there, reads the same samples."""

from __future__ import annotations

from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, CWA_EACH, DATA
from reading import six, whole

from motionsig.errors import RecordingError
from motionsig.recordings.formats.cwa import READER, tables

SI = np.array([9.80665] * 3 + [np.pi / 180] * 3)
SECTOR = 512


def sector(content: bytearray, number: int) -> slice:
    return slice((2 + number) * SECTOR, (3 + number) * SECTOR)


def test_samples_times_and_facts(tmp_path: Path) -> None:
    path = made_logs.cwa(tmp_path)
    assert READER.recognises(path, path.read_bytes()[:65536]) == 3
    (table,) = tables(path)
    columns, breaks = whole(table)
    np.testing.assert_allclose(six(columns) * SI, DATA, atol=1.3e-3)
    times = columns["time"].astype(np.int64)
    np.testing.assert_array_equal(times, 1_718_030_736 * 10**9 + np.arange(COUNT) * 10_000_000)
    assert not breaks and table.rows == COUNT
    facts = {fact.what: (fact.value, fact.how) for fact in table.facts}
    assert facts["device"] == ("Axivity AX6 1234", "written")
    assert facts["nominal rate"] == ("100 Hz", "written")
    assert facts["zone"][1] == "assumed"


@pytest.mark.parametrize("damage", ["flipped", "removed", "another kind", "no date"])
def test_a_sector_that_is_lost_is_a_break(tmp_path: Path, damage: str) -> None:
    path = made_logs.cwa(tmp_path)
    content = bytearray(path.read_bytes())
    where = sector(content, 5)
    match damage:
        case "flipped":
            content[where.start + 100] ^= 4
        case "removed":
            del content[where]
        case "another kind":
            content[where] = made_logs.cwa_sector(5, 10**18, np.ones((CWA_EACH, 3), np.int16), axes=3)
        case "no date":
            made = bytearray(made_logs.cwa_sector(5, 10**18, np.ones((CWA_EACH, 6), np.int16)))
            made[14:18], made[510:] = bytes(4), bytes(2)
            total = -int(np.frombuffer(made, "<u2").sum(dtype=np.uint32)) & 0xFFFF
            content[where] = made[:510] + total.to_bytes(2, "little")
    path.write_bytes(content)
    columns, breaks = whole(tables(path)[0])
    kept = np.r_[0 : 5 * CWA_EACH, 6 * CWA_EACH : COUNT]
    assert breaks == [5 * CWA_EACH]
    np.testing.assert_allclose(six(columns) * SI, DATA[kept], atol=1.3e-3)
    expected = 1_718_030_736 * 10**9 + kept * 10_000_000
    np.testing.assert_array_equal(columns["time"].astype(np.int64), expected)


def test_a_clock_that_runs_off_its_nominal_rate_is_followed(tmp_path: Path) -> None:
    """98.4 Hz where 100 are nominal, as of the AX6 that was tried."""
    starts = 1_718_030_736 * 10**9 + np.rint(np.arange(20) * CWA_EACH * 1e9 / 98.4).astype(np.int64)
    counts = np.ones((CWA_EACH, 6), np.int16) * 4096
    path = tmp_path / "log.cwa"
    sectors = [made_logs.cwa_sector(number, int(at), counts) for number, at in enumerate(starts)]
    path.write_bytes(made_logs.CWA_HEADER + b"".join(sectors))
    columns, breaks = whole(tables(path)[0])
    steps = np.diff(columns["time"].astype(np.int64))[:-CWA_EACH]
    assert not breaks
    np.testing.assert_allclose(steps, 1e9 / 98.4, rtol=3e-4)  # a sector's fraction has 15 bits


def test_an_axivity_without_a_gyroscope_is_refused_in_words(tmp_path: Path) -> None:
    made = made_logs.cwa_sector(0, 10**18, np.ones((CWA_EACH, 3), np.int16), axes=3)
    path = tmp_path / "log.cwa"
    path.write_bytes(made_logs.CWA_HEADER + made)
    with pytest.raises(RecordingError, match="got 3 axes: this AX6 recorded without its gyroscope"):
        tables(path)
    path.write_bytes(made_logs.CWA_HEADER.replace(b"\x64", b"\x17", 1) + made)
    with pytest.raises(RecordingError, match="an AX3 has no gyroscope"):
        tables(path)
    path.write_bytes(made_logs.CWA_HEADER)
    with pytest.raises(RecordingError, match=r"log\.cwa: expected sectors of samples, got none"):
        tables(path)
    broken = bytearray(made_logs.cwa_sector(0, 10**18, np.ones((CWA_EACH, 6), np.int16)))
    broken[40] ^= 1
    path.write_bytes(made_logs.CWA_HEADER + broken)
    with pytest.raises(RecordingError, match="expected sectors of samples that are whole, got none"):
        tables(path)


def test_actfast_reads_the_same(tmp_path: Path) -> None:
    actfast = pytest.importorskip("actfast")
    path = made_logs.cwa(tmp_path)
    theirs = actfast.read(str(path))["timeseries"]["high_frequency"]
    columns, _ = whole(tables(path)[0])
    np.testing.assert_allclose(six(columns)[:, :3], theirs["acceleration"], atol=1e-6)
    np.testing.assert_allclose(six(columns)[:, 3:], theirs["gyroscope"], atol=1e-3)
    np.testing.assert_allclose(columns["time"].astype(np.int64), theirs["datetime"], atol=2e7)
