"""Which models there are, by name, those that came with motionsig and those installed; opening one on a device.

    FOLDER/NAME/VERSION-FINGERPRINT/    an installed model: card, files, the card's signature, who signed it
    FOLDER/NAME/current, previous       links to two of them; no `current`: the shipped model of that name is in use
    FOLDER/NAME/highest                 a link to the highest version ever installed, whose folder may be gone

A model's folder is never changed once it has its name; a model that is installed again gets a folder of its own.
`installing` writes all this, and nothing else does. The daemon asks every second, so it has to be cheap.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from motionsig.encoders.host import Encoder, HostEncoder, Network, check_golden, golden_distance
from motionsig.errors import InputError, MissingExtraError, ModelError, MotionsigError
from motionsig.escaping import own_logger
from motionsig.hints import refused
from motionsig.model_card import CARD_NAME, MODEL_NAME, PLAIN_NAME, ModelCard, load_card
from motionsig.state import models_folder, shipped_folder

logger = own_logger(__name__)

DEFAULT_MODEL = "motion64"
_LISTING = "`motionsig models` lists them"
DEVICES = "auto, cpu, edgetpu[:usb|:pci][:N] or reference"

CURRENT, PREVIOUS, HIGHEST = "current", "previous", "highest"


def current(name: str) -> Path | None:
    """Return the folder of the installed model in use; None where the shipped one is, or none. Raises ModelError."""
    return linked(models_folder(), name, CURRENT)


def previous(name: str) -> Path | None:
    """Return the folder of the installed model to go back to; None for the shipped one, or none. Raises ModelError."""
    folder = linked(models_folder(), name, PREVIOUS)
    return None if folder == current(name) else folder


def linked(root: Path, name: str, which: str) -> Path | None:
    """Return where one of a model's links leads, whatever is there; None where there is no link. Raises ModelError."""
    if not PLAIN_NAME.fullmatch(name):
        return None
    link = root / name / which
    try:
        return link.parent / os.readlink(link)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ModelError(f"{link}: expected a link to an installed model, got: {error.strerror}") from error


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models that came with motionsig, by name."""
    return {card.parent.name: card.parent for card in sorted(shipped_folder().glob(f"*/{CARD_NAME}"))}


def installed_names() -> list[str]:
    """Return the names of the models that are installed, in use or to go back to."""
    links = (link for which in (CURRENT, PREVIOUS) for link in models_folder().glob(f"*/{which}"))
    return sorted({link.parent.name for link in links})


def model_names() -> list[str]:
    """Return the names of all models, shipped and installed."""
    return sorted({*shipped_models(), *installed_names()})


def model_folders(name: str) -> list[Path]:
    """Return where models of that name lie, the one in use first, then those it can go back to. Raises ModelError."""
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
        besides = f" or a folder with a {CARD_NAME}"
        raise ModelError(
            f"model: {refused(str(model), model_names(), what='a model', besides=besides, listing=_LISTING)}"
        )
    return load_card(folders[0])


def open_encoder(model: str | Path | None = None, device: str = "auto") -> Encoder:
    """Return an encoder for `model` (a name, a folder, None for motion64) on `device`.

    >>> with motionsig.open_encoder("motion64", device="reference") as encoder:
    ...     print(encoder)
    HostEncoder(motion64 version 3, ..., on reference (numpy))

    * `"cpu"`: LiteRT or another TFLite runtime that is installed.
    * `"reference"`: numpy alone; slower, but the network gives the same bits on every machine.
    * `"edgetpu"`: an Edge TPU, or an error; `"edgetpu:usb"`, `"edgetpu:pci"` and `"edgetpu:1"` choose among several.
    * `"auto"`: the faster one of Edge TPU and cpu, and the cpu while there is no Edge TPU.

    Raises InputError for another device; ModelError for a model that is not there, does not match its card or, with
    edgetpu, is not compiled for it; EncoderError for an Edge TPU that is not there or gives other codes than the card's
    golden windows; MissingExtraError without a runtime.
    """
    which = check_device(device)
    card = find_model(model)
    if card.altered:
        logger.warning(
            "%s: it was changed after the model was made, by hand or by damage: its signatures, or their windows, may "
            "be others than the model's",
            card.path / CARD_NAME,
        )
    foreign = not _was_tried(card)
    if foreign and device in ("auto", "cpu"):
        _try_first(card)
    encoder = HostEncoder(card, _network(card, device, which))
    if foreign and not device.startswith("edgetpu"):  # whose child has done that
        try:
            check_golden(encoder)
        except BaseException:
            encoder.close()
            raise
    return encoder


def _was_tried(card: ModelCard) -> bool:
    """Return whether a model came with motionsig, or was installed, which tries it."""
    folder = card.path.resolve()  # a path with .. or links may begin with that of a folder that it leaves
    return folder in map(Path.resolve, shipped_models().values()) or folder.parent.parent == models_folder().resolve()


_survived = set[str]()
"""The sha256 of networks that a child of this process has run without harm."""


def _try_first(card: ModelCard) -> None:
    """Run a network of anybody's in a child, where this process has not done so. Raises ModelError if it does harm."""
    card.check_files()  # what is refused by a look needs no child
    if card.sha256 in _survived or any(load_card(it).sha256 == card.sha256 for it in shipped_models().values()):
        return
    # The network will run as this user, root or not.
    reported = try_network(card, root_will_do=True)
    if trouble := reported.get("died") or reported.get("failed"):
        raise ModelError(f"{card.path / MODEL_NAME}: expected a network that runs, got: {trouble}")
    if "missing" not in reported:
        _survived.add(card.sha256)


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


def try_network(card: ModelCard, *, root_will_do: bool) -> dict[str, Any]:
    """Run a model's golden windows on the CPU in a child process; return what that reports, as `run_trial` does.

    root_will_do: whether the child may run the network as root where it cannot become another user.
    """
    from motionsig.encoders import trial

    folder = os.path.abspath(card.path)
    call = f"motionsig.encoders.models.report_trial({folder!r}, {card.sha256!r}, root_will_do={root_will_do})"
    return trial.run_trial("the model", call, sys.path, trial.DEADLINE_S)


def report_trial(folder: str, sha256: str, *, root_will_do: bool) -> None:
    """Do what `try_network` has a child do, for the network with that sha256 in a folder, and report it."""
    from motionsig.encoders.confinement import confine
    from motionsig.encoders.litert import LiteRtNetwork
    from motionsig.encoders.trial import one_line, report

    try:
        card = load_card(Path(folder))
        if card.sha256 != sha256:
            raise ModelError(f"{folder}: expected the network {sha256}, got {card.sha256}: it has been changed")
        golden = card.golden()
        # Python and its packages may be in a home of root's: what imports late has to do so before.
        with HostEncoder(known := load_card(shipped_models()[DEFAULT_MODEL]), LiteRtNetwork(known)) as encoder:
            golden_distance(encoder)
        network = LiteRtNetwork(card, before=lambda: confine(root_will_do=root_will_do))
        with HostEncoder(card, network) as encoder:
            worst, tolerance = golden_distance(encoder, golden)
            report(device=encoder.device, worst=worst, tolerance=tolerance, uid=os.geteuid())
    except MissingExtraError as error:
        report(missing=str(error).partition(";")[0])
    except OSError as error:
        way = "sign it, or install it as another user"
        report(failed=f"it could not be tried as another user than root: {error.strerror}; {way}")
    except (MotionsigError, MemoryError) as error:
        report(failed=f"it does not run: {one_line(str(error), 400)}")


def report_golden(device: str, model: str | None = None) -> None:
    """Run a model's golden windows on a device and report how far the codes are off: all that a child does."""
    from motionsig.encoders.trial import one_line, report

    try:
        with open_encoder(model, device=device) as encoder:
            worst, tolerance = golden_distance(encoder)
            report(device=encoder.device, worst=worst, tolerance=tolerance)
    except MissingExtraError as error:
        report(missing=str(error).partition(";")[0])
    except (MotionsigError, OSError) as error:
        report(failed=f"{model or 'the shipped model'} does not run: {one_line(str(error), 400)}")
