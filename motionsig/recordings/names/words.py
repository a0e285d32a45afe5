"""One name of a column cut into words, and what each of them says: a quantity, an axis, a unit, or nothing known.

A word of one letter is weak: it is believed only where no whole word says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from motionsig.recordings.names.chips import CHIPS
from motionsig.recordings.names.units import COUNTS, Measured, Unit, plain, spell, unit_of
from motionsig.recordings.names.vocabulary import WORDS

Quantity = Literal["acc", "gyr", "mag", "orientation", "other", ""]
_CHIP = re.compile("|".join(sorted((plain(chip.name) for chip in CHIPS), key=len, reverse=True)))
QUANTITIES = frozenset(
    {"acc", "whole", "total", "user", "world", "body", "gyr", "rot", "mag", "gravity", "orientation"}
)
LETTERS: Mapping[str, Quantity] = {
    "a": "acc",
    "g": "gyr",
    "w": "gyr",
    "ω": "gyr",
    "r": "gyr",
    "as": "gyr",
    "m": "mag",
    "h": "mag",
    "b": "mag",
    "q": "orientation",
    "e": "orientation",
    "v": "other",
    "p": "other",
}
AXES = frozenset("xyzw")
_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-zω]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_BRACKETS = re.compile(r"\(((?:[^()]|\([^()]*\))*)\)?|\[((?:[^\[\]]|\[[^\[\]]*\])*)\]?|\{([^{}]*)\}|<([^<>]*)>")
_TAIL = re.compile(r"(?P<name>.*?[^\s,/:;|])(?:\s*[,/:;|]\s*|\s+-\s+|\s+in\s+|_in_|\s+)(?P<unit>[^,:;|]+)", re.DOTALL)
# Glued to an axis at most: "grad/s" is not in radians.
_GLUED = re.compile(
    r"(?<![a-w])(?:m|milli)?(?:deg|rad)s?\s*(?:/|per)\s*s(?:ec)?|(?<![a-w])(?:deg|rad)\s*s\^?-1|(?<![a-w])m\s*/\s*s(?:ec)?\s*(?:\^?2|/s(?:ec)?)",
    re.IGNORECASE,
)
_G_FORCE = re.compile(r"\bg_?F(?=_?[xyzXYZ]\b)")
_RANGE = re.compile(r"(?:\+/?-|\+-|\u00b1)?\s*\d+\s*(?:g|dps|deg/s|rad/s)", re.IGNORECASE)
_DESCRIPTOR = re.compile(r"0?x[0-9a-f]+", re.IGNORECASE)  # "X Accel [x8004]"
_TYPES = frozenset(
    {"", "txt", "n", "r", "text", "string", "int", "float", "bool", "au", "a.u.", "-", "unitless", "none"}
)
_COUNTED = frozenset({"imu", "sensor", "device"})
_TURNS = {"roll": "x", "pitch": "y", "yaw": "z"}
_JOINED = 5  # tokens that may be one word
_RUN = 5  # tokens that may be one unit

Token = tuple[int, str]
"""Where a word stands among a name's, and the word."""


class Said(NamedTuple):
    """What one name says.

    * `words`: meanings of its whole words, as in the vocabulary. `letter`: the meaning of its one-letter word.
    * `behind`: that letter stands behind the axis, as in x_a.
    * `axis`: x, y, z, w or "". `number`: the one in brackets or at the end where no axis is.
    * `unit`: of its brackets or end, of whatever quantity.
    * `rest`: words without a meaning. `noise`: words that say nothing by themselves. `tokens`: all of them.
    """

    words: frozenset[str]
    letter: Quantity
    behind: bool
    axis: str
    number: int | None
    unit: Unit | None
    rest: tuple[str, ...]
    noise: tuple[str, ...]
    tokens: tuple[str, ...]


def listen(name: str) -> Said:
    """Return what the words of a column's `name` say."""
    text = _G_FORCE.sub("gforce ", spell(name.strip().lstrip("%#")).strip())
    unit, number, text = _without_brackets(text)
    if unit is None:
        unit, text = _without_tail(text)
    tokens = _tokens(text)
    words, noise, left, axes = _meanings(tokens)
    quantity = bool(words & QUANTITIES)
    if unit is None:
        unit, left = _glued_unit(left, words)
    letter: Quantity = ""
    behind = False
    if not quantity and axes:
        letter, behind, left, axes = _letter(left, axes)
    elif not quantity and len(left) == 2 and left[0][1] == "q" and left[1][1] in "0123":
        letter, left = "orientation", left[1:]
    elif axes and left and left[-1][0] == axes[-1][0] - 1 and LETTERS.get(left[-1][1]) in words:
        left = left[:-1]  # "Accel Sensor Ax": the letter only repeats the word
    axis = ""
    if real := [each for each in axes if each[1] != "w"] or axes:
        axis = (real[-1] if quantity or letter else real[0])[1]
        left = sorted([*left, *(each for each in axes if each[1] != axis)])
    axis = axis or next((about for turn, about in _TURNS.items() if words & {turn, f"{turn}rate"}), "")
    if number is None and not axis and left and left[-1][1].isdigit() and len(left[-1][1]) < 3:
        number = int(left[-1][1])
    rest = tuple(word for _, word in left)
    return Said(words, letter, behind, axis, number, unit, rest, noise, tuple(tokens))


def _meanings(tokens: list[str]) -> tuple[frozenset[str], tuple[str, ...], list[Token], list[Token]]:
    """Return the meanings of whole words, the words that say nothing, and the tokens left: words and axes."""
    words: list[str] = []
    noise: list[str] = []
    left: list[Token] = []
    axes: list[Token] = []
    at = 0
    while at < len(tokens):
        length, meaning = _longest(tokens, at)
        joined = "".join(tokens[at : at + length])
        if joined in _COUNTED and at + 1 < len(tokens) and tokens[at + 1].isdigit():
            left.append((at, joined + tokens[at + 1]))  # one of several: imu1
            length = 2
        elif meaning == "noise":
            noise.append(joined)
        elif meaning in AXES or joined in AXES:
            axes.append((at, meaning or joined))
        elif meaning:
            words.append(meaning)
        else:
            left.append((at, joined))
        at += length
    return frozenset(words), tuple(noise), left, axes


def _tokens(text: str) -> list[str]:
    found = [token.lower() for token in _TOKEN.findall(text)]
    if len(found) > 1 and found[-1] == "hz":
        found[-1] = "rate"
    # GyX is the x of "gy", and not a y.
    whole = [token in WORDS and after in AXES for token, after in zip(found, [*found[1:], ""], strict=False)]
    return [part for token, it in zip(found, whole, strict=True) for part in ((token,) if it else _apart(token))]


def _longest(tokens: list[str], at: int) -> tuple[int, str]:
    for length in range(min(_JOINED, len(tokens) - at), 0, -1):
        joined = "".join(tokens[at : at + length])
        # One letter and a short rest are no word: a_RS.
        if (meaning := WORDS.get(joined, "")) and (length == 1 or len(tokens[at]) > 1 or len(joined) > 4):
            return length, meaning
        if _CHIP.fullmatch(joined):
            return length, "noise"
    return 1, ""


def _without_brackets(text: str) -> tuple[Unit | None, int | None, str]:
    """Return the unit and the index in brackets, and the name without them; other words in brackets stay."""
    unit: Unit | None = None
    index: int | None = None
    kept, end = "", 0
    for match in _BRACKETS.finditer(text):
        inside = next((each for each in match.groups() if each is not None), "").strip()
        kept += text[end : match.start()] + " "
        end = match.end()
        if inside.isdigit() and len(inside) == 1 and not unit_of(inside, "time"):
            index = int(inside)
        elif found := unit_of(inside):
            unit = unit or found
        elif inside.lower() in _TYPES or _RANGE.fullmatch(inside) or _DESCRIPTOR.fullmatch(inside):
            pass
        else:
            kept += inside + " "
    return unit, index, kept + text[end:]


def _without_tail(text: str) -> tuple[Unit | None, str]:
    """Return the unit at the end behind a comma, a slash, "in" or a space, or glued with its slash."""
    for match in _GLUED.finditer(text):
        if unit := unit_of(match[0], "acc", "gyr"):
            return unit, text[: match.start()] + " " + text[match.end() :]
    if (tail := _TAIL.fullmatch(text)) and (unit := unit_of(tail["unit"], "acc", "gyr", "time")):
        return unit, tail["name"]
    return None, text


def _glued_unit(left: list[Token], words: frozenset[str]) -> tuple[Unit | None, list[Token]]:
    """Return the unit that is written as words among the rest, as in gyr_x_rad_s, and the rest without it."""
    quantities: tuple[Measured, ...] = ("acc", "gyr", "counts")
    for length in range(min(_RUN, len(left)), 0, -1):
        for first in range(len(left) - length, -1, -1):
            run = left[first : first + length]
            if run[-1][0] - run[0][0] != length - 1:
                continue
            joined = "".join(it for _, it in run)
            unit = unit_of(joined, *quantities) if len(joined) > 1 else None
            if not unit and joined in ("deg", "rad") and "gyr" in words:
                unit = unit_of(joined + "s", "gyr")
            ranged = first > 0 and left[first - 1][1].isdigit()  # acc_16g_x
            if (
                not unit
                and joined == "g"
                and first == len(left) - 1
                and not ranged
                and {"acc", "user", "gravity", "total"} & words
            ):
                unit = Unit("acc", "g")
            if unit and not (unit.text == COUNTS and joined.isdigit()):
                return unit, left[:first] + left[first + length :]
    return None, left


def _letter(left: list[Token], axes: list[Token]) -> tuple[Quantity, bool, list[Token], list[Token]]:
    """Return the meaning of the letter that stands for the quantity, whether behind the axis, and what else is left."""
    axis = next((at for at, it in reversed(axes) if it != "w"), axes[-1][0])
    letters = sorted((at, it) for at, it in [*left, *axes] if it in LETTERS and at != axis)
    if len(letters) > 1 and (letters[0][0], letters[1][0]) == (0, 1):
        if letters[0][1] != "r":
            return "other", False, left, axes  # b_w_RS_S_x: the bias of a gyroscope
        del letters[0]  # rax: the right one
    for at, it in letters:
        behind = at == axis + 1 and it in ("a", "g", "m")
        if it in ("h", "b") and at > 0:
            continue  # output_Hz
        if at in (0, axis - 1) or behind:
            rest = [each for each in left if each[0] != at]
            return LETTERS[it], behind, rest, [each for each in axes if each[0] != at]
    return "", False, left, axes


@lru_cache(maxsize=4096)
def _apart(token: str) -> tuple[str, ...]:
    """Return the words that are glued into one token: accx, xgyro, useraccelerationx, ax; else the token alone."""
    if len(token) == 2 and token[1] in AXES and token[0] in LETTERS:
        return tuple(token)
    if len(token) == 3 and token[2] in "xyz":
        if token[:2] in ("ac", "gy", "as"):
            return token[:2], token[2]
        if token[0] in "lr" and token[1] in "agw":
            return tuple(token)
    if len(token) < 2 or len(token) > 40 or token in WORDS or token.isdigit():
        return (token,)
    for words in _cuts(token):
        if any(WORDS.get(word) in QUANTITIES for word in words):
            return words
    return (token,)


def _cuts(token: str) -> Iterator[tuple[str, ...]]:
    for body, before, after in (
        (token[:-1], (), (token[-1],)),
        (token[1:], (token[0],), ()),
        (token, (), ()),
    ):
        ends = {*before, *after}
        if ends <= AXES or (before and before[0] in "lr"):
            if words := _whole(body):
                yield (*before, *words, *after)
            elif before and before[0] in "lr" and body[-1:] in AXES and (words := _whole(body[:-1])):
                yield (*before, *words, body[-1])


def _whole(text: str) -> tuple[str, ...] | None:
    """Return `text` as words of at least three letters, the longest first; None where it is not made of them."""
    if text in WORDS and len(text) > 2:
        return (text,)
    for length in range(len(text) - 3, 2, -1):
        if text[:length] in WORDS and (after := _whole(text[length:])):
            return (text[:length], *after)
    return None
