"""Locks that the kernel holds: on a byte of a node or on a folder, and who is told (also: sensors/test_owner.py)."""

import os
import subprocess
import sys

import pytest

from motionsig.locks import THIS, TakenError, holder, lock, process_name


@pytest.fixture(params=["folder", "node"])
def place(request, tmp_path):
    path = tmp_path / "it"
    if request.param == "folder":
        path.mkdir()
    else:
        path.touch()
    return path


def test_one_lock_at_a_time(place):
    with lock((place,)) as first:
        assert len(first.files) == 1 and holder((place,)) == THIS
        with pytest.raises(TakenError) as error:
            lock((place,))
        assert error.value.who == THIS
    assert holder((place,)) is None
    lock((place,)).close()


def test_a_program_that_inherits_a_lock_keeps_it(place):
    held = lock((place,))
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=held.files) as child:
        held.close()
        with pytest.raises(TakenError, match=rf"held by process {child.pid}\b"):
            lock((place,))
        child.communicate()
    lock((place,)).close()


def test_a_program_that_does_not_inherit_it_keeps_nothing(place):
    held = lock((place,))
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        held.close()
        lock((place,)).close()
        child.communicate()


def test_processes_that_end_while_an_owner_is_looked_for_are_passed_over(place, monkeypatch):
    """One in a hundred looks met such a one on a busy machine, and a device with an owner was then taken for none."""
    held, list_folder = lock((place,)), os.listdir
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=held.files) as owner,
        subprocess.Popen(command, stdin=subprocess.PIPE) as brief,
    ):
        held.close()

        def listed(path):
            if path == "/proc":
                return [str(brief.pid), str(owner.pid)]
            if path == f"/proc/{brief.pid}/fdinfo":
                brief.communicate()
            return list_folder(path)

        monkeypatch.setattr(os, "listdir", listed)
        with pytest.raises(TakenError, match=rf"held by process {owner.pid}\b"):
            lock((place,))
        assert brief.returncode == 0
        owner.communicate()


def test_what_cannot_be_locked_is_named_and_leaves_nothing_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError) as error:
        lock((tmp_path / "none",))
    assert error.value.filename == str(tmp_path / "none") and len(os.listdir("/proc/self/fd")) == before


def test_a_lock_that_is_forgotten_is_none(place):
    lock((place,))
    lock((place,)).close()


def test_processes_have_names():
    assert process_name(os.getpid()) == THIS and process_name(0) == "another process"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert process_name(child.pid).startswith(f"process {child.pid}")
        child.communicate(b"\n")
