"""Every message that the page of the commands quotes is one that the product can say."""

import pytest
from documents import DOCUMENTS
from error_texts import HOLE, said, texts_of_python, texts_of_source

GUIDE = "motionsig/cli/README.md"


def test_what_a_function_can_say_is_its_expressions_with_holes():
    source = """TEXT = f"of {module}"
class A:
    'Not said.'
    def f(self, a, b, c):
        'Nor this.'
        raise InputError(f"expected {a}, got {b!r}" + (f"; did you mean {c}?" if c else "")) or "the " "end"
"""
    assert set(texts_of_python(source)) == {
        (f"of {HOLE}",), ("the end", f"expected {HOLE}, got {HOLE}{HOLE}", f"; did you mean {HOLE}?"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("expected a recording, got ...", True),
        ("... expected a recording, got ...; its formats: ...", True),
        ("this looks like deg/s: ... (...)", True),
        ("expected root: sudo scripts/install", True),
        ("expected a recording, had ...", False),
        ("expected it to answer on ... nothing there", True),
        ("expected it to answer on ... an empty file", False),
        ("expected ... got", False),
        ("expected a recording, got x", False),
    ],
)
def test_a_text_is_known_by_its_parts(text, known):
    assert said(text, texts_of_source()) == known


@pytest.mark.skipif(GUIDE not in DOCUMENTS, reason="test_each_document_is_there says so")
def test_the_product_can_say_every_message_that_the_guide_quotes():
    # Code in bold is the text of an error, as the guide says.
    messages = [piece for piece in DOCUMENTS[GUIDE].pieces if piece.kind == "code" and piece.bold]
    assert len(messages) >= 30
    assert [f"{GUIDE}:{it.line}: {it.text}" for it in messages if not said(it.text, texts_of_source())] == []
