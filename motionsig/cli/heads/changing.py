"""Removing heads; a head as files that are sent and taken; signing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from motionsig.encoders.signing import sign as signature_of
from motionsig.encoders.signing import signer
from motionsig.encoders.tflite import printable
from motionsig.endings import require_ending
from motionsig.errors import HeadError, ModelError
from motionsig.files import replace_file
from motionsig.heads import heads_folder, owned_heads, remove_head
from motionsig.heads.card import CARD_NAME, SIGNATURE_NAME
from motionsig.heads.places import folder_of, write_files
from motionsig.heads.sending import read_files, zipped


def remove(options: argparse.Namespace) -> int:
    """Delete a head and its examples."""
    _say("removed", f"{remove_head(options.name)}, and the examples in it")
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a head's files as they are, and none but these."""
    sent = read_files(folder_of(options.head))
    if os.path.lexists(options.out):
        raise HeadError(f"{options.out}: expected a new file or folder, got one that is there")
    require_ending(options.out, (".zip",), where="OUT: ", instead="a name in .zip makes a zip, any other a folder")
    if options.out.suffix.lower() == ".zip":
        try:
            replace_file(options.out, zipped(sent.files), mode=0o600)
        except OSError as error:
            raise HeadError(f"{options.out}: expected to write a head, got: {error.strerror}") from error
    else:
        write_files(sent.files, options.out)
    _say("exported", f"{sent.card.name} to {options.out}, {'signed' if SIGNATURE_NAME in sent.files else 'unsigned'}")
    if count := len(sent.card.taught.examples) + len(sent.card.taught.against):
        _say("with", f"{count:,} signatures that it was taught with: personal data")
    return 0


def take(options: argparse.Namespace) -> int:
    """Verify a head, and write it to the owner's; say each step."""
    given = read_files(options.given)
    card = given.card
    _say("head", f"{card.name}, {card.kind}, fingerprint {card.fingerprint.hex()}, encoder {card.encoder.hex()}")
    signed_by = None if options.unsigned else _signer(given.files, options.given, options.keys)
    _say("signature", f"by {signed_by}" if signed_by else "NOT CHECKED")
    if not signed_by:
        warning = f"anybody may have made this {card.name}, and says what it finds"
        print(f"motionsig: WARNING: UNSIGNED: {warning}", file=sys.stderr)
    there = owned_heads().get(card.name)
    if there is not None and not options.replace:
        raise HeadError(f"{there}: expected no head of this name, got one of yours; --replace takes its place")
    files = {name: content for name, content in given.files.items() if signed_by or name != SIGNATURE_NAME}
    place = heads_folder() / card.name
    write_files(files, place)
    _say("taken", f"{place}{', in place of the former one' if there else ''}")
    return 0


def sign(options: argparse.Namespace) -> int:
    """Write the signature of a head's card beside it, once the head is found whole."""
    given = read_files(options.folder)
    place = options.folder / SIGNATURE_NAME
    try:
        signature = signature_of(given.files[CARD_NAME], options.key)
        replace_file(place, signature)
    except ModelError as error:
        raise HeadError(str(error)) from error
    except OSError as error:
        raise HeadError(f"{place}: expected to write a signature, got: {error.strerror}") from error
    _say("signed", f"{place}, for {given.card.name} {given.card.fingerprint.hex()}")
    return 0


def _signer(files: Mapping[str, bytes], given: Path, keys: Path) -> Path:
    if SIGNATURE_NAME not in files:
        raise HeadError(f"{given / SIGNATURE_NAME}: expected a signature, got none; --unsigned takes it without")
    try:
        return signer(files[CARD_NAME], files[SIGNATURE_NAME], keys, name=SIGNATURE_NAME)
    except ModelError as error:
        raise HeadError(str(error)) from error


def _say(what: str, text: str) -> None:
    print(f"{what:<10} {printable(text)}", flush=True)
