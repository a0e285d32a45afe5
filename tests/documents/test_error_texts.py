"""Every message that the troubleshooting quotes is one that the product can say."""

import pytest
from documents import DOCUMENTS, read_document
from error_texts import HOLE, quoted, said, texts_of_python, texts_of_source

GUIDE = "motionsig/cli/README.md"
HEADING = "troubleshooting"


def test_an_expression_is_one_text_with_holes():
    source = """def f(a, b, c):
    'Not said.'
    raise InputError(f"expected {a}, got {b!r}" + (f"; did you mean {c}?" if c else "")) or "the " "end"
"""
    assert list(texts_of_python(source)) == [
        "the end", f"expected {HOLE}, got {HOLE}{HOLE}", f"; did you mean {HOLE}?", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("expected a recording, got ...", True),
        ("... expected one of the formats ...; got ...", True),
        ("this looks like deg/s: ... (...)", True),
        ("expected root: sudo scripts/install", True),
        ("expected a recording, had ...", False),
        ("got ... expected one of the formats", False),
        ("expected ... got", False),
        ("expected a recording, got x", False),
    ],
)
def test_a_text_is_known_by_its_parts_in_their_order(text, known):
    assert said(text, texts_of_source()) == known


def test_messages_are_found_in_first_cells_headings_and_beginnings():
    text = (
        "# A\n`no`\n## Troubleshooting\n### `one`\nif `no` then\n\n`two`: do\n\n* `three` is `four`\n\n"
        "| message | do |\n| --- | --- |\n| `five` or `six` | `no` |\n## After\n| `no` | |\n| --- | --- |\n`no`\n"
    )
    assert [text for _, text in quoted(read_document("made.md", text), HEADING)] == [
        "one", "two", "three", "five", "six",
    ]  # fmt: skip


@pytest.mark.skipif(GUIDE not in DOCUMENTS, reason="test_each_document_is_there says so")
def test_the_product_can_say_every_message_that_the_troubleshooting_quotes():
    messages = list(quoted(DOCUMENTS[GUIDE], HEADING))
    assert len(messages) >= 10
    assert [f"{GUIDE}:{line}: {text}" for line, text in messages if not said(text, texts_of_source())] == []
