"""An appliance that is done: how long a real washing machine seems to rest before it is, and what other machines do."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import Encoder, teach
from motionsig.blocks import SignatureBatch
from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.events import ENDED
from motionsig.quality import Quality, flags_of, is_at_rest
from scripts.evaluate.recipes.signed import Watching, pieces
from scripts.train.clock import Say

PROGRAMMES = {"2018-10-16-0": 2072.0, "2018-12-29-2": 2051.0, "2018-12-29-4": 2004.0}
"""Logs of a whole programme, and the second after which the machine is off, read from how much it shakes."""
RATE_HZ = 9.6
"""As the time stamps of those that have some give it."""
COUNTS_IN_G = 16384.0
LEASTS_S = (60, 900)
"""The second one is longer than somebody takes to load or to unload it."""
HOLDS_S = (10, 60, 300, 600, 1200)
OFF_S = 1800.0
"""The logs end five minutes after the programme. In place of their last half a minute, in which somebody comes and ends
the log, there are so many seconds of rest."""

MACHINES = {
    "nicla_transport": ("lift", "maritime", "terrestrial"),
    "boreal": ("asphalt", "flooring", "ice", "sandy_loam", "snow"),
    "quadrotor": ("horizontal_periodic", "vertical_periodic", "straight_line"),
    "car_road": ("road_quality_1", "road_quality_2", "road_quality_3"),
    "st_mlc_6axis": ("vehicle_stationary_detection/vehicle_motion_mod",),
}
OFF = {"nicla_transport": ("idle",)}


def measured(folder: Path, washing: Path, encoder: Encoder, say: Say) -> dict[str, Any]:
    """Return what a head of the state moving tells of a washing machine, and the rest that machines seem to have."""
    found: dict[str, Any] = {"machines": _machines(folder, encoder)}
    say(f"machines: {found['machines']}")
    found["washing"] = _washing(washing, encoder)
    say(f"washing machine: {found['washing']}")
    return found


def _machines(folder: Path, encoder: Encoder) -> dict[str, Any]:
    """Return for each set the share of windows at rest while a machine runs, and while it is off."""
    found = {}
    for name, running in MACHINES.items():
        there = pieces(folder, name, encoder)
        row: dict[str, Any] = {}
        for key, chosen in (("running", running), ("off", OFF.get(name, ()))):
            batches = [piece.signatures for piece in there if piece.activity in chosen]
            if batches:
                rests = is_at_rest(np.concatenate([batch.quality for batch in batches]))
                longest = max(_longest_s(batch) for batch in batches)
                row[key] = {
                    "hours": round(sum(p.seconds for p in there if p.activity in chosen) / 3600, 2),
                    "at_rest": round(float(rests.mean()), 3),
                    "longest_rest_s": round(longest, 1),
                }
        found[name] = row
    return found


def _longest_s(batch: SignatureBatch) -> float:
    """Return how long the longest row of windows at rest goes on."""
    rests = is_at_rest(batch.quality)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rests, [0]]).astype(int)))
    runs = edges[1::2] - edges[::2]
    return float(runs.max() * batch.hop_ns / NS_PER_S) if len(runs) else 0.0


def _washing(folder: Path, encoder: Encoder) -> dict[str, Any]:
    """Return for each least_s and hold_s how many programmes are told to be done once and rightly, and what is not.

    The logs have 9.6 samples of acceleration a second and no angular rate. So this is the rule of rest alone, on all
    that the accelerometer saw of the vibration, without the network.
    """
    batches = [_signatures(_acceleration(folder / f"{name}.wd"), encoder) for name in PROGRAMMES]
    rows = []
    for least_s, hold_s in product(LEASTS_S, HOLDS_S):
        head = teach("washing", state="moving", least_s=least_s, hold_s=hold_s, encoder=encoder)
        watching, right, too_early = Watching([head]), 0, 0
        for batch, off_s in zip(batches, PROGRAMMES.values(), strict=True):
            ended_s = [event.end_ns / NS_PER_S for event in watching.told(batch) if event.phase == ENDED]
            early = sum(end_s < off_s - 60 for end_s in ended_s)
            too_early += early
            right += len(ended_s) == 1 and not early
        rows.append({"least_s": least_s, "hold_s": hold_s, "right": right, "too_early": too_early})
    pauses = [
        round(_longest_s(batch[batch.start_ns < off_s * NS_PER_S]))
        for batch, off_s in zip(batches, PROGRAMMES.values(), strict=True)
    ]
    return {"programmes": len(batches), "longest_pause_s": pauses, "rows": rows}


def _acceleration(file: Path) -> NDArray[np.float32]:
    """Return (n, 3) m/s² of a log of github.com/mab9/wumbler-story: with or without a time, in counts or in g."""
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        parts = line.split(",")
        if len(parts) >= 3 and parts[-1].strip().lstrip("-")[:1].isdigit():
            rows.append([float(part) for part in parts[-3:]])
    samples = np.array(rows)
    in_g = samples / COUNTS_IN_G if np.abs(samples).max() > 100 else samples
    return (in_g * STANDARD_GRAVITY).astype(np.float32)


def _signatures(acceleration: NDArray[np.float32], encoder: Encoder) -> SignatureBatch:
    """Return signatures of a machine, of which only the flags mean something, and its last rest for long."""
    length = round(encoder.card.length / encoder.card.rate_hz * RATE_HZ)
    hop = length // 2
    acceleration = acceleration[: -round(30 * RATE_HZ)]
    windows = np.zeros(((len(acceleration) - length) // hop + 1, length, 6), np.float32)
    for at in range(len(windows)):
        windows[at, :, :3] = acceleration[at * hop : at * hop + length]
    hop_ns = round(hop / RATE_HZ * NS_PER_S)
    rest = np.full(round(OFF_S * NS_PER_S / hop_ns), Quality.AT_REST, np.uint8)
    quality, spec = np.concatenate([flags_of(windows), rest]), encoder.card.spec
    return SignatureBatch(
        start_ns=np.arange(len(quality), dtype=np.int64) * hop_ns,
        codes=np.zeros((len(quality), spec.quantization.dim), np.int8),
        quality=quality,
        hop_ns=hop_ns,
        spec=spec,
    )
