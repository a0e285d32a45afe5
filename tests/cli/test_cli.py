import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from motionsig.cli import main


def command(*arguments, module="motionsig"):
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60)


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


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["repaly"], "expected a command, got 'repaly'; did you mean replay?"),
        (["--verbose", "sensor"], "expected a command, got 'sensor'; did you mean sensors?"),
        (["xyz"], "expected a command, got 'xyz' (see"),
        (["--verbsoe", "models"], "expected an option, got --verbsoe; did you mean --verbose?"),
        (["replay", "log", "--hpo=3", "--to", "file:x"], "expected an option, got --hpo; did you mean --hop"),
        # Not: --to is missing.
        (["replay", "log", "--too", "file:x"], "expected an option, got --too; did you mean --to?"),
        (["replay", "log", "-json", "--to", "file:x"], "expected an option, got -json; did you mean --json?"),
        (["models", "--jsno"], "expected an option, got --jsno; did you mean --json?"),
        (["models", "show", "motion64", "--jsno"], "expected an option, got --jsno; did you mean --json?"),
        (["export", "store:x", "o.csv", "--epohc", "3"], "expected an option, got --epohc (see"),
    ],
)
def test_a_mistyped_word_is_answered_by_the_one_like_it(arguments, asked, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    shown = capsys.readouterr().err
    assert asked in shown and shown.count("\n") == 1


def test_what_follows_two_dashes_is_no_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "--to", "file:x", "--", "--hpo"]) == 1
    assert "--hpo" in capsys.readouterr().err


@pytest.mark.parametrize("where", [None, 0, 1, 2, 3])
def test_verbose_stands_anywhere(where):
    words = ["models", "show", "motion64"]
    if where is not None:
        words.insert(where, "--verbose")
    code = COMMAND + "main(); import logging; logging.getLogger('motionsig.any').info('heard')"
    shown = subprocess.run([sys.executable, "-c", code, "-", *words], capture_output=True, text=True)
    assert "fingerprint" in shown.stdout and shown.stderr == ("" if where is None else "motionsig: heard\n")


def test_linear_algebra_runs_in_one_thread_unless_told_otherwise(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("import os, sys; sys.exit('threads: ' + os.environ['OPENBLAS_NUM_THREADS'])")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert command("replay").stderr == "threads: 1\n"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert command("replay").stderr == "threads: 3\n"


def test_a_reader_that_has_seen_enough_is_no_error_to_show():
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([sys.executable, "-m", "motionsig", "models"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize("module", ["motionsig", "motionsig.cli"])
def test_the_installed_command_runs(module):
    shown = command("models", "--json", module=module)
    assert shown.returncode == 0 and shown.stderr.count("Traceback") == 0
    assert [card["name"] for card in json.loads(shown.stdout)] == ["motion64"]
    assert command("--version", module=module).stdout.startswith("motionsig ")


COMMAND = "import os, signal, sys, time\nfrom motionsig.cli.entry import main\nsys.argv[1:] = sys.argv[2:]\n"


def interrupted(tmp_path, code, *words, ignore=False, numpy=None):
    """Run the command in a process that gets SIGINT once it says "now"; return its exit code and what it said."""
    if numpy is not None:
        (tmp_path / "numpy.py").write_text(textwrap.dedent(numpy))
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND + textwrap.dedent(code), "-", *words],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Not as this process was started, which may have been told to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN if ignore else signal.SIG_DFL),
    )
    try:
        for line in process.stdout:
            if line == "now\n":
                process.send_signal(signal.SIGINT)
                break
        _, said = process.communicate(timeout=60)
        return process.returncode, said
    finally:
        process.kill()


SWALLOWING = """
    import sys, time
    print("now", flush=True)
    try:
        time.sleep(30)
    except KeyboardInterrupt:
        raise ImportError("numpy's own words for a half import")
"""


def test_ctrl_c_while_the_launcher_prepares_ends_in_one_line(tmp_path):
    launcher = "print('now', flush=True); time.sleep(30)"
    assert interrupted(tmp_path, launcher) == (130, "motionsig: interrupted\n")


def test_ctrl_c_while_a_command_imports_ends_in_one_line(tmp_path):
    ended = interrupted(tmp_path, "sys.exit(main())", "replay", "log", "--to", "file:x", numpy=SWALLOWING)
    assert ended == (130, "motionsig: interrupted\n")


def test_ctrl_c_while_a_command_works_ends_in_one_line(tmp_path):
    feeding = "import threading; threading.Timer(0.5, print, ['now'], {'flush': True}).start(); sys.exit(main())"
    slow = ["replay", str(tmp_path / "slow.csv"), "--speed", "0.001", "--to", f"file:{tmp_path / 'out'}"]
    noise = np.random.default_rng(0).normal(0, 0.1, (500, 6)) + np.array([0, 0, 9.81, 0, 0, 0])
    rows = "\n".join(",".join(f"{value:.4f}" for value in (at / 50, *row)) for at, row in enumerate(noise))
    (tmp_path / "slow.csv").write_text("time[s],acc_x[m/s^2],acc_y[m/s^2],acc_z[m/s^2],gx,gy,gz\n" + rows)
    ended = interrupted(tmp_path, feeding, *slow, "--option", "gyr_unit=rad/s")
    assert ended == (130, "motionsig: interrupted\n")


def test_ctrl_c_while_the_process_leaves_ends_in_one_line(tmp_path):
    leaving = """
        import atexit
        atexit.register(lambda: (print("now", flush=True), time.sleep(30)))
        sys.exit(main())
    """
    assert interrupted(tmp_path, leaving, "models") == (130, "motionsig: interrupted\n")


def test_ctrl_c_that_only_a_finalizer_hears_ends_the_command(tmp_path):
    finalizer = """
        class Heard:
            def __del__(self):
                raise KeyboardInterrupt
        try:
            main()
        except SystemExit:
            Heard()
    """
    assert interrupted(tmp_path, finalizer, "--version") == (130, "motionsig: interrupted\n")


def test_a_process_started_to_ignore_ctrl_c_goes_on(tmp_path):
    ignoring = "import time; print('now', flush=True); time.sleep(0.3); raise ImportError('went on')"
    code, said = interrupted(tmp_path, "sys.exit(main())", "replay", ignore=True, numpy=ignoring)
    assert code == 1 and "went on" in said


def test_a_models_own_figures_are_shown_and_its_peers_are_in_the_card(capsys):
    assert main(["models", "motion64"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("fingerprint", "limits:", "quality:", "hapt", "signature_motion", "--json"))
    assert "minirocket_924" not in shown
    assert main(["models", "motion64", "--json"]) == 0
    assert "minirocket_924" in json.loads(capsys.readouterr().out)["quality"]["hapt"]
