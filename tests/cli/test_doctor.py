"""`motionsig doctor` on whole trees of files as machines have them, and on the machine that runs the tests."""

import argparse
import json
import tempfile
from pathlib import Path

import pytest
from doctors_trees import BOUND, NOW_S, PI, THROTTLED, check_lines, grow
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.cli import doctor, main
from motionsig.cli.doctor import buses, machine, software
from motionsig.cli.doctor.findings import Mark

INTERPRETER = software.Interpreter("aarch64", 64, "3.11.2")


def on_tree(root, allowed=buses.read_write):
    return [
        software.python(root, INTERPRETER),
        *buses.i2c(root, allowed),
        *buses.drivers(root),
        *buses.iio(root, allowed),
        *machine.clock(root, NOW_S, None),
        *machine.supply(root),
    ]


def test_on_a_pi_with_all_well_nothing_is_to_do(tmp_path):
    findings = on_tree(grow(tmp_path, PI))
    check_lines(findings)
    assert {finding.mark for finding in findings} == {Mark.OK}
    assert [finding.found for finding in findings] == [
        "Python 3.11.2 on Debian GNU/Linux 12 (bookworm), aarch64",
        "/dev/i2c-1 (bcm2835 (i2c@7e804000)) can be read and written",
        "I2C bus 1 runs at 400 kHz: about 2090 six-axis samples a second fit",
        "the time has been synchronised since the last start",
        "the supply is strong enough",
    ]


def test_a_machine_without_any_of_the_files(tmp_path):
    findings = on_tree(tmp_path)
    check_lines(findings)
    assert all(finding.mark is not Mark.WRONG for finding in findings)


FILES = sorted(name for name, content in (PI | BOUND | {THROTTLED: "0\n"}).items() if not isinstance(content, Path))
JUNK = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [None, Path("."), Path("nowhere"), b"\x1b[2J\r\n\0", b"\xe2\x80\xa8" * 9, b"A" * 200_000, b"$(reboot)\n"]
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), JUNK, max_size=len(FILES)), st.booleans())
def test_junk_in_any_file_is_at_most_a_finding(junk, may):
    with tempfile.TemporaryDirectory() as folder:
        root = grow(Path(folder), {name: value for name, value in (PI | BOUND | junk).items() if value is not None})
        findings = on_tree(root, lambda path: may)
    check_lines(findings)
    assert len(findings) >= 5 and all(len(finding.found) < 400 for finding in findings)


@pytest.mark.parametrize("json_too", [False, True])
def test_the_command_on_this_machine(tmp_path, monkeypatch, capsys, json_too):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    parser = argparse.ArgumentParser()
    doctor.add_to(parser.add_subparsers())
    options = parser.parse_args(["doctor", "--json"] if json_too else ["doctor"])
    code = options.command(options)
    shown = capsys.readouterr().out
    if json_too:
        findings = json.loads(shown)
        assert all(sorted(finding) == ["advice", "found", "mark"] for finding in findings)
        marks = [finding["mark"] for finding in findings]
        assert all(finding["found"] for finding in findings)
    else:
        lines = shown.splitlines()
        marks = [line.split()[0] for line in lines]
        assert all(line[7:].strip() for line in lines) and str(tmp_path) in shown
        assert all((" -> " in line) == (mark != "ok") for line, mark in zip(lines, marks, strict=True))
    assert len(marks) >= 9 and set(marks) <= {"ok", "note", "wrong"}
    assert code == int("wrong" in marks)
    assert list(tmp_path.iterdir()) == []


def test_every_check_is_part_of_the_examination(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    root = grow(tmp_path, PI, BOUND)
    findings = [finding.found for finding in doctor.examine(root)]
    expected = [
        "Python ", "numpy ", " runs the shipped model", "smbus2 ", "paho-mqtt ", "can be read and written",
        "six-axis samples a second fit", " is held by the kernel driver ", "gyroscope through IIO", "the time ",
        "signatures for a broker wait in ", "the supply is strong enough",
    ]  # fmt: skip
    missed = [words for words in expected if not any(words in found for found in findings)]
    assert missed == []
    # The bus itself is asked, too; here it is none, or one without sensors.
    assert sum("/dev/i2c-1" in found for found in findings) == 2
    grow(root, {"etc/motionsig/config.toml": '[sensor]\nname = "simulated"\n[sink]\nurl = "store:/s.db"\n'})
    findings = [finding.found for finding in doctor.examine(root)]
    assert any(found.startswith("configuration: ") for found in findings)
    # A store needs no place to wait for a broker.
    assert not any("signatures for a broker wait" in found for found in findings)


def test_something_wrong_is_exit_code_1(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "file"))
    assert main(["doctor"]) == 1
    assert "wrong  signatures cannot wait in" in capsys.readouterr().out


def test_the_model_to_try_is_the_one_that_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert main(["doctor", "--model", "no such model"]) == 1
    assert "got 'no such model'" in capsys.readouterr().out
