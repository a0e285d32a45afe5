"""Which tests run on ARM, how they are counted; a Pi's own script there."""

import json
import subprocess

import pytest

from scripts.arm import roots
from scripts.arm.suite import FILES, Result


def test_the_files_are_there():
    assert all((roots.TREE / name).exists() for name in FILES)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("..s\n682 passed, 89 deselected in 341.16s (0:05:41)\n", (682, 0, 0, 0)),
        ("3 passed in a name\n27 failed, 454 passed, 201 skipped, 1 error in 270.37s\n", (454, 27, 201, 1)),
        ("Segmentation fault\n", (0, 0, 0, 0)),
    ],
)
def test_what_pytest_said_is_counted(text, counts):
    result = Result("r", text, 0, 1.0)
    assert tuple(result.count(what) for what in ("passed", "failed", "skipped", "error")) == counts


@pytest.mark.usefixtures("arm")
def test_a_pi_is_measured(tmp_path):
    argv = ["python3", "scripts/try_on_pi", "--minutes", "0", str(tmp_path / "pi.json")]
    done = subprocess.run(
        roots.command("arm64-bookworm", argv), cwd=roots.TREE, env=roots.surroundings(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "pi.json").read_text())
    assert found["board"]["model"].startswith("Raspberry Pi 4") and found["board"]["parts"] == ["0xd08"]
    assert found["warmth"][0]["celsius"] > 20 and found["warmth"][0]["khz"] == 1_800_000
    assert found["cpu"]["most_steps"] <= found["cpu"]["tolerance"]
