"""The files: which are read, in which order, and what is told of one that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from configurations import MQTT, STORE, Write, credential, problems

from motionsig.config import MAX_FILE_BYTES, load_config


def test_later_files_win_key_by_key(write: Write) -> None:
    path = write(
        STORE + '[sensor]\nname = "simulated"\nrate_hz = 100\n[model]\nhop = 64',
        conf_d__20="[sensor]\nrate_hz = 400",
        conf_d__10="[sensor]\nrate_hz = 200\naccel_range_g = 4",
        left='name = "left"\n[model]\nhop = 32',
    )
    (path.parent / "conf_d").rename(path.parent / "conf.d")
    for backup in ("30.toml~", ".#10.toml", "30.toml.dpkg-old", "README"):
        (path.parent / "conf.d" / backup).write_text("junk")
    config = load_config(path, name="left")
    assert config.sensor == {"name": "simulated", "rate_hz": 400.0, "accel_range_g": 4.0}
    assert (config.name, config.hop) == ("left", 32)
    assert [file.name for file in config.files] == ["config.toml", "10.toml", "20.toml", "left.toml"]
    assert config.origins["sensor.rate_hz"].name == "20.toml"
    assert load_config(path).hop == 64


def test_an_instance_is_named_after_its_file(write: Write) -> None:
    path = write(STORE, left="")
    assert load_config(path, name="left").name == f"{os.uname().nodename}-left"
    assert problems(path, name="right") == ("right.toml: expected a file to read, got: No such file or directory",)
    for wrong in ("../left", "", ".left", "config", "a/b", "a\n"):
        assert "--name: expected the name of an instance" in problems(path, name=wrong)[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\0\x01", "expected TOML, got: 'utf-8' codec"),
        (b"a = 1\na = 2", "expected TOML, got: Cannot overwrite a value"),
        (b"a = 1\0", "expected TOML, got: "),
        (b"[sensor]\nname = simulated", '(text stands in straight quotes: name = "simulated")'),
        (b"[sink]\n[sink]", "; its keys belong below one [sink], or into a file in conf.d/"),
        (b"a = " + b"[" * 30_000, "expected TOML, got too many brackets"),
        (b"a = " + b"9" * 5_000, "expected TOML, got: "),
        (b"#" * (MAX_FILE_BYTES + 1), f"got: {MAX_FILE_BYTES + 1:,} bytes, more than {MAX_FILE_BYTES:,}"),
    ],
)
def test_what_is_no_toml_is_told(write: Write, content: bytes, said: str) -> None:
    (line,) = problems(write(content))
    assert line.startswith("config.toml: ") and said in line


def test_a_mark_and_line_ends_of_other_systems_are_fine(write: Write) -> None:
    assert load_config(write(b"\xef\xbb\xbf" + STORE.replace("\n", "\r\n").encode())).sink_url.startswith("store:")


def test_what_is_no_file_is_told_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert problems(path) == ("config.toml: expected a file to read, got: No such file or directory",)
    path.mkdir()
    assert problems(path) == ("config.toml: expected a file to read, got: a folder, pipe or device",)
    path.rmdir()
    os.mkfifo(path)
    assert problems(path) == ("config.toml: expected a file to read, got: a folder, pipe or device",)
    path.unlink()
    path.touch()
    os.truncate(path, 100 << 20)
    assert problems(path) == (
        f"config.toml: expected a file to read, got: {100 << 20:,} bytes, more than {MAX_FILE_BYTES:,}",
    )
    path.write_text(STORE)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.toml").symlink_to("nowhere")
    assert problems(path) == ("conf.d/a.toml: expected a file to read, got: No such file or directory",)
    (tmp_path / "conf.d" / "a.toml").unlink()
    (tmp_path / "conf.d").rmdir()
    (tmp_path / "conf.d").write_text("")
    assert problems(path) == ("conf.d: expected a folder to read, got: Not a directory",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_for_what_only_root_may_read_root_is_asked(etc: Path) -> None:
    path = etc / "config.toml"
    path.write_text(MQTT + 'username = "hall"\npassword_credential = "p"')
    file = credential(path, "p", b"s3cret")
    load_config(path)
    os.seteuid(65534)
    try:
        (secret,) = problems(path)
    finally:
        os.seteuid(0)
    assert secret.endswith(
        f"password_credential: {file}: expected a file to read, got: Permission denied; sudo motionsig run --check"
    )
    path.chmod(0o600)
    os.seteuid(65534)
    try:
        (itself,) = problems(path)
    finally:
        os.seteuid(0)
    assert itself == "config.toml: expected a file to read, got: Permission denied; sudo motionsig run --check"


def test_where_nothing_is_set_up_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("motionsig.config.files.DEFAULT_PATH", tmp_path / "config.toml")
    (said,) = problems(tmp_path / "config.toml")
    assert "sudo scripts/install" in said
    assert "--config FILE" in said
