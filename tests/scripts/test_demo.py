"""What the demo is made of; the whole of it needs the package index."""

import io
import json
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import motionsig
from motionsig.cli import main

ROOT = Path(__file__).resolve().parents[2]
LABELS = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"]


@pytest.fixture
def package(tmp_path):
    """A package like seglearn's, with ten seconds of each exercise on both wrists of two people."""
    random = np.random.default_rng(0)
    swings = [random.uniform(0, 3, 6) * np.sin(np.arange(500)[:, None] * random.uniform(0.05, 0.5, 6)) for _ in LABELS]
    rows = [(kind, side, person) for kind in reversed(range(7)) for side in (0, 1) for person in (2, 8)]
    content = {
        "X": np.array([swings[kind] / 10 + [0, 0, 2 * side - 1, 0, 0, 0] for kind, side, _ in rows]),
        "y": np.array([kind for kind, _, _ in rows]),
        "side": np.array([side for _, side, _ in rows]),
        "subject": np.array([person for _, _, person in rows]),
        "y_labels": LABELS,
    }
    stored = io.BytesIO()
    np.save(stored, content, allow_pickle=True)
    path = tmp_path / "seglearn.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("seglearn/data/watch_dataset.npy", stored.getvalue())
    return path


def run(script, *arguments):
    command = [sys.executable, ROOT / "scripts" / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_recording_carries_its_seven_exercises(package, tmp_path):
    said = run("demo_recording.py", package, tmp_path / "log")
    with motionsig.open_recording(tmp_path / "log") as source:
        blocks = list(source)
    labels = list(dict.fromkeys(block.label for block in blocks))
    # The right arm, then the left, whose acceleration is the other way round here.
    assert [block.label for block in blocks if len(block)] == 2 * labels
    assert [float(block.data[:, 2].mean()) > 0 for block in blocks] == [True] * 7 + [False] * 7
    assert labels == [
        "pendulum", "abduction", "forward elevation", "internal rotation", "external rotation", "trapezius row",
        "bent-over row",
    ]  # fmt: skip
    assert ", ".join(labels) in said and said.startswith(f"{tmp_path / 'log'}: 14 recordings")
    run("demo_recording.py", package, tmp_path / "all", "--all")
    with motionsig.open_recording(tmp_path / "all") as source:
        blocks = list(source)
    assert sum(map(len, blocks)) == 28 * 500 and {block.label for block in blocks} == {""}


def test_the_answer_is_what_the_replay_found(package, tmp_path, capsys):
    run("demo_recording.py", package, tmp_path / "log")
    assert main(["replay", str(tmp_path / "log"), "--to", f"file:{tmp_path / 'out'}", "--json"]) == 0
    output = capsys.readouterr().out
    (tmp_path / "output").write_text(output)
    summary = json.loads(output.splitlines()[-1])
    assert summary["alike"]["asked"] == summary["signatures"] == 14 * 6
    answer = run("demo_answer.py", tmp_path / "output")
    for found in (
        "has 7 movements",
        f"its windows form {summary['alike']['kinds']} groups",
        f"For {summary['alike']['same_label']} of 84 windows",
        f"The signatures are {summary['payload_bytes']:,} bytes as messages. The samples are 84,000 bytes "
        f"({84_000 / summary['payload_bytes']:.1f} times as much)",
        f"without loss, {summary['raw_lossless_bytes']:,} (",
    ):
        assert found in answer


def test_the_picture_of_the_top_readme_is_small_enough():
    picture = (ROOT / "scripts/pictures/alike.png").read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG") and (width, height) == (1320, 825)
    assert len(picture) < 200_000


@pytest.fixture
def tree(package, tmp_path):
    """A clone in which the demo's environment and its package are there already, so that nothing is fetched."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "scripts", tree / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    (tree / ".venv-demo").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (tree / ".venv-demo" / name).symlink_to(Path(sys.prefix) / name)
    made_for = 'cat setup.cfg pyproject.toml; echo all; "${PYTHON:-python3}" --version'
    made_for = subprocess.run(["bash", "-c", made_for], cwd=tree, capture_output=True, text=True, check=True).stdout
    (tree / ".venv-demo/made-for").write_text(made_for)
    (tree / "demo").mkdir()
    shutil.copy(package, tree / "demo/seglearn-1.2.5-py3-none-any.whl")
    return tree


def test_the_demo_ends_with_the_answer_and_a_command_that_does_the_same_with_a_log_of_ones_own(tree):
    if sys.prefix == sys.base_prefix:
        pytest.skip("needs to run in a virtual environment, which stands for the demo's")
    lines = subprocess.run(["scripts/demo"], cwd=tree, capture_output=True, text=True, check=True).stdout.splitlines()
    assert not any(line.startswith("{") for line in lines)  # the JSON is for the answer
    assert any(line.startswith("signatures ") for line in lines)
    assert [line.split(" ")[0] for line in lines[-10:]] == ["", "The", "For", "The", "(The", "", "The", "", "See", ""]
    assert lines[-1].split() == [".venv-demo/bin/motionsig", "page", "--sensor", "simulated"]
    assert (tree / "demo/shoulder.png").stat().st_size > 20_000
    (tree / "mine.msig").symlink_to("demo/shoulder.msig")
    subprocess.run(lines[-3].replace("LOG", "mine.msig").split(), cwd=tree, capture_output=True, check=True)
    assert (tree / "demo/mine.png").stat().st_size > 20_000 and (tree / "demo/mine.db").exists()
