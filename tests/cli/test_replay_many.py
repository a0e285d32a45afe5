"""Many logs at once: folders, names, labels, what is stored before, several processes."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from processes import children_of, command_of, is_running

import motionsig
from motionsig.blocks import SampleBlock
from motionsig.cli import main
from motionsig.cli.replay.logs import find_logs
from motionsig.recordings.native import Recorder

HEADER = "time[s],acc_x[m/s^2],acc_y[m/s^2],acc_z[m/s^2],gyr_x[rad/s],gyr_y[rad/s],gyr_z[rad/s]"


@pytest.fixture
def folder(motion, tmp_path, monkeypatch):
    """Two people's walks of 10 s under one name, a run in a folder of a folder, and what is no recording."""
    monkeypatch.chdir(tmp_path)
    for seed, path in enumerate(("data/A/walk.csv", "data/B/walk.csv", "data/B/late/run.csv")):
        rows = np.column_stack([1.79e9 + 100 * seed + np.arange(500) / 50, motion(10, 50, seed=seed)])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        np.savetxt(path, rows, delimiter=",", header=HEADER, comments="", fmt="%.6f")
    for path, content in (
        ("data/picture.png", b"\x89PNG\r\n\x1a\n\0\0"),
        ("data/A/.hidden.csv", b""),
        ("data/A/none", b""),
    ):
        (tmp_path / path).write_bytes(content)
    (tmp_path / "data/A/round").symlink_to(tmp_path / "data")
    return tmp_path / "data"


NAMES = ["data/A/walk.csv", "data/B/walk.csv", "data/B/late/run.csv"]


def replay(capsys, *arguments):
    assert main(["replay", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_folder_stands_for_the_recordings_in_it(folder, capsys):
    summary = replay(capsys, "data", "--to", "store:db")
    assert [log["log"] for log in summary["logs"]] == NAMES and summary["signatures"] == 18
    assert summary["left_out"] == ["data/picture.png", "data/A/none"]
    assert summary["stored_before"] == []


def test_each_path_is_replayed_once_however_it_is_named(folder, capsys):
    found = find_logs(["./data/A/walk.csv", "data", "data/B/../A/walk.csv"], {}, {})
    assert [log.name for log in found.logs] == NAMES


def test_notes_beside_logs_are_left_out_and_a_table_that_cannot_be_read_is_not(folder, capsys):
    (folder / "notes.txt").write_text("walked, and ran\n")
    (folder / "setup.json").write_text('{"rate": 50}')
    shutil.copy("data/A/walk.csv", "data/walk.txt")
    shutil.copy("data/A/walk.csv", "data/walk")
    (folder / "short.csv").write_text("time[s],acc_x[g]\n1,2\n")
    found = find_logs(["data"], {}, {})
    assert [log.name for log in found.logs] == ["data/short.csv", "data/walk", "data/walk.txt", *NAMES]
    assert found.others == ["data/notes.txt", "data/picture.png", "data/setup.json", "data/A/none"]


def test_a_text_in_a_folder_is_a_log_where_only_questions_are_left(motion, tmp_path):
    np.savetxt(tmp_path / "log.txt", motion(10, 50), delimiter=",", header="ax,ay,az,gx,gy,gz", comments="")
    np.savetxt(tmp_path / "none.txt", motion(10, 50)[:, :2], delimiter=",", header="height,weight", comments="")
    for options in ({}, {"rate_hz": "50", "acc_unit": "m/s^2", "gyr_unit": "rad/s"}):
        found = find_logs([str(tmp_path)], {}, options)
        assert [log.path.name for log in found.logs] == ["log.txt"] and [Path(it).name for it in found.others] == [
            "none.txt"
        ]


def test_a_recording_that_is_a_folder_is_one_log(motion, tmp_path, capsys):
    phone = tmp_path / "phone"
    phone.mkdir()
    time_ns = 1_790_000_000_000_000_000 + np.arange(500) * 20_000_000
    for name, columns in (("TotalAcceleration", slice(0, 3)), ("Gyroscope", slice(3, 6))):
        rows = [
            f"{t},{i / 50},{z},{y},{x}"
            for i, (t, (x, y, z)) in enumerate(zip(time_ns, motion(10, 50)[:, columns], strict=True))
        ]
        (phone / f"{name}.csv").write_text("time,seconds_elapsed,z,y,x\n" + "\n".join(rows) + "\n")
    assert [log.name for log in find_logs([str(tmp_path)], {}, {}).logs] == [str(phone)]
    before = find_logs([str(phone)], {}, {}).logs[0]
    assert find_logs([str(tmp_path)], {before.key: before.stamp}, {}).stored == [before]
    (phone / "Gyroscope.csv").write_text("other")
    assert find_logs([str(phone)], {before.key: before.stamp}, {}).logs[0].stamp != before.stamp


def test_other_logs_beside_an_app_s_tables_and_below_them_are_logs_too(folder, motion):
    for name, columns in (("TotalAcceleration", slice(0, 3)), ("Gyroscope", slice(3, 6))):
        rows = [f"{i * 20_000_000},{i / 50},{z},{y},{x}" for i, (x, y, z) in enumerate(motion(10, 50)[:, columns])]
        (folder / f"{name}.csv").write_text("time,seconds_elapsed,z,y,x\n" + "\n".join(rows) + "\n")
    (folder / "Annotation.csv").write_text("time,text\n1,lift\n")
    shutil.copy("data/A/walk.csv", "data/walk.csv")
    found = find_logs(["data"], {}, {})
    names = [log.name for log in found.logs]
    assert names == ["data#walk", "data#stream_1", *NAMES] and found.others == ["data/A/none"]
    assert [(str(log.path), log.stream) for log in found.logs[:2]] == [("data", "walk"), ("data", "stream_1")]


def test_names_that_are_no_utf_8_are_names_too(folder, capsys):
    odd = os.fsdecode(b"data/caf\xe9")
    os.mkdir(odd)
    shutil.copy("data/A/walk.csv", odd + "/caf\udce9.csv")
    for stored in ([], ["data/caf\\xe9/caf\\xe9.csv"]):
        summary = replay(capsys, odd, "--to", "store:db", "--labels", "folder")
        assert (summary["stored_before"], len(summary["logs"])) == (stored, 0 if stored else 1)
    assert set(motionsig.read_signatures("store:db").labels.tolist()) == {"caf\\xe9"}


def test_what_cannot_be_listed_costs_itself_alone(folder, monkeypatch, capsys):
    (folder / "itself").symlink_to(folder / "itself")
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("late"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert main(["replay", "data", "--to", "store:db", "--json"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "motionsig: data/B/late: expected a readable folder, got: Permission denied\n"
    assert [log["log"] for log in json.loads(shown.out.splitlines()[-1])["logs"]] == NAMES[:2]


def test_an_empty_name_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "", "--to", "store:db"]) == 2
    assert "LOG: expected a file or a folder, got an empty name" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_log_that_ends_in_a_bad_line_gives_what_came_before_it(folder, motion, jobs, capsys):
    with open("data/A/walk.csv") as log:
        lines = log.read().splitlines()
    body = [f"{1.79e9 + i / 50:.2f},{line.partition(',')[2]}" for i, line in enumerate(lines[1:] * 40)]
    (folder / "A/walk.csv").write_text("\n".join([lines[0], *body, "1.79e9,oops,1,1,1,1,1"]) + "\n")
    assert main(["replay", "data", "--to", "store:db", "--jobs", jobs]) == 1
    assert "number in" in capsys.readouterr().err
    assert len(motionsig.read_signatures("store:db", recording="data/A/walk.csv")) > 100


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_option_or_a_label_that_one_log_cannot_have_costs_no_other(folder, motion, jobs, capsys):
    with Recorder(folder / "native", rate_hz=50, stream_id=3) as recorder:
        recorder.write(SampleBlock(10**18 + np.arange(500) * 20_000_000, motion(10, 50)))
    assert main(["replay", "data", "--to", "store:db", "--jobs", jobs, "--option", "time_unit=s"]) == 1
    assert "expected an option, got" in capsys.readouterr().err
    assert len(motionsig.read_signatures("store:db")) == 18
    (folder / ("x" * 129)).mkdir()
    shutil.copy("data/A/walk.csv", folder / ("x" * 129))
    assert main(["replay", "data", "--to", "store:other", "--jobs", jobs, "--labels", "folder"]) == 1
    assert "expected a label of at most 128 characters" in capsys.readouterr().err
    assert len(motionsig.read_signatures("store:other")) == 24


def test_a_folder_without_recordings_is_said(tmp_path, capsys):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    assert main(["replay", str(tmp_path), "--to", f"store:{tmp_path / 'db'}"]) == 2
    assert "expected a recording, got 1 files of which none is one" in capsys.readouterr().err


def test_what_is_stored_is_not_made_again_until_something_changed(folder, capsys):
    url = "store:db"
    assert replay(capsys, "data", "--to", url)["signatures"] == 18
    again = replay(capsys, "data", "--to", url)
    assert (again["stored_before"], again["logs"], again["signatures"]) == (NAMES, [], 0)
    # Another log, another hop, another label, another name, a change of the file: each is made, and nothing else.
    shutil.copy("data/A/walk.csv", "data/C.csv")
    assert [log["log"] for log in replay(capsys, "data", "--to", url)["logs"]] == ["data/C.csv"]
    for change in (
        ("--hop", "32"),
        ("--labels", "folder"),
        ("--name", "wrist"),
        ("--again",),
        ("--option", "acc_sign=-1"),
    ):
        assert len(replay(capsys, "data", "--to", url, *change, "--option", "check_units=False")["logs"]) == 4, change
    # By now the folders' names stand in the store as labels, which is not what the first replay stored.
    assert len(replay(capsys, "data", "--to", url)["logs"]) == 4
    assert replay(capsys, "data", "--to", url)["logs"] == []
    os.utime("data/A/walk.csv", ns=(0, 0))
    assert [log["log"] for log in replay(capsys, "data", "--to", url)["logs"]] == ["data/A/walk.csv"]
    # A sink that cannot say what it has takes all of it each time.
    for _ in range(2):
        assert replay(capsys, "data", "--to", "file:out")["signatures"] == 24


def test_another_model_makes_all_again(folder, monkeypatch, capsys):
    replay(capsys, "data", "--to", "store:db")
    card = json.loads((motionsig.open_encoder().card.path / "card.json").read_text())
    shutil.copytree(motionsig.open_encoder().card.path, "other")
    (folder.parent / "other/card.json").write_text(
        json.dumps(card | {"max_gap_s": card["max_gap_s"] / 2})  # the golden windows' codes stay
    )
    assert replay(capsys, "data", "--to", "store:db", "--model", "other")["stored_before"] == []


def test_a_log_that_stopped_half_way_is_not_stored(folder, monkeypatch, capsys):
    calls = []

    def publish(sink, signatures):
        calls.append(len(signatures))
        raise motionsig.SinkError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("motionsig.publishers.local.LocalSink.publish", publish)
        assert main(["replay", "data", "--to", "store:db"]) == 1
    assert calls and replay(capsys, "data", "--to", "store:db")["signatures"] == 18


def test_what_differs_from_the_store_is_said_each_time(motion, tmp_path, capsys):
    for name, seed in (("one", 0), ("other", 5)):
        with Recorder(tmp_path / name, rate_hz=50, stream_id=3, device="wrist") as recorder:
            recorder.write(SampleBlock(10**18 + np.arange(500) * 20_000_000, motion(10, 50, seed=seed)))
    replay(capsys, tmp_path / "one", "--to", f"store:{tmp_path / 'db'}")
    for _ in range(2):
        assert main(["replay", str(tmp_path / "other"), "--to", f"store:{tmp_path / 'db'}"]) == 1
        assert "6 that differ from what is there" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", [1, 2])
def test_labels_and_names_come_out_in_the_store(folder, jobs, capsys):
    replay(capsys, "data", "--to", "store:db", "--labels", "folder", "--jobs", jobs)
    stored = motionsig.read_signatures("store:db")
    assert sorted(set(stored.labels.tolist())) == ["A", "B", "late"]
    with motionsig.open_recording("data/A/walk.csv") as log:
        plain = motionsig.signatures(log, motionsig.open_encoder())
        expected = motionsig.concatenate(list(plain))
    assert stored[stored.labels == "A"].codes.tobytes() == expected.codes.tobytes()


def test_labels_of_a_column_are_asked_for_by_name(motion, tmp_path, capsys):
    path = tmp_path / "log.csv"
    rows = [
        f"{i / 50},{','.join(map(str, row))},{'walk' if i < 250 else 'run'}" for i, row in enumerate(motion(10, 50))
    ]
    path.write_text(f"{HEADER},exercise\n" + "\n".join(rows))
    for where, expected in (("exercise", {"walk", "run"}), ("none", None)):
        replay(capsys, path, "--to", f"store:{tmp_path / where}", "--labels", where)
        labels = motionsig.read_signatures(f"store:{tmp_path / where}").labels
        assert (set(labels.tolist()) if labels is not None else None) == expected


def test_several_processes_write_what_one_writes(folder, capsys):
    one, two = replay(capsys, "data", "--to", "file:one"), replay(capsys, "data", "--to", "file:two", "--jobs", 2)
    assert (folder.parent / "one").read_bytes() == (folder.parent / "two").read_bytes()
    for left_out in ("elapsed_s", "realtime_factor"):
        one.pop(left_out), two.pop(left_out)
    assert one == two


def test_one_bad_log_among_several_processes_costs_itself_alone(folder, capsys):
    (folder / "bad.csv").write_text("acc_x[g],acc_y[g]\n1,2\n")
    assert main(["replay", "data", "--to", "store:db", "--jobs", "2"]) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1 and "data/bad.csv:1: expected columns for acc_z" in shown.err
    assert len(motionsig.read_signatures("store:db")) == 18


@pytest.mark.parametrize(
    "given", [("--jobs", "0"), ("--jobs", "2", "--device", "edgetpu"), ("--jobs", "2", "--speed", "1")]
)
def test_what_several_processes_cannot_do_is_refused(folder, given, capsys):
    assert main(["replay", "data", "--to", "store:db", *given]) == 2
    assert "--jobs: expected" in capsys.readouterr().err and not os.path.exists("db")


def _children(process):
    """The processes that make signatures; multiprocessing has one more, which only counts what they share."""
    return [pid for pid in children_of(process.pid) if b"spawn_main" in command_of(pid)]


def _ended(workers):
    """Whether there were such processes, and none is left within a while."""
    deadline = time.monotonic() + 60
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(workers) and not any(map(is_running, workers))


@pytest.fixture
def started(motion, tmp_path, monkeypatch):
    """A replay of twelve long logs by two processes, when the first of them is stored."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("logs")
    data = motion(600, 50)
    for number in range(12):
        with Recorder(f"logs/log{number}", rate_hz=50, stream_id=number) as recorder:
            recorder.write(SampleBlock(10**18 + np.arange(len(data)) * 20_000_000, data))
    command = [sys.executable, "-m", "motionsig", "replay", "logs", "--to", "store:db", "--jobs", "2"]
    default = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=default, start_new_session=True
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not _stored() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert _stored()
            yield process
        finally:
            process.kill()


def _stored():
    with suppress(sqlite3.Error), closing(sqlite3.connect("file:db?mode=ro", uri=True)) as store:
        return store.execute("SELECT count(*) FROM replayed").fetchone()[0]
    return 0


def test_ctrl_c_ends_all_processes_and_the_next_run_goes_on(started, capsys):
    workers = _children(started)
    os.killpg(started.pid, signal.SIGINT)
    assert started.communicate(timeout=60)[1] == "motionsig: interrupted\n" and started.returncode == 130
    assert _ended(workers)
    rest = replay(capsys, "logs", "--to", "store:db")
    assert 0 < len(rest["stored_before"]) < 12 and len(rest["logs"]) == 12 - len(rest["stored_before"])
    assert len(motionsig.read_signatures("store:db")) == 12 * 467


def test_a_process_that_is_killed_is_one_error(started):
    for pid in _children(started):
        os.kill(pid, signal.SIGKILL)
    said = started.communicate(timeout=60)[1]
    assert started.returncode == 1 and said.count("\n") == 1 and "got one that ended" in said and "--jobs" in said


def test_processes_end_with_the_one_that_asked(started):
    workers = _children(started)
    started.kill()
    started.communicate()
    assert _ended(workers)
