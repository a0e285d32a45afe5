"""`motionsig run` where it cannot: what it says, and how soon a service manager sees it end again."""

import time

from motionsig.cli import main, run


def test_where_nothing_is_set_up_it_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("motionsig.config.files.DEFAULT_PATH", tmp_path / "config.toml")
    assert main(["run", "--check", "--config", str(tmp_path / "config.toml")]) == 2
    assert "sudo scripts/install" in capsys.readouterr().err


def test_a_second_failure_under_a_service_manager_takes_its_time(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody listens"))
    mark, slept_s = tmp_path / "failed", []
    monkeypatch.setattr(time, "sleep", slept_s.append)
    run._pace(mark)
    assert slept_s == []
    run._pace(mark)
    assert slept_s == [run._PACE_S]
    monkeypatch.delenv("NOTIFY_SOCKET")
    run._pace(mark)
    assert slept_s == [run._PACE_S], "by hand there is nothing to wait for"
