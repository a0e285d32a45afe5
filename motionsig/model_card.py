"""The contract between training and device: what a model expects, what it makes, and what is known of it.

A model's folder may be anybody's, and damaged or made to do harm. So each of its files is read here and nowhere else:
the card by `load_card`, with the types and ranges that `card_text` lists, and other files by `file_bytes`. What is no
regular file, is larger than its card says, or has another sha256, is refused in one line.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import frontend
from motionsig.arrays import read_npz
from motionsig.blocks import SignatureSpec
from motionsig.card_text import read_text
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError, ModelError
from motionsig.files import read_file
from motionsig.frontend import FrontEnd
from motionsig.quantization import MOST_DIM, Group, Quantization

CARD_NAME = "card.json"
MODEL_NAME = "encoder_int8.tflite"
GOLDEN_NAME = "golden.npz"
BACKGROUND_NAME = "background.npz"
SIGNATURE_NAME = "card.json.sig"
NOTE_NAME = "installed.json"
MOST_CARD_BYTES = 4 << 20
MOST_FILE_BYTES = 64 << 20
"""Of one file of a model, and of its golden windows once unpacked: eight times what an Edge TPU holds."""
MOST_TOLERANCE = 16
"""Of golden codes, in steps: what is off by more is another network."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What may be the name of a model or of a file in its folder: one part of a path, not hidden, without surprises on a
terminal."""
OWN_NAMES = (CARD_NAME, SIGNATURE_NAME, NOTE_NAME)
"""Files beside those that the card names: itself, its signature, and what is noted when it is installed."""

_SIGNAL_KEYS = (
    "card_version", "rate_hz", "length", "channels", "units", "max_gap_s",
    "front_end", "input", "motion_dim", "quantization",
)  # fmt: skip
"""The keys that decide a signature, beside the model's bytes. The hop is not one: it only chooses the windows."""


@dataclass(frozen=True)
class Compiled:
    """The model compiled for the Edge TPU: its file's name, what compiled it, and the oldest runtime that takes it."""

    file: str
    sha256: str
    compiler: str
    min_runtime: int | None


class FileStated(NamedTuple):
    """What a card says of a file: its size in bytes, and its sha256 in hexadecimal digits."""

    size: int
    sha256: str


XNNPACK, BUILT_IN = "XNNPACK", "built-in kernels"
ON_ARM64 = f"{BUILT_IN} of arm64"
_KERNELS = {XNNPACK: "codes_xnnpack", BUILT_IN: "codes_built_in", ON_ARM64: "codes_built_in_arm64"}
"""Kernel sets whose codes golden windows may come with, beside the reference's, and their arrays."""


class Golden(NamedTuple):
    """Windows (k, length, 6) float32, the reference's codes (k, dim) int8, and by how many steps others may be off.

    kernels: the codes (k, dim) of TFLite's other kernel sets by name, as far as the model comes with them.
    """

    windows: NDArray[np.float32]
    codes: NDArray[np.int8]
    tolerance: int
    kernels: dict[str, NDArray[np.int8]]


@dataclass(frozen=True)
class ModelCard:
    """What a model takes, what it makes, and what is known of it: its card, read and checked.

    >>> with motionsig.open_encoder() as encoder:
    ...     card = encoder.card
    >>> card.name, card.length, card.rate_hz, card.dim, card.motion_dim
    ('motion64', 128, 50.0, 64, 48)
    >>> card.text["licence"]
    'Apache-2.0'

    * `path`: the model's folder.
    * `name`, `version`: among models of one name the higher version is the later; 0 where the card states none.
    * `rate_hz`: of the grid, in samples per second. `length`, `hop`: of a window and from one window to the next, in
      samples of the grid. `max_gap_s`: the longest loss that is bridged, in seconds.
    * `front_end`, `input`: how the host turns a window into the network's int8 input.
    * `quantization`, `motion_dim`: which numbers the codes stand for; the first `motion_dim` codes are motion.
    * `files`: what it says of each other file of the model, by name.
    * `sha256`: of the model file, in hexadecimal digits. `compiled`: the same model compiled for the Edge TPU, if any.
    * `fingerprint`: 8 bytes over all that decides a signature. The compiled model has the same: its codes differ in the
      last bits only, as those of different CPUs do.
    * `altered`: whether what decides signatures, name or hop was changed since the card was written, by hand or by
      damage; False, too, where the card states no digest of them.
    * `text`: the whole card as read.
    """

    path: Path
    name: str
    version: int
    rate_hz: float
    length: int
    hop: int
    max_gap_s: float
    front_end: FrontEnd
    input: Quantization
    quantization: Quantization
    motion_dim: int
    files: Mapping[str, FileStated]
    sha256: str
    compiled: Compiled | None
    fingerprint: bytes
    altered: bool
    text: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"ModelCard({self.name[:32]!r} version {self.version}: {self.length} samples at {self.rate_hz:g} Hz to "
            f"{self.motion_dim} motion + {self.dim - self.motion_dim} posture codes, every {self.hop} samples, "
            f"fingerprint {self.fingerprint.hex()})"
        )

    @property
    def motion(self) -> Quantization:
        """The quantization of the motion codes: one scale and zero point, as they are one tensor of the network."""
        return Quantization(self.quantization.groups[:1])

    @property
    def posture(self) -> Quantization:
        """The quantization of the posture codes."""
        return Quantization(self.quantization.groups[1:])

    @property
    def dim(self) -> int:
        """Codes per signature."""
        return self.quantization.dim

    @property
    def spec(self) -> SignatureSpec:
        """What each signature of this model carries: fingerprint, quantization, `motion_dim`, and `length_ns`."""
        length_ns = round(self.length * NS_PER_S / self.rate_hz)
        return SignatureSpec(self.fingerprint, self.quantization, self.motion_dim, length_ns)

    def model_bytes(self) -> bytes:
        """Return the bytes of the model file, which are those that the card was written for.

        Raises ModelError if the file is missing or has other bytes: damaged models often run and give wrong numbers.
        """
        return self.file_bytes(MODEL_NAME)

    def compiled_bytes(self) -> bytes:
        """Return the bytes of the file compiled for the Edge TPU, which are those that the card names.

        Raises ModelError if the card names no such file, or the file is missing or has other bytes.
        """
        if self.compiled is None:
            raise ModelError(
                f"{self.path / CARD_NAME}: expected a file compiled for the Edge TPU, got none; "
                f"make one, on an x86-64 machine: motionsig compile {self.name} -o FOLDER"
            )
        return self.file_bytes(self.compiled.file)

    def golden(self) -> Golden:
        """Return the golden windows, on which a device is tried before it is trusted, and what they give.

        Raises ModelError if they are missing, damaged, or not of the card's shapes.
        """
        return parse_golden(self, self.file_bytes(GOLDEN_NAME))

    def check_files(self) -> None:
        """Raise ModelError unless the files that a device needs are those that the card describes."""
        self.model_bytes()
        self.golden()
        if self.compiled is not None:
            self.compiled_bytes()

    def file_bytes(self, name: str) -> bytes:
        """Return the bytes of one of the model's files, which are those that the card was written for.

        Raises ModelError if the card does not name it, or if it is missing, no regular file, or has other bytes.
        """
        if name not in self.files:
            raise ModelError(f"{self.path / CARD_NAME}: expected {name} among files, got none")
        return check_file(self.path / name, self.files[name])


def check_file(file: Path, stated: FileStated) -> bytes:
    """Return the bytes of a file as a card states it. Raises ModelError for another one."""
    content = read_plain(file, stated.size, f"the file that {CARD_NAME} describes")
    digest = hashlib.sha256(content).hexdigest()
    if digest != stated.sha256:
        raise ModelError(
            f"{file}: expected sha256 {stated.sha256} as in {CARD_NAME}, got {digest}; "
            "the file is damaged or belongs to another card: install the model again"
        )
    return content


def read_plain(file: Path, most_bytes: int, what: str = "a file") -> bytes:
    """Return the bytes of a file that may be anybody's; what: that is expected there.

    Raises ModelError for a link or what else is no file, one larger than `most_bytes`, and one that cannot be read.
    """
    try:
        return read_file(file, most_bytes, follow_links=False)[0]
    except OSError as error:
        most = f"at most {most_bytes:,} B" if error.errno == errno.EFBIG else what
        raise ModelError(f"{file}: expected {most}, got: {error.strerror}") from error


def parse_golden(card: ModelCard, content: bytes) -> Golden:
    """Return the golden windows of a card from the bytes of their file. Raises as `ModelCard.golden` does."""
    file = card.path / GOLDEN_NAME
    try:
        arrays = read_npz(content, MOST_FILE_BYTES)
        windows, codes, tolerance = arrays["windows"], arrays["codes"], arrays["tolerance"]
        kernels = {name: arrays[array] for name, array in _KERNELS.items() if array in arrays}
    except (ValueError, LookupError) as error:
        raise ModelError(f"{file}: expected windows, codes and a tolerance, got: {error}") from error
    count, made = len(windows) if windows.ndim else 0, (codes, *kernels.values())
    shapes = [windows.shape, *(each.shape for each in made)]
    if not count or shapes != [(count, card.length, len(CHANNELS)), *[(count, card.dim)] * len(made)]:
        raise ModelError(f"{file}: expected windows and codes of the card's shapes, got {shapes}")
    kinds = (windows.dtype.name, {each.dtype.name for each in made}, tolerance.dtype.kind, tolerance.shape)
    if kinds != ("float32", {"int8"}, "i", ()) or not 0 <= tolerance <= MOST_TOLERANCE:
        raise ModelError(
            f"{file}: expected float32 windows, int8 codes and a tolerance of 0 to {MOST_TOLERANCE} steps, got "
            f"{windows.dtype}, {codes.dtype} and {tolerance!r:.80}"
        )
    if not np.isfinite(windows).all():
        raise ModelError(f"{file}: expected windows of finite numbers, got others")
    return Golden(windows, codes, int(tolerance), kernels)


def load_card(folder: Path) -> ModelCard:
    """Return the card in `folder`, or raise ModelError naming the file, the key and what was expected."""
    return parse_card(read_plain(folder / CARD_NAME, MOST_CARD_BYTES, "a model card"), folder)


def parse_card(content: bytes, folder: Path) -> ModelCard:
    """Return the card of the files in `folder` from the bytes of its file. Raises as `load_card` does."""
    file = folder / CARD_NAME
    try:
        return _card(folder, read_text(content))
    except (ModelError, InputError) as error:
        # What a card says may be anybody's, and this may end on a terminal.
        said = "".join(char if char.isprintable() else "?" for char in str(error)[:600])
        raise ModelError(f"{file}: {said}") from error


def _card(folder: Path, text: dict[str, Any]) -> ModelCard:
    if tuple(text["channels"]) != CHANNELS:
        raise ModelError(f"channels: expected {list(CHANNELS)}, got {text['channels']!r:.200}")
    if text["units"] != ["m/s^2"] * 3 + ["rad/s"] * 3:
        raise ModelError(f"units: expected m/s^2 three times and rad/s three times, got {text['units']!r:.200}")
    if not PLAIN_NAME.fullmatch(text["name"]):
        raise ModelError(f"name: expected letters, digits, '.', '_' and '-', got {text['name']!r}")
    stated = text["front_end"]
    if (stated["name"], stated["version"]) != (frontend.NAME, frontend.VERSION):
        raise ModelError(
            f"front_end: expected {frontend.NAME} version {frontend.VERSION}, got {stated['name']} version "
            f"{stated['version']}; that model needs the motionsig it was made for"
        )
    length, shape, motion_dim = text["length"], text["input"]["shape"], text["motion_dim"]
    wanted = [1, 1, length, frontend.FEATURE_CHANNELS]
    if shape != wanted or any(type(size) is not int for size in shape):
        raise ModelError(f"input.shape: expected {wanted}, got {shape!r:.80}")
    quantization = Quantization(tuple(text["quantization"]))
    sizes = [group.size for group in quantization.groups]
    if sizes != [motion_dim, frontend.POSTURE_DIM]:
        raise ModelError(
            f"quantization: expected a group of {motion_dim} motion codes, then {frontend.POSTURE_DIM} of posture, "
            f"got groups of {sizes}"
        )
    if quantization.dim > MOST_DIM:
        raise ModelError(f"quantization: expected at most {MOST_DIM} codes, as a message has, got {quantization.dim}")
    files = _files(text["files"])
    if MODEL_NAME not in files:
        raise ModelError(f"files: expected {MODEL_NAME} among them, got none")
    return ModelCard(
        path=folder,
        name=text["name"],
        version=text.get("version", 0),
        rate_hz=float(text["rate_hz"]),
        length=length,
        hop=text["hop"],
        max_gap_s=float(text["max_gap_s"]),
        front_end=FrontEnd(*(float(stated[key]) for key in ("acc_knee", "gyr_knee", "acc_full", "gyr_full"))),
        input=Quantization((Group(frontend.FEATURE_CHANNELS, text["input"]["scale"], text["input"]["zero_point"]),)),
        quantization=quantization,
        motion_dim=motion_dim,
        files=files,
        sha256=files[MODEL_NAME].sha256,
        compiled=_compiled(text, files),
        fingerprint=_hashed(text, _SIGNAL_KEYS),
        altered=text.get("digest") not in (None, digest_of(text)),
        text=text,
    )


def digest_of(text: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits over all of a card that decides which signatures are made, of which windows.

    A card that states them as `digest` shows whether it was changed; without one, only its signature does.
    """
    return _hashed(text, (*_SIGNAL_KEYS, "name", "hop")).hex()


def _hashed(text: Mapping[str, Any], keys: Sequence[str]) -> bytes:
    """Return 8 bytes over the network and some keys of a card."""
    stated = json.dumps({key: text[key] for key in keys}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{text['files'][MODEL_NAME]['sha256']}\n{stated}".encode()).digest()[:8]


def _files(text: dict[str, Any]) -> dict[str, FileStated]:
    """Return size and sha256 of the card's files by name. Raises ModelError for what can be no file of a model."""
    files = dict[str, FileStated]()
    for name, entry in text.items():
        if not PLAIN_NAME.fullmatch(name) or name in OWN_NAMES:
            raise ModelError(f"files: expected names of files beside {', '.join(OWN_NAMES)}, got {name!r:.80}")
        size, sha256 = (entry.get(key) for key in ("bytes", "sha256")) if isinstance(entry, dict) else (None, None)
        if type(size) is not int or not 0 < size <= MOST_FILE_BYTES:
            raise ModelError(f"files.{name}.bytes: expected 1 to {MOST_FILE_BYTES}, got {size!r:.80}")
        if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ModelError(f"files.{name}.sha256: expected 64 hexadecimal digits, got {sha256!r:.80}")
        files[name] = FileStated(size, sha256)
    return files


def _compiled(text: dict[str, Any], files: Mapping[str, FileStated]) -> Compiled | None:
    stated = text.get("compiled")
    if stated is None:
        return None
    if missing := {"file", "compiler", "min_runtime"}.difference(stated):
        raise ModelError(f"compiled: expected {', '.join(sorted(missing))}, got none")
    file = stated["file"]
    if file == MODEL_NAME or file not in files:
        raise ModelError(f"compiled.file: expected the name of another of the card's files, got {file!r}")
    return Compiled(file, files[file].sha256, stated["compiler"], stated["min_runtime"])
