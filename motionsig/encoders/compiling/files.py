"""Where models come from and where compiled ones go.

The compiled file goes beside the model or into another folder, all files of the model or none: each is on the disk
under another name before the first takes its place. The card, which says which files belong together, comes last. If a
file cannot take its place, the old ones come back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from motionsig.encoders.compiling.compiler import Compilation
from motionsig.encoders.models import find_model, model_names, shipped_models
from motionsig.encoders.tflite import printable, read_model_file
from motionsig.endings import require_ending
from motionsig.errors import InputError, ModelError
from motionsig.files import locked_folder, write_file
from motionsig.hints import refused
from motionsig.model_card import CARD_NAME, GOLDEN_NAME, MODEL_NAME, MOST_CARD_BYTES, ModelCard, load_card, read_plain

_PAGE_NAME = "README.md"


@dataclass(frozen=True)
class ModelFile:
    """A .tflite file, and its card if it has one: then its bytes are those that the card was written for."""

    path: Path
    content: bytes
    card: ModelCard | None

    @property
    def compiled_name(self) -> str:
        """The name under which Edge TPU tools expect what is compiled from it."""
        return f"{self.path.stem}_edgetpu.tflite"


def open_model(model: str | Path) -> ModelFile:
    """Return a named model, a folder's, or a .tflite file with its folder's card if that names it. ModelError else."""
    path = Path(model)
    named = str(model) in model_names() or path.is_dir()
    if named or (path.name == MODEL_NAME and (path.parent / CARD_NAME).is_file()):
        card = find_model(model) if named else load_card(path.parent)
        card.check_files()
        return ModelFile(card.path / MODEL_NAME, card.model_bytes(), card)
    try:
        return ModelFile(path, read_model_file(path), None)
    except FileNotFoundError as error:
        besides = f", a folder with a {CARD_NAME} or a .tflite file"
        raise ModelError(f"model: {refused(str(model), shipped_models(), what='a model', besides=besides)}") from error
    except OSError as error:
        raise ModelError(f"{path}: expected a .tflite file, got: {error.strerror}") from error


def out_folder(model: ModelFile, out: Path | None) -> Path:
    """Return the folder for what is compiled: `out`, which need not exist, or the model's own.

    Raises InputError for a file or another model's folder, ModelError for one that cannot be written.
    """
    folder = model.path.parent if out is None else out
    if not folder.exists():
        require_ending(folder, (), where="OUT: ", instead="it is a folder: name it such as my-model-edgetpu")
    existing = next(parent for parent in (folder, *folder.absolute().parents) if os.path.lexists(parent))
    if not existing.is_dir():
        raise InputError(f"OUT: expected a folder, got {str(folder)!r}, where {existing} is a file or leads nowhere")
    _check_card(model, folder)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ModelError(f"{existing}: expected a folder to write to, got a read-only one; name another with -o OUT")
    return folder


def put_in_place(model: ModelFile, compilation: Compilation, folder: Path) -> Path:
    """Write what was compiled into `folder`, with the whole model around it if it has a card; return its path.

    Raises ModelError if that fails, InputError if the folder has become another model's meanwhile; then what stood
    there stands there still.
    """
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as lock:
            with contextlib.suppress(OSError):  # a file system without locks
                lock.enter_context(locked_folder(folder, wait=True))
            before = _check_card(model, folder)
            files = _files(model, compilation, folder)
            _replace_all(folder, files)
            stale = before.compiled.file if before and before.compiled else ""
            if stale not in files and "_edgetpu" in stale:
                with contextlib.suppress(OSError):  # the card names it no longer
                    (folder / stale).unlink()
    except OSError as error:
        raise ModelError(f"{folder}: expected free space for the compiled model, got: {error.strerror}") from error
    finally:
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()  # stays if anything is in it
    return folder / model.compiled_name


def _check_card(model: ModelFile, folder: Path) -> ModelCard | None:
    """Return the card in `folder`, if there is one. Raises InputError where it is not the model's."""
    if not (folder / CARD_NAME).exists():
        return None
    if model.card is None:
        raise InputError(
            f"OUT: expected a folder without a {CARD_NAME} for a model that it does not name, got {str(folder)!r}; "
            "name another with -o OUT"
        )
    there = load_card(folder)
    if there.fingerprint != model.card.fingerprint and folder.resolve() != model.path.parent.resolve():
        names = printable(model.card.name), printable(there.name)
        raise InputError(f"OUT: expected a folder for {names[0]}, got {str(folder)!r} of {names[1]}")
    return there


def _files(model: ModelFile, compilation: Compilation, folder: Path) -> dict[str, bytes]:
    """Return what belongs into the folder, by name, the card last."""
    made, content, card = model.compiled_name, compilation.content, model.card
    files = {made: content}
    if card is None:
        return files
    if folder.resolve() != model.path.parent.resolve():
        files |= {MODEL_NAME: model.content, GOLDEN_NAME: card.file_bytes(GOLDEN_NAME)}
        with contextlib.suppress(ModelError):  # none, or not one of a page's kind
            files[_PAGE_NAME] = read_plain(card.path / _PAGE_NAME, MOST_CARD_BYTES)
    # What was compiled before is no longer the model's.
    stated = {
        name: entry for name, entry in card.text["files"].items() if not card.compiled or name != card.compiled.file
    }
    stated[made] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    compiler = compilation.log.version or "not stated"
    compiled = {"file": made, "compiler": compiler, "min_runtime": compilation.min_runtime}
    text = card.text | {"files": stated, "compiled": compiled}
    return files | {CARD_NAME: (json.dumps(text, indent=2, ensure_ascii=False) + "\n").encode()}


def _replace_all(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into a folder, in their order, once all of them are on the disk; all, or none."""
    own = secrets.token_hex(4)
    parts = {name: folder / f".{name}.{own}.part" for name in files}
    olds = {name: folder / f".{name}.{own}.old" for name in files if os.path.lexists(folder / name)}
    for there in (folder / name for name in olds):
        if there.exists() and not there.is_file():
            raise ModelError(f"{there}: expected a file or nothing, got a folder or device in its place")
    try:
        for name, part in parts.items():
            write_file(part, files[name])
        for name, old in olds.items():
            shutil.copy2(folder / name, old, follow_symlinks=False)
        with contextlib.ExitStack() as undo:
            for name, part in parts.items():
                if name in olds:
                    undo.callback(olds[name].replace, folder / name)
                else:
                    undo.callback((folder / name).unlink, missing_ok=True)
                part.replace(folder / name)
            undo.pop_all()
    finally:
        for spare in (*parts.values(), *olds.values()):
            spare.unlink(missing_ok=True)
