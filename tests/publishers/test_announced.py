"""What is remembered of what the broker keeps: damage, limits, folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionsig.publishers import announced

TOPICS = frozenset(
    {
        "a/b/event/motionsig_wrist-7/head_wave/config",
        "homeassistant/binary_sensor/motionsig_wrist/head_walking/config",
        "motionsig/wrist-ü/events/walking",
        "motionsig/wrist/availability",
        "a/b/c/state",
        "homeassistant/sensor/n/backlog/config",
    }
)


def test_a_process_that_ends_in_order_leaves_no_mark(tmp_path: Path) -> None:
    first, second = tmp_path / "absent", tmp_path / "there"
    second.mkdir()
    (tmp_path / "absent").write_bytes(b"a file, in which there can be no other")
    assert not announced.was_cut_off([first, second])
    announced.begin_telling([first, second])
    announced.begin_telling([first, second])
    assert announced.was_cut_off([first, second])
    announced.end_telling([first, second])
    assert not announced.was_cut_off([first, second])
    announced.end_telling([first, second])


def test_what_is_stored_is_loaded(tmp_path: Path) -> None:
    assert announced.load([tmp_path, tmp_path / "absent"]) == frozenset()
    announced.store([tmp_path], TOPICS)
    assert announced.load([tmp_path]) == TOPICS
    announced.store([tmp_path], frozenset())
    assert announced.load([tmp_path]) == frozenset()
    announced.store([], TOPICS)


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"[" * 100_000, b"{}", b"7", b"\xff", b"[1, null, [], {}]"])
def test_damage_is_nothing_remembered(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "retained").write_bytes(content)
    assert announced.load([tmp_path]) == frozenset()


def test_only_topics_of_ours_are_read_whatever_the_file_says(tmp_path: Path) -> None:
    """Each of them is published to, and paho raises for what is no topic."""
    odd = ["#", "motionsig/+/events/wave", "motionsig/a/events/#", "motionsig/a/signatures", "x/\0/events/wave",
           "events/wave", "homeassistant/light/n/backlog/config", "homeassistant/event/n/head_a b/config",
           "\ud800/events/a", "x" * 5000 + "/events/a", "availability", "/state", "a/availability/b", "a/events/a\n",
           "a/state\n", "homeassistant/sensor/n/Backlog/config", "homeassistant/sensor/config"]  # fmt: skip
    (tmp_path / "retained").write_text(json.dumps([*odd, *TOPICS]))
    assert announced.load([tmp_path]) == TOPICS


def test_neither_the_file_nor_what_is_read_grows_without_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    many = frozenset(f"p/d/events/h{number}" for number in range(2000))
    announced.store([tmp_path], many)
    assert (
        len(announced.load([tmp_path]))
        == announced.MOST_TOPICS
        == len(json.loads((tmp_path / "retained").read_bytes()))
    )
    monkeypatch.setattr(announced, "_MOST_BYTES", 1000)
    assert announced.load([tmp_path]) == frozenset()
    assert "more than 1,000" in caplog.text


def test_the_first_folder_that_takes_it_has_it_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk, buffer = tmp_path / "disk", tmp_path / "buffer"
    disk.write_text("no folder")
    announced.store([disk, buffer], TOPICS)
    assert announced.load([disk, buffer]) == TOPICS
    assert "could not be noted" in caplog.text
    disk.unlink()
    disk.mkdir()
    announced.store([disk, buffer], frozenset(list(TOPICS)[:1]))
    assert not (buffer / "retained").exists()
    assert len(announced.load([disk, buffer])) == 1
