"""The contract between training and device: what a model expects, what it makes, and what is known of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from motionsig import frontend
from motionsig.blocks import SignatureSpec
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import ModelError
from motionsig.files import read_file
from motionsig.frontend import FrontEnd
from motionsig.quantization import Group, Quantization

CARD_NAME = "card.json"
MODEL_NAME = "encoder_int8.tflite"
GOLDEN_NAME = "golden.npz"
BACKGROUND_NAME = "background.npz"
CARD_VERSION = 1
MOST_VERSION = 999_999_999
MOST_CARD_BYTES = 4 << 20
MOST_FILE_BYTES = 64 << 20
"""Of one file of a model, and of its golden windows once unpacked: eight times what an Edge TPU holds."""

_SIGNAL_KEYS = (
    "card_version", "rate_hz", "length", "channels", "units", "max_gap_s",
    "front_end", "input", "motion_dim", "quantization",
)  # fmt: skip
"""The keys that decide a signature, beside the model's bytes. The hop is not one: it only chooses the windows."""

_ABOUT_KEYS = ("name", "summary", "licence", "hop", "output", "files", "training", "quality", "limits")


@dataclass(frozen=True)
class Compiled:
    """The model compiled for the Edge TPU: its file's name, what compiled it, and the oldest runtime that takes it."""

    file: str
    sha256: str
    compiler: str
    min_runtime: int | None


XNNPACK, BUILT_IN = "XNNPACK", "built-in kernels"
_KERNELS = {XNNPACK: "codes_xnnpack", BUILT_IN: "codes_built_in"}
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
    * `sha256`: of the model file, in hexadecimal digits. `compiled`: the same model compiled for the Edge TPU, if any.
    * `fingerprint`: 8 bytes over all that decides a signature. The compiled model has the same: its codes differ in the
      last bits only, as those of different CPUs do.
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
    sha256: str
    compiled: Compiled | None
    fingerprint: bytes
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
        return self._checked(MODEL_NAME, self.sha256)

    def compiled_bytes(self) -> bytes:
        """Return the bytes of the file compiled for the Edge TPU, which are those that the card names.

        Raises ModelError if the card names no such file, or the file is missing or has other bytes.
        """
        if self.compiled is None:
            raise ModelError(
                f"{self.path / CARD_NAME}: expected a file compiled for the Edge TPU, got none; "
                f"make one, on an x86-64 machine: motionsig compile {self.name} -o FOLDER"
            )
        return self._checked(self.compiled.file, self.compiled.sha256)

    def golden(self) -> Golden:
        """Return the golden windows, on which a device is tried before it is trusted, and what they give.

        Raises ModelError if they are missing, damaged, or not of the card's shapes.
        """
        file = self.path / GOLDEN_NAME
        try:
            expected = str(self.text["files"][GOLDEN_NAME]["sha256"])
        except (TypeError, LookupError) as error:
            raise ModelError(f"{self.path / CARD_NAME}: expected {GOLDEN_NAME} among files, got none") from error
        content = self._checked(GOLDEN_NAME, expected)
        try:
            with np.load(BytesIO(content)) as arrays:
                kernels = {name: arrays[array] for name, array in _KERNELS.items() if array in arrays}
                golden = Golden(arrays["windows"], arrays["codes"], int(arrays["tolerance"]), kernels)
        except (TypeError, ValueError, LookupError, EOFError, BadZipFile) as error:
            raise ModelError(f"{file}: expected windows, codes and a tolerance, got: {error}") from error
        count = len(golden.windows)
        shapes = [golden.windows.shape, golden.codes.shape, *(codes.shape for codes in golden.kernels.values())]
        if not count or shapes != [(count, self.length, len(CHANNELS)), *[(count, self.dim)] * (len(shapes) - 1)]:
            raise ModelError(f"{file}: expected windows and codes of the card's shapes, got {shapes}")
        return golden

    def _checked(self, name: str, expected: str) -> bytes:
        file = self.path / name
        try:
            content, _ = read_file(file, MOST_FILE_BYTES)
        except OSError as error:
            raise ModelError(f"{file}: expected the file that {CARD_NAME} describes, got: {error.strerror}") from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != expected:
            raise ModelError(
                f"{file}: expected sha256 {expected} as in {CARD_NAME}, got {digest}; "
                "the file is damaged or belongs to another card: install the model again"
            )
        return content


def load_card(folder: Path) -> ModelCard:
    """Return the card in `folder`, or raise ModelError naming the file, the key and what was expected."""
    file = folder / CARD_NAME
    try:
        content, _ = read_file(file, MOST_CARD_BYTES)
    except OSError as error:
        raise ModelError(f"{file}: expected a model card, got: {error.strerror}") from error
    return parse_card(content, folder)


def parse_card(content: bytes, folder: Path) -> ModelCard:
    """Return the card of the files in `folder` from the bytes of its file. Raises as `load_card` does."""
    file = folder / CARD_NAME
    try:
        text = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file}: expected JSON, got: {error}") from error
    if not isinstance(text, dict):
        raise ModelError(f"{file}: expected a JSON object, got {type(text).__name__}")
    if text.get("card_version") != CARD_VERSION:
        raise ModelError(
            f"{file}: expected card_version {CARD_VERSION}, got {text.get('card_version')!r}; "
            "a card of another version needs the motionsig that goes with it"
        )
    missing = [key for key in (*_SIGNAL_KEYS, *_ABOUT_KEYS) if key not in text]
    if missing:
        raise ModelError(f"{file}: expected the keys {', '.join(missing)}, got a card without them")
    try:
        return _card(folder, text)
    except (TypeError, ValueError, LookupError, OverflowError, RecursionError) as error:
        # What a card says may be anybody's, and this may end on a terminal.
        said = "".join(char if char.isprintable() else "?" for char in str(error))
        raise ModelError(f"{file}: {said}") from error


def _card(folder: Path, text: dict[str, Any]) -> ModelCard:
    if tuple(text["channels"]) != CHANNELS:
        raise ModelError(f"channels: expected {list(CHANNELS)}, got {text['channels']}")
    if text["units"] != ["m/s^2"] * 3 + ["rad/s"] * 3:
        raise ModelError(f"units: expected m/s^2 three times and rad/s three times, got {text['units']}")
    stated = text["front_end"]
    if (stated["name"], stated["version"]) != (frontend.NAME, frontend.VERSION):
        raise ModelError(
            f"front_end: expected {frontend.NAME} version {frontend.VERSION}, got {stated['name']} version "
            f"{stated['version']}; that model needs the motionsig it was made for"
        )
    for key, low, high in (("rate_hz", 1, 10_000), ("length", 2, 100_000), ("hop", 1, 100_000), ("max_gap_s", 0, 60)):
        if type(text[key]) not in (int, float) or not low <= text[key] <= high:
            raise ModelError(f"{key}: expected a number from {low} to {high}, got {text[key]!r}")
    version = text.get("version", 0)
    if type(version) is not int or not 0 <= version <= MOST_VERSION:
        raise ModelError(f"version: expected a whole number up to {MOST_VERSION}, got {version!r}")
    length, shape = int(text["length"]), text["input"]["shape"]
    if shape != [1, 1, length, frontend.FEATURE_CHANNELS]:
        raise ModelError(f"input.shape: expected {[1, 1, length, frontend.FEATURE_CHANNELS]}, got {shape}")
    if not text["quantization"]:
        raise ModelError("quantization: expected groups of codes, got none")
    quantization = Quantization(tuple(text["quantization"]))
    motion_dim = int(text["motion_dim"])
    sizes = [group.size for group in quantization.groups]
    if sizes[0] != motion_dim or sum(sizes[1:]) != frontend.POSTURE_DIM:
        raise ModelError(
            f"quantization: expected a group of {motion_dim} motion codes, then {frontend.POSTURE_DIM} of posture, "
            f"got groups of {sizes}"
        )
    sha256 = str(text["files"][MODEL_NAME]["sha256"])
    signal = json.dumps({key: text[key] for key in _SIGNAL_KEYS}, sort_keys=True, separators=(",", ":"))
    return ModelCard(
        path=folder,
        name=str(text["name"]),
        version=version,
        rate_hz=float(text["rate_hz"]),
        length=length,
        hop=int(text["hop"]),
        max_gap_s=float(text["max_gap_s"]),
        front_end=FrontEnd(*(float(stated[key]) for key in ("acc_knee", "gyr_knee", "acc_full", "gyr_full"))),
        input=Quantization(
            (Group(frontend.FEATURE_CHANNELS, float(text["input"]["scale"]), int(text["input"]["zero_point"])),)
        ),
        quantization=quantization,
        motion_dim=motion_dim,
        sha256=sha256,
        compiled=_compiled(text),
        fingerprint=hashlib.sha256(f"{sha256}\n{signal}".encode()).digest()[:8],
        text=text,
    )


def _compiled(text: dict[str, Any]) -> Compiled | None:
    stated = text.get("compiled")
    if stated is None:
        return None
    file, runtime = stated["file"], stated["min_runtime"]
    if file == MODEL_NAME or file not in text["files"] or Path(file).name != file:
        raise ModelError(f"compiled.file: expected the name of another of the card's files, got {file!r}")
    if runtime is not None and type(runtime) is not int:
        raise ModelError(f"compiled.min_runtime: expected a whole number or null, got {runtime!r}")
    return Compiled(file, str(text["files"][file]["sha256"]), str(stated["compiler"]), runtime)
