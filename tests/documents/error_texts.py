"""The texts that the product can say, as its source has them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator

from documents import ROOT

HOLE = "\0"
"""Stands in a text of the source where a value comes, which is not known before."""

_LEAST_KNOWN = 12  # characters; what is shorter is found somewhere by chance


Texts = tuple[str, ...]
"""What one function can say, or one statement outside of functions."""


@functools.cache
def texts_of_source() -> tuple[Texts, ...]:
    """Return every text of the package and of the scripts that people install with."""
    files = sorted((ROOT / "motionsig").rglob("*.py"))
    texts = [text for file in files for text in texts_of_python(file.read_text(encoding="utf-8"))]
    shell = [ROOT / "scripts" / name for name in ("environment", "install", "build_deb", "demo", "compile_edgetpu")]
    texts += [text for file in shell for text in _texts_of_shell(file.read_text(encoding="utf-8"))]
    return tuple(texts)


def texts_of_python(source: str) -> Iterator[Texts]:
    """Yield the texts of a module, each expression as one, with holes for its values; no docstrings."""
    ahead: list[ast.AST] = [ast.parse(source)]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.Module | ast.ClassDef):
            ahead += node.body
        elif texts := tuple(_texts_of_node(node)):
            yield texts


def _texts_of_node(top: ast.AST) -> Iterator[str]:
    taken: set[ast.AST] = set()
    for node in ast.walk(top):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            taken.add(node.value)
        elif node not in taken and (text := _text(node, taken)):
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


def _texts_of_shell(source: str) -> Iterator[Texts]:
    for line in source.splitlines():
        if re.search(r"\b(refuse|fail|echo)\b", line):
            yield (re.sub(r"\$(\{.*?\}|\(.*?\)|\w+|[*?#@])", HOLE, line),)


def said(text: str, texts: Iterable[Texts]) -> bool:
    """Return whether one function of the source has all parts of `text`, which "..." keeps apart.

    Their order is not asked for, as one part may be in a value of the other.
    """
    parts = [part for part in re.split(r"\s*(?:\.\.\.|…)\s*", text) if part]
    if sum(map(len, parts)) < _LEAST_KNOWN:
        return False
    return any(all(any(part in " ".join(one.split()) for one in function) for part in parts) for function in texts)
