"""Every script explains itself before it does anything, and refuses what it does not know."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
PROGRAMS = ("apt-get", "apt-cache", "curl", "docker", "dpkg-deb", "pip", "python3", "sudo")
COMMANDS = sorted(path for path in SCRIPTS.iterdir() if path.is_file() and os.access(path, os.X_OK))
SHELL = [path.name for path in COMMANDS if path.read_text().startswith("#!/usr/bin/env bash")]
MODULES = sorted(path for path in SCRIPTS.rglob("*.py") if '\nif __name__ == "__main__":' in path.read_text())
PYTHON = [path for path in [*COMMANDS, *MODULES] if path.name not in SHELL and path.parent.name != "guest"]
TIME = r"\b(seconds?|minutes?|hour)\b"
"""How long it takes."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of what the shell scripts start from, with stand-ins for all that they would install with."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "scripts").mkdir()
    for name in (*SHELL, "environment"):
        shutil.copy(SCRIPTS / name, tree / "scripts" / name)
    (tree / "programs").mkdir()
    for name in PROGRAMS:
        program = tree / "programs" / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{tree}/called"\nexit 1\n')
        program.chmod(0o755)
    return tree


def run_shell(tree, name, *arguments):
    """Run a shell script of the copy; nothing may be called or written."""
    env = dict(os.environ, PATH=f"{tree / 'programs'}:{os.environ['PATH']}", PYTHON=str(tree / "programs/python3"))
    before = set(tree.rglob("*"))
    command = [tree / "scripts" / name, *arguments]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=120)
    assert set(tree.rglob("*")) == before
    return done


def run_python(path, *arguments):
    # These say that they are run as modules.
    as_module = path.parent.name in ("train", "evaluate", "recipes") or path.name in ("suite.py", "golden.py")
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    program = ["-m", module] if as_module else [path]
    return subprocess.run([sys.executable, *program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_scripts_are_found():
    assert {"build_deb", "check", "demo", "test"} < set(SHELL)
    assert {"__main__.py", "demo_recording.py", "day.py", "surviving_table.py", "try_package"} < {
        p.name for p in PYTHON
    }


@pytest.mark.parametrize("name", SHELL)
def test_a_shell_script_explains_itself(tree, name):
    for option in ("--help", "-h"):
        done = run_shell(tree, name, option)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"scripts/{name}" in done.stdout and re.search(TIME, done.stdout)
        assert not any(line.startswith(("#", "set ", "cd ")) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", SHELL)
def test_a_shell_script_refuses_an_unknown_option_in_a_line(tree, name):
    for arguments in (("--no-such-option",), ("--no-such-option=1", "x"), ("-z",)):
        done = run_shell(tree, name, *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(f"{name}: expected ") and f"got {arguments[0]}; --help" in done.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "got"),
    [
        ("check", ["now"], "now"),
        ("check", ["--fix", "now"], "now"),
        ("demo", ["now"], "now"),
        ("install", ["motionsig"], "motionsig"),
        ("build_deb", ["one", "two"], "two"),
        ("build_deb", ["one", "--two"], "--two"),
        ("test", ["-k", "wire"], "-k"),
        ("bench", ["no-such-part"], "no-such-part"),
        ("bench", ["sizes", "no-such-part"], "no-such-part"),
        ("compile_edgetpu", ["motion64"], "1 arguments"),
    ],
)
def test_a_word_too_many_or_too_few_is_refused(tree, name, arguments, got):
    done = run_shell(tree, name, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"got {got}; --help" in done.stderr


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_a_python_script_explains_itself_and_refuses_an_unknown_option(path):
    done = run_python(path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--help" in done.stdout and len(done.stdout) > 100
    assert re.search(TIME, done.stdout)
    done = run_python(path, "--no-such-option")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
