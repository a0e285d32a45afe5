"""The page's own files: how much a browser loads, where it loads from, and where its texts stand."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import motionsig.page

STATIC = Path(motionsig.page.__file__).parent / "static"
FILES = sorted(STATIC.iterdir())
SCRIPTS = [file for file in FILES if file.suffix == ".js"]

MOST_BYTES = 100_000

# A string of a script: in quotation marks or backticks. Comments are cut off before.
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'|`((?:[^`\\]|\\.)*)`')
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))//.*$")
# What is no text though it has words: classes, selectors, the drawing's font.
_NO_TEXT = re.compile(
    r'class(?:: |", )(?:`[^`]*`|[^,}])*|(?:querySelector(?:All)?|closest|matchMedia)\((?:[^()]|\([^()]*\))*\)|font = .*'
)
_WORDS = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}|^[A-Z][a-z]+(?: |$)")
_NAMES = {"Accept", "Content-Type", "End", "Enter", "Escape", "Home"}


def test_the_page_is_small() -> None:
    assert sum(file.stat().st_size for file in FILES) <= MOST_BYTES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_comes_from_elsewhere(file: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[A-Za-z0-9][^\s\"'`)]*", _COMMENT.sub("", file.read_text()))
    # A namespace is a name, which nobody loads.
    assert [each for each in addresses if each != "http://www.w3.org/2000/svg"] == []


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_texts_stand_in_one_file(file: Path) -> None:
    found = texts_of(file.read_text())
    assert bool(found) == (file.name == "texts.js"), found


def test_a_text_in_a_script_would_be_found() -> None:
    script = 'h("p", { class: "muted small" }, "There is none.");  // no text\nh("b", {}, `Head ${name}`, "Pause")'
    assert texts_of(script) == ["There is none.", "Head ${name}", "Pause"]


def texts_of(script: str) -> list[str]:
    """Return the strings of a script that people would read."""
    strings = _STRING.finditer(_NO_TEXT.sub("", _COMMENT.sub("", script)))
    texts = [next(group for group in string.groups() if group is not None) for string in strings]
    return [text for text in texts if text not in _NAMES and _WORDS.search(text)]


def test_the_document_has_no_text_and_nothing_inline() -> None:
    document = _Document()
    document.feed((STATIC / "index.html").read_text())
    assert document.texts == ["motionsig", "motionsig"]  # the title and the heading, until the device's name is known
    assert document.inline == []


class _Document(HTMLParser):
    """What the policy of the page would refuse, and what people would read."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []
        self.texts += [f"{tag} {name}" for name in ("title", "alt", "aria-label", "placeholder") if name in given]

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []
