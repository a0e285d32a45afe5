"""From windows to signatures: which model, on which device.

An encoder is a front end on the host and an int8 network in a runtime. `open_encoder` finds the model, checks it
against its card and picks the runtime.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Protocol

from motionsig.blocks import SignatureBatch, WindowBatch
from motionsig.errors import InputError, ModelError
from motionsig.model_card import CARD_NAME, ModelCard, load_card

DEFAULT_MODEL = "motion64"
DEVICES = ("auto", "cpu", "reference")


class Encoder(Protocol):
    """Stateless: each signature depends on its own window alone. `device` says what runs the network."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def device(self) -> str: ...

    def encode(self, windows: WindowBatch) -> SignatureBatch: ...


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models that came with motionsig, by name."""
    folder = Path(str(resources.files("motionsig.firmware_models")))
    return {card.parent.name: card.parent for card in sorted(folder.glob(f"*/{CARD_NAME}"))}


def find_model(model: str | Path | None = None) -> ModelCard:
    """Return the card of a shipped model by name, or of a model folder by path; the default model for None.

    Raises ModelError listing the shipped models if there is none such.
    """
    shipped = shipped_models()
    if model is None or (isinstance(model, str) and model in shipped):
        return load_card(shipped.get(model or DEFAULT_MODEL, Path(DEFAULT_MODEL)))
    if Path(model).is_dir():
        return load_card(Path(model))
    raise ModelError(f"model: expected one of {', '.join(shipped)} or a folder with a {CARD_NAME}, got {str(model)!r}")


def open_encoder(model: str | Path | None = None, device: str = "auto") -> Encoder:
    """Return an encoder for `model` (a shipped name, a folder, None for the default) on `device`.

    cpu: an installed runtime. reference: numpy alone, without the last-bit freedom of runtimes. auto: cpu.

    Raises InputError for a device this version cannot drive, ModelError for a model that does not match its card,
    MissingExtraError where no runtime is installed.
    """
    if device not in DEVICES:
        known = f"{', '.join(DEVICES[:-1])} or {DEVICES[-1]}"
        raise InputError(f"device: expected one of {known} (no Edge TPU support yet), got {device!r}")
    if device == "reference":
        from motionsig.encoders.reference import ReferenceEncoder

        return ReferenceEncoder(find_model(model))
    from motionsig.encoders.litert import LiteRtEncoder

    return LiteRtEncoder(find_model(model))
