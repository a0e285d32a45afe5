"""Labels beside the samples, whatever file they stand in."""

from __future__ import annotations

import logging
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA, HEADER, TIME_S
from test_recordings import check_blocks, samples

from motionsig.blocks import Source
from motionsig.errors import RecordingError
from motionsig.recordings import open_recording
from motionsig.recordings.labels import LabelCutter, find_label

Write = Callable[[Path, dict[str, Any]], Path]


def write_csv(folder: Path, columns: dict[str, Any]) -> Path:
    lines = made_logs.text().split("\n")[:-1]
    named = [np.asarray(values).tolist() for values in columns.values()]
    rows = [",".join(columns), *(",".join(f"{it}" for it in row) for row in zip(*named, strict=True))]
    path = folder / "log.csv"
    path.write_text("\n".join(f"{line},{row}" for line, row in zip(lines, rows, strict=True)) + "\n")
    return path


def write_npz(folder: Path, columns: dict[str, Any]) -> Path:
    path = folder / "log.npz"
    np.savez(path, **{"acc [m/s^2]": DATA[:, :3], "gyr [rad/s]": DATA[:, 3:], "time": TIME_S}, **columns)
    return path


def write_parquet(folder: Path, columns: dict[str, Any]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet

    path = folder / "log.parquet"
    table = dict(zip(HEADER.split(","), [TIME_S, *DATA.T], strict=True))
    pyarrow.parquet.write_table(pa.table({**table, **columns}), path, row_group_size=150)
    return path


WRITE: dict[str, Write] = {"csv": write_csv, "npz": write_npz}
if find_spec("pyarrow"):
    WRITE["parquet"] = write_parquet


@pytest.fixture(params=WRITE)
def write(request: pytest.FixtureRequest) -> Write:
    return WRITE[request.param]


def labels_of(source: Source) -> list[str]:
    """Return the label of each sample, of checked blocks that hold the made-up motion."""
    blocks = check_blocks(source)
    np.testing.assert_allclose(np.concatenate([block.data for block in blocks]), DATA, atol=2e-5)
    assert not any(block.gap for block in blocks)
    return [block.label for block in blocks for _ in range(len(block))]


TEXTS = np.repeat(["walk", "", "stairs up", "läuft"], 100)


def test_a_column_of_text_cuts_the_blocks_where_it_changes(tmp_path: Path, write: Write) -> None:
    source = open_recording(write(tmp_path, {"label": TEXTS}))
    assert labels_of(source) == TEXTS.tolist()
    assert labels_of(source) == TEXTS.tolist()
    assert source.rate_hz == pytest.approx(100)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float32, np.float64])
def test_numbers_travel_as_text(tmp_path: Path, write: Write, kind: type) -> None:
    numbers = np.repeat([1, 0, 12, 1], 100).astype(kind)
    expected = np.repeat(["1", "0", "12", "1"], 100).tolist()
    if write is write_csv and issubclass(kind, np.floating):
        expected = [f"{text}.0" for text in expected]  # as written
    assert labels_of(open_recording(write(tmp_path, {"Activity": numbers}))) == expected


def test_what_is_missing_is_no_label(tmp_path: Path, write: Write) -> None:
    half = np.repeat([0.5, np.nan, 2.5, np.nan], 100).astype(np.float32)
    expected = np.repeat(["0.5", "", "2.5", ""], 100).tolist()
    assert labels_of(open_recording(write(tmp_path, {"label": half}))) == expected
    words = np.repeat(["nan", "NA", " walk ", ""], 100)
    expected = np.repeat(["", "", "walk", ""], 100).tolist()
    assert labels_of(open_recording(write(tmp_path, {"label": words}))) == expected


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["label"], "label"),
        (["Labels"], "Labels"),
        (["ACTIVITY", "class"], "ACTIVITY"),
        (["class", "label"], "label"),
        (["activity", "Activity"], "activity"),
        ([" class ", "note"], " class "),
        (["label []"], "label []"),
        (["activity [counts]", "class (1)"], None),
        (["labelled", "my label", "activity_id", "subclass"], None),
    ],
)
def test_which_names_are_a_label(names: list[str], found: str | None) -> None:
    column = find_label(["time", *names], None, (), "log")
    assert (column and ["time", *names][column.number]) == found
    assert find_label(["time", *names], "none", (), "log") is None
    assert find_label(["time", *names], None, range(1, 9), "log") is None, "taken for something else"


def test_another_column_or_none(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path, {"label": TEXTS, "what": TEXTS[::-1].copy()})
    by_name, other, none = (open_recording(path, **chosen) for chosen in ({}, {"label": "what"}, {"label": "none"}))
    assert labels_of(by_name) == TEXTS.tolist()
    assert labels_of(other) == TEXTS[::-1].tolist()
    assert set(labels_of(none)) == {""}
    # What a window is called does not make it another window.
    assert by_name.info.stream_id == other.info.stream_id == none.info.stream_id
    with pytest.raises(RecordingError, match=r"log\.\w+(:\d)?: expected a column 'activity' with labels, got .*'what'"):
        open_recording(path, label="activity")


def test_a_label_that_is_too_long(tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    texts = np.repeat(["x" * 128, "y" * 129, "z" * 500, "walk"], 100)
    path = write(tmp_path, {"class": texts})
    with pytest.raises(RecordingError, match=r"log\.\w+: expected a label of at most 128 characters, got \d+: 'yyyy"):
        list(open_recording(path, label="class"))
    # A column that only has the name may hold something else: what was read before there were labels still is.
    assert labels_of(open_recording(path)) == np.repeat(["x" * 128, "", "", "walk"], 100).tolist()
    assert "2 labels of more than 128 characters passed over" in caplog.text
    caplog.clear()
    assert set(labels_of(open_recording(path, label="none"))) == {""}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_label_that_changes_at_every_sample_is_thinned(tmp_path: Path, write: Write) -> None:
    every = [f"{number}" for number in range(COUNT)]
    blocks = check_blocks(open_recording(write(tmp_path, {"label": np.array(every)})))
    assert sum(map(len, blocks)) == COUNT
    assert len(blocks) < COUNT / 10
    rows = np.cumsum([0, *map(len, blocks)])
    for first, block in zip(rows.tolist(), blocks, strict=False):
        assert first <= int(block.label) < first + len(block)


def test_many_changes_are_quick_and_take_little_memory(tmp_path: Path) -> None:
    lines = made_logs.text().split("\n")[1:-1]
    path = tmp_path / "log.csv"
    with open(path, "w") as file:
        file.write(f"{HEADER},label\n")
        for second in range(0, 1000, 4):
            file.writelines(
                f"{second + row / 100:.2f},{line.partition(',')[2]},{row % 9}\n" for row, line in enumerate(lines)
            )
    source = open_recording(path)
    before_s = time.process_time()
    blocks = sum(1 for _ in source)
    # 0.3 s of one core, measured; with a block for each sample it is 100,000 blocks.
    assert time.process_time() - before_s < 5
    assert 6000 < blocks < 7000
    tracemalloc.start()
    for _ in source:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6


def test_a_few_short_labels_in_a_row_are_kept_as_they_are(tmp_path: Path, write: Write) -> None:
    texts = np.repeat("walk", COUNT)
    texts[200:216] = [f"{number}" for number in range(16)]
    assert labels_of(open_recording(write(tmp_path, {"label": texts}))) == texts.tolist()


@pytest.mark.parametrize(
    ("written", "label"),
    [('"a,b"', "a,b"), ('"say ""a"""', 'say "a"'), ("walk #1", "walk #1"), ("#2", "#2"), ('"walk #1"', "walk #1")],
)
def test_marks_in_a_csv_label(tmp_path: Path, written: str, label: str) -> None:
    path = write_csv(tmp_path, {"label": np.repeat(["run", written], 200)})
    expected = np.repeat(["run", label], 200).tolist()
    assert labels_of(open_recording(path)) == expected
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:50], "# a break, of a minute", *lines[50:]]))
    assert labels_of(open_recording(path)) == expected


def test_comments_behind_numbers_are_still_comments(tmp_path: Path) -> None:
    header, *lines = made_logs.text().split("\n")[:-1]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([f"label,{header}", *(f"walk,{line} # checked" for line in lines), ""]))
    assert set(labels_of(open_recording(path))) == {"walk"}


@pytest.mark.parametrize(
    ("odd", "label"),
    [
        ("set 1 # note, moved", "set 1"),
        ("set #1 # note, moved", "set #1"),
        ('"set #1" # note, moved', "set #1"),
        ("set 1 ## note, moved", "set 1"),
        ("set #9", "set #9"),
    ],
)
def test_a_comment_with_a_comma_in_it_leaves_other_labels_alone(tmp_path: Path, odd: str, label: str) -> None:
    texts = np.repeat(["set #1", "set #2"], 200).tolist()
    path = write_csv(tmp_path, {"label": np.array([*texts[:50], odd, *texts[51:]])})
    assert labels_of(open_recording(path)) == [*texts[:50], label, *texts[51:]]


def test_a_row_with_a_cell_too_many_is_named_with_or_without_a_mark(tmp_path: Path) -> None:
    for odd in ('"set #1",more', "set 1,more", "set 1,more #2"):
        path = write_csv(tmp_path, {"label": np.array([*["walk"] * 50, odd, *["walk"] * 349])})
        with pytest.raises(RecordingError, match=r"log\.csv:52: expected 8 cells, got 9"):
            list(open_recording(path))


def test_a_comment_may_stand_in_a_chunk_that_is_read_cell_by_cell(tmp_path: Path) -> None:
    header, *lines = made_logs.text().split("\n")[:-1]
    path = tmp_path / "log.csv"
    for start, names in (("", ""), ("set #1,", "label,")):
        rows = [f"{start}{line}" for line in lines]
        rows[7] = rows[7].rpartition(",")[0] + ","  # an empty cell, which numpy refuses
        rows[9] += " # moved, see #3"
        rows[10:10] = ["  # a break"]
        path.write_text("\n".join([names + header, *rows, ""]))
        blocks = check_blocks(open_recording(path))
        assert sum(map(len, blocks)) == COUNT
        assert {block.label for block in blocks} == {start.rstrip(",")}


def test_a_decimal_comma_leaves_the_commas_of_labels_alone(tmp_path: Path) -> None:
    header = HEADER.replace(",", ";")
    lines = made_logs.text(header, separator=";").replace(".", ",").split("\n")[:-1]
    for labels in (["up, slowly", "1,5"], ["No. 1, up", "1.5"]):
        path = tmp_path / "log.csv"
        rows = [f"{line};{labels[number // 200]}" for number, line in enumerate(lines[1:])]
        path.write_text("\n".join([f"{lines[0]};label", *rows, ""]))
        assert labels_of(open_recording(path)) == np.repeat(labels, 200).tolist()


def test_labels_stay_with_their_samples_where_times_repeat_or_run_back(tmp_path: Path) -> None:
    header, *lines = made_logs.text().split("\n")[:-1]
    rows = [f"{line},{number // 20}" for number, line in enumerate(lines)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([f"{header},label", *rows[:55], rows[54], *rows[55:], *rows[100:200], ""]))
    blocks = check_blocks(open_recording(path))
    assert {len(block) for block in blocks} == {20}
    assert [block.label for block in blocks] == [*map(str, range(20)), *map(str, range(5, 10))]
    assert [number for number, block in enumerate(blocks) if block.gap] == [20]


def test_one_label_for_all_samples_of_an_npz(tmp_path: Path) -> None:
    assert set(labels_of(open_recording(write_npz(tmp_path, {"activity": "walk"})))) == {"walk"}


@pytest.mark.parametrize("values", [np.array(["walk", "run"]), np.zeros((COUNT, 2)), np.array([None] * COUNT)])
def test_an_array_that_can_be_no_label(tmp_path: Path, values: Any) -> None:
    path = write_npz(tmp_path, {"labels": values})
    assert set(labels_of(open_recording(path))) == {""}
    with pytest.raises(RecordingError, match="expected a column 'labels' with labels"):
        open_recording(path, label="labels")


@pytest.mark.skipif("parquet" not in WRITE, reason="needs pyarrow")
def test_columns_of_parquet(tmp_path: Path) -> None:
    import pyarrow as pa

    texts = [text or None for text in TEXTS.tolist()]
    for column in (pa.array(texts), pa.array(texts, pa.large_string()), pa.array(texts).dictionary_encode()):
        assert labels_of(open_recording(write_parquet(tmp_path, {"label": column}))) == TEXTS.tolist()
    whole = pa.array([1, None, 1, 2] * 100, pa.int64()).take(np.argsort(np.arange(COUNT) % 4, kind="stable"))
    expected = np.repeat(["1", "", "1", "2"], 100).tolist()
    assert labels_of(open_recording(write_parquet(tmp_path, {"label": whole}))) == expected
    yes = write_parquet(tmp_path, {"label": pa.array([True] * 200 + [False] * 200)})
    assert set(labels_of(open_recording(yes))) == {"True", "False"}
    path = write_parquet(tmp_path, {"label": [[1, 2]] * COUNT})
    assert set(labels_of(open_recording(path))) == {""}
    with pytest.raises(RecordingError, match=r"expected text or numbers in column 'label', got list<"):
        open_recording(path, label="label")


@pytest.mark.parametrize("kind", ["sensor logger", "phyphox zip", "android"])
def test_formats_without_columns_take_none_and_refuse_a_choice(tmp_path: Path, kind: str) -> None:
    path = made_logs.FORMATS[kind](tmp_path)
    assert {block.label for block in open_recording(path, label="none")} == {""}
    with pytest.raises(RecordingError, match=r"expected a column 'activity' with labels, got"):
        open_recording(path, label="activity")


def test_runs_of_one_label() -> None:
    cutter = LabelCutter("log", chosen=True)
    assert list(cutter.runs(np.array(["a", "a", "b"]))) == [(0, 2, "a"), (2, 3, "b")]
    assert list(cutter.runs(np.array([1.0, np.nan, np.nan]))) == [(0, 1, "1"), (1, 3, "")]
    assert list(cutter.runs(np.array(["a"]))) == [(0, 1, "a")]
    every = np.arange(40)
    assert list(cutter.runs(every)) == [(0, 16, "8"), (16, 32, "24"), (32, 40, "36")]
    assert list(cutter.runs(np.array([b"a", b"\xff"], "S1"))) == [(0, 1, "a"), (1, 2, "�")]


def test_samples_are_what_they_were(tmp_path: Path, write: Write) -> None:
    """Labels change where blocks are cut and nothing else."""
    path = write(tmp_path, {"label": TEXTS})
    with_labels, without = samples(open_recording(path)), samples(open_recording(path, label="none"))
    for one, other in zip(with_labels, without, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_rate_is_what_it_was(tmp_path: Path) -> None:
    jitter_s = np.random.default_rng(0).uniform(0, 0.002, COUNT)
    header, *lines = made_logs.text(time=lambda row: f"{TIME_S[row] + jitter_s[row]:.6f}").split("\n")[:-1]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([f"{header},label", *(f"{line},{row // 17}" for row, line in enumerate(lines)), ""]))
    assert open_recording(path).rate_hz == open_recording(path, label="none").rate_hz
