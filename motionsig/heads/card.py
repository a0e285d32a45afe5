"""A head's folder: what it judges by, what it was made from, and how often it was wrong; read, checked and written.

    head.json        the settings, the other file's name and SHA-256, and in `digest` that of all this
    head-HASH.npz    the numbers: rows of weights, and the signatures that it was taught with; HASH begins its SHA-256
    head.json.sig    who made it, where it is signed, as a model's card is

Nothing in it can run: JSON, and an npz that is never unpickled. `digest` is no protection against anybody who means
harm, for whom there are signatures; it makes sure that no damaged bit changes an answer silently.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders.tflite import printable
from motionsig.errors import HeadError
from motionsig.events import HEAD_NAME
from motionsig.files import read_file
from motionsig.heads.archives import pack, unpack

CARD_NAME, SIGNATURE_NAME = "head.json", "head.json.sig"
ARRAYS_NAME = re.compile(r"head-([0-9a-f]{16})\.npz")
VERSION = 1
MOST_CARD_BYTES = 64 << 10
MOST_ARRAYS_BYTES = 1 << 20
_MOST_ROWS, _MOST_DIM = 4096, 256
MOST_S = 7 * 86400.0
"""Of any time of a head: a week."""
_MOST_NUMBER = 1e9
_MOST_TEXT = 2000
_MOST_MEASURED = 4096  # characters of JSON, which may take ten times as much where it is written for people
_TRIES = 5
_MOST_DEPTH = 8  # of what is known of its mistakes: whoever shows it must not run out of stack

# As numpy writes it. The rest of its format has no place in a head: objects, which run code when they are read, and
# sizes that nothing follows.
_ARRAY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([|<](?:i1|f8|u2))', 'fortran_order': False, "
    rb"'shape': \((\d{1,5}),(?: (\d{1,5}))?\), \} *\n",
    re.DOTALL,
)
_DTYPES: dict[str, np.dtype[Any]] = {
    "rows": np.dtype("|i1"),
    "scale": np.dtype("<f8"),
    "offset": np.dtype("<f8"),
    "examples": np.dtype("|i1"),
    "performance": np.dtype("<u2"),
    "against": np.dtype("|i1"),
}

PROTOTYPES, LINEAR, NOVELTY, STATE = "prototypes", "linear", "novelty", "state"
KINDS = (PROTOTYPES, LINEAR, NOVELTY, STATE)
SCORED, LOWEST, HIGHEST = "scored", "lowest", "highest"
AT_REST = (SCORED, LOWEST, HIGHEST)


class After(NamedTuple):
    """Only after an event of another head, whose end is at most `within_s` seconds before the start."""

    head: str
    within_s: float


@dataclass(frozen=True)
class Timing:
    """When scores become an event; seconds.

    * It begins with a score of at least `on`, and goes on with scores of at least `off` (at most `on`).
    * It is told when it has gone on for `least_s`; 0: at once. With `most_s` it is told at its
      end, if it was no longer.
    * It ends when no score was at least `off` for `hold_s`.
    * After an event none begins for `refractory_s`.
    """

    on: float
    off: float
    least_s: float = 0.0
    most_s: float | None = None
    hold_s: float = 0.0
    refractory_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Weights:
    """Rows by which signatures are scored; integers, so that every machine computes the same.

    rows: (m, d) int8. scale, offset: (m,) float64. The score of a signature with the chosen codes c, less their zero
    points, is the largest of `rows @ c / |c| * scale + offset`; of a novelty it is 1 less that.
    """

    rows: NDArray[np.int8]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Taught:
    """What a head was taught with, kept so that one more example makes it better.

    examples: (n, dim) int8, whole signatures; performance: (n,) uint16, of which performance each is. against: (p, dim)
    int8, signatures of what it is not.
    """

    examples: NDArray[np.int8]
    performance: NDArray[np.uint16]
    against: NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class HeadCard:
    """All that is known of a head.

    * `name`, `kind`; `is_state`: whether it tells that something began and ended, and not only that it happened.
    * `encoder`: fingerprint of the encoder of its signatures. `codes`: the first of those it looks at, and the one
      after the last. `hop_ns`: of the signatures that it was tried on.
    * `at_rest`: what a signature of a sensor at rest gets: its own score, the lowest or the highest.
    * `timing`, `while_head` (a state that has to hold meanwhile), `after`.
    * `weights`, `taught`.
    * `measured`: what is known of its mistakes, as JSON; shown to people and used for nothing else.
    """

    name: str
    kind: str
    is_state: bool
    encoder: bytes
    codes: tuple[int, int]
    hop_ns: int
    at_rest: str
    timing: Timing
    weights: Weights
    taught: Taught
    while_head: str | None = None
    after: After | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needs(self) -> tuple[str, ...]:
        """The heads that it depends on."""
        return tuple(name for name in (self.while_head, self.after and self.after.head) if name)

    @cached_property
    def fingerprint(self) -> bytes:
        """8 bytes that stand for this very head: the beginning of its digest."""
        return bytes.fromhex(_stated(self, arrays_of(self))["digest"])[:8]

    def __repr__(self) -> str:
        what = "state" if self.is_state else "event"
        return f"HeadCard({self.name!r}: {what} by {self.kind}, encoder {self.encoder.hex()})"


def arrays_of(card: HeadCard) -> bytes:
    """Return the bytes of a head's npz, the same for the same head."""
    files = dict[str, bytes]()
    for name, dtype in _DTYPES.items():
        file = io.BytesIO()
        part = card.taught if hasattr(card.taught, name) else card.weights
        np.lib.format.write_array(file, np.ascontiguousarray(getattr(part, name), dtype), version=(1, 0))
        files[f"{name}.npy"] = file.getvalue()
    return pack(files)


def files_of(card: HeadCard) -> dict[str, bytes]:
    """Return the content of a head's files by name. Raises HeadError for values that JSON has not."""
    arrays = arrays_of(card)
    stated = _stated(card, arrays)
    text = json.dumps(stated, indent=2, ensure_ascii=False)
    return {stated["arrays"]["file"]: arrays, CARD_NAME: f"{text}\n".encode()}


def _stated(card: HeadCard, arrays: bytes) -> dict[str, Any]:
    timing, sha256 = card.timing, hashlib.sha256(arrays).hexdigest()
    text = {
        "head_version": VERSION,
        "name": card.name,
        "kind": card.kind,
        "gives": "state" if card.is_state else "event",
        "encoder": card.encoder.hex(),
        "codes": list(card.codes),
        "hop_ns": card.hop_ns,
        "at_rest": card.at_rest,
        # 1 and 1.0 are the same number and not the same text.
        **{key: value if value is None else float(value) for key, value in vars(timing).items()},
        "while": card.while_head,
        "after": card.after and {"head": card.after.head, "within_s": float(card.after.within_s)},
        "measured": dict(card.measured),
        "arrays": {"file": f"head-{sha256[:16]}.npz", "sha256": sha256},
    }
    try:
        return {**text, "digest": _digest(text)}
    except (ValueError, TypeError, RecursionError) as error:
        raise HeadError(f"head {card.name}: expected values that JSON has, got: {_plain(error)}") from error


def _digest(text: Mapping[str, Any]) -> str:
    plain = json.dumps(text, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def load_head(folder: Path) -> HeadCard:
    """Return the head in `folder`, or raise HeadError naming the file, the key, what was expected and what was got."""
    for _ in range(_TRIES - 1):
        before = _stamp(folder)
        try:
            return _load_head(folder)
        except HeadError:
            # Between its two files the head may have been replaced.
            if _stamp(folder) == before:
                raise
    return _load_head(folder)


def _stamp(folder: Path) -> object:
    try:
        status = os.stat(folder / CARD_NAME)
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns


def read_head_file(file: Path, most_bytes: int) -> bytes:
    """Return the bytes of one file of a head. Raises HeadError for a link, a large one, and one that cannot be read."""
    try:
        return read_file(file, most_bytes, follow_links=False)[0]
    except OSError as error:
        raise HeadError(f"{file}: expected a head's file, got: {error.strerror}") from error


def _load_head(folder: Path) -> HeadCard:
    return parse_head(lambda name, most_bytes: read_head_file(folder / name, most_bytes), str(folder))


def reader_of(files: Mapping[str, bytes], where: str) -> Callable[[str, int], bytes]:
    """Return what `parse_head` reads files in memory with."""

    def read(name: str, most_bytes: int) -> bytes:
        if name not in files:
            raise HeadError(f"{where}/{name}: expected a head's file, got none")
        if len(files[name]) > most_bytes:
            raise HeadError(f"{where}/{name}: expected at most {most_bytes:,} B, got {len(files[name]):,}")
        return files[name]

    return read


def parse_head(read: Callable[[str, int], bytes], where: str) -> HeadCard:
    """Return the head whose files `read` gives by their name and the most bytes of each.

    Raises HeadError as `load_head` does; where: what it names as folder.
    """
    file = f"{where}/{CARD_NAME}"
    try:
        text = json.loads(
            read(CARD_NAME, MOST_CARD_BYTES).decode(), parse_constant=_no_number, object_pairs_hook=_without_doubles
        )
        if not isinstance(text, dict) or text.get("head_version") != VERSION:
            got = text.get("head_version") if isinstance(text, dict) else type(text).__name__
            raise HeadError(f"{file}: expected head_version {VERSION}, got {_plain(repr(got))}")
        _check_depth(text)
        agrees = text.pop("digest", None) == _digest(text)
    except HeadError:
        raise
    except (ValueError, RecursionError) as error:
        raise HeadError(f"{file}: expected JSON, got: {_plain(error)}") from error
    if not agrees:
        raise HeadError(f"{file}: expected content with its digest, got another: it is damaged, or was edited by hand")
    try:
        return _card(text, read, where)
    except _OtherError as error:
        raise HeadError(f"{file}: {_plain(error)}") from error


class _OtherError(Exception):
    """A value that no head has; turned into a HeadError that names the file."""


def _card(text: dict[str, Any], read: Callable[[str, int], bytes], where: str) -> HeadCard:
    def get(key: str, kind: Any, *, none: bool = False) -> Any:
        value: Any = text.pop(key, None)
        if value is None and none:
            return None
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise _OtherError(f"{key}: expected {kind.__name__}, got {value!r:.80}")
        if kind is float and abs(value) > _MOST_NUMBER:
            raise _OtherError(f"{key}: expected a number of at most {_MOST_NUMBER:g}, got {value!r:.80}")
        return float(value) if kind is float else value

    def choose(key: str, known: tuple[str, ...]) -> str:
        value: str = get(key, str)
        if value not in known:
            raise _OtherError(f"{key}: expected one of {', '.join(known)}, got {value!r:.80}")
        return value

    get("head_version", int)
    name = _name(get("name", str), "name")
    kind, gives = choose("kind", KINDS), choose("gives", ("event", "state"))
    encoder = get("encoder", str)
    if len(encoder) != 16 or not set(encoder) <= set("0123456789abcdef"):
        raise _OtherError(f"encoder: expected a fingerprint of 16 hexadecimal digits, got {encoder!r:.80}")
    codes = get("codes", list)
    if [type(it) for it in codes] != [int, int] or not 0 <= codes[0] < codes[1] <= _MOST_DIM:
        raise _OtherError(
            f"codes: expected a first one and the one after the last, up to {_MOST_DIM}, got {codes!r:.80}"
        )
    hop_ns = get("hop_ns", int)
    if not 1 <= hop_ns <= MOST_S * 1e9:
        raise _OtherError(f"hop_ns: expected 1 up to a week, got {hop_ns}")
    at_rest = choose("at_rest", AT_REST)
    timing = _timing({key: get(key, float, none=key == "most_s") for key in Timing.__annotations__}, gives)
    while_head, after = get("while", str, none=True), get("after", dict, none=True)
    if while_head is not None:
        _name(while_head, "while")
    if after is not None:
        if set(after) != {"head", "within_s"} or type(after["head"]) is not str:
            raise _OtherError(f"after: expected head and within_s, got {after!r:.80}")
        after = After(_name(after["head"], "after.head"), _seconds(after["within_s"], "after.within_s"))
    measured, stated = get("measured", dict), get("arrays", dict)
    if (size := len(json.dumps(measured, ensure_ascii=False))) > _MOST_MEASURED:
        raise _OtherError(f"measured: expected at most {_MOST_MEASURED:,} characters, got {size:,}")
    file, sha256 = stated.get("file"), stated.get("sha256")
    if set(stated) != {"file", "sha256"} or type(file) is not str or not ARRAYS_NAME.fullmatch(file):
        raise _OtherError(f"arrays: expected a file and its sha256, got {stated!r:.80}")
    if text:
        raise _OtherError(f"expected no other keys, got {', '.join(sorted(text))!r:.80}")
    arrays = read(file, MOST_ARRAYS_BYTES)
    if sha256 != hashlib.sha256(arrays).hexdigest():
        raise _OtherError(f"arrays: expected {file} as stated, got another: it is damaged or another head's")
    weights, taught = _arrays(arrays, codes[1] - codes[0], f"{where}/{file}")
    if (kind == STATE) == bool(len(weights.rows)):
        raise _OtherError(f"{file}: expected rows for every kind but {STATE}, got {len(weights.rows)} for {kind}")
    if kind == STATE and at_rest == SCORED:
        raise _OtherError(f"at_rest: expected {LOWEST} or {HIGHEST} for a {STATE}, got {SCORED}")
    return HeadCard(
        name, kind, gives == "state", bytes.fromhex(encoder), (codes[0], codes[1]), hop_ns, at_rest, timing,
        weights, taught, while_head, after, measured,
    )  # fmt: skip


def _name(name: str, key: str) -> str:
    if not HEAD_NAME.fullmatch(name):
        raise _OtherError(f"{key}: expected 1 to 64 of A-Z, a-z, 0-9, _ and -, got {name!r:.80}")
    return name


def _seconds(value: Any, key: str) -> float:
    if type(value) not in (int, float) or not 0 <= value <= MOST_S:
        raise _OtherError(f"{key}: expected seconds from 0 to a week, got {value!r:.80}")
    return float(value)


def _timing(values: dict[str, Any], gives: str) -> Timing:
    for key, value in values.items():
        if key.endswith("_s") and value is not None:
            _seconds(value, key)
    timing = Timing(**values)
    if not (math.isfinite(timing.on) and math.isfinite(timing.off) and timing.off <= timing.on):
        raise _OtherError(f"off: expected a level of at most on, got {timing.off!r} and {timing.on!r}")
    if timing.most_s is not None and (gives == "state" or timing.most_s < timing.least_s):
        raise _OtherError(f"most_s: expected none for a state, else at least least_s, got {timing.most_s!r}")
    return timing


def _arrays(content: bytes, width: int, where: str) -> tuple[Weights, Taught]:
    try:
        files = unpack(content, lambda name: MOST_ARRAYS_BYTES * (name.removesuffix(".npy") in _DTYPES))
    except ValueError as error:
        raise _OtherError(f"{where}: expected arrays, got: {error}") from error
    if missing := [name for name in _DTYPES if f"{name}.npy" not in files]:
        raise _OtherError(f"{where}: expected the arrays of a head, got none called {' or '.join(missing)}")
    arrays = {name: _array(files[f"{name}.npy"], name, where) for name in _DTYPES}
    m, (n, dim), p = len(arrays["rows"]), arrays["examples"].shape, len(arrays["against"])
    expected = {
        "rows": (m, width), "scale": (m,), "offset": (m,),
        "examples": (n, dim), "performance": (n,), "against": (p, dim),
    }  # fmt: skip
    shapes = {name: array.shape for name, array in arrays.items()}
    if shapes != expected or max(m, n, p) > _MOST_ROWS or not width <= dim <= _MOST_DIM:
        raise _OtherError(
            f"{where}: expected arrays that fit, of {width} codes and at most {_MOST_ROWS} rows, got {shapes!r}"
        )
    if not all(np.isfinite(arrays[name]).all() for name in ("scale", "offset")):
        raise _OtherError(f"{where}: expected finite numbers as scale and offset")
    if m and max(np.abs(arrays["scale"]).max(), np.abs(arrays["offset"]).max()) > 1e6:
        raise _OtherError(f"{where}: expected a scale and offset of at most 1e6")
    weights = Weights(arrays["rows"], arrays["scale"], arrays["offset"])
    return weights, Taught(arrays["examples"], arrays["performance"], arrays["against"])


def _array(content: bytes, name: str, where: str) -> NDArray[Any]:
    """Return an array as numpy stores it; of any other, and of one that is not as long as it says, nothing is made."""
    dtype, matrix = _DTYPES[name], name in ("rows", "examples", "against")
    head = _ARRAY.match(content)
    if head is None or head[1] != dtype.str.encode() or matrix != (head[3] is not None):
        raise _OtherError(f"{where}: expected {name} of {dtype.name}, got {content[:128]!r}")
    shape = tuple(int(size) for size in head.groups()[1:] if size is not None)
    body = content[head.end() :]
    if len(body) != math.prod(shape) * dtype.itemsize:
        raise _OtherError(f"{where}: expected {name} of shape {shape}, got {len(body):,} bytes")
    return np.frombuffer(body, dtype).reshape(shape)


def _check_depth(value: object) -> None:
    """Raise ValueError for lists in lists in lists."""
    level = [value]
    for _ in range(_MOST_DEPTH):
        inner = (it.values() if isinstance(it, dict) else it for it in level if isinstance(it, dict | list))
        level = [each for several in inner for each in several]
    if any(isinstance(it, dict | list) for it in level):
        raise ValueError(f"expected values at most {_MOST_DEPTH} deep, got deeper ones")


def _no_number(word: str) -> None:
    raise ValueError(f"expected a number, got {word}")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(values := dict(pairs)) < len(pairs):
        raise ValueError("expected each key once, got one twice")
    return values


def _plain(said: object) -> str:
    """Return text that may be anybody's as a terminal can show it."""
    return printable(" ".join(str(said).split()))[:_MOST_TEXT]
