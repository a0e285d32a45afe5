"""JSON in the forms that loggers and libraries write."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from text_logs import all_rows, table

from motionsig.errors import RecordingError
from motionsig.recordings.members import single
from motionsig.recordings.text import tables

VALUES = np.sin(np.arange(1800) / 7).reshape(300, 6).round(4)
TIMES = [1_700_000_000_000_000_000 + at * 10_000_000 + 1 for at in range(300)]
FLAT = [
    {"t": t, **dict(zip(("ax", "ay", "az", "gx", "gy", "gz"), row, strict=True))}
    for t, row in zip(TIMES, VALUES.tolist(), strict=True)
]
NESTED = [
    {"t": it["t"], "acc": {"x": it["ax"], "y": it["ay"], "z": it["az"]}, "gyr": [it["gx"], it["gy"], it["gz"]]}
    for it in FLAT
]
NAMES = ("t", "ax", "ay", "az", "gx", "gy", "gz")
DOTTED = ("t", "acc.x", "acc.y", "acc.z", "gyr.x", "gyr.y", "gyr.z")
LINES = [json.dumps(it) for it in FLAT]

FORMS = {
    "lines": ("\n".join([*LINES, ""]), NAMES),
    "lines of nested objects": ("\n".join(json.dumps(it) for it in NESTED), DOTTED),
    "an array": (json.dumps(FLAT), NAMES),
    "an array of nested objects": (json.dumps(NESTED, indent=1), DOTTED),
    "an array of arrays": (json.dumps([list(it.values()) for it in FLAT]), tuple("0123456")),
    "run together": ("".join(LINES), NAMES),
    "records in a document": (json.dumps({"device": "A7", "data": FLAT}), NAMES),
    "columns": (json.dumps({name: [it[name] for it in FLAT] for name in NAMES}), NAMES),
    "columns by row": (json.dumps({name: {str(at): it[name] for at, it in enumerate(FLAT)} for name in NAMES}), NAMES),
    "split": (
        json.dumps({"columns": NAMES, "index": [*range(300)], "data": [list(it.values()) for it in FLAT]}),
        NAMES,
    ),
    "numbers in quotes": (json.dumps([{name: str(it[name]) for name in NAMES} for it in FLAT]), NAMES),
    "vectors": (
        json.dumps({"fs": 100, "t": TIMES, "acc": VALUES[:, :3].tolist(), "gyr": VALUES[:, 3:].tolist()}),
        DOTTED,
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_form(path: Path, name: str) -> None:
    content, names = FORMS[name]
    found = table(path, content)
    assert found.names == names
    columns, breaks, _ = all_rows(found)
    assert columns[0].tolist() == TIMES
    np.testing.assert_array_equal(np.stack(columns[1:], axis=1), VALUES)
    assert not breaks


def test_lists_of_objects_are_packets(path: Path) -> None:
    packets = [{"t": at, "acc": [{"x": 1.5 * at + i, "y": 0, "z": 9.8} for i in range(8)]} for at in range(40)]
    columns, _, _ = all_rows(table(path, json.dumps({"data": packets})))
    assert columns[0].tolist() == np.repeat(np.arange(40), 8).tolist()
    assert columns[1].tolist() == [1.5 * at + i for at in range(40) for i in range(8)]


def test_a_sensor_that_is_named_in_each_row_is_a_table(path: Path) -> None:
    rows = [{"sensor": "Accelerometer", "time": str(t), "z": "9.8", "y": "0", "x": "0"} for t in TIMES * 5]
    rows += [{"sensor": "Gyroscope", "time": str(t), "z": "0.5", "y": "0", "x": "0"} for t in TIMES]
    rows.insert(0, {"sensor": "Metadata", "platform": "ios"})
    path.write_text(json.dumps(rows))
    found = {it.name: it for it in tables(single(path))}
    assert [*found] == ["log.csv/Accelerometer", "log.csv/Gyroscope", "log.csv/Metadata"]
    columns, _, _ = all_rows(found["log.csv/Gyroscope"])
    assert columns[1].tolist() == TIMES and set(columns[2].tolist()) == {0.5}
    assert len(all_rows(found["log.csv/Accelerometer"])[0][0]) == 1500


def test_rows_of_two_sensors_by_their_keys(path: Path) -> None:
    rows = [{"t": at, "acc": [0, 0, 9.8]} if at % 2 else {"t": at, "gyr": [0, 0, 0.5]} for at in range(200)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert {it.name: len(all_rows(it)[0][0]) for it in tables(single(path))} == {"log.csv/acc": 100, "log.csv/gyr": 100}


def test_a_restart_is_a_break(path: Path) -> None:
    columns, breaks, _ = all_rows(table(path, "\n".join([*LINES[:100], "rst:0x1 (POWERON_RESET)", *LINES[100:]])))
    assert len(columns[0]) == 300
    assert breaks == [100]


def test_a_torn_last_object_is_dropped(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    columns, _, _ = all_rows(table(path, "\n".join(LINES)[:-20]))
    assert len(columns[0]) == 299
    assert "log.csv:300: the last object was cut short" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"t": 1, "ax": "zero"}', "expected a number in 'ax', got 'zero'"),
        ('{"t": null, "ax": 1}', "expected a whole number in 't', got 'None'"),
        ('{"t": 99999999999999999999, "ax": 0}', "expected a whole number in 't', got '99999999999999999999'"),
        ('{"t": ' + "9" * 5000 + "}", "expected a JSON object"),
        ('{"t": 1, "ax": }', "expected a JSON object"),
        ('{"t": ' + "[" * 3000, "expected a JSON object"),
        ('"words"', "expected a JSON object, got 'words'"),
    ],
)
def test_a_damaged_object_is_named(path: Path, line: str, message: str) -> None:
    with pytest.raises(RecordingError, match=rf"log\.csv:51: {message}"):
        all_rows(table(path, "\n".join([*LINES[:50], line, *LINES[50:]] * 9)), ("whole", *("number",) * 6))


def test_a_missing_value_is_nan(path: Path) -> None:
    columns, _, _ = all_rows(table(path, "\n".join([*LINES[:50], '{"t": 1, "ax": null}', *LINES[50:]])))
    assert np.isnan([column[50] for column in columns[1:]]).all()


def test_a_long_array_is_read_in_little_memory(path: Path) -> None:
    found = table(path, "[" + ",".join(LINES * 60) + "]")
    tracemalloc.start()
    count = sum(len(rows.columns[1]) for rows in found.read({1: "number"}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 18_000
    assert peak < 16e6


def test_what_a_document_says_beside_its_rows_is_kept(path: Path) -> None:
    content = json.dumps({"fs": 100, "units": {"acc": "g"}, "data": FLAT})
    assert {("setting fs", "100"), ("setting units.acc", "g")} <= {fact[:2] for fact in table(path, content).facts}


def test_lines_of_lists(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("".join(f"[{row}, 0.5, {row % 3}]\n" for row in range(100)))
    (found,) = tables(single(tmp_path / "log.jsonl"))
    assert found.names == ("x", "y", "z")
    assert [len(rows.columns[0]) for rows in found.read({0: "number"})] == [100]


def test_objects_without_values_are_given_up_soon(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text("{}\n" * 2_000_000)
    began = time.process_time()
    assert tables(single(tmp_path / "log.json")) == ()
    assert time.process_time() - began < 1.0


def test_a_document_of_bare_lists_is_refused_soon(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text('{"x": [' + ",".join(["[1]"] * 1_000_000) + "]}")
    began = time.process_time()
    with pytest.raises(RecordingError, match="expected lists and objects with numbers in them"):
        tables(single(tmp_path / "log.json"))
    assert time.process_time() - began < 0.4
