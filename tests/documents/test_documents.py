"""Documents are read as GitHub shows them; each that must exist does, is short enough, and has a table of contents."""

import pytest
from documents import DOCUMENTS, GENERATED, MOST_LINES, TOP, Document, read_document

SCREEN_LINES, WIDEST = 40, 140
WRITTEN = sorted(DOCUMENTS.keys() - GENERATED)

SAMPLE = """# One `two` & three -- four

A paragraph whose [link is
broken](a/b.md#c "title") and whose **`code`** is not; ![a picture](p.svg).

## Same
## Same

| head | of |
| --- | --- |
| `x` | 3 s |

```python
x = 1
```

    indented

### Below *this*
<p><img src="deep.png"> <a href="deep.md">deep</a></p>

# Kill -9, µs, 50 %
"""


def problems_of_form(document: Document, most_lines: int) -> list[str]:
    """Return what is wrong with a document's length, its width and its table of contents."""
    lines = document.text.splitlines()
    code = {block.line + at for block in document.blocks for at in range(len(block.content.splitlines()))}
    found = [
        f"{document.at(at)}: expected at most {WIDEST} characters, got {len(line)}"
        for at, line in enumerate(lines, 1)
        # A row of a table cannot be broken.
        if len(line) > WIDEST and at not in code and not line.startswith("|")
    ]
    found += [f"{document.at(at)}: expected it done" for at, line in enumerate(lines, 1) if "TODO" in line]
    if len(lines) > most_lines:
        found.append(f"{document.path}: expected at most {most_lines} lines, got {len(lines)}")
    chapters = [heading for heading in document.headings if heading.level == 2]
    if len(lines) > SCREEN_LINES and document.path != TOP:
        first = chapters[1].line if len(chapters) > 1 else len(lines)
        contents = [link.target for link in document.links if link.line < first and link.target.startswith("#")]
        found += [
            f"{document.at(chapter.line)}: expected {chapter.text!r} in the table of contents"
            for chapter in chapters
            # The heading above the table itself need not stand in it.
            if f"#{chapter.anchor}" not in contents and chapter.anchor != "contents"
        ]
    return found


def test_a_document_is_read_as_it_is_shown():
    document = read_document("a/README.md", SAMPLE)
    assert [(it.level, it.anchor, it.line) for it in document.headings] == [
        (1, "one-two--three----four", 1), (2, "same", 6), (2, "same-1", 7), (3, "below-this", 19),
        (1, "kill--9-µs-50-", 22),
    ]  # fmt: skip
    assert [(it.kind, it.text, it.target, it.line) for it in document.links] == [
        ("link", "link is broken", "a/b.md#c", 3), ("image", "a picture", "p.svg", 4),
        ("image", "", "deep.png", 20), ("link", "", "deep.md", 20),
    ]  # fmt: skip
    assert [(it.language, it.content, it.line) for it in document.blocks] == [
        ("python", "x = 1\n", 14), ("", "indented\n", 17),
    ]  # fmt: skip
    assert [it.text for it in document.passages if it.kind == "row"] == ["head | of | ", "x | 3 s | "]
    assert [(it.text, it.line, it.bold) for it in document.pieces if it.kind == "code"] == [
        ("two", 1, False), ("code", 4, True), ("x", 11, False),
    ]  # fmt: skip


def test_a_section_ends_where_the_next_of_its_level_begins():
    document = read_document("README.md", "# A\n## B\nb\n### C\nc\n## D\nd\n")
    assert document.section("b") == "b\n### C\nc"
    assert (document.section("c"), document.section("d"), document.section("e")) == ("c", "d", None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x" * 141, "a/README.md:1: expected at most 140 characters, got 141"),
        ("x\nTODO\n", "a/README.md:2: expected it done"),
        ("x\n" * 61, "a/README.md: expected at most 60 lines, got 61"),
        ("## Here\n" + "x\n" * 45, "a/README.md:1: expected 'Here' in the table of contents"),
        ("## Here\nx\n## There\n[Here](#here) [There](#there)\n" + "x\n" * 45, "a/README.md:1: expected 'Here' in"),
    ],
)
def test_what_is_wrong_with_a_documents_form_is_named(text, problem):
    assert problems_of_form(read_document("a/README.md", text), 60)[0].startswith(problem)


@pytest.mark.parametrize(
    "text", ["| " + "x" * 150 + " |", "```\n" + "x" * 150 + "\n```", "[There](#there)\n## There\n" + "x\n" * 45]
)
def test_a_document_in_form_has_no_problem(text):
    assert problems_of_form(read_document("a/README.md", text), 60) == []


@pytest.mark.parametrize("path", [*MOST_LINES, *GENERATED])
def test_each_document_is_there(path):
    assert path in DOCUMENTS


def test_no_document_is_without_a_limit():
    assert DOCUMENTS.keys() <= {*MOST_LINES, *GENERATED}


@pytest.mark.parametrize("path", WRITTEN)
def test_each_document_is_short_and_says_what_is_in_it(path):
    assert problems_of_form(DOCUMENTS[path], MOST_LINES[path]) == []


@pytest.mark.parametrize("path", WRITTEN)
def test_each_document_begins_with_its_name_and_a_sentence(path):
    heading, sentence = DOCUMENTS[path].passages[:2]
    assert heading.kind == "heading" and sentence.kind in ("paragraph", "html")
