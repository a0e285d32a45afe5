"""scripts/test runs every part, whatever becomes of the others, and its last lines say what became of each.

Python, pip and pytest are stand-ins here, which note what they are asked for.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "tests/sensors/iio/test_iio_kernel.py"
ARM = "scripts.arm.suite"
INSTALLED = (
    "mosquitto",
    "openssl",
    "umockdev-run",
    "qemu-system-x86_64",
    "gcc",
    "systemd-analyze",
    "udevadm",
    "chromium",
)
# In a virtual environment it stands for pytest; elsewhere it makes virtual environments, with itself as their Python.
PYTHON = """#!/bin/bash
[[ $* == *ensurepip* ]] && exit
[[ $1 == --version ]] && echo "Python 3.x" && exit
if [[ "$1 $2" == "-m venv" ]]; then
    [[ $FAILS == venv:$3 ]] && exit 1
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && exit
fi
[[ $2 == pytest || $2 == scripts.arm.suite ]] || exit 0
[[ $2 == pytest ]] && shift
shift
venv=${0%/bin/python}
echo "${venv##*/} $*${PYTHONDONTWRITEBYTECODE:+ without bytecode}" >>called
if [[ $FAILS == "${venv##*/} $1" ]]; then
    echo "=========== 2 failed, 3 passed, 1 skipped, 1 error in 6.70s ==========="
    exit 1
fi
echo "1 passed in a test of tests that passed in 1 s"
echo "================== 5 passed, 1 skipped in 1.23s =================="
"""

CHECK = """#!/bin/bash
for each in $AWAITS; do
    for ((tries = 0; tries < 1000; ++tries)); do
        [[ -e $each ]] && continue 2
        sleep 0.1
    done
    exit 1
done
echo check >>called
[[ $FAILS != check ]]
"""


@pytest.fixture
def tree(tmp_path):
    for folder in ("scripts", "programs"):
        (tmp_path / folder).mkdir()
    for name in ("test", "environment"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    for name in ("setup.cfg", "pyproject.toml"):
        (tmp_path / name).touch()
    programs = {"programs/python3": PYTHON, "programs/python3.13": PYTHON}
    programs |= {f"programs/{name}": "#!/bin/sh\n" for name in (*INSTALLED, "apt-cache", "apt-get")}
    programs["scripts/check"] = CHECK
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(tree, *arguments, fails="", awaits=""):
    """Return the exit code, what was called and the last lines."""
    path = f"{tree / 'programs'}:/usr/bin:/bin"
    env = {"PATH": path, "HOME": str(tree), "FAILS": fails, "TMPDIR": str(tree), "AWAITS": awaits}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [tree / "scripts/test", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    called = (tree / "called").read_text().splitlines()
    # These run beside others.
    for beside in (f".venv {ARM}", ".venv --collect-only --quiet"):
        if beside in called:
            called.remove(beside)
            called.append(beside)
    return done.returncode, called, done.stdout.splitlines()


def chosen(name):
    """Return the files and folders that a later part runs."""
    (found,) = re.findall(rf"^{name}=\((.*?)\)$", (ROOT / "scripts/test").read_text(), re.M | re.S)
    return found.split()


def test_every_part_runs_once_and_the_kernel_last(tree):
    code, called, said = run(tree)
    many = f"-n 4 --dist loadfile --no-loadscope-reorder --ignore {KERNEL}"
    oldest, python313 = (f"{many} {' '.join(chosen(name))}" for name in ("of_dependencies", "of_python"))
    legs = [f".venv {many}", f".venv-oldest {oldest}", f".venv-3.13 {python313}"]
    assert called == ["check", *legs, f".venv {KERNEL}", f".venv {ARM}", ".venv --collect-only --quiet"]
    assert said[-7:] == [
        "scripts/check              well",
        "newest dependencies        well: 5 passed, 1 skipped in 1.23s ",
        "oldest dependencies        well: 5 passed, 1 skipped in 1.23s ",
        "Python 3.13                well: 5 passed, 1 skipped in 1.23s ",
        "ARM under QEMU             well: 5 passed, 1 skipped in 1.23s ",
        "a kernel of their own      well: 5 passed, 1 skipped in 1.23s ",
        "25 passed, 0 failed, 5 skipped",
    ]
    assert code == 0


def test_no_two_files_of_tests_have_one_name():
    """Then pytest collects nothing, though it does for a few files."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", ["of_dependencies", "of_python"])
def test_what_a_later_part_runs_is_there_and_named_once(name):
    paths = [ROOT / each for each in chosen(name)]
    assert all(path.exists() for path in paths)
    assert paths == sorted(set(paths))
    assert not any(parent in paths for path in paths for parent in path.parents)


def test_every_room_that_calls_a_dependency_is_tried_with_the_oldest():
    pinned = set(re.findall(r'"([\w-]+)(?:==|<)', (ROOT / "scripts/test").read_text())) - {"numpy"}
    modules = {"paho-mqtt": "paho", "prometheus-client": "prometheus_client", "tflite-runtime": "tflite_runtime"}
    called = "|".join(modules.get(name, name) for name in pinned)
    calls = re.compile(rf"^ *(?:import|from) (?:{called})\b", re.M)
    package = ROOT / "motionsig"
    files = [path.relative_to(package) for path in package.rglob("*.py") if calls.search(path.read_text())]
    assert len(pinned) >= 10 and len(files) > 20
    rooms = {path.parts[0] if len(path.parts) > 1 else f"test_{path.name}" for path in files}
    tried = {each.split("/")[1] for each in chosen("of_dependencies")}
    assert rooms <= tried


def test_environments_of_later_parts_are_made_beside_the_checks(tree):
    """The stand-in for the checks ends when both are made."""
    code, called, _ = run(tree, awaits=".venv-oldest/made-for .venv-3.13/made-for")
    assert (code, called[0]) == (0, "check")


@pytest.mark.parametrize(
    ("fails", "row", "line", "total"),
    [
        ("check", 0, "scripts/check              FAILED, exit code 1", "25 passed, 1 failed, 5 skipped"),
        (".venv -n", 1, None, "23 passed, 3 failed, 5 skipped"),
        (".venv-oldest -n", 2, None, "23 passed, 3 failed, 5 skipped"),
        (".venv-3.13 -n", 3, None, "23 passed, 3 failed, 5 skipped"),
        (f".venv {ARM}", 4, None, "23 passed, 3 failed, 5 skipped"),
        (f".venv {KERNEL}", 5, None, "23 passed, 3 failed, 5 skipped"),
        ("venv:.venv-oldest", 2, "oldest dependencies        FAILED, exit code 1", "20 passed, 1 failed, 4 skipped"),
    ],
)
def test_a_part_that_fails_hides_nothing(tree, fails, row, line, total):
    whole = run(tree)[1]
    (tree / "called").unlink()
    shutil.rmtree(tree / ".venv-oldest")
    code, called, said = run(tree, fails=fails)
    assert called == [each for each in whole if fails != "venv:.venv-oldest" or not each.startswith(".venv-oldest")]
    rows = said[-7:-1]
    assert [number for number, each in enumerate(rows) if "FAILED" in each] == [row]
    shown = "FAILED, exit code 1: 2 failed, 3 passed, 1 skipped, 1 error in 6.70s "
    assert rows[row] == line or rows[row].endswith(shown)
    assert (code, said[-1]) == (1, total)


def test_chosen_files_and_options_of_pytest_reach_every_leg(tree):
    code, called, said = run(tree, "tests/test_wire.py", "--", "-k", "wire or --help")
    chosen = "tests/test_wire.py -k wire or --help"
    assert called == ["check", f".venv {chosen}", f".venv-oldest {chosen}", f".venv-3.13 {chosen}"]
    assert (code, said[-1]) == (0, "15 passed, 0 failed, 3 skipped")


@pytest.mark.skipif(os.path.exists("/usr/bin/python3.13"), reason="this machine's own Python is 3.13")
def test_without_python_313_its_part_is_left_out_and_said(tree):
    (tree / "programs/python3.13").unlink()
    code, called, said = run(tree)
    assert len(called) == 6 and not any("3.13" in each for each in called)
    (line,) = (each for each in said if "left out" in each)
    assert line.startswith("Python 3.13                left out: expected python3.13 in PATH, pyenv's, or ")
    assert (code, said[-1]) == (0, "20 passed, 0 failed, 4 skipped")
