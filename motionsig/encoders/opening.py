"""Open a model on a device: find it, check it against its card, pick what runs its network."""

from __future__ import annotations

import re
from pathlib import Path

from motionsig.encoders.host import Encoder, HostEncoder, Network
from motionsig.encoders.models import find_model
from motionsig.errors import InputError
from motionsig.model_card import ModelCard

DEVICES = "auto, cpu, edgetpu[:usb|:pci][:N] or reference"


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
