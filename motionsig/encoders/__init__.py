"""From windows to signatures: which model, on which device.

An encoder is a front end on the host and an int8 network in a runtime. `open_encoder` finds the model, checks it
against its card and picks the runtime.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import numpy as np

from motionsig.blocks import Quality, SignatureBatch, WindowBatch
from motionsig.closing import Closing
from motionsig.encoders import installed as installed
from motionsig.encoders.host import HostEncoder, Network
from motionsig.errors import InputError, ModelError
from motionsig.model_card import CARD_NAME, ModelCard, load_card

DEFAULT_MODEL = "motion64"
DEVICES = "auto, cpu, edgetpu[:usb|:pci][:N] or reference"


class Encoder(Closing, Protocol):
    """Stateless: each signature depends on its own window alone. `device` says what runs the network now.

    A context manager; left unclosed, it lets go of its device when it is no longer referred to.
    """

    @property
    def card(self) -> ModelCard: ...

    @property
    def device(self) -> str: ...

    def encode(self, windows: WindowBatch) -> SignatureBatch: ...


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models that came with motionsig, by name."""
    package = Path(__file__).resolve().parents[1]
    # In a source tree they lie beside the package, also where Python was started in it and motionsig is installed.
    in_package, in_tree = package / "firmware_models", package.parent / "firmware_models"
    folder = in_package if in_package.is_dir() else in_tree
    return {card.parent.name: card.parent for card in sorted(folder.glob(f"*/{CARD_NAME}"))}


def model_folders(name: str) -> list[Path]:
    """Return where models of that name lie: the one in use first, then those it can go back to; none for no such name.

    Raises ModelError where it cannot be told which installed one is in use.
    """
    current, shipped = installed.current(name), shipped_models().get(name)
    in_order = [shipped] if current is None else [current, installed.previous(name), shipped]
    return [folder for folder in in_order if folder is not None]


def find_model(model: str | Path | None = None) -> ModelCard:
    """Return the card of a model: by name the installed one or else the shipped one, by path a folder's.

    None stands for the default model's name. Raises ModelError listing the names if there is none such.
    """
    name = DEFAULT_MODEL if model is None else model
    folders = model_folders(name) if isinstance(name, str) else []
    if not folders and Path(name).is_dir():
        folders = [Path(name)]
    if not folders:
        names = ", ".join(sorted({*shipped_models(), *installed.names()}))
        raise ModelError(f"model: expected one of {names} or a folder with a {CARD_NAME}, got {str(model)!r}")
    return load_card(folders[0])


def open_encoder(model: str | Path | None = None, device: str = "auto") -> Encoder:
    """Return an encoder for `model` (a shipped name, a folder, None for the default) on `device`.

    cpu: an installed runtime. reference: numpy alone, without the last-bit freedom of runtimes. edgetpu: an Edge TPU,
    or an error; :usb, :pci and a number choose among several. auto: whichever of Edge TPU and cpu is faster here, and
    the cpu while there is no Edge TPU.

    Raises InputError for another device, ModelError for a model that does not match its card or, with edgetpu, is not
    compiled for it, EncoderError for an Edge TPU that is not there or does not make of it what the card says,
    MissingExtraError without a runtime.
    """
    which = check_device(device)
    card = find_model(model)
    return HostEncoder(card, _network(card, device, which))


def check_device(device: str) -> str:
    """Return which Edge TPU is meant ("usb", ":2", "" for any); raise InputError for what is no device."""
    edgetpu = re.fullmatch(r"edgetpu(?::(usb|pci))?(:[0-9]{1,3})?", device)
    if device not in ("auto", "cpu", "reference") and not edgetpu:
        raise InputError(f"device: expected {DEVICES}, got {device!r}")
    return "".join(part or "" for part in edgetpu.groups()) if edgetpu else ""


def golden_distance(encoder: Encoder) -> tuple[int, int]:
    """Return by how many steps the golden windows' codes are off at most, and by how many they may be on this device.

    Raises ModelError for damaged golden windows, EncoderError if the device fails.
    """
    windows, codes, tolerance = encoder.card.golden()
    made = encoder.encode(WindowBatch(np.arange(len(windows)), windows, np.zeros(len(windows), np.uint8), 1))
    if (made.quality & Quality.EDGE_TPU).any():
        from motionsig.encoders.edgetpu.worker import MOST_OFF

        tolerance = max(tolerance, MOST_OFF)
    return int(np.abs(made.codes.astype(int) - codes).max()), tolerance


def _network(card: ModelCard, device: str, which: str) -> Network:
    if device == "reference":
        from motionsig.encoders.reference import ReferenceNetwork

        return ReferenceNetwork(card)
    if device.startswith("edgetpu"):
        from motionsig.encoders.edgetpu import EdgeTpuNetwork

        return EdgeTpuNetwork(card, which)
    from motionsig.encoders.litert import LiteRtNetwork

    cpu = LiteRtNetwork(card)
    if device == "cpu":
        return cpu
    from motionsig.encoders.edgetpu import AutoNetwork
    from motionsig.encoders.edgetpu.presence import edgetpus

    # A model that is not compiled has no choice; where an Edge TPU is idle because of that, AutoNetwork says so.
    return AutoNetwork(card, cpu) if card.compiled or edgetpus() else cpu
