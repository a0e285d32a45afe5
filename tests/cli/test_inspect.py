"""`motionsig inspect` says what a log holds, and ends with a command that reads it."""

import io
import json
import shlex
import sys
import types

import pytest
from logs_of_streams import table

from motionsig.cli import main


def inspect(capsys, *arguments, code=0):
    assert main(["inspect", *map(str, arguments)]) == code
    return capsys.readouterr().out


def paste(said, store):
    """Run the one command that was printed, with a store of ours; return the exit code."""
    (line,) = [line for line in said.splitlines() if line.startswith("  motionsig replay")]
    words = shlex.split(line)
    assert words[-2:] == ["--to", "store:mine.db"]
    return main([*words[1:-1], f"store:{store}"])


def test_one_log_is_read_through_and_its_command_works(tmp_path, capsys):
    log = table(tmp_path / "a folder {x}" / "Größe 'links'.csv", {"": 1}, lost=50)
    said = inspect(capsys, log)
    lines = said.splitlines()
    assert lines[0] == f"{log}: csv, one stream"
    assert len(lines) == len(set(lines))
    assert any(line.startswith("clock ") and "in 'time_ms' (the log says so)" in line for line in lines)
    assert any(line.startswith("acceleration ") and "in g (the log says so)" in line for line in lines)
    assert any(line.startswith("sign ") and line.endswith("(ASSUMED)") for line in lines)
    assert any(line.startswith("read through  1,450 samples in 29.0 s, 50 Hz, 1 gap") for line in lines)
    assert paste(said, tmp_path / "db") == 0


def test_what_is_open_is_asked_and_answered_in_one_command(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"": 1}, time=False)
    said = inspect(capsys, log, code=1)
    (question,) = [line for line in said.splitlines() if line.startswith("question ")]
    assert "How many samples a second?" in question
    assert "read through" not in said
    assert paste(said, tmp_path / "db") == 0


def test_an_answer_given_already_stands_in_the_command(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"": 1})
    said = inspect(capsys, log, "--option", "zone=Europe/Berlin", "--option", "columns={'gyr_x': 'gyr_x [deg/s]'}")
    assert "--option zone=Europe/Berlin" in said
    assert paste(said, tmp_path / "db") == 0


def test_what_all_streams_share_is_said_once(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"left": 1, "right": 2, "hip": 3})
    said = inspect(capsys, log)
    lines = said.splitlines()
    assert lines[0] == f"{log}: csv, 3 streams"
    for title in ("clock", "rate", "sign", "acceleration", "angular rate"):
        assert len([line for line in lines if line.startswith(f"{title} ")]) == 1, title
    for name in ("left", "right", "hip"):
        assert f"{name!r}" in said
    assert said.count("1,500 samples in") == 3
    assert said.count("motionsig replay") == 1


def test_many_logs_have_a_line_each_and_one_command(tmp_path, capsys):
    for number in range(6):
        table(tmp_path / "logs" / f"{number}.csv", {"": number})
    (tmp_path / "logs" / "notes.txt").write_text("nothing to see\n")
    assert main(["inspect", str(tmp_path / "logs")]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.split(": ")[0] for line in lines[:6]] == [str(tmp_path / "logs" / f"{it}.csv") for it in range(6)]
    assert lines[6:] == ["To make signatures of them:", f"  motionsig replay {tmp_path / 'logs'} --to store:mine.db"]
    assert "1 file is no recording" in said.err and "notes.txt" in said.err


def test_logs_that_need_other_answers_have_commands_of_their_own(tmp_path, capsys):
    for number in range(5):
        table(tmp_path / f"{number}.csv", {"": number}, time=number != 3)
    said = inspect(capsys, tmp_path, code=1)
    commands = [line for line in said.splitlines() if line.startswith("  motionsig replay")]
    assert len(commands) == 2
    (asked,) = [line for line in commands if "--option" in line]
    assert [word for word in shlex.split(asked) if word.endswith(".csv")] == [str(tmp_path / "3.csv")]


def test_json_has_every_decision_and_what_reading_showed(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"left": 1, "right": 2}, lost=50)
    (line,) = inspect(capsys, log, "--json").splitlines()
    said = json.loads(line)
    assert [it["name"] for it in said["streams"]] == ["left", "right"]
    whats = {fact["what"] for fact in [*said["facts"], *said["streams"][0]["facts"]]}
    assert {"header", "cells", "clock", "start", "rate", "acceleration", "angular rate", "sign"} <= whats
    assert said["read"]["left"]["samples"] == 1450
    assert said["read"]["right"]["rate_hz"] == pytest.approx(50)
    assert said["commands"] == [f"motionsig replay {log} --to store:mine.db"]


def test_json_has_a_log_that_is_refused(tmp_path, capsys):
    bad = tmp_path / "bad.csv"
    bad.write_text("time_ms,acc_x\n1,2\n2,3\n")
    good = table(tmp_path / "good.csv", {"": 1})
    lines = inspect(capsys, bad, good, "--json", code=1).splitlines()
    assert json.loads(lines[0])["log"] == str(bad) and "acc_y" in json.loads(lines[0])["error"]
    assert json.loads(lines[1])["log"] == str(good)


def test_quick_looks_at_the_beginning_only(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"": 1}, count=20_000)
    log.write_text(log.read_text() + "1,2\n" * 300)
    assert "read through" not in inspect(capsys, log, "--quick")
    said = inspect(capsys, log, code=1)
    assert "broken off" in said and "expected 7 cells, got 2" in said


def test_a_folder_without_a_recording_says_what_is_wrong_with_its_file(tmp_path, capsys):
    (tmp_path / "log.txt").write_text("t a b\n" + "".join(f"{row} {row % 7} 3\n" for row in range(99)))
    assert main(["inspect", str(tmp_path)]) == 1
    assert "log.txt" in capsys.readouterr().err
    (tmp_path / "log.txt").unlink()
    assert main(["inspect", str(tmp_path)]) == 2
    assert "got an empty folder" in capsys.readouterr().err


def test_standard_input_is_a_log(tmp_path, capsys, monkeypatch):
    content = table(tmp_path / "log.csv", {"": 1}).read_bytes()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    said = inspect(capsys, "-")
    assert said.startswith("standard input: csv, one stream\n")
    assert said.endswith("  motionsig replay - --to store:mine.db\n")
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    assert paste(said, tmp_path / "db") == 0
