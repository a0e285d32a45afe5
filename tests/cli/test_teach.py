"""`motionsig teach`: live on a simulated chip, whose clock runs as fast as it is read, and from logs."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from made_lessons import lesson

import motionsig
from motionsig.blocks import SampleBlock
from motionsig.cli import main
from motionsig.heads.expectation import expectation
from motionsig.heads.places import owned_heads
from motionsig.sensors import open_sensor
from motionsig.sensors.simulated import VirtualClock

THREE = (3, (1, 5), 3, (1, 5), 3, (1, 5), 3)


@pytest.fixture(autouse=True)
def heads(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)  # pytest keeps its own
    return tmp_path / "heads"


@pytest.fixture
def log(tmp_path):
    return save(tmp_path / "lesson.npz")


def save(path, *parts, scale=1.0):
    data = lesson(*(parts or THREE))
    np.savez(path, acc_mps2=data[:, :3] * scale, gyr_rads=data[:, 3:], rate_hz=50)
    return str(path)


@pytest.fixture
def live(monkeypatch):
    """Have teach open a simulated sensor whose clock is virtual; a function that changes its blocks may be given."""

    def use(change=None):
        def open_chosen(options):
            sensor = open_sensor(options.sensor, clock=VirtualClock())
            if change is not None:
                run = sensor._run
                monkeypatch.setattr(sensor, "_run", lambda turn: change(run(turn)))
            return sensor

        monkeypatch.setattr("motionsig.cli.teach.open_chosen", open_chosen)

    use()
    return use


@pytest.fixture
def teach(capsys):
    """Run a command; return its code, what it said and its error."""

    def run(*words):
        code = main(["teach", *map(str, words)])
        said = capsys.readouterr()
        # On a slow machine lines say what is waited for, too.
        assert said.err.count("motionsig: ") <= 1, said.err
        return code, said.out, said.err

    return run


def test_a_live_lesson_says_what_to_do_and_what_it_found(teach, live, heads):
    code, said, _ = teach("turn", "--sensor", "simulated:lesson")
    lines = said.splitlines()
    assert code == 0
    assert lines[0] == "lsm6dso-simulated-6a: hold still for 2 s ... (60 s without a motion end the lesson)"
    assert lines[1] == "now perform 'turn' 3 times, with a rest of a second after each"
    assert [line.split(" (")[0] for line in lines[2:5]] == ["1 of 3", "2 of 3", "3 of 3"]
    assert lines[5] == "turn: found 3 of 3" and lines[6].startswith("expect ")
    assert f": {heads / 'turn'}" in lines[-2] and lines[-2].startswith("ready in ")
    assert lines[-1] == "try it: motionsig watch simulated:lesson --head turn"
    # It finds that motion in the same sensor.
    sensor, encoder = open_sensor("simulated:lesson", clock=VirtualClock()), motionsig.open_encoder(device="cpu")
    head, found = motionsig.open_head("turn"), []
    for batch in motionsig.signatures(sensor, encoder, hop=8):
        found += head.judge(batch)
        if len(found) == 3:
            break
    assert np.diff([event.start_ns for event in found]) / 1e9 == pytest.approx(4, abs=0.4)


def test_times_and_better(teach, live):
    code, said, _ = teach("turn", "--sensor", "simulated:lesson", "--times", 1)
    assert code == 0 and "now perform 'turn' once" in said and "turn: one performance" in said
    code, said, _ = teach("turn", "--sensor", "simulated:lesson", "--times", 2, "--better")
    assert code == 0 and "turn: found 3 of 3" in said


def test_a_sensor_that_never_rests_ends_in_a_minute_with_a_line_that_says_what_to_do(teach, live, heads):
    code, said, error = teach("turn", "--sensor", "simulated")
    assert code == 1 and not heads.joinpath("turn").exists()
    assert "not used (6" in said and "rest before and after it" in said
    assert "head turn: expected a motion between two rests, got none in 6" in error
    assert "hold still for a second before and after each, and try again" in error


def test_a_sensor_that_falls_silent(teach, live):
    def silent(blocks):
        yield next(block for block in blocks if len(block))
        while True:
            yield SampleBlock(np.empty(0, np.int64), np.empty((0, 6), np.float32))

    live(silent)
    code, said, error = teach("turn", "--sensor", "simulated:lesson")
    assert code == 1 and "does not answer any more; see `motionsig doctor`" in said and "expected a motion" in error


def interrupted_after(seconds):
    def change(blocks):
        first_ns = None
        for block in blocks:
            first_ns = first_ns or (int(block.time_ns[0]) if len(block) else None)
            yield block
            if first_ns and len(block) and block.time_ns[-1] - first_ns > seconds * 1e9:
                raise KeyboardInterrupt

    return change


def test_an_interrupt_ends_a_lesson_with_what_there_is(teach, live, heads):
    live(interrupted_after(10))
    code, said, _ = teach("turn", "--sensor", "simulated:lesson")
    assert code == 0 and "2 of 3" in said and "turn: found 2 of 2" in said
    live(interrupted_after(1))
    code, _, error = teach("other", "--sensor", "simulated:lesson")
    assert (code, error) == (130, "motionsig: interrupted\n") and not (heads / "other").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_however_it_is_ended_nothing_half_is_left(tmp_path, number):
    command = [sys.executable, "-m", "motionsig.cli", "teach", "turn", "--sensor", "simulated"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert "hold still" in process.stdout.readline()
        time.sleep(0.2)
        os.kill(process.pid, number)
        try:
            error = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 130 and error.splitlines()[-1] == "motionsig: interrupted"
    assert owned_heads() == {}


def test_from_logs(teach, log, tmp_path, heads):
    other = save(tmp_path / "other.npz", 3, (1, 5), 3, (1, 5))
    code, said, _ = teach("turn", "--from", log, f"{other}@0-6", "--from", other)
    assert code == 0 and "turn: found 5 of 5" in said
    assert f"not used: {other} at 6.9 s: it is cut off where the lesson ends: rest before and after it" in said
    assert "try it: motionsig watch auto --head turn" in said


def test_every_option_is_taken(teach, log, tmp_path, live):
    moves = save(tmp_path / "moves.npz", (20, 5))
    assert teach("machine", "--state", "moving", "--hold-s", 4)[0] == 0
    assert teach("first", "--from", log)[0] == 0
    code, _, error = teach(
        *("turn", "--from", log, "--not", f"{moves}@2-8", "--normal", moves, "--most-an-hour", 1, "--least-s", 0.5),
        *("--most-s", 3, "--hold-s", 1, "--while", "machine", "--after", "first:5", "--into", tmp_path / "else"),
        *("--model", "motion64", "--option", "check_units=False"),
    )
    assert (code, error) == (0, "")
    card = motionsig.open_head(tmp_path / "else" / "turn").card
    assert (card.timing.least_s, card.timing.most_s, card.timing.hold_s) == (0.5, 3, 1)
    assert (card.while_head, card.after) == ("machine", ("first", 5)) and len(card.taught.against)
    assert teach("turn", "--better", "--from", log, "--into", tmp_path / "else")[0] == 0
    assert motionsig.open_head(tmp_path / "else" / "turn").card.measured["given"] == 6
    code, said, _ = teach("live", "--sensor", "simulated:lesson", "--times", 1, "--normal", moves)
    assert code == 0 and "h of your own days" in said


def test_labels(teach, tmp_path):
    logs = []
    for what, rate in (("walk", 5), ("sit", 0.3)):
        (tmp_path / what).mkdir()
        logs += [save(tmp_path / what / f"{number}.npz", (40 + number, rate)) for number in range(3)]
    code, said, _ = teach("walk", "--from", *logs, "--labels", "folder")
    assert code == 0 and "walk: its events cover " in said
    assert teach("idle", "--from", *logs, "--labels", "folder", "--label", "sit")[0] == 0


def test_a_name_that_is_taken_is_kept(teach, log, heads, tmp_path):
    assert teach("turn", "--from", log)[0] == 0
    before = {path.name: path.read_bytes() for path in (heads / "turn").iterdir()}
    code, _, error = teach("turn", "--from", log)
    assert code == 1 and "--better adds to it, `motionsig heads remove turn` forgets it" in error
    assert {path.name: path.read_bytes() for path in (heads / "turn").iterdir()} == before
    assert teach("turn", "--from", log, "--into", tmp_path)[0] == 0
    code, _, error = teach("turn", "--from", log, "--into", tmp_path)
    assert code == 1 and "expected a new name, got that of a head that is there" in error
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text").write_text("mine")
    code, _, error = teach("mine", "--from", log, "--into", tmp_path)
    assert code == 1 and (tmp_path / "mine" / "text").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["a b", "--state", "still"], 2, "NAME: expected 1 to 64 of"),
        (["turn", "--times", "0"], 2, "--times: expected a number from 1 up, got 0"),
        (["turn", "--times", "2", "--state", "still"], 2, "--times: expected it for a live lesson"),
        (["turn", "--labels", "activity"], 2, "--labels: expected logs with labels"),
        (["turn", "--label", "x"], 2, "--label: expected it with --labels"),
        (["turn", "--option", "x"], 2, "--option: expected KEY=VALUE, got 'x'"),
        (["turn", "--after", "knock"], 2, "--after: expected HEAD:SECONDS, as in knock:10, got 'knock'"),
        (["turn", "--after", "knock:5"], 1, "head: expected one of"),
        (["turn", "--while", "nothing"], 1, "head: expected one of"),
        (["turn", "--better"], 1, "head: expected one of"),
        (["turn", "--most-an-hour", "0"], 2, "most_an_hour: expected a number above 0"),
        (["turn", "--least-s", "nan"], 2, "least_s: expected seconds"),
        (["turn", "--state", "still", "--most-s", "3"], 2, "most_s: expected none for a state"),
        (["turn", "--state", "flying"], 2, "invalid choice: 'flying'"),
        (["turn", "--from", "missing.npz"], 1, "missing.npz: expected a readable recording"),
        (["turn", "--model", "nothing"], 1, "model: expected one of"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_before_any_sensor_is_opened(words, code, said, capsys, monkeypatch):
    monkeypatch.setattr("motionsig.cli.teach.open_chosen", lambda options: pytest.fail("a sensor was opened"))
    try:
        got = main(["teach", *words])
    except SystemExit as ended:
        got = ended.code
    error = capsys.readouterr().err
    assert got == code and said in error and error.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_said_before_the_lesson(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("motionsig.cli.teach.open_chosen", lambda options: pytest.fail("a sensor was opened"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert main(["teach", "turn", "--into", str(tmp_path / "new")]) == 1
    assert (
        "expected a folder that heads can be written to, got one that is read-only: try --into"
        in capsys.readouterr().err
    )


def test_a_full_disk_is_a_line_and_leaves_the_former_head(log, heads):
    command = [sys.executable, "-m", "motionsig.cli", "teach", "turn", "--from", log]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    before = motionsig.open_head("turn").card.fingerprint
    done = subprocess.run(
        [*command, "--better"],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert done.returncode == 1 and "expected to write a head, got: File too large" in done.stderr.splitlines()[-1]
    assert motionsig.open_head("turn").card.fingerprint == before
    assert [path.name for path in (heads / "turn").iterdir() if path.name.startswith(".")] == []


def test_two_at_once_leave_one_whole_head(log):
    command = [sys.executable, "-m", "motionsig.cli", "teach", "turn", "--from", log]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes and set(codes) <= {0, 1}
    assert all(code == 0 or "expected a new name" in error for code, error in zip(codes, errors, strict=True))
    assert motionsig.open_head("turn").card.measured["given"] == 3


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ({"given": 3, "found": 2}, ["turn: found 2 of 3"]),
        ({"given": 1, "found": None}, ["turn: one performance: nothing to compare it with"]),
        (
            {"false_alarms_an_hour": [0.01, 0.0, 0.05], "hours": 50, "from": "life", "would_fire_at": []},
            ["expect less than 0.05 false alarms an hour, with 95 % certainty, from life"],
        ),
        (
            {"false_alarms_an_hour": [0.5, 0.2, 1.5], "hours": 50, "from": "life", "would_fire_at": ["a\x1b", "b"]},
            ["expect 0.5 false alarms an hour (0.2 to 1.5), with 95 % certainty, from life", "it would fire at: a?, b"],
        ),
        ({}, ["turn: a state, of which nothing has to be learned"]),
    ],
)
def test_what_to_expect_in_words(measured, expected):
    from types import SimpleNamespace

    said = expectation(SimpleNamespace(name="turn", kind="state", is_state=False, measured=measured))
    assert [line.replace("\\x1b", "?") for line in said] == expected
