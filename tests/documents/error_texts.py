"""The texts that the product can say, as its source has them, and those that a document says it says."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator

from documents import ROOT, Document

HOLE = "\0"
"""Stands in a text of the source where a value comes, which is not known before."""

_LEAST_KNOWN = 12  # characters; what is shorter is found somewhere by chance


@functools.cache
def texts_of_source() -> tuple[str, ...]:
    """Return every text of the package and of the scripts that people install with."""
    files = sorted((ROOT / "motionsig").rglob("*.py"))
    texts = [text for file in files for text in texts_of_python(file.read_text(encoding="utf-8"))]
    shell = [ROOT / "scripts" / name for name in ("environment", "install", "build_deb", "demo", "compile_edgetpu")]
    texts += [text for file in shell for text in _texts_of_shell(file.read_text(encoding="utf-8"))]
    return tuple(texts)


def texts_of_python(source: str) -> Iterator[str]:
    """Yield the texts of a module, each expression as one, with holes for its values; no docstrings."""
    taken: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            taken.add(node.value)
        elif node not in taken and (text := _text(node, taken)) is not None:
            yield text


def _text(node: ast.AST, taken: set[ast.AST]) -> str | None:
    """Return the text of an expression, None where it has none; add the nodes that it is made of to `taken`."""
    text = None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(_text(part, taken) or HOLE for part in node.values)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_text(node.left, taken), _text(node.right, taken)]
        text = None if parts == [None, None] else "".join(part or HOLE for part in parts)
    if text is not None:
        taken.add(node)
    return text


def _texts_of_shell(source: str) -> Iterator[str]:
    for line in source.splitlines():
        if re.search(r"\b(refuse|fail|echo)\b", line):
            yield re.sub(r"\$(\{.*?\}|\(.*?\)|\w+|[*?#@])", HOLE, line)


def said(text: str, texts: Iterable[str]) -> bool:
    """Return whether one of the source's texts has the parts of `text`, which "..." keeps apart, in their order."""
    parts = [part for part in re.split(r"\s*(?:\.\.\.|…)\s*", text) if part]
    if sum(map(len, parts)) < _LEAST_KNOWN:
        return False
    wanted = re.compile("(?s:.*)".join(re.escape(part) for part in parts))
    return any(wanted.search(" ".join(known.split())) for known in texts)


def quoted(document: Document, heading: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of every message that a document quotes below `heading`.

    A message is code in the first cell of a row, in a heading, or at the beginning of a paragraph or an item.
    """
    lines = [each for each in document.headings if each.anchor == heading]
    if not lines:
        return
    later = (each.line for each in document.headings if each.line > lines[0].line and each.level <= lines[0].level)
    end = next(later, len(document.text.splitlines()) + 1)
    for passage in document.passages:
        for piece in passage.pieces:
            if not lines[0].line < piece.line < end:
                break
            if passage.kind == "row" and piece.kind == "text" and " | " in piece.text:
                break
            if piece.kind == "code":
                yield piece.line, piece.text
            elif passage.kind == "paragraph":
                break
