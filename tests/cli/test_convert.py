"""`motionsig convert` writes a log in another format, with the same samples."""

import gzip
import io
import json
import shlex
import sys
import types

import numpy as np
import pytest
from logs_of_streams import moving, table

import motionsig
from motionsig.cli import main

ENDINGS = ("msig", "parquet", "csv", "mcap")


def samples(path, **options):
    with motionsig.open_recording(path, **options) as source:
        blocks = [block for block in source if len(block)]
    return np.concatenate([it.time_ns for it in blocks]), np.concatenate([it.data for it in blocks])


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_samples_are_the_same(tmp_path, capsys, ending):
    log = table(tmp_path / "log.csv", {"": 1}, lost=50)
    out = tmp_path / f"out.{ending}"
    assert main(["convert", str(log), str(out), "--json"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == f"{out}: 1,450 samples at 50 Hz in 30.0 s, 1 gap; {out.stat().st_size:,} B"
    said = json.loads(last)["written"][0]
    assert (said["out"], said["samples"], said["size"]) == (str(out), 1450, out.stat().st_size)
    assert {"clock", "acceleration", "angular rate", "sign"} <= {fact["what"] for fact in said["facts"]}
    times, data = samples(out)
    expected_times, expected = samples(log)
    assert times.tolist() == expected_times.tolist()
    assert data.tobytes() == expected.tobytes()
    np.testing.assert_allclose(data, np.delete(moving(1), range(500, 550), axis=0), atol=1e-4)


def test_each_stream_has_a_file(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"left foot": 1, "a/b": 2})
    assert main(["convert", str(log), str(tmp_path / "out {stream}.csv")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len([line for line in said if line.startswith("assumed: sign: ")]) == 1
    for name, seed in (("left_foot", 1), ("a_b", 2)):
        np.testing.assert_allclose(samples(tmp_path / f"out {name}.csv")[1], moving(seed), atol=1e-4)


def test_streams_that_would_share_a_file_are_refused(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"a/b": 1, "a b": 2})
    assert main(["convert", str(log), str(tmp_path / "{stream}.csv")]) == 2
    assert "differ by a letter or digit" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [log]


def test_several_streams_need_a_file_each_or_a_choice(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"left": 1, "right": 2})
    assert main(["convert", str(log), str(tmp_path / "out.csv")]) == 2
    said = capsys.readouterr().err
    instead = shlex.split(said[said.index("; write ") + 8 : said.index(", or choose")])
    assert instead == [str(tmp_path / "out-{stream}.csv")]
    assert main(["convert", str(log), *instead]) == 0
    assert {it.name for it in tmp_path.iterdir()} == {"log.csv", "out-left.csv", "out-right.csv"}
    option = shlex.split(said[said.index("--option") :])
    assert main(["convert", str(log), str(tmp_path / "out.csv"), *option]) == 0
    np.testing.assert_allclose(samples(tmp_path / "out.csv")[1], moving(1), atol=1e-4)


def test_a_question_names_the_command_that_converts(tmp_path, capsys):
    log = table(tmp_path / "a log.csv", {"": 1}, time=False)
    out = tmp_path / "o ut.csv"
    assert main(["convert", str(log), str(out)]) == 1
    lines = capsys.readouterr().err.splitlines()
    (command,) = [line.partition("paste: ")[2] for line in lines if "paste: " in line]
    words = shlex.split(command)
    assert words[:2] == ["motionsig", "convert"]
    assert main(words[1:]) == 0
    assert out.exists()


def test_the_log_itself_is_not_written_over(tmp_path, capsys):
    log = table(tmp_path / "log.csv", {"": 1})
    before = log.read_bytes()
    assert main(["convert", str(log), str(log)]) == 2
    assert "expected another file than the log" in capsys.readouterr().err
    assert log.read_bytes() == before


def test_standard_input_may_be_packed(tmp_path, capsys, monkeypatch):
    content = gzip.compress(table(tmp_path / "log.csv", {"": 1}).read_bytes())
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    assert main(["convert", "-", str(tmp_path / "out.csv")]) == 0
    assert samples(tmp_path / "out.csv")[1].tobytes() == samples(tmp_path / "log.csv")[1].tobytes()
