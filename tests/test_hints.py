"""What is said where something is missing, followed in the environment that says it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from motionsig import hints

ROOT = Path(__file__).parents[1]
SYSTEM_PYTHON = Path("/usr/bin/python3")


@pytest.fixture
def index(tmp_path):
    """A folder with a library that only stands there, as the environment in which pip and uv know nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "smbus2-9.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("smbus2.py", "made_for_this_test = True\n")
        wheel.writestr("smbus2-9.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: smbus2\nVersion: 9.0\n")
        wheel.writestr("smbus2-9.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("smbus2-9.0.dist-info/RECORD", "")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(folder)}
    quiet = {"PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return os.environ | offline | quiet | {"HOME": str(tmp_path)}


def hint_of(python, *, absent="no_module"):
    """Return what that Python is told, with motionsig on its path and not installed."""
    code = f"import sys; sys.modules[{absent!r}] = None; from motionsig.hints import install_hint as hint"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "motionsig").symlink_to(ROOT / "motionsig")
        return subprocess.run(
            [python, "-c", f"{code}; print(hint('smbus2'))"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.rstrip("\n")


def follow(hint, environment, python):
    """Paste the hint into a shell; then `python` must have the library."""
    subprocess.run(["sh", "-c", hint], env=environment, check=True, capture_output=True)
    code = "import smbus2; assert smbus2.made_for_this_test"
    subprocess.run(["sh", "-c", f"{python} -c {shlex.quote(code)}"], env=environment, check=True)


@pytest.fixture
def bare(tmp_path):
    """The Python of an environment without pip; a space is in its path."""
    folder = tmp_path / "my environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin/python"


def test_in_an_environment_with_pip_it_is_that_environments_pip():
    assert hints.install_hint("smbus2") == f"{sys.executable} -m pip install 'smbus2>=0.4.2'"


def test_in_an_environment_without_pip_pip_comes_first(bare, index):
    python = shlex.quote(str(bare))
    assert hint_of(bare) == f"{python} -m ensurepip && {python} -m pip install smbus2"
    follow(hint_of(bare), index, python)
    assert hint_of(bare) == f"{python} -m pip install smbus2"


def test_in_an_environment_that_uv_made_it_is_uv(bare, index):
    with open(bare.parents[1] / "pyvenv.cfg", "a") as settings:
        settings.write("uv = 0.5.0\n")
    python = shlex.quote(str(bare))
    assert hint_of(bare) == f"uv pip install --python {python} smbus2"
    if shutil.which("uv"):
        follow(hint_of(bare), index, python)


def test_in_the_environment_of_the_debian_package_it_is_debians_pip(bare):
    """Which has no pip, and Debian's Python no ensurepip where python3-venv is not installed."""
    pip = f"/usr/bin/python3 -m pip --python {shlex.quote(str(bare))} install smbus2"
    assert hint_of(bare, absent="ensurepip") == f"apt install python3-pip && {pip}"


def test_debians_pip_installs_into_an_environment_without_one(bare, index):
    pip = hint_of(bare, absent="ensurepip").partition(" && ")[2]
    asked = [SYSTEM_PYTHON, "-c", "import pip, sys; print(*sys.version_info[:2])"]
    told = subprocess.run(asked, capture_output=True, text=True)
    if told.stdout.split() != [str(part) for part in sys.version_info[:2]]:
        # The package's environment is one of the system's Python; a pip does not run on any newer one.
        pytest.skip("needs the Python of /usr/bin/python3, with its pip")
    follow(pip, index, shlex.quote(str(bare)))


def test_an_environment_of_another_user_needs_sudo(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != sys.prefix)
    assert hints.install_hint("smbus2").startswith(f"sudo {sys.executable} -m pip ")


def test_where_the_system_manages_python_it_is_an_environment_beside_it(tmp_path, index):
    told = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"], capture_output=True, text=True
    )
    if told.returncode or not Path(told.stdout.strip(), "EXTERNALLY-MANAGED").exists():
        pytest.skip("needs a system whose Python is externally managed")
    hint = hint_of(SYSTEM_PYTHON)
    assert hint.endswith("  # then use ~/motionsig-venv/bin/python")
    follow(hint.removeprefix("sudo apt install python3-venv && "), index, "~/motionsig-venv/bin/python")
    without = hint_of(SYSTEM_PYTHON, absent="ensurepip")
    assert without.startswith(f"sudo apt install python3-venv && {SYSTEM_PYTHON} -m venv --system-site-packages ")


@pytest.mark.parametrize(
    ("machine", "bits", "architecture", "library"),
    [
        ("x86_64", 64, "x86_64", "ai-edge-litert"),
        ("aarch64", 64, "aarch64", "ai-edge-litert"),
        ("aarch64", 32, "armv7l", "tflite-runtime"),
        ("armv8l", 32, "armv7l", "tflite-runtime"),
        ("armv7l", 32, "armv7l", "tflite-runtime"),
        ("x86_64", 32, "i686", None),
        ("armv6l", 32, "armv6l", None),
        ("riscv64", 64, "riscv64", None),
    ],
)
def test_the_runtime_that_an_architecture_has(machine, bits, architecture, library):
    assert hints.architecture(machine, bits) == architecture
    hint = hints.runtime_hint(architecture)
    assert hint.endswith("--device reference runs the network in numpy alone")
    assert ("pip install" in hint) == (library is not None) and (library or "") in hint


def test_every_library_that_is_named_stands_in_the_metadata_and_no_extra_is_named():
    named = set()
    for path in (ROOT / "motionsig").rglob("*.py"):
        source = path.read_text()
        named |= set(re.findall(r"install_hint\(['\"]([\w-]+)['\"]", source))
        assert not re.search(r"motionsig\[\w+\]", source), path
    named |= set(hints.RUNTIMES.values())
    assert len(named) >= 9
    for name in named:
        assert re.search(r"install '?" + name + r"[<>=]+[\d.]+'", hints.install_hint(name)), name
