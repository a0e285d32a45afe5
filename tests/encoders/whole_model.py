"""A small model, whole: its files' bytes, its folder, windows and a recording for it."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from made_models import Made

from motionsig import packing
from motionsig.blocks import WindowBatch
from motionsig.encoders import find_model
from motionsig.encoders.host import HostEncoder
from motionsig.encoders.reference import ReferenceNetwork
from motionsig.model_card import BACKGROUND_NAME, CARD_NAME, GOLDEN_NAME, MODEL_NAME, digest_of, parse_card

COMPILED_NAME = "encoder_int8_edgetpu.tflite"
LENGTH, HOP, MOTION_DIM = 16, 8, 8


def network(seed: int = 0) -> bytes:
    """Return a small network of the kind of the encoder."""
    made, random_ = Made(), np.random.default_rng(seed)

    def weights(shape: list[int], most: int = 40) -> int:
        return made.tensor(shape, "INT8", 0.01, data=random_.integers(-most, most, shape).astype("<i1"))

    def bias(count: int, scale: float) -> int:
        """scale: of the input. tflite-runtime checks that a bias has that of the products."""
        product = np.float32(scale) * np.float32(0.01)
        return made.tensor([count], "INT32", product, data=random_.integers(-40, 40, count).astype("<i4"))

    first = made.tensor([1, 1, LENGTH, 12], scale=0.0078125)
    wide = made.tensor([1, 1, LENGTH, 6])
    strides = dict.fromkeys(("StrideW", "StrideH", "DilationWFactor", "DilationHFactor"), 1)
    given = [first, weights([6, 1, 3, 12]), bias(6, 0.0078125)]
    made.operator("CONV_2D", given, [wide], 3, "Conv2DOptions", **strides)
    mean = made.tensor([1, 6])
    made.operator("MEAN", [wide, made.integers([1, 2])], [mean], 2, "ReducerOptions")
    last = made.tensor([1, MOTION_DIM], scale=0.03125)
    given = [mean, weights([MOTION_DIM, 6], most=127), bias(MOTION_DIM, 0.02)]
    made.operator("FULLY_CONNECTED", given, [last], 4, "FullyConnectedOptions")
    made.ends([first], [last])
    return made.file()


def stated(content: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def npz(arrays: dict[str, object]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def windows(count: int, seed: int) -> WindowBatch:
    data = np.random.default_rng(seed).normal(0, 2, (count, LENGTH, 6)).astype(np.float32)
    data[..., 2] += 9.81
    return WindowBatch(np.arange(count), data, np.zeros(count, np.uint8), 1)


@functools.cache
def valid() -> dict[str, bytes]:
    """Return the files of a whole model, by name."""
    shipped = find_model()
    model = network()
    compiled_file = b"\x1c\0\0\0TFL3" + bytes(300)
    files = {
        MODEL_NAME: model,
        COMPILED_NAME: compiled_file,
        packing.FILE_NAME: (shipped.path / packing.FILE_NAME).read_bytes(),
    }
    keys = ("card_version", "rate_hz", "channels", "units", "max_gap_s", "front_end", "licence", "summary")
    text = {key: shipped.text[key] for key in keys} | {
        "version": 7,
        "name": "small",
        "length": LENGTH,
        "hop": HOP,
        "input": {"shape": [1, 1, LENGTH, 12], "scale": 0.0078125, "zero_point": 0},
        "output": {"shape": [1, MOTION_DIM]},
        "motion_dim": MOTION_DIM,
        "quantization": [[MOTION_DIM, 0.03125, 0], [16, 0.03125, 0]],
        "training": {"sets": [{"name": "none"}]},
        "quality": {"found": [0.5, 0.25, 0.75]},
        "limits": ["it was trained on nothing"],
        "compiled": {"file": COMPILED_NAME, "compiler": "16.0", "min_runtime": 14},
        "files": {name: stated(content) for name, content in files.items()},
    }
    card = parse_card(json.dumps(text).encode(), Path("made"))
    signatures = HostEncoder(card, _Stored(card, model)).encode(given := windows(2, 1))
    files[GOLDEN_NAME] = npz({"windows": given.data, "codes": signatures.codes, "tolerance": np.int64(2)})
    files[BACKGROUND_NAME] = npz(
        {
            "codes": np.zeros((4, card.dim), np.int8),
            "quality": np.zeros(4, np.uint8),
            "seconds": np.ones(4),
            "group": np.array([0, 0, 1, 1]),
            "label": np.array([0, 1, 1, 0]),
            "groups": np.array([["a", "b"], ["a", "c"]]),
            "labels": np.array(["sitting", "walking"]),
            "fingerprint": np.frombuffer(card.fingerprint, np.uint8),
        }
    )
    text["files"] = {name: stated(content) for name, content in files.items()}
    return {CARD_NAME: json.dumps(text | {"digest": digest_of(text)}, indent=1).encode()} | files


class _Stored(ReferenceNetwork):
    """A reference network of bytes that are in no folder yet."""

    def __init__(self, card, model):
        object.__setattr__(card, "file_bytes", lambda _: model)
        super().__init__(card)


def write(folder: Path, changed: dict[str, bytes | Callable[[Path], object]]) -> None:
    """Write a whole model, but for the files that are changed: other bytes, or what a function makes in their place."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in (dict(valid()) | changed).items():
        if callable(content):
            content(folder / name)
        else:
            (folder / name).write_bytes(content)


def restated_in(name: str, content: bytes) -> dict[str, bytes]:
    """Return a file and a card that states it, as somebody makes them who knows how."""
    text = json.loads(valid()[CARD_NAME])
    text["files"][name] = stated(content)
    text["digest"] = digest_of(text)
    return {name: content, CARD_NAME: json.dumps(text).encode()}


def write_log(file: Path) -> Path:
    """Write a recording of a second, and return its path."""
    data = np.random.default_rng(3).normal(0, 1, (60, 6)) + np.array([0, 0, 9.81, 0, 0, 0])
    rows = [f"{i / 50:.2f}," + ",".join(f"{value:.4f}" for value in row) for i, row in enumerate(data)]
    head = "t [s],acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x [rad/s],gyr_y [rad/s],gyr_z [rad/s]"
    file.write_text("\n".join([head, *rows]) + "\n")
    return file
