"""motionsig watch: a line for each event, live or in logs, and what there is to say where there is none."""

import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from made import running
from real_heads import moving, still

import motionsig
from motionsig.cli import main
from motionsig.events import from_json
from motionsig.heads.places import write_head

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d[+-]\d\d:\d\d  \w+( began| ended)? +(\d+\.\d (s|min|h))? +score \d\.\d\d"
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder, and two heads."""
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for card in (moving(), still()):
        write_head(card, tmp_path / "heads" / card.name)
    return tmp_path / "here"


@pytest.fixture(autouse=True)
def signals():
    """The command sets these for its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def write_log(path, data):
    np.savez(path, acc_mps2=data[:, :3], gyr_rads=data[:, 3:], rate_hz=50.0, start_ns=1_700_000_000_000_000_000)


@pytest.fixture
def log(motion):
    data = motion(40, 50)
    data[1000:] = np.random.default_rng(0).normal(0, 0.005, (len(data) - 1000, 6)) + np.array([0, 0, 9.81, 0, 0, 0])
    write_log("walk.npz", data)
    return data


def watched(capsys, *arguments):
    code = (
        main(["watch", "--device", "cpu", *arguments]) if "store" not in arguments[0] else main(["watch", *arguments])
    )
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


@pytest.mark.usefixtures("log")
def test_a_log_gives_a_line_for_each_event(capsys):
    code, lines, err = watched(capsys, "walk.npz")
    assert code == 0 and err == "4 events in 40.0 s\n"
    assert len(lines) == 4 and all(LINE.fullmatch(line) for line in lines), lines
    assert [" ".join(line.split()[2:4]) for line in lines[:2]] == ["moving began", "moving ended"]
    code, lines, _ = watched(capsys, "walk.npz", "--head", "still", "--json", "--name", "wrist", "--hop", "16")
    events = [from_json(line.encode()) for line in lines]
    assert events == list(motionsig.watch("walk.npz", "still", device="cpu", name="wrist", hop=16))


def test_several_logs_are_told_apart_and_a_bad_one_stops_none(capsys, log, folder):
    (folder / "logs").mkdir()
    write_log("logs/a.npz", log)
    write_log("logs/b.npz", log[:100])
    (folder / "logs" / "c.csv").write_text("time,acc_x\n1,2\n")
    code, lines, err = watched(capsys, "walk.npz", "logs", "--head", "still")
    assert code == 1 and [line.rpartition("  ")[2] for line in lines] == ["walk.npz"] * 2 + ["logs/a.npz"] * 2
    assert err.count("\n") == 2 and "logs/c.csv" in err and "4 events in 1.4 min" in err.replace("82.0 s", "1.4 min")


def test_where_nothing_is_found_it_is_said(capsys, motion):
    write_log("walk.npz", motion(5, 50))
    assert watched(capsys, "walk.npz", "--head", "still") == (0, [], "no events in 5.0 s\n")


@pytest.mark.usefixtures("log")
def test_a_store_is_watched_without_an_encoder(capsys):
    assert main(["replay", "walk.npz", "--to", "store:s.db", "--name", "wrist", "--device", "cpu"]) == 0
    capsys.readouterr()
    code, lines, err = watched(capsys, "store:s.db", "--head", "still")
    assert code == 0 and len(lines) == 2 and lines[0].endswith("  wrist") and err == "2 events in 38.4 s\n"
    # A state that holds to the end of a device's signatures is that device's.
    assert main(["replay", "walk.npz", "--to", "store:s.db", "--name", "ankle", "--device", "cpu"]) == 0
    capsys.readouterr()
    code, lines, err = watched(capsys, "store:s.db", "--head", "still")
    assert [line.rpartition("  ")[2] for line in lines] == ["ankle", "ankle", "wrist", "wrist"]


@pytest.mark.usefixtures("log")
def test_a_damaged_head_does_not_stop_the_others(capsys, tmp_path):
    (tmp_path / "heads" / "still" / "head.json").write_bytes(b"{")
    write_head(moving("waiting", while_head="gone"), tmp_path / "heads" / "waiting")
    write_head(moving("foreign", encoder=bytes(8)), tmp_path / "heads" / "foreign")
    code, lines, err = watched(capsys, "walk.npz")
    assert code == 0 and len(lines) == 2 and err.count("\n") == 3
    assert "still/head.json: expected JSON" in err and "got 'gone'" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["walkk.npz"], 2, "source: expected a sensor"),
        (["simulated", "walk.npz"], 2, "SOURCE: expected several of logs only, got simulated, walk.npz"),
        (["walk.npz", "--head", "stil"], 1, "head: expected one of moving, running, still"),
        (["walk.npz", "--option", "rate"], 2, "--option: expected KEY=VALUE, got 'rate'"),
        (["simulated", "--option", "rate=5"], 2, "--option: expected an option, got "),
        (["."], 2, ".: expected a recording, got 1 files of which none is one"),
        (["store:none.db", "--head", "still"], 1, "store:none.db: no such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_watched_is_refused_in_a_line(arguments, code, message, capsys, folder):
    (folder / "walk.npz").write_bytes(b"no log")
    got, lines, err = watched(capsys, *arguments)
    assert (got, lines, err.count("\n")) == (code, [], 1) and message in err


def test_without_any_head_it_is_said(capsys, monkeypatch, tmp_path, log):
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "none"))
    monkeypatch.setattr("motionsig.heads.places.shipped_heads", dict)
    code, _, err = watched(capsys, "walk.npz")
    assert code == 1 and "heads: expected heads of encoder " in err and "got none" in err


def test_a_sensor_is_watched_until_it_is_interrupted():
    with running(sys.executable, "-m", "motionsig", "watch", "simulated", "--json", "--device", "cpu") as child:
        first = from_json(child.stdout.readline().encode())
        assert (first.head, first.phase) == ("moving", "began")
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130 and out == ""
    # A machine under load may read the sensor late, which is said, too.
    said = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("motionsig: lsm6dso-"))
    assert re.fullmatch(
        r"watching lsm6dso\S* at 104 Hz for moving, running, still, walking; \^C ends it\n"
        r"1 event in \d+\.\d s\nmotionsig: interrupted\n",
        said,
    ), err


def test_whoever_reads_no_further_ends_it_quietly(log):
    command = f"{sys.executable} -m motionsig watch walk.npz --json --device cpu | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["head"] == "moving" and "Traceback" not in done.stderr
