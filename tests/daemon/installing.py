"""Models put in place as `motionsig models install` does, and what their tests share."""

import hashlib
import json
import shutil

import numpy as np
from made import wait_until

from motionsig.blocks import WindowBatch
from motionsig.daemon.switching import RequestedModel
from motionsig.encoders import find_model, shipped_models

REQUESTED = RequestedModel("motion64", "cpu")


def install(models, version, *, damage=None, hop=None):
    """Put another version of the shipped model in place, as `motionsig models install` does: one rename at the end."""
    folder = models / "motion64" / f"{version}-made"
    shutil.copytree(shipped_models()["motion64"], folder)
    card = json.loads((folder / "card.json").read_text())
    network = folder / "encoder_int8.tflite"
    # Bytes behind the end change nothing but the hash, and with it the fingerprint.
    network.write_bytes(network.read_bytes() + bytes(16 * version))
    if damage:
        damage(folder)
    for name in ("encoder_int8.tflite", "golden.npz"):
        content = (folder / name).read_bytes()
        card["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    if hop:
        card["hop"] = hop
    (folder / "card.json").write_text(json.dumps(card))
    current, previous = models / "motion64" / "current", models / "motion64" / "previous"
    if current.is_symlink():
        previous.unlink(missing_ok=True)
        current.rename(previous)
    new = models / "motion64" / "new"
    new.symlink_to(folder.name)
    new.rename(current)
    return folder


def wrong_golden(folder):
    with np.load(folder / "golden.npz") as arrays:
        content = dict(arrays)
    content["codes"] = -content["codes"]
    np.savez(folder / "golden.npz", **content)


def windows(count=1):
    golden, *_ = find_model("motion64").golden()
    rows = np.arange(count)
    return WindowBatch(rows, golden[rows % len(golden)], np.zeros(count, np.uint8), 1_280_000_000)


def wait_opened(encoder):
    encoder.look_for_model()
    wait_until(lambda: encoder._opening is None)


class Failing:
    """A model that works until its n-th window."""

    def __init__(self, encoder, after, error):
        self._encoder, self._after, self._error = encoder, after, error
        self.card, self.device = encoder.card, encoder.device

    def encode(self, windows):
        self._after -= len(windows)
        if self._after < 0:
            raise self._error
        return self._encoder.encode(windows)

    def close(self):
        self._encoder.close()
