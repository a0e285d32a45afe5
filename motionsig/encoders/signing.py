"""Who made a model or a head: an ed25519 signature over its card's bytes, which have the hashes of all its other files.

A signature is a file of one line, the base64 of 64 bytes. Keys are PEM files as OpenSSL 3 makes them:

    openssl genpkey -algorithm ed25519 -out PRIVATE.pem
    openssl pkey -in PRIVATE.pem -pubout -out PUBLIC.pem
    openssl pkeyutl -sign -rawin -inkey PRIVATE.pem -in card.json | base64 -w 0 > card.json.sig   # as `sign` does
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from motionsig.errors import MissingExtraError, ModelError
from motionsig.hints import install_hint
from motionsig.model_card import SIGNATURE_NAME, read_plain

KEYS_FOLDER = Path("/etc/motionsig/keys")

_MOST_KEY_BYTES = 16384
_MOST_LINKS = 40  # as the kernel follows
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_ANYTHING = stat.S_IRWXG | stat.S_IRWXO


def signer(content: bytes, signature: bytes, keys: Path, *, name: str = SIGNATURE_NAME) -> Path:
    """Return which of the pinned keys, the *.pem files in `keys`, signed `content`.

    name: of the file that `signature` was read from. Raises ModelError if none did, or if others than root and this
    user may change them, their folder or one above it, as sshd does; MissingExtraError.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey as Key
        from cryptography.hazmat.primitives.serialization import load_pem_public_key as load
    except ImportError as error:
        raise _missing() from error
    try:
        raw = base64.b64decode(signature.removesuffix(b"\n"), validate=True)
    except ValueError as error:
        raise ModelError(f"{name}: expected one line of base64, got: {error}") from error
    pinned = dict[Path, Any]()
    for file in _pinned(keys):
        _check_owners(file)
        pinned[file] = _key(file, load, Key, "a public")
    for file, key in pinned.items():
        try:
            key.verify(raw, content)
            return file
        except InvalidSignature:
            pass
    raise ModelError(
        f"{name}: expected a signature of this very card by {' or '.join(map(str, pinned))}, got another; "
        "the card was changed after it was signed, or somebody else signed it"
    )


def sign(content: bytes, key: Path) -> bytes:
    """Return the signature file by a private key, which nobody else may read. Raises ModelError, MissingExtraError."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Key
        from cryptography.hazmat.primitives.serialization import load_pem_private_key as load
    except ImportError as error:
        raise _missing() from error
    private = _key(key, partial(load, password=None), Key, "an unencrypted private", forbidden=_OTHERS_ANYTHING)
    return base64.b64encode(private.sign(content)) + b"\n"


def _pinned(keys: Path) -> list[Path]:
    """Return the key files in a folder, of which there is at least one."""
    try:
        found = sorted(file for file in keys.iterdir() if file.suffix == ".pem")
    except FileNotFoundError:
        found = []
    except OSError as error:
        raise ModelError(f"{keys}: expected a folder of keys, got: {error.strerror}") from error
    if not found:
        raise ModelError(
            f"{keys}: expected the public keys of whoever may sign, as *.pem, got none; "
            f"sudo cp PUBLIC.pem {keys}/, which openssl pkey -in PRIVATE.pem -pubout -out PUBLIC.pem makes"
        )
    return found


def _key(file: Path, load: Callable[[bytes], object], kind: type[Any], what: str, *, forbidden: int = 0) -> Any:
    """Return the ed25519 key in a PEM file. Raises ModelError for another one, and for `forbidden` bits of its mode."""
    from cryptography.exceptions import UnsupportedAlgorithm

    text = read_plain(file, _MOST_KEY_BYTES)
    if forbidden:
        _check_mode(file, file.stat().st_mode, forbidden)
    try:
        key = load(text)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise ModelError(f"{file}: expected {what} key in PEM, got: {error}") from error
    if not isinstance(key, kind):
        raise ModelError(f"{file}: expected an ed25519 key, got {type(key).__name__}")
    return key


def _check_owners(file: Path) -> None:
    """Raise ModelError if others than root and this user may change a file, or put another in its place."""
    for path in _way_to(file):
        try:
            status = path.lstat()
        except OSError as error:
            raise ModelError(f"{path}: expected a key or its folder, got: {error.strerror}") from error
        if status.st_uid not in (0, os.geteuid()):
            raise ModelError(
                f"{path}: expected a key, and folders above it, of root or this user, got one of user {status.st_uid}, "
                f"who may put another key there; sudo chown root {path}"
            )
        # A link has no mode; in a folder like /tmp only the owner of a file or link may replace it.
        if not stat.S_ISLNK(status.st_mode) and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
            _check_mode(path, status.st_mode, _OTHERS_WRITE)


def _way_to(file: Path) -> Iterator[Path]:
    """Yield each folder and link on the way to a file, and the file: whoever may change one leads it elsewhere."""
    place, left, links = Path("/"), list(file.absolute().parts[1:]), 0
    yield place
    while left:
        part = left.pop(0)
        place = place.parent if part == ".." else place / part
        yield place
        if place.is_symlink():
            if (links := links + 1) > _MOST_LINKS:
                raise ModelError(f"{file}: expected a key, got more than {_MOST_LINKS} links on the way to it")
            target = place.readlink()
            place, left = place.parent, [*target.parts, *left]
            if target.is_absolute():
                place, left = Path("/"), left[1:]


def _check_mode(path: Path, mode: int, forbidden: int) -> None:
    if mode & forbidden:
        # A private key is its owner's, those pinned are root's.
        private = forbidden == _OTHERS_ANYTHING
        what, command = ("read or change", "chmod go=") if private else ("change", "sudo chmod go-w")
        raise ModelError(
            f"{path}: expected nobody but its owner to {what} it, got mode {stat.S_IMODE(mode):04o}; {command} {path}"
        )


def _missing() -> MissingExtraError:
    return MissingExtraError(f"keys and signatures need cryptography: {install_hint('cryptography')}")
