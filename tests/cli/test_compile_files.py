"""Where `motionsig compile` puts what it made: all or nothing, whatever fails."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from compiled import COMPILED, COMPILED_NAME, OTHER, compiling, contents
from compiler_logs import BAD_FORMS, GOOD, ON_CPU, stand_in

from motionsig.encoders import shipped_models
from motionsig.model_card import CARD_NAME, MODEL_NAME, load_card


@pytest.fixture
def model(tmp_path):
    """A copy of the shipped model in a folder with a space in its name."""
    return Path(shutil.copytree(shipped_models()["motion64"], tmp_path / "a model"))


@pytest.fixture
def compile_(tmp_path, monkeypatch):
    with compiling(tmp_path, monkeypatch) as run:
        yield run


@pytest.mark.parametrize("log", [BAD_FORMS["internal"][0], BAD_FORMS["silent"][0], ON_CPU, "nonsense"])
@pytest.mark.parametrize("made", [COMPILED, b"junk", None], ids=["made", "junk", "nothing"])
def test_a_failure_leaves_everything_as_it_was(tmp_path, model, compile_, capsys, log, made):
    assert compile_(model) == 0
    before = contents(model)
    capsys.readouterr()
    for arguments in ([model], [model, "-o", tmp_path / "out"]):
        assert compile_(*arguments, log=log, made=made) == 1
        shown = capsys.readouterr()
        assert shown.out == "" and shown.err.startswith("motionsig: ") and shown.err.count("\n") == 1
    assert contents(model) == before and not (tmp_path / "out").exists()


@pytest.mark.parametrize("elsewhere", [True, False], ids=["elsewhere", "in place"])
@pytest.mark.parametrize("full_at", range(1, 6))
def test_a_full_disk_leaves_everything_as_it_was(tmp_path, model, compile_, capsys, monkeypatch, full_at, elsewhere):
    assert compile_(model) == 0
    before, written = contents(model), []

    def fsync(descriptor):
        written.append(descriptor)
        if len(written) == full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    out = tmp_path / "deep" / "out"
    # In place there are two files to write, elsewhere all five.
    fails = elsewhere or full_at <= 2
    assert compile_(model, *(["-o", out] if elsewhere else []), made=OTHER) == fails
    if fails:
        assert "No space left on device" in capsys.readouterr().err
        assert contents(model) == before and not out.parent.exists()
    else:
        assert load_card(model).compiled_bytes() == OTHER


@pytest.mark.parametrize("elsewhere", [True, False], ids=["elsewhere", "in place"])
@pytest.mark.parametrize("fails_at", range(1, 6))
@pytest.mark.parametrize("error", [PermissionError(errno.EPERM, "Not permitted"), KeyboardInterrupt])
def test_a_file_that_cannot_take_its_place_brings_the_old_ones_back(
    tmp_path, model, compile_, monkeypatch, fails_at, elsewhere, error
):
    out = tmp_path / "out" if elsewhere else model
    assert compile_(model, "-o", out) == 0
    (out / "README.md").unlink()  # a file that was not there is not there again
    before, replaced, replace = contents(out), [], Path.replace

    def failing(path, target):
        if path.suffix == ".part":
            replaced.append(target)
            if len(replaced) == fails_at:
                raise error
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    fails = elsewhere or fails_at <= 2
    failure = 130 if error is KeyboardInterrupt else 1
    assert compile_(model, "-o", out, made=OTHER) == (failure if fails else 0)
    assert not fails or contents(out) == before


@pytest.mark.parametrize("name", ["README.md", "golden.npz", MODEL_NAME, COMPILED_NAME])
def test_a_folder_in_a_files_place_is_seen_before_anything_is_written(tmp_path, model, compile_, capsys, name):
    out = tmp_path / "out"
    (out / name).mkdir(parents=True)
    assert compile_(model, "-o", out) == 1
    shown = capsys.readouterr().err
    assert f"{out / name}: expected a file or nothing, got a folder" in shown and shown.count("\n") == 1
    assert list(out.iterdir()) == [out / name]


def test_a_model_without_a_card_does_not_touch_another_models_files(tmp_path, model, compile_, capsys):
    assert compile_(model) == 0
    before = contents(model)
    lone = tmp_path / "lone" / MODEL_NAME
    lone.parent.mkdir()
    lone.write_bytes((model / MODEL_NAME).read_bytes())
    capsys.readouterr()
    assert compile_(lone, "-o", model, made=OTHER) == 2
    assert "expected a folder without a card.json" in capsys.readouterr().err and contents(model) == before
    # Nor does another file of a model's folder.
    shutil.copy(lone, model / "other.tflite")
    assert compile_(model / "other.tflite") == 2
    assert not (model / "other_edgetpu.tflite").exists()


def test_a_compiled_file_of_another_name_goes_once_the_new_one_is_there(model, compile_):
    assert compile_(model) == 0
    card = json.loads((model / CARD_NAME).read_text())
    card["compiled"]["file"] = "old_edgetpu.tflite"
    card["files"]["old_edgetpu.tflite"] = card["files"].pop(COMPILED_NAME)
    (model / CARD_NAME).write_text(json.dumps(card))
    (model / COMPILED_NAME).rename(model / "old_edgetpu.tflite")
    assert compile_(model, made=OTHER) == 0
    assert load_card(model).compiled_bytes() == OTHER and not (model / "old_edgetpu.tflite").exists()
    assert "old_edgetpu.tflite" not in load_card(model).text["files"]


def test_compilations_into_one_folder_wait_for_each_other(tmp_path, model):
    out, running = tmp_path / "out", []
    for number, made in enumerate((COMPILED, OTHER) * 3):
        compiler = stand_in(tmp_path / f"tools {number}" / "edgetpu_compiler", GOOD, made)
        command = [sys.executable, "-m", "motionsig.cli", "compile", model, "-o", out, "--compiler", compiler]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert errors == [""] * 6
    assert load_card(out).compiled_bytes() in (COMPILED, OTHER) and load_card(out).golden()
    assert set(contents(out)) == {CARD_NAME, MODEL_NAME, "golden.npz", "README.md", COMPILED_NAME}


def test_a_folder_in_use_is_waited_for(tmp_path, model):
    compiler = stand_in(tmp_path / "tools" / "edgetpu_compiler", GOOD, COMPILED)
    descriptor = os.open(model, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    command = [sys.executable, "-m", "motionsig.cli", "compile", model, "--compiler", compiler]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    assert load_card(model).compiled is None
    os.close(descriptor)
    assert process.wait(60) == 0 and load_card(model).compiled_bytes() == COMPILED


def test_out_leads_nowhere(tmp_path, model, compile_, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "dangling", tmp_path / "dangling" / "below"):
        assert compile_(model, "-o", out) == 2
        shown = capsys.readouterr().err
        assert "OUT: expected a folder" in shown and "is a file or leads nowhere" in shown and shown.count("\n") == 1


def test_out_is_another_models_folder(tmp_path, model, compile_, capsys):
    other = shutil.copytree(model, tmp_path / "other")
    card = json.loads((other / CARD_NAME).read_text())
    (other / CARD_NAME).write_text(json.dumps(card | {"name": "other", "max_gap_s": 0.04}))
    before = contents(other)
    assert compile_(model, "-o", other) == 2
    assert "folder for motion64" in capsys.readouterr().err and contents(other) == before
    # The model's own folder, by another way to it.
    (tmp_path / "link").symlink_to(model)
    assert compile_(model, "-o", tmp_path / "link") == 0
    assert load_card(model).compiled_bytes() == COMPILED


def test_a_folder_that_cannot_be_written(model, compile_, capsys):
    assert compile_(model, "-o", "/proc/nothing/here") == 1
    shown = capsys.readouterr().err
    assert "/proc" in shown and shown.count("\n") == 1


AS_NOBODY = """
import os, sys
from motionsig.cli import main
from motionsig.encoders import shipped_models
main(["compile", "--check", sys.argv[1]])  # imports all, from where nobody may be let in
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    shipped_models(), os.listdir(sys.argv[1])
except PermissionError:
    sys.exit(77)
sys.exit(main(["compile", sys.argv[1]]))
"""


def test_a_read_only_folder():
    """Root writes into it all the same, so that a child gives root up; in a folder that it can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        model = Path(shutil.copytree(shipped_models()["motion64"], Path(name) / "m"))
        model.chmod(0o555)
        before = contents(model)
        tried = subprocess.run([sys.executable, "-c", AS_NOBODY, model], capture_output=True, text=True)
        if tried.returncode == 77:
            pytest.skip("run by root where only root can read")
        assert tried.returncode == 1 and "got a read-only one" in tried.stderr and tried.stderr.count("\n") == 1
        assert contents(model) == before
        model.chmod(0o755)


def test_an_interrupt_leaves_nothing(tmp_path, model):
    before = contents(model)
    compiler = stand_in(tmp_path / "tools" / "compiler", GOOD, COMPILED, before="sleep 60 & echo $! >child; wait")
    work = tmp_path / "work"
    work.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "motionsig.cli", "compile", str(model), "--compiler", str(compiler)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(work)},
    )
    child, end = compiler.parent / "child", time.monotonic() + 60
    while not (child.exists() and child.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "motionsig: interrupted\n" and process.returncode == 130
    assert list(work.iterdir()) == [] and contents(model) == before
