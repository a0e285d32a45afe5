"""The documents of the tree, read once: headings, links, passages of prose and blocks of code, each with its line."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
TOP = "README.md"
OTHERS = (".github/CONTRIBUTING.md", ".github/SECURITY.md")

MOST_LINES = {
    TOP: 150,
    "systemd/README.md": 187,
    "systemd/recipes/README.md": 190,
    "motionsig/README.md": 90,
    "motionsig/sensors/README.md": 278,
    "motionsig/recordings/README.md": 140,
    "motionsig/publishers/README.md": 285,
    "motionsig/collector/README.md": 90,
    "motionsig/publishers/parquet/README.md": 80,
    "motionsig/publishers/postgresql/README.md": 80,
    "motionsig/packing/README.md": 125,
    "motionsig/encoders/README.md": 155,
    "motionsig/heads/README.md": 125,
    "motionsig/control/README.md": 131,
    "motionsig/page/README.md": 120,
    "motionsig/cli/README.md": 205,
    "firmware_models/README.md": 60,
    "scripts/README.md": 60,
    "tests/README.md": 60,
    **dict.fromkeys(OTHERS, 60),
}
"""The documents that people write; each must exist."""

GENERATED = (
    "scripts/benchmarks/README.md",
    "firmware_models/motion64/README.md",
    "firmware_models/motion64/heads/README.md",
    "systemd/recipes/measured/README.md",
    "scripts/evaluate/measured/README.md",
)
"""Those that programs write: they hold the figures that the others link to."""

_HTML_LINK = re.compile(r"""<(a|img|source)\b[^>]*?\b(?:href|src|srcset)=["']([^"'\s]+)""")


@dataclass(frozen=True)
class Piece:
    """A part of a passage. kind: text, code, link or image; target: of a link or an image; bold: as it is shown."""

    kind: str
    text: str
    line: int
    target: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Passage:
    """A paragraph, a heading or a row of a table."""

    kind: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True)
class Heading:
    """A heading; anchor: what GitHub calls it in an address."""

    level: int
    text: str
    anchor: str
    line: int


@dataclass(frozen=True)
class Block:
    """A block of code; line: of its first line."""

    language: str
    content: str
    line: int


@dataclass(frozen=True)
class Document:
    """A document; path: from the root of the tree."""

    path: str
    text: str
    passages: tuple[Passage, ...]
    headings: tuple[Heading, ...]
    blocks: tuple[Block, ...]

    @property
    def pieces(self) -> Iterator[Piece]:
        return (piece for passage in self.passages for piece in passage.pieces)

    @property
    def links(self) -> list[Piece]:
        return [piece for piece in self.pieces if piece.kind in ("link", "image")]

    def at(self, line: int) -> str:
        """Return the place that a problem is named by."""
        return f"{self.path}:{line}"

    def section(self, anchor: str) -> str | None:
        """Return the text below a heading, up to the next of its level or above; None without such a heading."""
        lines = self.text.splitlines()
        for place, heading in enumerate(self.headings):
            if heading.anchor == anchor:
                after = (each.line for each in self.headings[place + 1 :] if each.level <= heading.level)
                return "\n".join(lines[heading.line : next(after, len(lines) + 1) - 1])
        return None


def read_document(path: str, text: str) -> Document:
    """Return a document; path: from the root of the tree."""
    passages: list[Passage] = []
    headings: list[Heading] = []
    blocks: list[Block] = []
    taken: Counter[str] = Counter()
    row: list[Piece] = []
    level, kind = 0, "paragraph"
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "heading_open":
            level, kind = int(token.tag[1:]), "heading"
        elif token.type == "tr_open":
            row, kind = [], "row"
        elif token.type == "tr_close":
            passages.append(Passage("row", tuple(row)))
            kind = "paragraph"
        elif token.type == "inline":
            assert token.map is not None
            pieces = tuple(_pieces(token, token.map[0] + 1))
            if kind == "row":
                row += (*pieces, Piece("text", " | ", token.map[0] + 1))
                continue
            passages.append(Passage(kind, pieces))
            if kind == "heading":
                name = _anchor(passages[-1].text)
                again = f"-{taken[name]}" if taken[name] else ""
                taken[name] += 1
                headings.append(Heading(level, passages[-1].text, name + again, token.map[0] + 1))
            kind = "paragraph"
        elif token.type in ("fence", "code_block"):
            assert token.map is not None
            first = token.map[0] + (2 if token.type == "fence" else 1)
            blocks.append(Block(token.info.strip(), token.content, first))
        elif token.type == "html_block":
            assert token.map is not None
            passages.append(Passage("html", tuple(_html_links(token.content, token.map[0] + 1))))
    return Document(path, text, tuple(passages), tuple(headings), tuple(blocks))


def _pieces(token: Token, line: int) -> Iterator[Piece]:
    """Yield the parts of an inline token that begins in `line`; what stands in a link is one part."""
    target, inside, began, bold = "", None, line, False
    for child in token.children or []:
        text = {"softbreak": " ", "hardbreak": " "}.get(child.type, child.content)
        line += child.type in ("softbreak", "hardbreak")
        if child.type == "link_open":
            target, inside, began = str(child.attrs["href"]), [], line
        elif child.type == "link_close":
            yield Piece("link", "".join(inside or []), began, target)
            inside = None
        elif child.type == "image":
            yield Piece("image", child.content, line, str(child.attrs["src"]))
        elif child.type == "html_inline":
            yield from _html_links(child.content, line)
        elif inside is not None:
            inside.append(text)
        elif child.type in ("strong_open", "strong_close"):
            bold = child.type == "strong_open"
        elif text:
            yield Piece("code" if child.type == "code_inline" else "text", text, line, bold=bold)


def _html_links(content: str, line: int) -> Iterator[Piece]:
    for found in _HTML_LINK.finditer(content):
        at = line + content[: found.start()].count("\n")
        yield Piece("link" if found[1] == "a" else "image", "", at, found[2])


def _anchor(heading: str) -> str:
    """Return what GitHub calls a heading: lower case, without punctuation, a hyphen for each space."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def in_git() -> list[str]:
    """Return the paths of all files that are committed or about to be."""
    # The tree may belong to another user than the one who tests it, as in a container.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in listed if (ROOT / path).exists()]


def all_documents() -> dict[str, Document]:
    """Return every README.md of the tree, and the other documents for people, by path."""
    paths = [path for path in in_git() if PurePosixPath(path).name == TOP or path in OTHERS]
    return {path: read_document(path, (ROOT / path).read_text(encoding="utf-8")) for path in sorted(paths)}


DOCUMENTS = all_documents()
