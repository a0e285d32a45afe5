"""Which models there are, by name: those that came with motionsig and those that were installed."""

from __future__ import annotations

from pathlib import Path

from motionsig.encoders.installed import current, names, previous
from motionsig.errors import ModelError
from motionsig.model_card import CARD_NAME, ModelCard, load_card

DEFAULT_MODEL = "motion64"


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models that came with motionsig, by name."""
    package = Path(__file__).resolve().parents[1]
    # In a source tree they lie beside the package, also where Python was started in it and motionsig is installed.
    in_package, in_tree = package / "firmware_models", package.parent / "firmware_models"
    folder = in_package if in_package.is_dir() else in_tree
    return {card.parent.name: card.parent for card in sorted(folder.glob(f"*/{CARD_NAME}"))}


def model_names() -> list[str]:
    """Return the names of all models, shipped and installed."""
    return sorted({*shipped_models(), *names()})


def model_folders(name: str) -> list[Path]:
    """Return where models of that name lie: the one in use first, then those it can go back to; none for no such name.

    Raises ModelError where it cannot be told which installed one is in use.
    """
    installed, shipped = current(name), shipped_models().get(name)
    in_order = [shipped] if installed is None else [installed, previous(name), shipped]
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
        raise ModelError(
            f"model: expected one of {', '.join(model_names())} or a folder with a {CARD_NAME}, got {str(model)!r}"
        )
    return load_card(folders[0])
