"""Model folders that are damaged or made with bad intent, one for each number; and what has to hold of all of them.

Each is refused in one line by whatever reads it, or gives the very signatures of the model that it was made from, or
says that it was changed. A network whose card states it rightly is another model, which nobody can refuse for its
bytes: a child runs it, as `motionsig models install` has it run, and whatever becomes of that child stays there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import logging
import os
import random
import shutil
import signal
import socket
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from made_models import Made

from motionsig import packing
from motionsig.blocks import WindowBatch
from motionsig.cli import main
from motionsig.cli.doctor.edgetpu import compiled
from motionsig.config import check_config, load_config
from motionsig.encoders import find_model, installing, open_encoder
from motionsig.encoders.host import HostEncoder, golden_distance
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.encoders.reference import ReferenceNetwork
from motionsig.encoders.trial import confine
from motionsig.errors import MotionsigError
from motionsig.heads.background import load_background
from motionsig.model_card import (
    BACKGROUND_NAME,
    CARD_NAME,
    GOLDEN_NAME,
    MODEL_NAME,
    OWN_NAMES,
    digest_of,
    load_card,
)

LONG_S = 5.0
"""Of processor time, for all that reads one folder."""
COMPILED_NAME = "encoder_int8_edgetpu.tflite"
_LENGTH, _MOTION_DIM = 16, 8

_HOSTILE = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, -1e308, 5e-324, 1e-30, 2**31, 2**63, -(2**64), 10**30, "", "x",
    "\u202e", "\ud800", "\x1b[2J", "\0", "..", "../../etc/passwd", "/dev/zero", "a" * 5000, "\U0001f600", "１２８",
    [], {}, [[]], [1] * 1000, {"a": {}}, float("nan"), float("inf"), -float("inf"), "NaN", "0x10", [None], "50",
)  # fmt: skip
"""Values that stand in the place of others."""


def network() -> bytes:
    """Return a small network of the kind of the encoder."""
    made, random_ = Made(), np.random.default_rng(0)

    def weights(shape: list[int], kind: str = "<i1", most: int = 40) -> int:
        name = {"<i1": "INT8", "<i4": "INT32"}[kind]
        return made.tensor(shape, name, 0.01, data=random_.integers(-most, most, shape).astype(kind))

    first = made.tensor([1, 1, _LENGTH, 12], scale=0.0078125)
    wide = made.tensor([1, 1, _LENGTH, 6])
    strides = dict.fromkeys(("StrideW", "StrideH", "DilationWFactor", "DilationHFactor"), 1)
    given = [first, weights([6, 1, 3, 12]), weights([6], "<i4")]
    made.operator("CONV_2D", given, [wide], 3, "Conv2DOptions", **strides)
    mean = made.tensor([1, 6])
    made.operator("MEAN", [wide, made.integers([1, 2])], [mean], 2, "ReducerOptions")
    last = made.tensor([1, _MOTION_DIM], scale=0.03125)
    given = [mean, weights([_MOTION_DIM, 6], most=127), weights([_MOTION_DIM], "<i4")]
    made.operator("FULLY_CONNECTED", given, [last], 4, "FullyConnectedOptions")
    made.ends([first], [last])
    return made.file()


def stated(content: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def npz(arrays: dict[str, object]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def windows(count: int, seed: int) -> WindowBatch:
    data = np.random.default_rng(seed).normal(0, 2, (count, _LENGTH, 6)).astype(np.float32)
    data[..., 2] += 9.81
    return WindowBatch(np.arange(count), data, np.zeros(count, np.uint8), 1)


@functools.cache
def valid() -> dict[str, bytes]:
    """Return the files of a whole model, by name."""
    shipped = find_model()
    model = network()
    compiled_file = b"\x1c\0\0\0TFL3" + bytes(300)
    files = {
        MODEL_NAME: model,
        COMPILED_NAME: compiled_file,
        packing.FILE_NAME: (shipped.path / packing.FILE_NAME).read_bytes(),
    }
    keys = ("card_version", "rate_hz", "channels", "units", "max_gap_s", "front_end", "licence", "summary")
    text = {key: shipped.text[key] for key in keys} | {
        "version": 7,
        "name": "small",
        "length": _LENGTH,
        "hop": 8,
        "input": {"shape": [1, 1, _LENGTH, 12], "scale": 0.0078125, "zero_point": 0},
        "output": {"shape": [1, _MOTION_DIM]},
        "motion_dim": _MOTION_DIM,
        "quantization": [[_MOTION_DIM, 0.03125, 0], [16, 0.03125, 0]],
        "training": {"sets": [{"name": "none"}]},
        "quality": {"found": [0.5, 0.25, 0.75]},
        "limits": ["it was trained on nothing"],
        "compiled": {"file": COMPILED_NAME, "compiler": "16.0", "min_runtime": 14},
        "files": {name: stated(content) for name, content in files.items()},
    }
    card = _parsed(text)
    signatures = HostEncoder(card, _Stored(card, model)).encode(given := windows(2, 1))
    files[GOLDEN_NAME] = npz({"windows": given.data, "codes": signatures.codes, "tolerance": np.int64(2)})
    files[BACKGROUND_NAME] = npz(
        {
            "codes": np.zeros((4, card.dim), np.int8),
            "quality": np.zeros(4, np.uint8),
            "seconds": np.ones(4),
            "group": np.array([0, 0, 1, 1]),
            "label": np.array([0, 1, 1, 0]),
            "groups": np.array([["a", "b"], ["a", "c"]]),
            "labels": np.array(["sitting", "walking"]),
            "fingerprint": np.frombuffer(card.fingerprint, np.uint8),
        }
    )
    text["files"] = {name: stated(content) for name, content in files.items()}
    return {CARD_NAME: json.dumps(text | {"digest": digest_of(text)}, indent=1).encode()} | files


def _parsed(text):
    from motionsig.model_card import parse_card

    return parse_card(json.dumps(text).encode(), Path("made"))


class _Stored(ReferenceNetwork):
    """A reference network of bytes that are in no folder yet."""

    def __init__(self, card, model):
        object.__setattr__(card, "file_bytes", lambda _: model)
        super().__init__(card)


PROBE_SEED = 2


@functools.cache
def right_codes() -> bytes:
    """Return the codes that the whole model gives for some windows."""
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"motionsig-whole-{os.getpid()}"
    write(folder, {})
    try:
        with open_encoder(folder, "reference") as encoder:
            return encoder.encode(windows(3, PROBE_SEED)).codes.tobytes()
    finally:
        shutil.rmtree(folder)


def write(folder: Path, changed: dict[str, bytes | Callable[[Path], object]]) -> None:
    """Write a whole model, but for the files that are changed: other bytes, or what a function makes in their place."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in (dict(valid()) | changed).items():
        if callable(content):
            content(folder / name)
        else:
            (folder / name).write_bytes(content)


def damaged(number: int, folder: Path) -> str:
    """Write the damaged model of a number; return what kind it is."""
    random_ = random.Random(number)
    kind = tuple(_KINDS)[number % len(_KINDS)]
    write(folder, _KINDS[kind](random_))
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
            holder[last] = random_.choice(_HOSTILE)
    return {CARD_NAME: json.dumps(text).encode("utf-8", "surrogatepass")}


def _card_shape(random_):
    card = valid()[CARD_NAME]
    text = card.decode()
    deep = random_.choice((33, 500, 5000, 200_000))
    first = random_.choice(("name", "hop", "rate_hz", "files"))
    ways = (
        lambda: text.encode("utf-16"),
        lambda: b"\xef\xbb\xbf" + card,
        lambda: text.replace('"quality"', '"quality": ' + "[" * deep + "]" * deep + ', "other"', 1).encode(),
        lambda: text.replace('"quality"', '"quality": ' + '{"a":' * deep + "1" + "}" * deep + ', "other"', 1).encode(),
        lambda: text.replace("{", f'{{"{first}": {random_.choice(("1", "[]", "0", chr(34) * 2))}, ', 1).encode(),
        lambda: card + b" " * random_.choice((1, 5 << 20)),
        lambda: card + card,
        lambda: b"",
        lambda: text.replace('"hop": 8', f'"hop": {random_.choice(("8.5", "8.0", "1e1", "9" * 5000, "NaN", "08"))}', 1).encode(),
        lambda: text.replace("0.15", random_.choice(("NaN", "-0.15", "0", "1e999", "1e-400", '"0.15"', "-Infinity"))).encode(),
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


def restated(name: str, content: bytes) -> dict[str, bytes]:
    """Return a file and a card that states it, as somebody makes them who knows how."""
    text = json.loads(valid()[CARD_NAME])
    text["files"][name] = stated(content)
    text["digest"] = digest_of(text)
    return {name: content, CARD_NAME: json.dumps(text).encode()}


def _network_bytes(random_):
    return restated(MODEL_NAME, _bytes(random_, valid()[MODEL_NAME], random_.choice((1, 2, 4, 30))) or b"0")


def _compiled_bytes(random_):
    content = random_.choice((valid()[COMPILED_NAME], valid()[MODEL_NAME]))
    return restated(COMPILED_NAME, _bytes(random_, content) or b"0")


def _npz_bytes(random_):
    name = random_.choice((GOLDEN_NAME, BACKGROUND_NAME, packing.FILE_NAME))
    return restated(name, _bytes(random_, valid()[name], 6) or b"0")


def _npz_arrays(random_):
    """Arrays of other types, shapes and numbers; headers that lie, bombs, other compression."""
    name = random_.choice((GOLDEN_NAME, GOLDEN_NAME, BACKGROUND_NAME, packing.FILE_NAME))
    with np.load(io.BytesIO(valid()[name])) as stored:
        arrays = dict(stored)
    key = random_.choice(list(arrays))
    size = arrays[key].shape
    ways = (
        lambda: arrays.pop(key),
        lambda: arrays.update({key: arrays[key].astype(random_.choice(("f8", "f2", "i8", "u1", "U3", "S2", "?", "c16")))}),
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
    return restated(name, content)


def _zipped(arrays, method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asanyarray(values))
    return file.getvalue()


_KINDS: dict[str, Callable[[random.Random], dict]] = {
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
_OTHER_MODELS = ("network", "npz bytes", "npz arrays")
"""What states its files rightly is no damage but another model, of which the golden windows decide."""


def outcome(number: int, folder: Path, log: Path, *, in_child: bool = True) -> tuple[str, str]:
    """Have everything read the damaged model of a number; return its kind, and what came of it.

    log: a recording. Raises AssertionError where it is not refused in one line, takes long, or gives other signatures
    without a word.
    """
    kind, began_s = damaged(number, folder), time.process_time()
    said = _heard(lambda: _read(folder))
    what = said if said in _GOOD else "refused"
    assert said in _GOOD or _is_one_line(said), f"several lines: {said!r:.400}"
    commands = (
        ["models", str(folder)],
        ["models", str(folder), "--json"],
        ["compile", "--check", str(folder)],
        ["replay", str(log), "--model", str(folder), "--device", "reference", "--to", f"file:{folder}-out"],
        ["models", "sign", str(folder), "--key", "/nowhere.pem"],
        ["watch", str(log), "--model", str(folder), "--heads", "none", "--device", "reference"],
    )
    _run(commands[number // len(_KINDS) % len(commands)])
    Path(f"{folder}-out").unlink(missing_ok=True)
    if in_child and kind in _OTHER_MODELS:
        what = f"{what}; LiteRT: {_in_child(folder)}"
    assert time.process_time() - began_s < LONG_S, f"{time.process_time() - began_s:.1f} s"
    return kind, what


_GOOD = ("the same", "changed, and says so", "other golden windows")


def _read(folder: Path) -> str:
    """Read a model with all that the library has; return which of `_GOOD` came of it, or raise MotionsigError."""
    problems = list[str]()

    def trying(read: Callable[[], object]) -> None:
        try:
            read()
        except MotionsigError as error:
            problems.append(str(error))
            assert _is_one_line(str(error)), f"several lines: {error!s:.400}"

    config = folder.parent / "config.toml"
    config.write_text(f'[model]\nname = "{folder}"\n[sink]\nurl = "file:{folder}-out"\n[sensor]\nname = "simulated"\n')
    trying(lambda: installing.read_package([folder]))
    trying(lambda: check_config(load_config(config)))
    trying(lambda: load_background(find_model(folder)))
    trying(lambda: find_model(folder).compiled_bytes())
    if (folder / packing.FILE_NAME).is_file() and not (folder / packing.FILE_NAME).is_symlink():
        trying(lambda: packing.read_tables((folder / packing.FILE_NAME).open("rb").read(1 << 20), "tables"))
    for finding in compiled({}, str(folder), sys.path):
        assert _is_one_line(finding.found)
    card = load_card(folder)
    with open_encoder(folder, "reference") as encoder:
        made = encoder.encode(windows(3, PROBE_SEED)).codes.tobytes() if card.length == _LENGTH else b""
    if made == right_codes() and card.hop == 8 and card.name == "small":
        return "the same"
    if card.altered:
        return "changed, and says so"
    # Another network or other golden windows than before, and they agree with each other.
    assert card.sha256 != hashlib.sha256(valid()[MODEL_NAME]).hexdigest(), "other signatures without a word"
    return "other golden windows"


def _heard(read: Callable[[], str]) -> str:
    """Return what reading gives, or the error that it ends with, with nothing written anywhere."""
    out, err = io.StringIO(), io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return read()
    except MotionsigError as error:
        return str(error)
    finally:
        logging.disable(logging.NOTSET)


def _run(words: list[str]) -> None:
    """Run a command; raise AssertionError where it says more than a line of what is wrong."""
    out, err = io.StringIO(), io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        logging.disable(logging.NOTSET)
    said = [line for line in err.getvalue().splitlines() if line]
    assert code in (0, 1, 2), (words, code)
    assert "Traceback" not in err.getvalue(), err.getvalue()[-600:]
    assert not (code and words[0] == "models" and len(said) != 1), (words, code, said[:4])
    assert all(line.isprintable() for line in (*said, *out.getvalue().splitlines())), (words, "steers a terminal")


def _is_one_line(text: str) -> bool:
    return text.isprintable() and len(text) < 2000


def _in_child(folder: Path) -> str:
    """Have LiteRT run a network in a child without rights; return what became of it."""
    pid = os.fork()
    if not pid:
        code = 4
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            card = load_card(folder)
            golden = card.golden()
            network = LiteRtNetwork(card, before=lambda: confine(root_will_do=False))
            worst, tolerance = golden_distance(HostEncoder(card, network), golden)
            code = 0 if worst <= tolerance else 3
        except (MotionsigError, MemoryError):
            code = 2
        finally:
            os._exit(code)
    end_s = time.monotonic() + 20
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end_s:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "hung, and was ended"
        time.sleep(0.001)
    code = os.waitstatus_to_exitcode(status)
    assert code != 4, "LiteRT raised what nobody expects"
    return f"died of signal {-code}" if code < 0 else {0: "runs", 2: "refused", 3: "other codes, refused"}[code]


def write_log(file: Path) -> Path:
    """Write a recording of a second, and return its path."""
    data = np.random.default_rng(3).normal(0, 1, (60, 6)) + [0, 0, 9.81, 0, 0, 0]
    rows = [f"{i / 50:.2f}," + ",".join(f"{value:.4f}" for value in row) for i, row in enumerate(data)]
    head = "t [s],acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x [rad/s],gyr_y [rad/s],gyr_z [rad/s]"
    file.write_text("\n".join([head, *rows]) + "\n")
    return file
