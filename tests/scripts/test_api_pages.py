"""scripts/api_pages makes a page on which every public name stands, with its example."""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import motionsig

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the script says, and the folder it makes, of this tree's motionsig, but beside a copy of the script."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "scripts/api_template", tree / "scripts/api_template")
    for name in ("setup.cfg", "pyproject.toml", "scripts/api_pages", "scripts/environment"):
        shutil.copy(ROOT / name, tree / name)
    (tree / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (tree / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    settings = "".join((tree / name).read_text() for name in ("setup.cfg", "pyproject.toml"))
    (tree / ".venv/made-for").write_text(f"{settings}dev\nPython {sys.version.split()[0]}\n")
    (tree / "api").mkdir()
    (tree / "api/old.html").touch()
    env = dict(os.environ, PYTHON=sys.executable)
    done = subprocess.run([tree / "scripts/api_pages"], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, tree / "api"


def entries(page):
    """Return the text of each entry of a page by name; an example stands in it as it was written."""
    found = re.findall(r'<section id="(\w+)">(.*?)</section>', page.read_text(encoding="utf-8"), re.S)
    return {name: html.unescape(re.sub(r"<[^>]*>", "", content)) for name, content in found}


def test_every_public_name_stands_on_the_page_with_its_example(made):
    shown = entries(made[1] / "motionsig.html")
    assert list(shown) == motionsig.__all__
    for name, text in shown.items():
        example = [line.strip() for line in getattr(motionsig, name).__doc__.splitlines() if ">>> " in line]
        assert example and all(line in text for line in example), name


def test_the_last_line_names_the_page_to_open(made):
    said, folder = made
    page = re.search(r"open (/\S+\.html)", said.splitlines()[-1])[1]
    assert Path(page) == folder / "motionsig.html"
    assert sorted(it.name for it in folder.iterdir()) == ["index.html", "motionsig", "motionsig.html", "search.js"]


def test_arrays_have_the_type_that_the_source_names(made):
    text = entries(made[1] / "motionsig.html")
    assert "codes: NDArray[numpy.int8]" in text["SignatureBatch"]
    assert "time_ns: numpy.typing.ArrayLike" in text["sample_block"]


def test_no_page_needs_the_network_and_no_link_is_dead(made):
    pages = {page: page.read_text(encoding="utf-8") for page in made[1].rglob("*.html")}
    for page, text in pages.items():
        assert not re.search(r'<(script|link|img)[^>]* (src|href)="https?:', text)
        for file, anchor in re.findall(
            r'href="([^"#:]*)#?([^":]*)"', re.sub(r"<script.*?</script>", "", text, flags=re.S)
        ):
            target = (page.parent / file).resolve() if file else page
            assert target in pages and (not anchor or f' id="{anchor}"' in pages[target]), (
                f"{page.name}: {file}#{anchor}"
            )
