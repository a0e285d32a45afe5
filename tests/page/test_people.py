"""Codes and sessions, with a clock of the test's."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from motionsig.page.people import (
    CODE_S,
    IDLE_S,
    LONGEST_S,
    MOST_SESSIONS,
    Sessions,
    browser_name,
    csrf_of,
    take_code,
    write_code,
)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_code_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "clock_gettime", lambda _: now[0])
    code, other = write_code(tmp_path), write_code(tmp_path)
    now[0] += CODE_S - 1
    assert take_code(tmp_path, code)
    now[0] += 1
    assert not take_code(tmp_path, other)
    assert list(tmp_path.iterdir()) == []


def test_code_of_an_earlier_start_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10_000.0]
    monkeypatch.setattr(time, "clock_gettime", lambda _: now[0])
    code = write_code(tmp_path)
    now[0] = 10.0
    assert not take_code(tmp_path, code)


def test_folder_holds_whatever(tmp_path: Path) -> None:
    assert not take_code(tmp_path / "none", "x")
    code = write_code(tmp_path)
    assert not take_code(tmp_path, "")
    name = next(tmp_path.iterdir()).name
    assert not take_code(tmp_path, name)
    (tmp_path / ("code-" + "0" * 64)).mkdir()
    (tmp_path / ("code-" + "1" * 64)).write_text("soon")
    (tmp_path / ("code-" + "2" * 64)).symlink_to("/etc/passwd")
    (tmp_path / "other").write_text("9")
    assert take_code(tmp_path, code)
    assert (tmp_path / "other").exists()


def test_session_ends_when_idle_and_in_the_end(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path, clock)
    token = sessions.begin("Firefox")
    clock.now += IDLE_S - 1
    assert sessions.find(token)
    clock.now += IDLE_S
    assert sessions.find(token) is None
    token = sessions.begin("Firefox")
    for _ in range(LONGEST_S // 86400 - 1):
        clock.now += 86400
        assert sessions.find(token)
    clock.now += 86400
    assert sessions.find(token) is None
    assert sessions.all() == []


def test_clock_that_goes_back_ends_nothing(tmp_path: Path) -> None:
    clock = Clock()
    token = Sessions(tmp_path, clock).begin("Firefox")
    clock.now -= 10**9
    assert Sessions(tmp_path, clock).find(token)


def test_sessions_are_found_again_and_only_hashes_are_kept(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path, clock)
    token, other = sessions.begin("Firefox"), sessions.begin("Chrome")
    text = (tmp_path / "sessions.json").read_text()
    assert token not in text
    assert csrf_of(token) not in text
    assert (tmp_path / "sessions.json").stat().st_mode & 0o777 == 0o600
    again = Sessions(tmp_path, clock)
    assert [each.browser for each in again.all()] == ["Firefox", "Chrome"]
    assert again.find(token)
    [ended] = again.end(again.find(other).id)  # type: ignore[union-attr]
    assert ended.browser == "Chrome"
    assert again.end("nobody") == []
    assert Sessions(tmp_path, clock).find(other) is None
    assert len(again.end("all")) == 1
    assert Sessions(tmp_path, clock).all() == []


def test_seen_is_written_now_and_then(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path, clock)
    token = sessions.begin("Firefox")
    clock.now += 60
    sessions.find(token)
    assert Sessions(tmp_path, clock).all()[0].seen == clock.now - 60
    clock.now += 3600
    sessions.find(token)
    assert Sessions(tmp_path, clock).all()[0].seen == clock.now


def test_least_lately_seen_makes_room(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path, clock)
    tokens = []
    for _ in range(MOST_SESSIONS):
        clock.now += 1
        tokens.append(sessions.begin("Firefox"))
    clock.now += 1
    sessions.find(tokens[0])
    sessions.begin("Chrome")
    assert len(sessions.all()) == MOST_SESSIONS
    assert sessions.find(tokens[0])
    assert sessions.find(tokens[1]) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}x",
        "[1]",
        '[["a", 1, 2, "x"]]',
        '[[null, 1, 2, "x"]]',
        json.dumps([["0" * 64, "1", 2, "x"]]),
        json.dumps([["0" * 64, 1, 10**20, "x"]]),
        json.dumps([["0" * 64, -1, 2, "x"]]),
        "[" * 50_000,
        "x" * 70_000,
    ],
)
def test_damaged_file_lets_nobody_in(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "sessions.json").write_text(content)
    sessions = Sessions(tmp_path)
    assert sessions.all() == []
    assert "every browser has to be let in again" in caplog.text
    token = sessions.begin("Firefox")
    assert Sessions(tmp_path).find(token)


def test_name_in_the_file_steers_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "sessions.json").write_text(json.dumps([["0" * 64, 1_700_000_000, 1_700_000_000, "\x1b[2J\nroot"]]))
    assert [each.browser for each in Sessions(tmp_path, Clock()).all()] == [r"\x1b[2J\nroot"]


def test_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    sessions = Sessions(tmp_path / "file")
    assert sessions.find(sessions.begin("Firefox"))
    assert "expected to write them" in caplog.text


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/126.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        ("<script>alert(1)</script>", "A browser"),
    ],
)
def test_browsers_have_names_of_ours(agent: str, name: str) -> None:
    assert browser_name(agent) == name


def test_two_sessions_have_nothing_in_common(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    one, two = sessions.begin("a"), sessions.begin("a")
    assert len({one, two, csrf_of(one), csrf_of(two)}) == 4
    assert len(one) == 43
    assert sessions.find(one[:-1]) is None
    assert sessions.find("x" * 10_000) is None
    assert sessions.find("") is None
