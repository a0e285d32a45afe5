"""Train the motion encoder and write a finished model folder: weights, golden vectors, card and README.

Everything the network learns from passes motionsig's own resampler, windower and front end. One seed; no figure in the
card is typed: the run that wrote it measured it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from motionsig import open_encoder
from motionsig.encoders.compiling.lint import lint
from motionsig.encoders.tflite import read_graph
from motionsig.model_card import GOLDEN_NAME, MODEL_NAME
from scripts.train import data, describe, golden, network
from scripts.train.course import Course
from scripts.train.material import lessons_of, quantised, read_material

CALIBRATION_WINDOWS = 500


def train(folder: Path, out: Path, own: list[Path], *, seed: int, steps: int, say: Callable[[str], None]) -> None:
    """Write the model folder `out`, all but its figures, from the sets in `folder` and the user's own."""
    material, sets = read_material(folder, own, seed, say)
    say(f"training: {steps} batches of {network.BATCH} windows")
    network.seed(seed)
    rng = np.random.default_rng(seed)
    lessons = lessons_of(material)
    model = network.build()
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "training.npz"
    course = Course(model, lessons, steps=steps, rng=rng)
    figures = course.run(checkpoint)
    calibration = lessons.windows[rng.choice(len(lessons.windows), CALIBRATION_WINDOWS, replace=False)]
    model_bytes = network.to_int8(model, quantised(calibration))
    graph = read_graph(model_bytes)
    if wrong := [str(finding) for finding in lint(graph) if finding.mark != "note"]:
        raise ValueError(f"network: expected one that the Edge TPU takes, got {'; '.join(wrong)}")
    operations = [f"{operator.name} v{operator.version}" for operator in graph.operators]
    (out / MODEL_NAME).write_bytes(model_bytes)
    (out / describe.FLOAT_NAME).write_bytes(network.to_float(model))
    watch = data.read(folder, "seglearn_watch", np.random.default_rng(seed)).windows
    apart = golden.write(out / GOLDEN_NAME, model_bytes, watch, np.random.default_rng(seed))
    training = {
        "script": "scripts/train",
        "seed": seed,
        "seconds": round(course.seconds),
        "parameters": network.parameters(model),
        "multiply_accumulates": network.multiply_accumulates(model),
        "operations": operations,
        "batches": steps,
        "batch": network.BATCH,
        "last_figures": figures,
        "kernels_apart_lsb": apart,
        "sets": sets,
        "not_trained_on": [name for name, facts in data.SETS.items() if not facts.trains],
    }
    describe.write(out, describe.new_card(out, training))
    for device in ("cpu", "reference"):  # both check the network against the card, the second each operation too
        open_encoder(out, device)
    checkpoint.unlink()
    say(f"written: {out}, {len(model_bytes)} bytes, {', '.join(dict.fromkeys(operations))}")
