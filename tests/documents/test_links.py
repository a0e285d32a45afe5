"""Every link and picture of a document leads somewhere, and every document is reached from README.md."""

import posixpath
from collections.abc import Collection, Mapping

import pytest
from documents import DOCUMENTS, TOP, Document, Piece, in_git, read_document

FILES = in_git()
ELSEWHERE = ("https://", "http://", "mailto:")


def place_of(document: Document, target: str) -> tuple[str, str]:
    """Return the path from the root, "" for the root itself, and the anchor that a relative target names."""
    path, _, anchor = target.partition("#")
    if not path:
        return document.path, anchor
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(document.path), path))
    return "" if joined == "." else joined, anchor


def problem_of(link: Piece, document: Document, documents: Mapping[str, Document], files: Collection[str]) -> str:
    """Return what is wrong with a link, "" where nothing is."""
    if link.target.startswith(ELSEWHERE):
        return ""
    path, anchor = place_of(document, link.target)
    where = f"{document.at(link.line)}: {link.target}"
    is_folder = not path or any(file.startswith(f"{path}/") for file in files)
    if not (path in files or (is_folder and link.kind == "link")):
        return f"{where}: expected a file of the tree, got none"
    if anchor and path not in documents:
        return f"{where}: expected a heading of a document, got a file that is none"
    if anchor and anchor not in {heading.anchor for heading in documents[path].headings}:
        return f"{where}: expected one of the headings of {path}, got none of that name"
    return ""


def problems_of_links(document: Document, documents: Mapping[str, Document], files: Collection[str]) -> list[str]:
    """Return what is wrong with a document's links and pictures."""
    return [text for link in document.links if (text := problem_of(link, document, documents, files))]


def orphans(documents: Mapping[str, Document]) -> set[str]:
    """Return the documents that no way leads to from README.md; GitHub shows a folder's README.md with the folder."""
    reached, ahead = {TOP}, [TOP]
    while ahead:
        document = documents[ahead.pop()]
        for link in document.links:
            path, _ = place_of(document, link.target)
            for each in {path, posixpath.join(path, TOP)} & documents.keys() - reached:
                reached.add(each)
                ahead.append(each)
    return documents.keys() - reached


MADE = {
    path: read_document(path, text)
    for path, text in {
        TOP: "# Top\n[a](a/) [b](b/c.md#over-there) ![p](p.svg) [w](https://example.org/x#y) [l](LICENSE)\n",
        "a/README.md": "# A\n## In `a`\n[up](../README.md#top) [in](#in-a)\n",
        "b/c.md": "## Over there\n",
        "d/README.md": "# D\n[top](..)\n",
    }.items()
}
MADE_FILES = [*MADE, "p.svg", "LICENSE"]


def test_links_that_lead_somewhere_are_no_problem():
    assert [problems_of_links(document, MADE, MADE_FILES) for document in MADE.values()] == [[]] * len(MADE)


@pytest.mark.parametrize(
    "text",
    [
        "[x](none.md)", "[x](../x.md)", "[x](/LICENSE)", "[x](#none)", "[x](../b/c.md#none)", "[x](../LICENSE#top)",
        "![x](none.svg)", "![x](..)", '<img src="none.svg">', '<a href="#none">x</a>', "| [x](none.md) |\n| - |",
        "[x][ref]\n\n[ref]: none.md",
    ],
)  # fmt: skip
def test_a_link_that_leads_nowhere_is_named(text):
    document = read_document("a/README.md", f"# A\n{text}\n")
    (problem,) = problems_of_links(document, MADE, MADE_FILES)
    assert problem.startswith("a/README.md:2: ")


def test_a_document_that_no_way_leads_to_is_found():
    assert orphans(MADE) == {"d/README.md"}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_link_leads_somewhere(path):
    assert problems_of_links(DOCUMENTS[path], DOCUMENTS, FILES) == []


def test_every_document_is_reached_from_the_top():
    assert orphans(DOCUMENTS) == set()
