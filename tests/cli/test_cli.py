import json
import subprocess
import sys

import pytest

from motionsig.cli import main


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "motionsig.cli", *arguments], capture_output=True, text=True, timeout=60
    )


def test_without_a_command_it_says_what_there_is(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert all(name in shown for name in ("replay", "collect", "export", "models"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"],
        ["replay", "log"],
        ["replay", "log", "--to", "store:x", "--device", "gpu"],
        ["replay", "log", "--to", "store:x", "--hop", "many"],
        ["replay", "log", "--to", "store:x", "--speed", "slow"],
        ["replay", "log", "--to", "store:x", "--speed", "0"],
        ["replay", "log", "--to", "store:x", "--option", "rate_hz"],
        ["replay", "log", "more", "--to", "store:x", "--plot", "out.png"],
        ["export", "store:x", "out.txt"],
        ["export", "store:x", "out.csv", "--fingerprint", "xyz"],
        ["export", "x", "out.csv"],
        ["collect", "--from", "mqtt://127.0.0.1"],
        ["collect", "--from", "mqtt://127.0.0.1", "--into", "file:x"],
        ["no such command"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == "" and captured.err.startswith("motionsig") and captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["replay", "no such log", "--to", "store:x"], "no such log"),
        (["replay", "junk", "--to", "store:x"], "junk"),
        (["replay", "empty", "--to", "store:x"], "empty"),
        (["models", "no such model"], "expected one of"),
        (["export", "store:nothing", "out.csv"], "nothing"),
    ],
)
def test_failure_is_one_line_and_exit_code_1(arguments, what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "empty").write_bytes(b"")
    before = {path.name for path in tmp_path.iterdir()}
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("motionsig: ") and captured.err.count("\n") == 1 and what in captured.err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_the_installed_command_runs():
    shown = command("models", "--json")
    assert shown.returncode == 0 and shown.stderr.count("Traceback") == 0
    assert [card["name"] for card in json.loads(shown.stdout)] == ["motion64"]
    assert command("--version").stdout.startswith("motionsig ")


def test_a_models_own_figures_are_shown_and_its_peers_are_in_the_card(capsys):
    assert main(["models", "motion64"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("fingerprint", "limits:", "quality:", "hapt", "signature_motion", "--json"))
    assert "minirocket_924" not in shown
    assert main(["models", "motion64", "--json"]) == 0
    assert "minirocket_924" in json.loads(capsys.readouterr().out)["quality"]["hapt"]
