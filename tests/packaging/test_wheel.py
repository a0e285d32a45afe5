"""What a wheel of this tree holds, also where an older one was built, and that it works inside a clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("motionsig", "firmware_models", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
OF_A_MODEL = (
    "README.md", "card.json", "encoder_int8.tflite", "encoder_int8_edgetpu.tflite", "golden.npz", "background.npz",
    "packing.npz",
)  # fmt: skip
OF_HEADS = ("heads/README.md", "heads/*/head.json", "heads/*/head-*.npz")
# Without the start-up files of the test's own environment, which lead to this tree and not to the wheel.
OPEN_HEAD = "import motionsig.heads as heads; print(heads.open_head('walking'), heads.shipped_heads()['walking'])"
OPEN = "import motionsig; encoder = motionsig.open_encoder(device='reference'); print(encoder.card.path)"


def built(tree, into):
    """Return the wheel that pip builds of `tree`."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--wheel-dir", into, "."], cwd=tree, check=True, timeout=120)
    (wheel,) = into.glob("*.whl")
    return wheel


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def expected(tree):
    modules = {path for path in (tree / "motionsig").rglob("*") if path.suffix in (".py", ".typed")}
    modules |= set((tree / "motionsig").rglob("static/*"))
    models = {path for path in (tree / "firmware_models").glob("*/*") if path.name in OF_A_MODEL}
    models |= {path for name in OF_HEADS for path in (tree / "firmware_models").glob(f"*/{name}")}
    code = {path.relative_to(tree).as_posix() for path in modules}
    data = {f"motionsig/{path.relative_to(tree).as_posix()}" for path in models}
    return code | data | {"motionsig/firmware_models/__init__.py"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone's tree, in which a wheel was built."""
    tree = tmp_path_factory.mktemp("clone")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    built(tree, tree / "dist")
    return tree


def test_a_wheel_holds_every_module_and_all_that_runs_of_a_model(clone):
    (wheel,) = (clone / "dist").glob("*.whl")
    assert contents(wheel) == expected(clone)
    for card in (clone / "firmware_models").glob("*/card.json"):
        assert {"card.json", "encoder_int8.tflite", "golden.npz"} <= {path.name for path in card.parent.iterdir()}


def test_python_started_in_a_clone_opens_the_clones_models(clone, tmp_path):
    with zipfile.ZipFile(next((clone / "dist").glob("*.whl"))) as archive:
        archive.extractall(tmp_path)
    path = os.pathsep.join([str(tmp_path), *(each for each in sys.path if "-packages" in each)])

    def opened(folder, code=OPEN):
        command = [sys.executable, "-S", "-c", code]
        env = dict(os.environ, PYTHONPATH=path)
        return subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout.strip()

    assert opened(clone) == str(clone / "firmware_models" / "motion64")
    assert opened("/") == str(tmp_path / "motionsig" / "firmware_models" / "motion64")
    for folder, models in ((clone, clone), ("/", tmp_path / "motionsig")):
        said = opened(folder, OPEN_HEAD)
        assert said.startswith("Head('walking'") and said.endswith(
            str(models / "firmware_models/motion64/heads/walking")
        )


def test_a_second_wheel_leaves_out_what_the_first_had(clone, tmp_path):
    later = tmp_path / "later"
    shutil.copytree(clone, later)
    (later / "firmware_models" / "motion64").rename(later / "firmware_models" / "motion65")
    (later / "motionsig" / "timebase.py").unlink()
    (later / "dist").rename(tmp_path / "dist")
    names = contents(built(later, later / "dist"))
    assert names == expected(later)
    assert not any("motion64" in name or "timebase" in name for name in names)
