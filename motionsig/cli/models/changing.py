"""Installing models, going back, signing."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from motionsig.encoders import installing
from motionsig.encoders.compiling.compiler import check_twin
from motionsig.encoders.compiling.lint import lint
from motionsig.encoders.models import try_network
from motionsig.encoders.signing import sign as signature_of
from motionsig.encoders.signing import signer
from motionsig.encoders.tflite import printable, read_graph
from motionsig.errors import EncoderError, MissingExtraError, ModelError
from motionsig.files import replace_file
from motionsig.model_card import CARD_NAME, MODEL_NAME, SIGNATURE_NAME, load_card

_NEXT = "a running daemon takes it within seconds, and says so in `sudo motionsig status`"


def install(options: argparse.Namespace) -> int:
    """Verify a model, try it, make it the current one; say each step."""
    package = installing.read_package(options.files)
    card = package.card
    _say("model", f"{card.name}, version {card.version}, fingerprint {card.fingerprint.hex()}")
    _say("files", f"{', '.join(package.files)}: as {CARD_NAME} describes them")
    if card.altered:
        _say("card", "CHANGED after the model was made: its signatures, or their windows, may be others")
    signed_by = None if options.unsigned else _signer(package, options.keys)
    _say("signature", f"by {signed_by}" if signed_by else "NOT CHECKED")
    if not signed_by:
        warning = f"anybody may have made this {card.name}, and says what it makes of motion"
        print(f"motionsig: WARNING: UNSIGNED: {warning}", file=sys.stderr)
    if card.compiled:
        twin = package.files[MODEL_NAME]
        check_twin(twin, package.files[card.compiled.file], allow_cpu=True)
        _say("compiled", f"{card.compiled.file}: of the same inputs and outputs as {MODEL_NAME}")
        # A finding of lint is no reason to refuse: the compiler took the model, and where the two disagree it is right.
        for finding in lint(read_graph(twin, MODEL_NAME)):
            _say("compiled", str(finding))
    trial = partial(_try, signed=signed_by is not None)
    folder = installing.install(package, signed_by, trial, options.into, take_lower=options.lower)
    _say("installed", f"{folder}, and current")
    if options.into is None:
        _say("next", _NEXT)
        _say("way back", f"sudo motionsig models rollback {card.name}")
    else:
        _say("next", f"MOTIONSIG_MODELS={options.into} before a command of motionsig makes it take the models there")
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Make the previous model the current one."""
    folder = installing.rollback(options.name)
    _say("current", str(folder) if folder else f"the shipped {options.name}")
    _say("next", _NEXT)
    return 0


def sign(options: argparse.Namespace) -> int:
    """Write the signature of a model's card beside it, once the model is found whole."""
    package = installing.read_package([options.folder])
    signature = signature_of(package.files[CARD_NAME], options.key)
    place = options.folder / SIGNATURE_NAME
    try:
        replace_file(place, signature)
    except OSError as error:
        raise ModelError(f"{place}: expected to write a signature, got: {error.strerror}") from error
    _say("signed", f"{place}, for version {package.card.version} of {package.card.name}")
    return 0


def _signer(package: installing.Package, keys: Path) -> Path:
    signature = package.files.get(SIGNATURE_NAME)
    if signature is None:
        place = package.card.path / SIGNATURE_NAME
        raise ModelError(f"{place}: expected a signature among the files, got none; --unsigned installs without")
    return signer(package.files[CARD_NAME], signature, keys)


def _try(folder: Path, *, signed: bool) -> None:
    """Run the golden windows through the model in `folder`, in a child process, which is not root's if it can be."""
    reported = try_network(load_card(folder), root_will_do=signed)
    if "missing" in reported:
        raise MissingExtraError(reported["missing"])
    trouble = reported.get("died") or reported.get("failed")
    if trouble:
        raise EncoderError(f"the golden windows: expected codes, got: {trouble}")
    worst, tolerance = reported["worst"], reported["tolerance"]
    if worst > tolerance:
        raise ModelError(f"the golden windows: expected codes at most {tolerance} steps off, got {worst} here")
    _say("tried", f"on {reported['device']}: golden windows at most {worst} steps off, of {tolerance}")


def _say(what: str, text: str) -> None:
    print(f"{what:<10} {printable(text)}", flush=True)
