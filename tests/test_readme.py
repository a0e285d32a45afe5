"""The README's Python runs as it stands there."""

import contextlib
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import motionsig

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXTRACT, LIBRARY, NOTEBOOK, SENSOR, LIVE, READER = re.findall(r"```python\n(.*?)```", README, re.S)


def test_the_first_example(capsys):
    exec(EXTRACT, {})
    assert capsys.readouterr().out.startswith("(6, 64) [")


def test_the_library_example_stores_once_however_often_it_runs(motion, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    header = "time,acc_x[m/s^2],acc_y[m/s^2],acc_z[m/s^2],gyr_x[rad/s],gyr_y[rad/s],gyr_z[rad/s]"
    rows = np.column_stack([np.arange(3000) / 100, motion(30, 100)])
    np.savetxt("walk.csv", rows, delimiter=",", header=header, comments="")
    for _ in range(2):
        names = {}
        exec(LIBRARY, names)
        assert len(names["likeness"]) == len(motionsig.read_signatures("store:mine.db")) == 22
    assert "signatures=22" in capsys.readouterr().out


def test_the_notebook_example_says_what_it_made(capsys):
    exec(NOTEBOOK, {})
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("SignatureBatch(22 signatures from ") and rest == [
        "['1970-01-01T00:00:00.000000000'] (22, 66)", "(20, 48)",
    ]  # fmt: skip


def test_the_sensor_example_gives_a_first_block(capsys):
    for _ in range(20):
        exec(SENSOR, {})
        length, gap, rate_hz = capsys.readouterr().out.split()[:3]
        # On a busy machine the first reading may come too soon after the sensor's start, and have no samples yet.
        if int(length):
            break
    assert (int(length) > 0, gap) == (True, "False")
    assert float(rate_hz) == pytest.approx(208, rel=0.1)


def _has_signatures(store):
    try:
        return len(motionsig.read_signatures(f"store:{store}")) > 0
    except motionsig.MotionsigError:
        return False


def test_the_live_example_runs_until_it_is_told_to_end(tmp_path):
    url = f"store:{tmp_path / 'mine.db'}"
    deadline = time.monotonic() + 30
    with subprocess.Popen([sys.executable, "-c", LIVE], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as ended:
        try:
            # A window takes 2.56 s; there is no store before the sensor is open, and at first nothing in it.
            while time.monotonic() < deadline:
                with contextlib.suppress(motionsig.MotionsigError):
                    if len(motionsig.read_signatures(url)):
                        break
                time.sleep(0.1)
            ended.send_signal(signal.SIGTERM)
            assert "windows=" in ended.communicate(timeout=20)[0]
        finally:
            ended.kill()
    assert ended.returncode == 0
    assert len(motionsig.read_signatures(url)) >= 1


def test_the_reader_example_is_a_reader(tmp_path):
    blocks = [(np.arange(200) * 20_000_000, np.ones((200, 6)))]
    names = {"hash_of": lambda path, gain: 7, "decode": lambda path: blocks}
    exec(READER, names)
    reader, path = names["READER"], tmp_path / "log"
    assert (reader.recognises(path, b"BLEEP1"), reader.recognises(path, b"other")) == (3, 0)
    source = reader.open(path, gain=2.0)
    signatures = []
    run = motionsig.run(source, motionsig.open_encoder(), type("Sink", (), {"publish": signatures.append})())
    assert (run.samples, run.windows) == (200, 2)


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^motionsig (\w+) .*(?:store:|mqtt:|motion64|  #)", README, re.M)))
)
def test_commands_shown_are_commands_there_are(command):
    import importlib

    assert importlib.import_module(f"motionsig.cli.{command}").add_to
