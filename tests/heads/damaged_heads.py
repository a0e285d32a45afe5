"""Heads whose files are damaged or made with bad intent, one for each number; and what has to hold of all of them."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable

import numpy as np
from made_heads import head, signatures

from motionsig.errors import HeadError
from motionsig.heads import card as cards
from motionsig.heads.card import CARD_NAME, HIGHEST, NOVELTY, STATE, After, HeadCard, Taught, Timing, files_of
from motionsig.heads.judging import Judge

Files = dict[str, bytes]


@functools.cache
def valid_heads() -> list[HeadCard]:
    """Return heads of each kind, with all that a head can have."""
    random_ = np.random.default_rng(0)
    taught = Taught(
        random_.integers(-128, 128, (12, 8)).astype(np.int8),
        np.repeat(np.arange(4), 3).astype(np.uint16),
        random_.integers(-128, 128, (30, 8)).astype(np.int8),
    )
    rows = random_.integers(-128, 128, (5, 6))
    return [
        head("knock", rows=rows, taught=taught, timing=Timing(0.9, 0.8, 0.1, 2.0, 0.0, 1.0)),
        head("walking", rows=rows[:1], kind="linear", is_state=True, timing=Timing(0.9, 0.8, hold_s=1.5)),
        head("odd", rows=rows[:2], kind=NOVELTY, at_rest=HIGHEST, measured={"found": [9, 10], "by": "größe"}),
        head("resting", rows=(), kind=STATE, is_state=True, at_rest=HIGHEST, timing=Timing(0.5, 0.5, least_s=10)),
        head("nod", while_head="resting", after=After("knock", 4.0), taught=taught, measured={"a": {"b": [1.5, "c"]}}),
    ]


def parsed(files: Files) -> HeadCard:
    return cards.parse_head(cards.reader_of(files, "folder"), "folder")


def restated(files: Files, change: Callable[[dict], object]) -> Files:
    """Return a head whose card was changed by somebody who knows how its digest is made."""
    text = json.loads(files[CARD_NAME])
    change(text)
    text.pop("digest", None)
    try:
        text["digest"] = cards._digest(text)
    except (ValueError, RecursionError):
        text["digest"] = "0" * 64
    return files | {CARD_NAME: json.dumps(text).encode()}


def with_arrays(files: Files, content: bytes) -> Files:
    """Return a head with another file of arrays, which its card states rightly."""
    sha256 = hashlib.sha256(content).hexdigest()
    file = f"head-{sha256[:16]}.npz"
    made = restated(files, lambda text: text.update(arrays={"file": file, "sha256": sha256}))
    return {CARD_NAME: made[CARD_NAME], file: content}


def arrays_in(files: Files) -> bytes:
    return next(content for name, content in files.items() if name != CARD_NAME)


def rezipped(content: bytes, change: Callable[[dict[str, bytes]], object], *, method=zipfile.ZIP_STORED) -> bytes:
    """Return an npz with other members."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return made.getvalue()


def npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array, allow_pickle=True)
    return made.getvalue()


class Marked:
    """Says so where it is unpickled."""

    ran = False

    def __reduce__(self):
        return (_mark, ())


def _mark() -> None:
    Marked.ran = True


HOSTILE_VALUES = (
    float("nan"), float("inf"), -float("inf"), -1, -1.5, -0.0, 0, 1, 10**400, 2**63, 1e308, 1e-320, True, None, "",
    "a" * 60_000, "../x", "a/b", "a\x1b[31mb", "a\nb", "\ud800", "\u202e", "nan", [], {}, [0] * 20_000, [[]], {"a": 1},
    [1, 2], [0, 300], [2, 1], [False, True], [0.0, 6.0], [-1, 3], {"head": "x", "within_s": -1},
    {"head": "a\x07", "within_s": 1}, {"file": "../x.npz"}, {"head": "x", "within_s": 10**400},
    functools.reduce(lambda inner, _: [inner], range(300), 0),
    functools.reduce(lambda inner, _: {"a": inner}, range(900), 0),
)  # fmt: skip
"""What stands in place of a card's value."""

HEADERS = (
    b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
    b"{'descr': '|i1', 'fortran_order': True, 'shape': (2, 6), }\n",
    b"{'descr': '|i1', 'fortran_order': False, 'shape': (99999999999, 6), }\n",
    b"{'descr': '|i1', 'fortran_order': False, 'shape': (99999, 99999), }\n",
    b"{'descr': '|i1', 'fortran_order': False, 'shape': (-1, 6), }\n",
    b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }\n",
    b"{'descr': '|i1', 'fortran_order': False, 'shape': " + b"(" * 20_000 + b"\n",
    b"__import__('os').system('true')\n",
    b"\x00" * 100,
    b"{'descr': '|i1'",
)


def _flip(random_: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 8))):
        made[random_.randrange(len(made))] ^= 1 << random_.randrange(8)
    return bytes(made)


def _cut(random_: random.Random, data: bytes) -> bytes:
    first = random_.randrange(len(data))
    return data[:first] + data[first + random_.choice((1, 2, 16, len(data))) :]


def _insert(random_: random.Random, data: bytes) -> bytes:
    at = random_.randrange(len(data) + 1)
    return data[:at] + random_.randbytes(random_.choice((1, 4, 64))) + data[at:]


def _duplicate(random_: random.Random, data: bytes) -> bytes:
    first, at = random_.randrange(len(data)), random_.randrange(len(data) + 1)
    return data[:at] + data[first : first + random_.choice((1, 16, 256, len(data)))] + data[at:]


_BYTES = (_flip, _cut, _insert, _duplicate)


def _damaged_bytes(random_: random.Random, files: Files) -> Files:
    name = random_.choice(sorted(files))
    return files | {name: random_.choice(_BYTES)(random_, files[name])}


def _swapped(random_: random.Random, files: Files) -> Files:
    other = files_of(random_.choice(valid_heads()))
    name, others = (next(it for it in each if it != CARD_NAME) for each in (files, other))
    return {CARD_NAME: files[CARD_NAME], name: other[others]}


def _others_arrays(random_: random.Random, files: Files) -> Files:
    return with_arrays(files, arrays_in(files_of(random_.choice(valid_heads()))))


def _damaged_arrays(random_: random.Random, files: Files) -> Files:
    return with_arrays(files, random_.choice(_BYTES)(random_, arrays_in(files)))


def _hostile_value(random_: random.Random, files: Files) -> Files:
    def change(text: dict) -> None:
        place = random_.choice(sorted(text))
        value = random_.choice(HOSTILE_VALUES)
        if place == "measured" and random_.random() < 0.5:
            value = {"false_alarms_an_hour": value}
        text[random_.choice((place, place, place, "another"))] = value

    made = restated(files, change)
    # JSON itself has no such number, and Python reads it as infinity.
    return made | {CARD_NAME: made[CARD_NAME].replace(b"1e-320", b"1e999")}


def _hostile_members(random_: random.Random, files: Files) -> Files:
    name = random_.choice(("rows", "scale", "offset", "examples", "performance", "against"))
    header = random_.choice(HEADERS)
    whole = b"\x93NUMPY" + bytes([random_.choice((1, 2, 3)), 0]) + len(header).to_bytes(2, "little") + header
    members = {
        "header": lambda: {f"{name}.npy": whole + bytes(random_.choice((0, 8, 12, 600)))},
        "object": lambda: {f"{name}.npy": npy(np.array([Marked()], object))},
        "text": lambda: {f"{name}.npy": npy(np.array(["a", "b"]))},
        "complex": lambda: {f"{name}.npy": npy(np.zeros(3, complex))},
        "big-endian": lambda: {f"{name}.npy": npy(np.zeros(3, ">f8"))},
        "float": lambda: {f"{name}.npy": npy(np.zeros((3, 6), np.float32))},
        "scalar": lambda: {f"{name}.npy": npy(np.array(1, np.int8))},
        "deep": lambda: {f"{name}.npy": npy(np.zeros((1, 1, 6), np.int8))},
        "many": lambda: {f"{name}.npy": npy(np.zeros((70_000, 6), np.int8))},
        "rows": lambda: {"rows.npy": npy(np.zeros((random_.choice((0, 1, 9)), random_.choice((0, 5, 6))), np.int8))},
        "not finite": lambda: {"scale.npy": npy(np.full(5, random_.choice((np.nan, np.inf, 1e300)))) },
        "bomb": lambda: {f"{name}.npy": bytes(50_000_000)},
        "other": lambda: {random_.choice(("x.npy", "../rows.npy", "/etc/passwd", "rows", "rows.npy/")): b"x"},
        "missing": lambda: {f"{name}.npy": None},
        "empty": lambda: {f"{name}.npy": b""},
    }  # fmt: skip
    kind = random_.choice(sorted(members))

    def change(there: dict) -> None:
        there.update(members[kind]())
        for gone in [key for key, value in there.items() if value is None]:
            del there[gone]

    method = zipfile.ZIP_DEFLATED if kind == "bomb" else random_.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 12))
    return with_arrays(files, rezipped(arrays_in(files), change, method=method))


_KINDS = {
    "bytes": _damaged_bytes,
    "swapped": _swapped,
    "others_arrays": _others_arrays,
    "damaged_arrays": _damaged_arrays,
    "value": _hostile_value,
    "members": _hostile_members,
}


def damaged(number: int) -> tuple[str, Files, HeadCard]:
    """Return how head `number` was damaged, its files, and the head that it was made from."""
    random_ = random.Random(number)
    before = random_.choice(valid_heads())
    kind = random_.choice(sorted(_KINDS))
    return kind, _KINDS[kind](random_, files_of(before)), before


def outcome(number: int) -> str:
    """Read damaged head `number`; return "refused", "same" or "another", and fail where it is none of these.

    Another: its card is a head's, with a right digest. Then it states what is read, and judges as any other.
    """
    kind, files, before = damaged(number)
    try:
        card = parsed(files)
    except HeadError as error:
        text = str(error)
        assert text.isprintable() and len(text) < 2500, f"{number}: {text!r}"
        return "refused"
    finally:
        assert not Marked.ran, f"{number}: it was unpickled"
    again = files_of(card)
    assert files_of(parsed(again)) == again, f"{number}: {kind}"
    if again == files_of(before):
        return "same"
    # Damage alone never gives another head: for that the digest has to be made anew.
    assert kind not in ("bytes", "swapped"), f"{number}: {kind}"
    stated, read = json.loads(files[CARD_NAME]), json.loads(again[CARD_NAME])
    assert {key: stated[key] for key in stated if key not in ("arrays", "digest")} == {
        key: read[key] for key in stated if key not in ("arrays", "digest")
    }, f"{number}: {kind}"
    if not card.needs and card.codes[1] <= 8 and card.encoder == before.encoder:
        judge = Judge([card])
        judge.judge(signatures(np.linspace(0, 1, 50), at_rest=(3, 4, 5)))
        judge.flush()
    return "another"
