"""The names of the columns: where they stand, whatever stands before and below them."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_logs import all_rows, table

ROWS = "\n".join(f"{at * 10},0.1,-0.2,9.8,0.01,0.02,-0.03" for at in range(40)) + "\n"
NAMES = ("t", "a1", "a2", "a3", "w1", "w2", "w3")
LINE = ",".join(NAMES)


def header_of(path: Path, content: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    found = table(path, content)
    assert len(all_rows(found)[0][0]) == content.count(",0.1,")
    return found.names, found.units, next(fact.value for fact in found.facts if fact.what == "header")


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ("", "line 1"),
        ("Logger 3\nstarted,30.11.2026\n\n", "line 4, 3 lines before it"),
        (
            "-" * 30 + "\nSerial Number: MOS2\nCurrent Memory Address: 0\n" + "-" * 30 + "\n",
            "line 5, 4 lines before it",
        ),
        ('"sep=,"\n', "line 2, 1 lines before it"),
        ("\n".join(f"setting{at},{at}" for at in range(300)) + "\n", "line 301, 300 lines before it"),
    ],
)
def test_a_header_is_found_whatever_it_says(path: Path, above: str, said: str) -> None:
    assert header_of(path, above + LINE + "\n" + ROWS) == (NAMES, (), said)


@pytest.mark.parametrize(
    "between",
    ["\n", "\n\n", "# calibrated\n", "Calibrating, do not move\n", "ms,m/s^2,m/s^2,m/s^2,deg/s,deg/s,deg/s\n"],
)
def test_what_stands_between_a_header_and_the_rows(path: Path, between: str) -> None:
    names, units, _ = header_of(path, LINE + "\n" + between + ROWS)
    assert names == NAMES
    assert units == (tuple(between.strip().split(",")) if "deg" in between else ())


def test_a_line_of_units_may_be_closed(path: Path) -> None:
    rows = ROWS.replace("\n", ",\n")
    names, units, _ = header_of(path, f'"sep=,"\n{LINE},\nms,m/(s^2),m/(s^2),m/(s^2),deg/s,deg/s,deg/s,\n{rows}')
    assert names == NAMES
    assert units == ("ms", *["m/(s^2)"] * 3, *["deg/s"] * 3)


def test_two_lines_of_names_are_joined(path: Path) -> None:
    names, _, said = header_of(path, "Time,Wrist Acc,,,Wrist Gyro,,\ns,X,Y,Z,X,Y,Z\n" + ROWS)
    assert names == ("Time s", *(f"Wrist {it}" for it in ("Acc X", "Acc Y", "Acc Z", "Gyro X", "Gyro Y", "Gyro Z")))
    assert said == "line 1"


@pytest.mark.parametrize("header", ["t ax ay az gx gy gz", "t\tax\tay\taz\tgx\tgy\tgz", "# t, ax, ay, az, gx, gy, gz"])
def test_a_header_may_be_separated_in_another_way(path: Path, header: str) -> None:
    assert header_of(path, f"{header}\n{ROWS}")[0] == ("t", "ax", "ay", "az", "gx", "gy", "gz")


def test_a_header_without_a_name_for_row_numbers(path: Path) -> None:
    rows = "\n".join(f"{at},0.1,-0.2,9.8,0.01" for at in range(40))
    assert header_of(path, f"ax,ay,az,gx\n{rows}\n")[0] == ("", "ax", "ay", "az", "gx")


def test_a_header_with_too_few_names_is_none(path: Path) -> None:
    names, _, said = header_of(path, "a1,a2,a3,w1,w2,w3\n" + ROWS.replace("\n", "\n7"))
    assert names == ()
    assert said == "none: rows of 7 cells begin in line 2, below 'a1,a2,a3,w1,w2,w3'"


def test_a_header_of_numbers_is_no_sample(path: Path) -> None:
    names, _, said = header_of(path, "0,1,2,3,4,5,6\n" + ROWS)
    assert names == tuple("0123456")
    assert said == "line 1, which only numbers the columns"


@pytest.mark.parametrize("banner", ["Initializing sensor...\nconnection successful\n", "MPU6050\n\n", "Ready, go\n"])
def test_a_banner_is_no_header(path: Path, banner: str) -> None:
    names, _, said = header_of(path, banner + ROWS)
    assert names == ()
    assert said.startswith(f"none: rows of 7 cells begin in line {banner.count(chr(10)) + 1}, below ")


def test_what_a_preamble_says_is_kept(path: Path) -> None:
    found = table(path, f'"acc_1G",2048\nrate: 100\n# Device = XY 7\n{LINE}\n{ROWS}')
    said = {fact.what: fact.value for fact in found.facts if fact.what.startswith("setting")}
    assert said == {"setting acc_1G": "2048", "setting rate": "100", "setting Device": "XY 7"}
