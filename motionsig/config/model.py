"""[model], checked as `open_encoder` does. Only the card is read here; `check_config` reads all files of the model."""

from __future__ import annotations

from motionsig.config.draft import Draft
from motionsig.config.keys import shown
from motionsig.encoders.models import check_device, find_model, model_folders
from motionsig.errors import InputError, ModelError
from motionsig.model_card import ModelCard, load_card
from motionsig.windowing import Windower


def check_model(draft: Draft) -> None:
    """Note a model that does not exist, and a device or a hop that it cannot have."""
    name, device, hop = (draft.value(f"model.{key}") for key in ("name", "device", "hop"))
    cards: list[ModelCard] = []
    with draft.noting("model.name"):
        if "/" in name and not name.startswith("/"):
            raise InputError(f"expected a model's name, or its folder's path from / on, got {shown(name)}")
        cards = _cards(name)
    with draft.noting("model.device"):
        check_device(device)
        if device.startswith("edgetpu") and cards and not any(card.compiled for card in cards):
            cards[0].compiled_bytes()
    if cards and hop is not None:
        with draft.noting("model.hop"):
            Windower(length=cards[0].length, hop=hop)


def _cards(name: str) -> list[ModelCard]:
    """Return the cards of the models that a name or folder may mean; skip damaged ones, as the daemon does."""
    cards, damage = [], None
    for folder in model_folders(name):
        try:
            cards.append(load_card(folder))
        except ModelError as error:
            damage = error
    if damage is not None and not cards:
        raise damage
    return cards or [find_model(name)]
