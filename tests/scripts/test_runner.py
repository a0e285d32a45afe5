"""scripts/test runs every part, whatever becomes of the others, and its last lines say what became of each.

Python, pip and pytest are stand-ins here, which note what they are asked for.
"""

import os
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
echo "${venv##*/} $*" >>called
if [[ $FAILS == "${venv##*/} $1" ]]; then
    echo "=========== 2 failed, 3 passed, 1 skipped, 1 error in 6.70s ==========="
    exit 1
fi
echo "1 passed in a test of tests that passed in 1 s"
echo "================== 5 passed, 1 skipped in 1.23s =================="
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
    programs["scripts/check"] = "#!/bin/bash\necho check >>called\n[[ $FAILS != check ]]\n"
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(tree, *arguments, fails=""):
    """Return the exit code, what was called and the last lines."""
    path = f"{tree / 'programs'}:/usr/bin:/bin"
    env = {"PATH": path, "HOME": str(tree), "FAILS": fails, "TMPDIR": str(tree)}
    command = [tree / "scripts/test", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    called = (tree / "called").read_text().splitlines()
    return done.returncode, called, done.stdout.splitlines()


def test_every_part_runs_once_and_arm_last(tree):
    code, called, said = run(tree)
    many = f"-n 4 --dist loadfile --ignore {KERNEL}"
    once = (
        "packaging", "scripts", "test_hints.py", "daemon/test_trial_machine.py", "daemon/test_trial_network.py",
        "test_architecture.py", "cli/test_picture.py",
    )  # fmt: skip
    chips = (
        "sensors/test_every_chip.py",
        "encoders/test_edgetpu_auto.py",
        "cli/test_doctor_edgetpu.py",
        "publishers/postgresql",
        "recordings/names",
        "recordings/test_recordings.py",
        "test_timebase.py",
        "sensors/proving",
        "sensors/serial",
        "encoders/test_damaged_models.py",
        "page/browser",
        "cli/test_replay_many.py",
        "encoders/test_claim.py",
        "sensors/test_silences.py",
        "sensors/test_dead_data.py",
        "sensors/phone/test_phone_page.py",
        "control/test_lessons_process.py",
    )
    first, then = ["daemon/test_heads_process.py", "daemon/test_daemon_heads.py"], [
        "cli/test_compile_files.py", "publishers/parquet", "collector", "publishers/test_store_damage.py",
        "sensors/test_process.py", "plausibility", "recordings/text", "recordings/times",
        "recordings/test_damaged_logs.py", "recordings/test_sensors_in_turn.py", "publishers/test_refusals.py",
        "publishers/test_mqtt_events.py", "publishers/test_announcing_removal.py", "sensors/test_spi.py",
        "control/test_looking_back.py", "control/test_lessons.py", "sensors/phone/test_phone_source.py",
        "cli/test_page.py",
    ]  # fmt: skip
    edgetpu = "tests/encoders/test_*edgetpu*"
    documents = "tests/documents/test_[!p]*"
    rooms = "tests/*/test_*_document.py"
    globs = [f"--ignore-glob {rooms}", f"--ignore-glob {documents}"]
    oldest = " ".join(
        [many, *(f"--ignore tests/{each}" for each in once), *globs, *(f"--ignore tests/{each}" for each in chips)]
    )
    ignored, others = ([f"--ignore tests/{each}" for each in some] for some in (first, then))
    python313 = " ".join([oldest, *ignored, f"--ignore-glob {edgetpu}", *others])
    legs = [f".venv {many}", f".venv-oldest {oldest}", f".venv-3.13 {python313}"]
    assert called == ["check", *legs, f".venv {KERNEL}", f".venv {ARM}"]
    assert all((ROOT / "tests" / each).exists() for each in (*once, *chips, *first, *then))
    assert len(list(ROOT.glob(edgetpu))) == 7
    left = {path.name for path in (ROOT / "tests/documents").glob("test_*.py")} - {
        path.name for path in ROOT.glob(documents)
    }
    assert left == {"test_python_blocks.py"}
    assert len(list(ROOT.glob(rooms))) == 5  # of encoders, recordings, publishers, collector, and the scripts' own
    assert said[-7:] == [
        "scripts/check              well",
        "newest dependencies        well: 5 passed, 1 skipped in 1.23s ",
        "oldest dependencies        well: 5 passed, 1 skipped in 1.23s ",
        "Python 3.13                well: 5 passed, 1 skipped in 1.23s ",
        "a kernel of their own      well: 5 passed, 1 skipped in 1.23s ",
        "ARM under QEMU             well: 5 passed, 1 skipped in 1.23s ",
        "25 passed, 0 failed, 5 skipped",
    ]
    assert code == 0


@pytest.mark.parametrize(
    ("fails", "row", "line", "total"),
    [
        ("check", 0, "scripts/check              FAILED, exit code 1", "25 passed, 1 failed, 5 skipped"),
        (".venv -n", 1, None, "23 passed, 3 failed, 5 skipped"),
        (".venv-oldest -n", 2, None, "23 passed, 3 failed, 5 skipped"),
        (".venv-3.13 -n", 3, None, "23 passed, 3 failed, 5 skipped"),
        (f".venv {KERNEL}", 4, None, "23 passed, 3 failed, 5 skipped"),
        (f".venv {ARM}", 5, None, "23 passed, 3 failed, 5 skipped"),
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
    assert len(called) == 5 and not any("3.13" in each for each in called)
    (line,) = (each for each in said if "left out" in each)
    assert line.startswith("Python 3.13                left out: expected python3.13 in PATH, pyenv's, or ")
    assert (code, said[-1]) == (0, "20 passed, 0 failed, 4 skipped")
