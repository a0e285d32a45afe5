"""What the .deb is made of. Building and installing one is scripts/try_package's business."""

import configparser
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from motionsig.config import known_keys

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = ROOT / "systemd"


@pytest.mark.parametrize(
    ("shell", "path"),
    [("bash", "scripts/install"), ("bash", "scripts/build_deb")]
    + [("sh", f"systemd/debian/{name}") for name in ("postinst", "prerm", "postrm")],
)
def test_scripts_can_be_read(shell, path):
    done = subprocess.run([shell, "-n", path], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (ROOT / path).stat().st_mode & 0o111


def test_what_shell_scripts_import_is_there():
    shell = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and b"bash" in path.read_bytes()[:30]]
    imports = [
        line
        for path in shell
        for line in re.findall(r"^(?:from|import) motionsig[^#;\n]*", path.read_text(), re.MULTILINE)
    ]
    assert len(imports) > 2
    for line in imports:
        exec(line, {})


def test_install_wants_one_word_or_none():
    done = subprocess.run([ROOT / "scripts/install", "--all"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "install: expected [--remove], got --all; --help says more\n")


def test_the_package_has_all_extras_but_pictures_and_tables():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    script = (ROOT / "scripts/build_deb").read_text()
    runtimes = re.findall(r"runtime=(\w+)", script)
    assert runtimes == ["litert", "tflite"]
    extras = re.search(r"/source\[\$runtime,([a-z0-9,]+)\]", script)[1].split(",")
    assert set(runtimes) <= set(setup["options.extras_require"])
    of_all = re.search(r"motionsig\[([a-z0-9,]+)\]", setup["options.extras_require"]["all"])[1].split(",")
    tables = {"parquet", "hdf5", "ros", "ulog", "postgresql", "sklearn", "pandas"}
    assert set(extras) == set(of_all) - tables - {"plot", "progress"}


def test_devices_and_groups_are_spelt_alike():
    unit = (SYSTEMD / "motionsig.service").read_text()
    rules = set(re.findall(r'GROUP="(\w+)"', (SYSTEMD / "60-motionsig.rules").read_text()))
    made = set(re.findall(r"^g (\w+)", (SYSTEMD / "motionsig.sysusers").read_text(), re.MULTILINE))
    assert set(re.search(r"^SupplementaryGroups=(.*)$", unit, re.MULTILINE)[1].split()) == rules
    assert rules - made == {"plugdev"}  # base-passwd has it


def documented():
    """Return what the example says of each key, commented out or not, by its full name."""
    values, table = {}, ""
    for line in (SYSTEMD / "config.toml").read_text().splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            table = f"{match[1]}."
        elif match := re.fullmatch(r"(?:# )?([a-z0-9_]+) = (.*)", line):
            assert f"{table}{match[1]}" not in values, line
            values[table + match[1]] = tomllib.loads(f"value = {match[2]}")["value"]
    return values


def test_the_example_shows_every_key_and_its_default():
    given, known = documented(), known_keys()
    assert set(given) == set(known)
    defaults = {name: key.default for name, key in known.items() if key.default is not None}
    assert {name: given[name] for name in defaults} == defaults
