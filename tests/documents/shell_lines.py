"""Command lines as documents show them, taken apart as a shell would; nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from documents import Block

SHELLS = ("sh", "bash", "shell", "console")

_ENDS = {"&&", "||", ";", ";;", "|", "&", "(", ")"}
_SKIPPED = {"sudo", "time", "then", "do", "if", "while", "exec", "nice"}
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.S)


@dataclass(frozen=True)
class Command:
    """One command with its words; written: the file that its output or what follows it (`text`) goes to."""

    words: tuple[str, ...]
    line: int
    written: str = ""
    text: str = ""


def commands_of(block: Block, programs: frozenset[str]) -> list[Command]:
    """Return the commands of a block; none where it is no shell's, or has no known program in it (a drawing, say).

    Raises ValueError for a line that is no shell's.
    """
    if block.language not in SHELLS and block.language:
        return []
    found = list(_commands(block))
    known = any(is_known(command.words[0], programs) for command in found)
    return found if block.language or known else []


def is_known(program: str, programs: frozenset[str]) -> bool:
    """Return whether a program is one of `programs`, or of this tree's scripts."""
    return program.rpartition("/")[2] in programs or program.startswith("scripts/")


def split_words(text: str, line: int = 0, heredoc: str = "") -> list[Command]:
    """Return the commands of one line of a shell; raise ValueError where it is none."""
    lexer = shlex.shlex(_without_comment(_HEREDOC.sub(" ", text)), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    commands: list[Command] = []
    words: list[str] = []
    written = ""
    tokens = [*lexer, ";"]
    for place, token in enumerate(tokens):
        if token in _ENDS:
            while words and (words[0] in _SKIPPED or words[0].startswith("-") or _ASSIGNMENT.fullmatch(words[0])):
                del words[0]
            if words and words[0] == "tee":
                written = words[-1]
            if words and words[0] not in ("done", "fi"):
                commands.append(Command(tuple(words), line, written, heredoc))
            words, written = [], ""
        elif set(token) <= set("<>&") and ("<" in token or ">" in token):
            # A descriptor before it is no word, and neither is the file after it.
            if words and words[-1].isdigit():
                del words[-1]
        elif place and set(tokens[place - 1]) <= set("<>&") and set(tokens[place - 1]) & set("<>"):
            written = token
        else:
            words.append(token)
    return commands


def _commands(block: Block) -> Iterator[Command]:
    lines = block.content.splitlines()
    place = 0
    while place < len(lines):
        first = place
        text = lines[place]
        prompted = text.lstrip().startswith("$ ")
        text = text.lstrip().removeprefix("$ ")
        while text.endswith("\\") and place + 1 < len(lines):
            place += 1
            text = text[:-1] + lines[place]
        body = ""
        if (here := _HEREDOC.search(text)) is not None:
            end = lines.index(here[2], place + 1) if here[2] in lines[place + 1 :] else len(lines)
            body = "\n".join(lines[place + 1 : end]) + "\n"
            place = end
        place += 1
        # What a console shows without a prompt is output.
        if block.language != "console" or prompted:
            yield from split_words(text, block.line + first, body)


def _without_comment(text: str) -> str:
    quote = ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (place == 0 or text[place - 1].isspace()):
            return text[:place]
    return text
