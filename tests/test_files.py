"""Files replaced whole, read with a limit, locked by one process."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from motionsig import files
from motionsig.files import lock_file, locked_folder, read_file, replace_file, sync_folder, write_all, write_file


def test_a_file_is_read_up_to_its_limit(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"12345")
    assert read_file(file, 5)[0] == b"12345" and read_file(file, 5)[1].st_size == 5
    with pytest.raises(OSError, match="5 bytes, more than 4") as caught:
        read_file(file, 4)
    assert caught.value.errno == errno.EFBIG


def test_what_never_ends_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(OSError, match="a folder, pipe or device"):
            read_file(path, 10)
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError) as caught:
        read_file(tmp_path / "round", 10)
    assert caught.value.errno == errno.ELOOP


def test_a_file_that_waits_for_more_is_refused_at_once():
    """As /proc/kmsg does, a regular file whose bytes nobody else gets once they are read: so not with that one."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    os.write(writer, b"first")
    with open(reader, "rb", buffering=0) as file, pytest.raises(OSError, match="a file that has no end"):
        files._read(file, 10, "kmsg")
    os.close(writer)


def test_a_file_that_states_another_size_is_read():
    assert read_file("/proc/self/cmdline", 1 << 16)[0]
    assert read_file("/sys/kernel/mm/transparent_hugepage/enabled", 64)[0]  # states 4096 bytes


def test_a_link_is_followed_only_where_asked(tmp_path):
    (tmp_path / "f").write_bytes(b"1")
    (tmp_path / "link").symlink_to("f")
    assert read_file(tmp_path / "link", 9)[0] == b"1"
    with pytest.raises(OSError, match="a symbolic link"):
        read_file(tmp_path / "link", 9, follow_links=False)


def test_a_replaced_file_has_its_content_and_mode_and_leaves_nothing_beside_it(tmp_path):
    file = tmp_path / "new" / "f"
    old_mask = os.umask(0o077)
    try:
        replace_file(file, b"one")
        replace_file(file, b"two", mode=0o600)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        replace_file(file, b"three")
    finally:
        os.umask(old_mask)
    assert file.read_bytes() == b"three" and stat.S_IMODE(file.stat().st_mode) == 0o644
    assert os.listdir(file.parent) == ["f"]


def test_what_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path, monkeypatch):
    file = tmp_path / "f"
    replace_file(file, b"old")
    for call in ("fsync", "write", "replace"):
        with monkeypatch.context() as patch:

            def fails(*_):
                raise OSError(errno.EIO, "broken")

            patch.setattr(os, call, fails)
            with pytest.raises(OSError, match="broken"):
                replace_file(file, b"new")
        assert file.read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def kind(fd):
        return "folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"

    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(f"{kind(fd)} on the disk"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("renamed"), replace(*paths)))
    replace_file(tmp_path / "f", b"1")
    assert done == ["file on the disk", "renamed", "folder on the disk"]


def test_a_disk_without_modes_takes_files(tmp_path, monkeypatch):
    def refuses(*_):
        raise PermissionError(errno.EPERM, "no modes here")  # a FAT disk that root has mounted

    monkeypatch.setattr(os, "fchmod", refuses)
    replace_file(tmp_path / "f", b"1")
    assert (tmp_path / "f").read_bytes() == b"1"


def test_a_new_file_replaces_nothing(tmp_path):
    write_file(tmp_path / "f", b"1")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "f", b"2")
    assert (tmp_path / "f").read_bytes() == b"1"


def test_a_short_write_is_a_full_disk(monkeypatch):
    monkeypatch.setattr(os, "write", lambda fd, data: len(data) - 1)
    with pytest.raises(OSError, match="only 2 of 3 bytes") as caught:
        write_all(0, b"123")
    assert caught.value.errno == errno.ENOSPC


HOLDER = """import sys, pathlib; from motionsig.files import lock_file, locked_folder
path = pathlib.Path(sys.argv[1])
with locked_folder(path, wait=True):
    fd = lock_file(path / "lock"); print("held", flush=True); sys.stdin.read()
"""


def test_a_lock_names_the_process_that_holds_it_until_it_ends(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError, match=f"held by process {child.pid}"):
            lock_file(tmp_path / "lock")
        with pytest.raises(BlockingIOError), locked_folder(tmp_path, wait=False):
            pass
        child.kill()
    os.close(lock_file(tmp_path / "lock"))
    with locked_folder(tmp_path, wait=False):
        pass


def test_a_folder_that_is_gone_cannot_be_synced(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")
