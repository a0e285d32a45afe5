"""Tables and lists in documents have what the product has: chips, options of a sensor, commands, exit codes, extras."""

import inspect
import re

import pytest
from checked_commands import PROGRAMS, extras
from documents import DOCUMENTS, TOP, Document, read_document
from shell_lines import commands_of

from motionsig.cli.command_line import COMMANDS, FAILED, INTERRUPTED, USAGE
from motionsig.options import keyword_options
from motionsig.sensors import CHIPS, open_sensor
from motionsig.sensors.bus import DEFAULT_CLOCK_HZ
from motionsig.sensors.names import named_chip

SENSORS, CLI = "motionsig/sensors/README.md", "motionsig/cli/README.md"


def table(document: Document, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading, row by row."""
    rows: list[list[str]] = []
    found, before = False, 0
    for passage in document.passages:
        if passage.kind != "row":
            continue
        cells = passage.text.removesuffix(" | ").split(" | ")
        line = passage.pieces[0].line
        if found and line > before + (1 if rows else 2):
            break
        if found:
            rows.append(cells)
        found, before = found or cells[0] == heading, line
    return rows


def span(values) -> str:
    return f"{min(values):g} to {max(values):g}" if values else "none"


def of(path: str) -> Document:
    if path not in DOCUMENTS:
        pytest.skip("test_each_document_is_there says so")
    return DOCUMENTS[path]


def test_a_table_ends_with_its_last_row():
    text = "| a | b |\n| - | - |\n| 1 | `2` |\n| 3 | |\n\n| c |\n| - |\n| 5 |\n"
    assert table(read_document("made.md", text), "a") == [["1", "2"], ["3", ""]]
    assert table(read_document("made.md", text), "c") == [["5"]]


def test_the_table_of_chips_is_what_the_chips_tables_say():
    stated = {}
    for names, also, _, addresses, *facts in table(of(SENSORS), "name"):
        stated |= {name: [set(addresses.split(", ")), *facts] for name in names.split(", ")}
        read_by = [named_chip(part) for part in also.split(", ") if part]
        assert all(chip and chip.name in names.split(", ") for chip in read_by), also
    assert stated == {
        chip.name: [
            {f"0x{address:02x}" for address in chip.addresses},
            span(chip.rates), span(chip.accel_ranges), span(chip.gyro_ranges),
        ]
        for chip in CHIPS.values()
    }  # fmt: skip


def test_the_table_of_a_sensors_options_has_each_and_its_default():
    stated = {}
    for names, defaults, *_ in table(of(SENSORS), "option"):
        options = names.split(", ")
        values = defaults.split(", ") if len(options) == defaults.count(", ") + 1 else [defaults] * len(options)
        stated |= dict(zip(options, values, strict=True))
    assert stated.keys() == keyword_options(open_sensor).keys() - {"clock", "invite"}
    assert f"{DEFAULT_CLOCK_HZ:,}" in "".join(row[1] for row in table(of(SENSORS), "option"))
    for name, parameter in inspect.signature(open_sensor).parameters.items():
        if isinstance(parameter.default, float):
            assert stated[name] == f"{parameter.default:g}"


def test_every_command_is_shown():
    shown = {
        command.words[1]
        for block in of(CLI).blocks
        for command in commands_of(block, PROGRAMS)
        if command.words[0] == "motionsig"
    }
    assert shown == set(COMMANDS)


def test_the_exit_codes_are_those_of_the_commands():
    section = of(CLI).section("exit-codes")
    assert re.findall(r"(\d+): (done|failed|wrong usage|interrupted)", section) == [
        ("0", "done"), (str(FAILED), "failed"), (str(USAGE), "wrong usage"), (str(INTERRUPTED), "interrupted"),
    ]  # fmt: skip


def test_every_extra_is_named_where_one_installs():
    named = {piece.text for piece in DOCUMENTS[TOP].pieces if piece.kind == "code"}
    assert extras() - {"all", "dev"} <= named
