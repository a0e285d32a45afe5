"""Each recipe of systemd/recipes does what it says, command by command, on motion that is made up here."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from checked_commands import PROGRAMS
from documents import DOCUMENTS, read_document
from in_process import MadeSensor, running
from made import wait_until
from shell_lines import commands_of

import motionsig
from motionsig.blocks import sample_block
from motionsig.cli import main, teach
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.daemon import loop
from motionsig.sensors.simulated import walking

PAGE = DOCUMENTS["systemd/recipes/README.md"]
RATE_HZ = 100
STORE = "store:/var/lib/motionsig/signatures.db"
START_NS = 1_700_000_000 * 10**9


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """A machine without heads of its owner, and an empty folder to work in."""
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "MOTIONSIG_HEADS"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setattr(loop, "_HEARTBEAT_S", 0.05)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def rest(seconds, *, seed=0):
    """Return samples of a sensor that lies still, with its noise."""
    noise = np.random.default_rng(seed).normal(0, 1, (round(seconds * RATE_HZ), 6)) * np.repeat([0.02, 0.001], 3)
    return noise + np.array([0, 0, STANDARD_GRAVITY, 0, 0, 0])


def vibration(seconds, hz, strength):
    """Return samples of a casing that vibrates."""
    data = rest(seconds)
    data[:, 0] += strength * np.sin(2 * np.pi * hz * np.arange(len(data)) / RATE_HZ)
    return data


def turn(seconds, axis, rate, times=1.0):
    """Return samples of a sensor that is turned about one of its axes, and back where `times` is more than a half."""
    data = rest(seconds)
    swing = np.sin(2 * np.pi * times * np.arange(len(data)) / len(data))
    data[:, 3 + axis] += rate * swing
    data[:, (axis + 1) % 3] += 0.5 * rate * swing
    return data


def lesson(performance, times=3):
    return np.concatenate([rest(3), *[performance, rest(2.5)] * times])


def steps(seconds):
    """Return samples of the simulated person who walks."""
    serials = np.arange(round(seconds * RATE_HZ))
    return walking(serials, serials * (10**9 // RATE_HZ))


def write_log(path, data):
    with motionsig.Recorder(path, rate_hz=RATE_HZ, stream_id=1) as log:
        log.write(sample_block(START_NS + np.arange(len(data)) * (10**9 // RATE_HZ), data.astype(np.float32)))


def follow(anchor, capsys, **logs):
    """Run the commands of a section as they stand; return what each motionsig command printed, and its TOML.

    logs: what the sensor gives, by the file that it is recorded to or the head that it teaches. The service's store is
    one in this folder; `watch auto` is left out.
    """
    section = read_document("section.md", PAGE.section(anchor))
    printed, toml = {}, ""
    for block in section.blocks:
        for command in commands_of(block, PROGRAMS):
            words = [word.replace(STORE, "store:signatures.db") for word in command.words]
            toml += command.text
            if words[:2] == ["motionsig", "record"]:
                write_log(Path(words[-1]), logs[Path(words[-1]).stem.rstrip("123")])
            elif words[0] == "motionsig" and words[1] != "run" and "auto" not in words:
                capsys.readouterr()
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(teach, "open_chosen", lambda options: Played(logs[options.name.rpartition("-")[2]]))
                    assert main(words[1:]) == 0, words
                printed[" ".join(words[1:])] = capsys.readouterr().out
            else:
                assert words[0] in ("tee", "systemctl") or words[1] in ("run", "watch"), words
    return printed, toml


class Played(MadeSensor):
    """A log as fast as it is taken, then a sensor that gives nothing."""

    def __init__(self, data):
        super().__init__(lambda seconds, rate_hz: np.zeros((1, 6)))
        self.rate_hz = self.true_rate_hz = float(RATE_HZ)
        self._data = data

    def __iter__(self):
        time_ns = START_NS + np.arange(len(self._data)) * (10**9 // RATE_HZ)
        for first in range(0, len(self._data), RATE_HZ):
            rows = slice(first, first + RATE_HZ)
            yield sample_block(time_ns[rows], self._data[rows].astype(np.float32))
        empty = super().__iter__()
        self.quiet.set()
        yield from empty


def served(toml, data, count, tmp_path):
    """Let the service have a recipe's configuration; return its `count` events, and those that programs got."""
    called, program = tmp_path / "called", tmp_path / "curl"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$MOTIONSIG_EVENT" >>{called}\n')
    program.chmod(0o755)
    url = f"store:{tmp_path}/served.db"
    text = f'name = "pi"\n[sink]\nurl = "{url}"\n' + toml.replace("/usr/bin/curl", str(program))

    def stored():
        try:
            return motionsig.read_events(url)
        except motionsig.SinkError:
            return []  # it is not made yet

    with running(tmp_path, text, Played(data)) as daemon:
        wait_until(lambda: len(stored()) >= count, 120)  # of a quarter of an hour in a few seconds
        assert daemon.status["windows_lost"] == 0
    started = called.read_text().splitlines() if called.exists() else []
    return stored(), [json.loads(line) for line in started]


def lines_of(printed):
    """Return the lines of `watch`, each as what happened and how long it lasted."""
    return [re.sub(r" +", " ", line).split(" ", 2)[2].split(" score")[0] for line in printed.splitlines()]


def test_the_washing_machine_is_done_once_and_its_longest_pause_is_shown(capsys, tmp_path):
    # It spins faster than signatures can show.
    spin, pause = vibration(150, 37, 1.0), rest(250)
    wash = np.concatenate([rest(20), vibration(150, 8, 1.0), pause, spin, pause, spin, rest(30)])
    printed, toml = follow("the-washing-machine-is-done", capsys, wash=wash)
    said = printed["teach washing --state moving --least-s 900 --hold-s 300"]
    assert "it is told to have begun after 15.0 min of it, and to have ended after 5.0 min without\n" in said
    pauses = lines_of(printed["watch wash.msig --head ./pauses"])
    lasted = [line.split()[2:] for line in pauses if "ended" in line]
    assert len(lasted) == 2 and all(unit == "min" and abs(float(count) - 250 / 60) < 0.1 for count, unit in lasted)
    assert [line.split()[1] for line in lines_of(printed["watch wash.msig --head washing"])] == ["began", "ended"]
    # What the service tells when it is stopped: the hold is longer than this test.
    events, started = served(toml, wash, 1, tmp_path)
    assert [(event.head, event.phase) for event in events] == [("washing", "began"), ("washing", "ended")]
    assert [event["phase"] for event in started] == ["ended"]
    # Who takes the laundry out does not wash.
    write_log(Path("unload.msig"), np.concatenate([rest(10), vibration(20, 3, 5.0), rest(200), vibration(40, 3, 5.0)]))
    assert list(motionsig.watch("unload.msig", "washing")) == []


def test_three_gestures_start_three_programs(capsys, tmp_path):
    made = {"on": turn(1.0, 0, 5.0), "off": turn(1.6, 2, 3.0, 4), "scene": vibration(1.2, 5, 12.0)}
    printed, toml = follow("three-gestures", capsys, **{name: lesson(one) for name, one in made.items()})
    for words, text in printed.items():
        assert "3 of 3 (" in text and "false alarms an hour" in text
        assert f"{words.split()[1]}: found 3 of 3\n" in text
    performed = np.concatenate([rest(4), *[np.concatenate([made[name], rest(4)]) for name in ("off", "on", "scene")]])
    events, started = served(toml, performed, 3, tmp_path)
    assert [event.head for event in events] == ["lamp-off", "lamp-on", "lamp-scene"]
    assert sorted(event["head"] for event in started) == ["lamp-off", "lamp-on", "lamp-scene"]


def test_a_door_that_opens_is_not_one_that_closes(capsys, tmp_path):
    made = {"open": turn(2.0, 2, 1.2, 0.5), "close": turn(2.0, 2, -1.2, 0.5)}
    _, toml = follow("a-door", capsys, **{name: lesson(one, 1) for name, one in made.items()})
    moved = np.concatenate([rest(4), made["open"], rest(5), made["close"], rest(5), made["open"], rest(5)])
    events, _ = served(toml, moved, 3, tmp_path)
    assert [event.head for event in events] == ["door-opened", "door-closed", "door-opened"]


def test_walking_time_is_the_same_from_the_store_and_from_a_log(capsys, tmp_path):
    day = np.concatenate([rest(20), steps(60), rest(30), steps(45), rest(20)])
    _, toml = follow("walking-time-a-day", capsys)
    events, _ = served(toml, day, 4, tmp_path)
    assert [event.phase for event in events] == ["began", "ended"] * 2
    (sql,) = (block.content for block in PAGE.blocks if block.language == "sql")
    with sqlite3.connect(tmp_path / "served.db") as store:
        ((_, minutes),) = store.execute(sql).fetchall()
    write_log(Path("day.msig"), day)
    (python,) = (block.content for block in PAGE.blocks if block.language == "python")
    names = {}
    exec(compile(python, "page", "exec"), names)
    assert list(names["minutes"].values()) == [pytest.approx(minutes, abs=0.01)]
    # A bout is told longer than it is by at most one window at either end.
    assert 105 / 60 - 0.1 < minutes < (105 + 4 * 2.56) / 60


def test_what_never_was_in_normal_life_is_unlike_it(capsys, tmp_path):
    write_log(Path("days.msig"), usual(126 * 60))
    assert main(["replay", "days.msig", "--to", "store:signatures.db", "--device", "cpu"]) == 0
    printed, toml = follow("unlike-yesterday", capsys)
    assert "false alarms an hour" in printed["teach unlike --normal store:signatures.db --most-an-hour 1"]
    odd = np.concatenate([usual(60, seed=9), lesson(turn(2.0, 0, 6.0, 5), 6), usual(60, seed=8)])
    events, _ = served(toml, odd, 2, tmp_path)
    assert [event.phase for event in events] == ["began", "ended"]
    assert abs((events[0].start_ns - START_NS) / 1e9 - 60) < 6


def usual(seconds, *, seed=0):
    """Return samples of somebody who walks, stands and types in turn, never twice in the same way."""
    rng, walked, pieces = np.random.default_rng(seed), steps(2000), []
    while sum(map(len, pieces)) < seconds * RATE_HZ:
        lasts = rng.integers(15, 45)
        begin, count = rng.integers(0, len(walked) - lasts * RATE_HZ), lasts * RATE_HZ
        walks = walked[begin : begin + count] * np.concatenate([rng.uniform(0.95, 1.05, 3), rng.uniform(0.7, 1.3, 3)])
        stands = rest(lasts) + rng.normal(0, rng.uniform(0.1, 0.2), (count, 6)) * np.repeat([1, 0.1], 3)
        pieces += [walks, stands, vibration(lasts, rng.uniform(3, 5), rng.uniform(0.3, 0.7))]
    return np.concatenate(pieces)[: round(seconds * RATE_HZ)]
