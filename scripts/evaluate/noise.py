"""What another sensor, and a sensor's noise, change: behind other sensors, in a gait, and at rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import extract
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.encoders import Encoder
from scripts.evaluate import measures, rows
from scripts.evaluate.contestants import MOTION_ALONE, SIGNATURE, STATISTICS
from scripts.evaluate.extent import Extent
from scripts.evaluate.hapt import BASIC, TEST_PEOPLE, Hapt
from scripts.evaluate.jobs import spread
from scripts.evaluate.measures import Labels, Rows, Score, Vectors
from scripts.evaluate.transform import Transform
from scripts.train import data
from scripts.train.clock import Say
from scripts.train.sensors import Sensor

SEED = 1

STRONG = (0.3, 0.03)
"""Noise in m/s² and rad/s rms that a gait should survive: that of the cheapest sensors, or of a loose mount."""
SENSORS = {
    "as recorded": Sensor(),
    "20 Hz": Sensor(rate_hz=20),
    "25 Hz": Sensor(rate_hz=25),
    "100 Hz": Sensor(rate_hz=100),
    "200 Hz": Sensor(rate_hz=200),
    "3 % lost": Sensor(loss=0.03),
    "10 % lost": Sensor(loss=0.1),
    "range 2 g, 16 bits": Sensor(range_g=2),
    "range 16 g, 16 bits": Sensor(range_g=16),
    "range 16 g, 12 bits": Sensor(range_g=16, bits=12),
    "noise 0.1 m/s², 0.01 rad/s": Sensor(noise=(0.1, 0.01)),
    "noise 0.3 m/s², 0.03 rad/s": Sensor(noise=STRONG),
}

GAITS = {
    "hapt": ("walking", "upstairs", "downstairs"),
    "motionsense": ("wlk", "ups", "dws"),
    "geotec_spsw": ("walking", "turning"),
}
"""Activities that are walked, of the sets that have at least two."""

CHIPS = {"good": (0.01, 0.001), "MPU-6050": (0.04, 0.002), "10 bit": (0.1, 0.005)}
"""Noise in m/s² and rad/s rms of a sample at 50 Hz. The others are compared with the first."""
SCENES = ("still", "sway")
SCENE_S = 30
SWAY_DEG, SWAY_HZ = 2.0, 0.4
SCENE_DRAWS = 10


def measured(folder: Path, encoder: Encoder, hapt: Hapt, extent: Extent, say: Say) -> dict[str, Any]:
    """Return the card's entries about other sensors and noise."""
    chips = _chips(encoder)
    for chip, row in chips.items():
        say(f"at rest, {chip}: {rows.shown(row)}")
    return {
        "chips": chips,
        "gait_noise": {"hapt": gait_lost(hapt.windows, _rivals(hapt.made), hapt.motion, [hapt.test], say)},
        "sensors": _other_sensors(folder, hapt, extent, say),
    }


def gait_lost(
    windows: data.WindowSet, made: Mapping[str, Transform], motion: int, tests: Sequence[Rows], say: Say
) -> dict[str, Any]:
    """Return for the signature, its motion codes and the peers in `made` the macro-F1 of gaits, and what STRONG costs.

    The probe knows the windows without the noise.
    """
    gait = np.isin(windows.activity, GAITS[windows.name])
    windows, tests = windows.where(gait), [test[gait] for test in tests]
    size = np.repeat(np.array(STRONG, np.float32), 3)
    noise = np.random.default_rng(SEED).normal(size=windows.windows.shape).astype(np.float32) * size
    jobs = {}
    for name, transform in made.items():
        clean, noisy = transform(windows.windows), transform(windows.windows + noise)
        jobs[name] = partial(_lost, clean, noisy, windows.activity, windows.person, tests)
        if name == SIGNATURE:
            both = clean[:, :motion], noisy[:, :motion]
            jobs[MOTION_ALONE] = partial(_lost, *both, windows.activity, windows.person, tests)
    return spread(jobs, lambda name, row: say(f"noise in the gaits of {windows.name}, {name}: {rows.shown(row)}"))


def _lost(clean: Vectors, noisy: Vectors, activity: Labels, person: Labels, tests: Sequence[Rows]) -> dict[str, Any]:
    asked = np.any(tests, axis=0)
    guessed, guessed_noisy = np.empty_like(activity), np.empty_like(activity)
    for test in tests:
        learned = measures.probe(clean[~test], activity[~test])
        guessed[test], guessed_noisy[test] = learned(clean[test]), learned(noisy[test])
    guessed, guessed_noisy, activity, person = guessed[asked], guessed_noisy[asked], activity[asked], person[asked]
    return rows.plain(
        {
            "probe": measures.probed(guessed, activity, person),
            "lost": measures.lost(guessed, guessed_noisy, activity, person),
        }
    )


def _rivals(made: Mapping[str, Transform]) -> dict[str, Transform]:
    return {name: made[name] for name in (SIGNATURE, *STATISTICS)}


def _other_sensors(folder: Path, hapt: Hapt, extent: Extent, say: Say) -> dict[str, Any]:
    """Return the macro-F1 on the test people as from other sensors; the probes know the originals."""
    delivered = {}
    for title, sensor in SENSORS.items():
        got = data.read(folder, "hapt", np.random.default_rng(SEED), partial(_always, sensor))
        delivered[title] = extent.thinned(got.where(np.isin(got.activity, BASIC) & np.isin(got.person, TEST_PEOPLE)))
    jobs = {}
    for name, transform in _rivals(hapt.made).items():
        vectors = {title: transform(got.windows) for title, got in delivered.items()}
        labels = {title: (got.activity, got.person) for title, got in delivered.items()}
        known, activity = hapt.kept[name][~hapt.test], hapt.windows.activity[~hapt.test]
        jobs[name] = partial(_behind, known, activity, vectors, labels)
        if name == SIGNATURE:
            motion = {title: made[:, : hapt.motion] for title, made in vectors.items()}
            jobs[MOTION_ALONE] = partial(_behind, known[:, : hapt.motion], activity, motion, labels)
    found = spread(jobs, lambda name, row: say(f"behind other sensors, {name}: {rows.shown(rows.plain(row))}"))
    expected = len(delivered["as recorded"])
    return {
        title: {"windows_kept": round(len(got) / expected, 3)}
        | rows.plain({name: found[name][title] for name in (SIGNATURE, MOTION_ALONE, *STATISTICS)})
        for title, got in delivered.items()
    }


def _behind(
    known: Vectors, activity: Labels, vectors: dict[str, Vectors], labels: dict[str, tuple[Labels, Labels]]
) -> dict[str, Score]:
    learned = measures.probe(known, activity)
    return {title: measures.probed(learned(asked), *labels[title]) for title, asked in vectors.items()}


def _always(sensor: Sensor, rng: np.random.Generator) -> Sensor:
    return sensor


def _chips(encoder: Encoder) -> dict[str, Any]:
    """Return for each chip but the first how alike the motion codes are, as a mean cosine over windows and draws.

    still_across, sway_across: one scene, this chip and the good one. still_against_sway: two scenes, this chip.
    """
    good, *others = CHIPS
    found = np.zeros((SCENE_DRAWS, len(others), 3))
    for draw in range(SCENE_DRAWS):
        rng = np.random.default_rng(draw)
        seen = {
            (scene, chip): extract(_scene(scene, CHIPS[chip], rng), rate_hz=data.GRID_HZ, encoder=encoder).motion
            for scene in SCENES
            for chip in CHIPS
        }
        for row, chip in enumerate(others):
            pairs = (
                (seen["still", chip], seen["still", good]),
                (seen["sway", chip], seen["sway", good]),
                (seen["still", chip], seen["sway", chip]),
            )
            found[draw, row] = [measures.cosines(a.astype(np.float32), b.astype(np.float32)).mean() for a, b in pairs]
    names = ("still_across", "sway_across", "still_against_sway")
    mean = found.mean(axis=0).round(3).tolist()
    return {chip: dict(zip(names, row, strict=True)) for chip, row in zip(others, mean, strict=True)}


def _scene(scene: str, noise: tuple[float, float], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the samples (n, 6) of a device that lies still, or sways a little about a horizontal axis."""
    seconds = np.arange(round(SCENE_S * data.GRID_HZ)) / data.GRID_HZ
    angle = np.deg2rad(SWAY_DEG) * np.sin(2 * np.pi * SWAY_HZ * seconds) if scene == "sway" else 0 * seconds
    acc = STANDARD_GRAVITY * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)
    gyr = np.stack([0 * angle, np.gradient(angle, seconds), 0 * angle], axis=1)
    samples = np.concatenate([acc, gyr], axis=1)
    return np.asarray(samples + rng.normal(size=samples.shape) * np.repeat(noise, 3), np.float64)
