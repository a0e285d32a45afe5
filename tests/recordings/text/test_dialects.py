"""How tables are written: each dialect gives the same numbers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from text_logs import all_rows, table

from motionsig.recordings.members import single
from motionsig.recordings.text import tables

NAMES = ("time", "acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")
VALUES = np.column_stack([np.arange(300) / 100, np.sin(np.arange(1800) / 7).reshape(300, 6)]).round(4)


def text(
    delimiter: str = ",", *, names: str | None = None, form: str = "{:.4f}", end: str = "\n", pad: str = ""
) -> str:
    lines = [delimiter.join(NAMES) if names is None else names]
    lines += [(pad + delimiter + pad).join(form.format(it) for it in row) for row in VALUES]
    return end.join([line for line in lines if line] + [""])


def savetxt(**options: object) -> str:
    file = io.StringIO()
    np.savetxt(file, VALUES, **{"fmt": "%.4f", **options})
    return file.getvalue()


def comma(content: str) -> str:
    """Write numbers with a decimal comma."""
    head, _, rows = content.partition("\n")
    return f"{head}\n{rows.replace('.', ',')}"


DIALECTS = {
    "commas": text(),
    "semicolons": text(";"),
    "tabs": text("\t"),
    "bars": text("|"),
    "bars with spaces": text(" | "),
    "commas with spaces": text(", "),
    "decimal commas": comma(text(";")),
    "decimal commas between tabs": comma(text("\t")),
    "decimal commas between spaces": comma(text("  ")),
    "decimal commas in quotes": comma(text(form='"{:.4f}"')).replace("\n\n", "\n"),
    "spaces": text("   "),
    "columns": text(" ", form="{:12.4f}"),
    "savetxt": savetxt(header=" ".join(NAMES)),
    "savetxt with commas": savetxt(header=",".join(NAMES), delimiter=","),
    "savetxt with exponents": savetxt(header=" ".join(NAMES), fmt="%.18e"),
    "savetxt with other comments": savetxt(header=" ".join(NAMES), comments="% "),
    "matlab's remark": "// " + text(),
    "carriage returns": text(end="\r\n"),
    "carriage returns alone": text(end="\r"),
    "closed by semicolons": text(end=";\n"),
    "closed by semicolons, with spaces": text(end="; \n"),
    "closed by semicolons, header not": text(end=";\n").replace(";\n", "\n", 1),
    "closed by commas": text(end=",\n"),
    "closed by commas, header not": text(end=",\n").replace(",\n", "\n", 1),
    "closed by tabs": text("\t", end="\t\n"),
    "quotes": text(form='"{:.4f}"'),
    "plus signs": text(form="{:+.4f}"),
    "spreadsheet's separator": "sep=;\n" + text(";"),
    "a preamble": "Logger 3\nfirmware: 1.2\nrate,100\n\n" + text(),
    "a preamble of numbers": "serial,12345\ngyro_scale,0.001,7\n" + text(),
    "a preamble with commas": '"Product","A, B","C"\n"I interval",100,200\n' + text(),
    "the byte order mark": "\ufeff" + text(),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect(path: Path, name: str) -> None:
    check(path, DIALECTS[name])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "gb2312"])
def test_encoding(path: Path, encoding: str) -> None:
    names = {"gb2312": "时间,加速度X,加速度Y,加速度Z,角速度X(°/s),角速度Y(°/s),角速度Z(°/s)"}
    header = names.get(encoding, "time,acc_x,acc_y,acc_z,gyr_x (°/s),gyr_y (°/s),gyr_z (°/s)")
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    check(path, (mark + text(names=header)).encode(encoding), tuple(header.split(",")))


def check(path: Path, content: str | bytes, names: tuple[str, ...] = NAMES) -> None:
    found = table(path, content)
    assert found.names == names
    columns, breaks, _ = all_rows(found, ("number",) * 7)
    np.testing.assert_array_equal(np.stack(columns, axis=1), VALUES)
    assert not breaks
    head = np.stack(found.head, axis=1)
    np.testing.assert_array_equal(head, VALUES[: len(head)])
    assert len(head) >= len(VALUES) - 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_a_table_without_a_header(path: Path, delimiter: str) -> None:
    found = table(path, text(delimiter, names=""))
    assert found.names == ()
    columns, _, _ = all_rows(found)
    np.testing.assert_array_equal(np.stack(columns, axis=1), VALUES)


def test_empty_cells_between_tabs_stay(path: Path) -> None:
    rows = "\n".join(f"{at}\t\t0.5\t\t1.5\t-9.8" for at in range(50))
    columns, _, _ = all_rows(table(path, f"t\tnote\tx\tmore\ty\tz\n{rows}\n"), ("number",) * 6)
    assert [column[1] for column in columns[::2]] == [1, 0.5, 1.5]
    assert np.isnan(columns[1]).all() and np.isnan(columns[3]).all()


def test_a_last_column_that_is_empty_at_first_is_one(path: Path) -> None:
    rows = [f"{at},0.1,0.2,9.8," for at in range(5000)]
    rows[4000] += "blink"
    columns, _, _ = all_rows(table(path, "\n".join(["t,x,y,z,event", *rows, ""])), ("number",) * 4 + ("text",))
    assert columns[4][4000] == "blink"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01\x02" * 50,
        "words alone\nand more of them\n",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9,
        "a,b,c\nd,e,f\n",
    ],
)
def test_what_has_no_rows_of_numbers_has_no_table(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert tables(single(path)) == ()
