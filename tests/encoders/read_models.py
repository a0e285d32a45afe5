"""Have everything that reads a model read one, and say what came of it.

Each damaged model is refused in one line by whatever reads it, or gives the very signatures of the model that it was
made from, or says that it was changed. Another model is run in a child, as `motionsig models install` has it run, and
whatever becomes of that child stays there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from damaged_models import KINDS, OTHER_MODELS, damaged
from whole_model import HOP, LENGTH, valid, windows, write

from motionsig import packing
from motionsig.cli import main
from motionsig.cli.doctor.edgetpu import compiled
from motionsig.config import check_config, load_config
from motionsig.encoders import find_model, installing, open_encoder
from motionsig.encoders.confinement import confine
from motionsig.encoders.host import HostEncoder, golden_distance
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.errors import MotionsigError
from motionsig.escaping import forges
from motionsig.heads.background import load_background
from motionsig.model_card import MODEL_NAME, load_card
from motionsig.packing import finding

LONG_S = 5.0
"""Of processor time, for all that reads one folder."""
_GOOD = ("the same", "changed, and says so", "other golden windows")


@functools.cache
def right_codes() -> bytes:
    """Return the codes that the whole model gives for some windows."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "whole"), {})
        with open_encoder(Path(folder, "whole"), "reference") as encoder:
            return encoder.encode(windows(3, 2)).codes.tobytes()


def outcome(number: int, folder: Path, log: Path, *, in_child: bool = True) -> tuple[str, str]:
    """Have everything read the damaged model of a number; return its kind, and what came of it.

    log: a recording. Raises AssertionError where it is not refused in one line, takes long, or gives other signatures
    without a word.
    """
    kind, began_s = damaged(number, folder), time.process_time()
    said = _heard(lambda: _read(folder, number))
    what = said if said in _GOOD else "refused"
    assert said in _GOOD or _is_one_line(said), f"several lines: {said!r:.400}"
    commands = (
        ["models", str(folder)],
        ["models", str(folder), "--json"],
        ["compile", "--check", str(folder)],
        ["replay", str(log), "--model", str(folder), "--device", "reference", "--to", f"file:{folder}-out"],
        ["models", "sign", str(folder), "--key", "/nowhere.pem"],
        ["watch", str(log), "--model", str(folder), "--head", "still", "--device", "reference"],
    )
    _run(commands[number // len(KINDS) % len(commands)])
    Path(f"{folder}-out").unlink(missing_ok=True)
    if in_child and kind in OTHER_MODELS:
        what = f"{what}; LiteRT: {_in_child(folder)}"
    assert time.process_time() - began_s < LONG_S, f"{time.process_time() - began_s:.1f} s"
    return kind, what


def _read(folder: Path, number: int) -> str:
    """Read a model with the encoder and another reader; return which of `_GOOD` came of it, or raise MotionsigError.

    number: chooses the other reader.
    """
    readers = (_package, _configuration, _background, _tables, _doctor)
    try:
        readers[number // len(KINDS) % len(readers)](folder)
    except MotionsigError as error:
        assert _is_one_line(str(error)), f"several lines: {error!s:.400}"
    card = load_card(folder)
    with open_encoder(folder, "reference") as encoder:
        made = encoder.encode(windows(3, 2)).codes.tobytes() if card.length == LENGTH else b""
    if made == right_codes() and card.hop == HOP and card.name == "small":
        return "the same"
    if card.altered:
        return "changed, and says so"
    # Another network or other golden windows than before, and they agree with each other.
    assert card.sha256 != hashlib.sha256(valid()[MODEL_NAME]).hexdigest(), "other signatures without a word"
    return "other golden windows"


def _package(folder: Path) -> None:
    installing.read_package([folder])
    find_model(folder).compiled_bytes()


def _configuration(folder: Path) -> None:
    config = folder.parent / "config.toml"
    config.write_text(f'[model]\nname = "{folder}"\n[sink]\nurl = "file:{folder}-out"\n[sensor]\nname = "simulated"\n')
    check_config(load_config(config))


def _background(folder: Path) -> None:
    load_background(find_model(folder))


def _tables(folder: Path) -> None:
    with contextlib.suppress(OSError):  # as whoever looks for tables does
        finding._read.__wrapped__(folder / packing.FILE_NAME, 0, 0, find_model().fingerprint)


def _doctor(folder: Path) -> None:
    for found in compiled({}, str(folder), sys.path):
        assert _is_one_line(found.found)


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
    assert not any(map(forges, (*said, *out.getvalue().split("\n")))), (words, "steers a terminal")


def _is_one_line(text: str) -> bool:
    return not forges(text) and len(text) < 2000


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
    end_s = time.monotonic() + 60
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
