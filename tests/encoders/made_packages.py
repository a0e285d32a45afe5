"""Model folders that are whole but for a network, to be installed."""

import hashlib
import json
import os
from io import BytesIO

import numpy as np

from motionsig.encoders import find_model, installing
from motionsig.model_card import CARD_NAME, GOLDEN_NAME, MODEL_NAME

SHIPPED = {key: value for key, value in find_model().text.items() if key != "digest"}


def golden(**arrays):
    content = BytesIO()
    np.savez(content, **{"windows": np.zeros((1, 128, 6), np.float32), "codes": np.zeros((1, 64), np.int8)} | arrays)
    return content.getvalue()


GOLDEN = golden(tolerance=0)


def make(folder, version=1, network=b"a network", **changes):
    """Make a model that is whole but no network, and return its folder."""
    folder.mkdir(parents=True)
    files = {MODEL_NAME: network, GOLDEN_NAME: GOLDEN}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    stated = {name: {"sha256": hashlib.sha256(file).hexdigest(), "bytes": len(file)} for name, file in files.items()}
    text = SHIPPED | {"name": "m", "version": version, "files": stated, "quality": {}, "training": {}} | changes
    (folder / CARD_NAME).write_text(json.dumps(text))
    return folder


def change(folder, **changes):
    card = folder / CARD_NAME
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def install(folder, key="key.pem"):
    return installing.install(installing.read_package([folder]), folder / key, lambda _: None)


def tree(root):
    """Return all that is below a folder, with bytes, targets of links and modes."""
    return {
        path.relative_to(root): (
            os.lstat(path).st_mode,
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
        )
        for path in root.rglob("*")
    }


def with_golden(folder, content):
    (folder / GOLDEN_NAME).write_bytes(content)
    files = json.loads((folder / CARD_NAME).read_text())["files"]
    files[GOLDEN_NAME] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change(folder, files=files)
    return folder
