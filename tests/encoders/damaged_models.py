"""Model folders that are damaged or made with bad intent, one for each number.

A network whose card states it rightly is no damage but another model, which nobody can refuse for its bytes.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import os
import random
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from whole_model import COMPILED_NAME, npz, restated_in, valid, write

from motionsig import packing
from motionsig.model_card import BACKGROUND_NAME, CARD_NAME, GOLDEN_NAME, MODEL_NAME, OWN_NAMES

_HOSTILE = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, -1e308, 5e-324, 1e-30, 2**31, 2**63, -(2**64), 10**30, "", "x",
    "\u202e", "\ud800", "\x1b[2J", "\0", "..", "../../etc/passwd", "/dev/zero", "a" * 5000, "\uff11\uff12",
    [], {}, [[]], [1] * 1000, {"a": {}}, float("nan"), float("inf"), -float("inf"), "NaN", "0x10", [None], "50",
)  # fmt: skip
"""Values that stand in the place of others."""


def damaged(number: int, folder: Path) -> str:
    """Write the damaged model of a number; return what kind it is."""
    random_ = random.Random(number)
    kind = tuple(KINDS)[number % len(KINDS)]
    write(folder, KINDS[kind](random_))
    return kind


def _bytes(random_, content: bytes, most: int = 4) -> bytes:
    """Return bytes with some others, more or fewer of them."""
    damaged = bytearray(content)
    for _ in range(random_.randint(1, most)):
        place = random_.randrange(len(damaged)) if damaged else 0
        match random_.randrange(7):
            case 0:
                damaged[place : place + 1] = bytes([damaged[place] ^ (1 << random_.randrange(8))]) if damaged else b"0"
            case 1:
                damaged[place : place + 1] = bytes([random_.randrange(256)])
            case 2:
                damaged[place:place] = random_.randbytes(random_.randint(1, 9))
            case 3:
                del damaged[place : place + random_.randint(1, 40)]
            case 4:
                damaged[place : place + 4] = random_.choice((b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff" * 4, bytes(4)))
            case 5:
                del damaged[place:]
            case 6:
                damaged[place:place] = damaged[place : place + random_.randint(1, 400)]
    return bytes(damaged)


def _card_bytes(random_):
    return {CARD_NAME: _bytes(random_, valid()[CARD_NAME], 3)}


def _places(value, path=()):
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _places(part, (*path, key))


def _card_values(random_):
    text = json.loads(valid()[CARD_NAME])
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        *path, last = random_.choice([place for place in _places(text) if place])
        holder = functools.reduce(lambda part, key: part[key], path, text)
        if random_.random() < 0.15:
            del holder[last]
        elif random_.random() < 0.2 and type(holder[last]) in (int, float):
            holder[last] = holder[last] * random_.choice((0.5, 2, 1.0000001, -1, 1e9)) + random_.choice((0, 1, 0.5))
        else:
            holder[last] = copy.deepcopy(random_.choice(_HOSTILE))  # which the next change may be within
    return {CARD_NAME: json.dumps(text).encode("utf-8", "surrogatepass")}


def _card_shape(random_):
    card = valid()[CARD_NAME]
    text = card.decode()
    deep = random_.choice((33, 500, 5000, 200_000))
    first = random_.choice(("name", "hop", "rate_hz", "files"))
    hops = ("8.5", "8.0", "1e1", "9" * 5000, "NaN", "08")
    knees = ("NaN", "-0.15", "0", "1e999", "1e-400", '"0.15"', "-Infinity")
    ways = (
        lambda: text.encode("utf-16"),
        lambda: b"\xef\xbb\xbf" + card,
        lambda: text.replace('"quality"', '"quality": ' + "[" * deep + "]" * deep + ', "other"', 1).encode(),
        lambda: text.replace('"quality"', '"quality": ' + '{"a":' * deep + "1" + "}" * deep + ', "other"', 1).encode(),
        lambda: text.replace("{", f'{{"{first}": {random_.choice(("1", "[]", "0", chr(34) * 2))}, ', 1).encode(),
        lambda: card + b" " * random_.choice((1, 5 << 20)),
        lambda: card + card,
        lambda: b"",
        lambda: text.replace('"hop": 8', f'"hop": {random_.choice(hops)}', 1).encode(),
        lambda: text.replace("0.15", random_.choice(knees)).encode(),
        lambda: b"[" + card + b"]",
        lambda: random_.randbytes(random_.randrange(300)),
    )  # fmt: skip
    return {CARD_NAME: random_.choice(ways)()}


def _no_file(random_):
    def nothing(_):
        return None

    def folder(path):
        path.mkdir()

    def sparse(path):
        with open(path, "wb") as file:
            file.truncate(6 << 30)

    def link(to):
        return lambda path: path.symlink_to(to)

    def bound(path):
        with socket.socket(socket.AF_UNIX) as made:
            here = os.getcwd()
            os.chdir(path.parent)  # a socket's path may be 107 bytes long
            made.bind(path.name)
            os.chdir(here)

    name = random_.choice(list(valid()))
    links = ("/dev/zero", "/proc/self/mem", "/dev/null", "/etc/hostname", name, "nowhere", "/proc/kmsg", "/dev/tty")
    return {name: random_.choice((nothing, folder, sparse, os.mkfifo, bound, *map(link, links)))}


def _files_bytes(random_):
    name = random_.choice([name for name in valid() if name not in OWN_NAMES])
    return {name: _bytes(random_, valid()[name])}


def _network_bytes(random_):
    return restated_in(MODEL_NAME, _bytes(random_, valid()[MODEL_NAME], random_.choice((1, 2, 4, 30))) or b"0")


def _compiled_bytes(random_):
    content = random_.choice((valid()[COMPILED_NAME], valid()[MODEL_NAME]))
    return restated_in(COMPILED_NAME, _bytes(random_, content) or b"0")


def _npz_bytes(random_):
    name = random_.choice((GOLDEN_NAME, BACKGROUND_NAME, packing.FILE_NAME))
    return restated_in(name, _bytes(random_, valid()[name], 6) or b"0")


def _npz_arrays(random_):
    """Arrays of other types, shapes and numbers; headers that lie, bombs, other compression."""
    name = random_.choice((GOLDEN_NAME, GOLDEN_NAME, BACKGROUND_NAME, packing.FILE_NAME))
    with np.load(io.BytesIO(valid()[name])) as stored:
        arrays = dict(stored)
    key = random_.choice(list(arrays))
    size, types = arrays[key].shape, ("f8", "f2", "i8", "u1", "U3", "S2", "?", "c16")
    ways = (
        lambda: arrays.pop(key),
        lambda: arrays.update({key: arrays[key].astype(random_.choice(types))}),
        lambda: arrays.update({key: np.full(size, random_.choice((np.nan, np.inf, 1e300, -1e300)))}),
        lambda: arrays.update({key: np.full(size, np.float32(random_.choice((np.nan, np.inf, 3e38))))}),
        lambda: arrays.update({key: np.full(size, random_.choice((-1, 127, 2**62, 0)))}),
        lambda: arrays.update({key: arrays[key].reshape(-1)[: random_.randrange(3)]}),
        lambda: arrays.update({key: arrays[key][None]}),
        lambda: arrays.update({key: np.array([{}], object)}),
        lambda: arrays.update({key: np.zeros((0, *size[1:]), arrays[key].dtype)}),
        lambda: arrays.update({key: np.zeros(1, [("a", "i4"), ("b", "f8")])}),
    )  # fmt: skip
    with contextlib.suppress(ValueError):  # text is no number
        random_.choice(ways)()
    content = npz(arrays)
    match random_.randrange(8):
        case 0:
            lies = ((b"'shape': (2", b"'shape': (9"), (b"False", b"True "), (b"<f4", b"<f8"), (b"NUMPY", b"NUMPi"))
            content = content.replace(*random_.choice(lies))
        case 1:
            content = _zipped(arrays, random_.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED)))
        case 2:
            bomb = arrays | {random_.choice((key, "more")): np.zeros(random_.choice((1, 70)) << 20, np.int8)}
            content = _zipped(bomb, zipfile.ZIP_DEFLATED)
    return restated_in(name, content)


def _zipped(arrays, method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asanyarray(values))
    return file.getvalue()


KINDS: dict[str, Callable[[random.Random], dict]] = {
    "card's bytes": _card_bytes,
    "card's values": _card_values,
    "card's shape": _card_shape,
    "no file": _no_file,
    "a file's bytes": _files_bytes,
    "network": _network_bytes,
    "compiled network": _compiled_bytes,
    "npz bytes": _npz_bytes,
    "npz arrays": _npz_arrays,
}
OTHER_MODELS = ("network", "npz bytes", "npz arrays")
"""What states its files rightly is no damage but another model, of which the golden windows decide."""
