"""Three ways of reading the same rows give the very same values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_logs import WAYS, all_rows, set_way, table

NAMES = ("time_s", "acc_x", "acc_y", "acc_z", "gyr_x", "note")
NUMBERS = st.one_of(
    st.floats(-1e300, 1e300),
    st.integers(-(10**6), 10**6).map(float),
    st.decimals(-100, 100, places=4).map(float),
)
LOST = ("", "nan", "NaN", "-nan", "null", "N/A", "inf", "None", "?")
WORDS = (
    "",
    "walk",
    "sit down",
    "Treppe hoch",
    "naïve",
    "2026-11-30T10:00:00.25",
    "30.11.2026 10:00:00,5",
    "1",
    "a#b",
    "+1",
    "x" * 40,
)


@st.composite
def logs(draw: st.DrawFn) -> tuple[str, list[list[float]], list[str]]:
    """A text, its numbers (NaN where they are lost), its words."""
    rows = draw(st.lists(st.lists(NUMBERS, min_size=5, max_size=5), min_size=4, max_size=80))
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", " "]))
    comma = delimiter != "," and draw(st.booleans())
    form = draw(st.sampled_from(["{!r}", "{:.6f}", "{:.3e}", "{:+.9g}"]))
    end = draw(st.sampled_from(["\n", "\r\n", ";\n"] if delimiter != ";" else ["\n", "\r\n"]))
    pad = draw(st.sampled_from(["", " ", "   "]))
    quote = '"' if draw(st.booleans()) and delimiter != " " and not pad else ""
    holes = draw(st.lists(st.tuples(st.integers(4, 79), st.integers(1, 4), st.sampled_from(LOST)), max_size=4))
    lost = {(row, column): word for row, column, word in holes}
    words = [draw(st.sampled_from(WORDS)) for _ in rows]
    if delimiter == " ":
        words = [word.replace(" ", "_") or "-" for word in words]
    lines, values = [delimiter.join(NAMES)], []
    for at, row in enumerate(rows):
        cells, row_values = [], []
        for column, number in enumerate(row):
            if (at, column) in lost and (delimiter != " " or lost[at, column]):
                cells.append(quote + lost[at, column] + quote)
                row_values.append(np.nan)
                continue
            text = form.format(number)
            row_values.append(float(text))
            cells.append(quote + (text.replace(".", ",") if comma else text) + quote)
        word = words[at]
        needs_quote = quote or (any(mark in word for mark in (delimiter, ";")) and delimiter != " ")
        cells.append(f'"{word}"' if needs_quote else word)
        lines.append((pad + delimiter + pad).join(cells))
        values.append(row_values)
    return end.join([*lines, ""]), values, words


@given(logs())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_all_ways_give_what_was_written(tmp_path: Path, log: tuple[str, list[list[float]], list[str]]) -> None:
    text, values, words = log
    for way in WAYS:
        with pytest.MonkeyPatch.context() as monkeypatch:
            set_way(monkeypatch, way)
            found = table(tmp_path / "log.txt", text)
            assert found.names == NAMES
            columns, breaks, _ = all_rows(found, ("number",) * 5 + ("text",))
            np.testing.assert_array_equal(np.stack(columns[:5], axis=1), values)
            assert columns[5].tolist() == [word.strip() for word in words]
            columns, breaks, _ = all_rows(found, ("number",) * 5)
            np.testing.assert_array_equal(np.stack(columns, axis=1), values)
            assert not breaks


def test_pandas_is_not_imported(tmp_path: Path) -> None:
    # It takes a second and 60 MB, and pyarrow's to_numpy asks for it.
    (tmp_path / "log.csv").write_text("t,x,y\n" + "1,2.5,\n2,3.5,4\n" * 100)
    program = (
        "import pathlib, sys; from motionsig.recordings.members import single; "
        "from motionsig.recordings.text import tables; (it,) = tables(single(pathlib.Path(sys.argv[1]))); "
        "print([len(rows.columns[2]) for rows in it.read({0: 'whole', 1: 'number', 2: 'number'})], "
        "'pyarrow' in sys.modules, 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log.csv")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.split("] ")[0] == "[200"
    assert said.split()[-1] == "False"
