"""What motionsig/README.md says of the floors is what scripts/check proves, and the files that it names are there."""

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "motionsig" / "README.md").read_text(encoding="utf-8")


def section(heading):
    return DOCUMENT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def rows(text):
    """Return the cells of a section's table, row by row."""
    return [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")][2:]


def test_the_floors_are_those_of_the_contract():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    layers = settings["importlinter:contract:floors"]["layers"].split("\n")
    contract = [set(re.split(r"\s*\|\s*", layer)) for layer in layers if layer]
    table = rows(section("Floors"))
    assert [set(re.findall("`(.+?)`", files)) for _, files, _ in table] == contract
    assert [int(floor) for floor, *_ in table] == list(range(len(contract)))[::-1]


def test_every_module_stands_on_a_floor():
    named = {name for _, files, _ in rows(section("Floors")) for name in re.findall("`(.+?)`", files)}
    modules = {path.stem for path in (ROOT / "motionsig").glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in (ROOT / "motionsig").glob("*/__init__.py")}
    assert named == modules | packages


PATHS = sorted({path for path in re.findall(r"`([\w./]+)`", DOCUMENT) if "/" in path or path.endswith((".py", ".md"))})


@pytest.mark.parametrize("path", PATHS)
def test_every_file_that_is_named_is_there(path):
    assert len(PATHS) > 15
    assert (ROOT / path).exists() or (ROOT / "motionsig" / path).exists()
