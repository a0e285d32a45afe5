"""scripts/check finds each kind of fault in motionsig and in scripts, with this project's settings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = re.search(r"^layers =\n((?:    .*\n)+)", (ROOT / "setup.cfg").read_text(), re.MULTILINE)[1]
FAULTS = {
    "format": ("motionsig/errors.py", "x: int =  1\n", "reformatted\n --> motionsig/errors.py"),
    "an editor's program": ("scripts/try_package", "x: int =  1\n", "reformatted\n --> scripts/try_package"),
    "lint": ("scripts/work.py", '"""Work."""\n\nimport os\n', "F401"),
    "docstring": ("motionsig/errors.py", 'def f() -> None:\n    """return."""\n', "D403"),
    "types": ("motionsig/errors.py", '"""Errors."""\n\nx: int = "a"\n', "motionsig/errors.py:3: error"),
    "types in scripts": ("scripts/work.py", '"""Work."""\n\n\ndef f(x):\n    return x\n', "scripts/work.py:4: error"),
    "floors": (
        "motionsig/errors.py",
        '"""Errors."""\n\nfrom motionsig import blocks as blocks\n',
        "motionsig.errors -> motionsig.blocks",
    ),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A project of empty modules with this one's floors, settings, scripts/check and environment."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("motionsig", "scripts", ".venv"):
        (tree / folder).mkdir()
    for name in ("setup.cfg", "pyproject.toml", "scripts/check", "scripts/environment"):
        shutil.copy(ROOT / name, tree / name)
    for name in ("__init__", *re.findall(r"\w+", FLOORS)):
        (tree / "motionsig" / f"{name}.py").touch()
    (tree / "tests/chips").mkdir(parents=True)
    for name in ("scripts/work.py", "scripts/try_package", "tests/chips/__init__.py"):
        (tree / name).touch()
    (tree / ".venv/bin").symlink_to(Path(sys.prefix) / "bin")
    settings = [(tree / name).read_text() for name in ("setup.cfg", "pyproject.toml")]
    version = f"Python {sys.version.split()[0]}"
    (tree / ".venv/made-for").write_text(f"{''.join(settings)}dev\n{version}\n")
    return tree


def check(tree):
    command = [tree / "scripts/check"]
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHON": sys.executable, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_a_tree_without_a_fault_passes(tree):
    code, said = check(tree)
    assert code == 0, said
    assert "2 kept, 0 broken" in said


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(tree, fault):
    name, text, expected = FAULTS[fault]
    (tree / name).write_text(text)
    try:
        code, said = check(tree)
    finally:
        (tree / name).write_text("")
    assert code != 0
    assert expected in said, said
