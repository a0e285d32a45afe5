"""Figures in documents: each is a link to what measured it, a setting of the product, or a fact with a source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from documents import GENERATED, Document, Passage

_NUMBER = r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)"
_WORD = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|"
    "nineteen|twenty|thirty|forty|fifty|sixty|a hundred|a thousand"
)
_TIME = "seconds?|minutes?|hours?|days?|weeks?|months?|years?"
_MEASURE = (
    f"ns|µs|us|ms|s|min|h|{_TIME}|m?Hz|kHz|MHz|k?B|KB|MB|GB|KiB|MiB|GiB|bytes?|%|x|times|per cent|ppm|mg|g|m|mm|"
    "cm|m/s²|rad/s|deg/s|dps|°C|m?V|m?A|W"
)
_THING = (
    "chips?|families|formats?|codes?|signatures?|windows?|samples?|people|cores?|parameters|"
    "floats?|messages?|characters|starts?|tests?|lines?"
)
_NUMBERS = rf"{_NUMBER}(?:\s?(?:to|or|and|-|/|…)\s?{_NUMBER})*"
_COUNTED = rf"(?<![Tt]wo )(?:{_THING})"  # two of something is mostly no figure
FIGURE = re.compile(
    rf"(?<![\w.,/:-])(?:{_NUMBERS}[\s-]?(?:{_MEASURE}|{_THING})|\.\d{{2,}}|(?i:{_WORD})[\s-](?:{_TIME}|{_COUNTED}))"
    r"(?![\w/]|-\w)"
)
"""A number with its unit or with what is counted, or a share such as .972. A bare number is none: it may be a version,
a port or a pin."""


@dataclass(frozen=True)
class Setting:
    """A figure that the product's code or files give.

    near: a pattern of what the same passage says; figure: returns the figure as documents write it.
    """

    near: str
    figure: Callable[[], str]


@dataclass(frozen=True)
class Fact:
    """A figure from outside. near: as in a Setting; source: who says so."""

    near: str
    figure: str
    source: str


def figures_of(passage: Passage) -> Iterator[tuple[int, str]]:
    """Yield line and text of the figures in a passage that are neither in code nor in a link to a figure."""
    for piece in passage.pieces:
        if piece.kind == "text" or (piece.kind == "link" and not _holder(piece.target)):
            for found in FIGURE.finditer(piece.text):
                figure = " ".join(found[0].split())
                # A sentence may begin with one.
                yield piece.line, figure[0].lower() + figure[1:]


def used(known: Setting | Fact, documents: Iterable[Document]) -> bool:
    """Return whether a known figure stands in some document."""
    figure = known.figure if isinstance(known, Fact) else known.figure()
    return any(
        any(figure == each for _, each in figures_of(passage)) and re.search(known.near, passage.text, re.IGNORECASE)
        for document in documents
        for passage in document.passages
    )


def problems_of_figures(document: Document, settings: Sequence[Setting], facts: Sequence[Fact]) -> Iterator[str]:
    """Yield a line for each figure that is no link, no setting and no fact."""
    for passage in document.passages:
        for line, figure in figures_of(passage):
            about = [known for known in (*settings, *facts) if re.search(known.near, passage.text, re.IGNORECASE)]
            values = [known.figure if isinstance(known, Fact) else known.figure() for known in about]
            if figure not in values:
                known = f"; the settings spoken of here are {', '.join(values)}" if values else ""
                yield f"{document.at(line)}: {figure}: expected a link to what measured it, or a known setting{known}"


def problems_of_linked(document: Document, documents: Mapping[str, Document]) -> Iterator[str]:
    """Yield a line for each figure that is not literally in the section that its link leads to."""
    for link in document.links:
        if not _holder(link.target) or not re.search(r"\d", link.text):
            continue
        path, _, anchor = link.target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(document.path), path))
        if path not in documents:
            continue  # which the test of links says
        section = documents[path].section(anchor) if anchor else documents[path].text
        if section is None or not holds(section, link.text):
            yield f"{document.at(link.line)}: {link.text}: expected it in {path}#{anchor}, which does not have it"


def holds(section: str, figure: str) -> bool:
    """Return whether a figure stands in a section, whole: 20 is not in 1,204, and neither is it in 3.20."""
    plain = " ".join(re.sub(r"[*`]", "", section).split())
    wanted = re.escape(" ".join(figure.split()))
    return re.search(rf"(?<![\w.,]){wanted}(?![\w]|[.,]\d)", plain) is not None


def _holder(target: str) -> bool:
    """Return whether a link leads to a document that holds figures."""
    path = target.partition("#")[0]
    return any(posixpath.basename(posixpath.dirname(path)) == each.split("/")[-2] for each in GENERATED)
