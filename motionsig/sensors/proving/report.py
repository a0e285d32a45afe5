"""The report of a proof: one small file to send, with the numbers of each finding and a few records of each pose."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from motionsig.sensors.proving.evidence import Evidence
from motionsig.sensors.proving.layout import place_of
from motionsig.sensors.proving.proof import Proof

_RECORDS, _LEVELS = 4, 24


def report(proof: Proof, *, software: str, machine: str, when: str) -> bytes:
    """Return the report as JSON. software, machine, when: what runs, on what, and the date."""
    evidence = proof.evidence
    facts: dict[str, Any] = {
        "format": "motionsig-prove-1",
        "software": software,
        "machine": machine,
        "when": when,
        "chip": proof.chip.name,
        "title": proof.chip.title,
        "where": evidence.where,
        "bus_clock_hz": evidence.bus_clock_hz,
        "rehearsal": proof.rehearsal,
        "proved": proof.proved,
        "verdict": proof.verdict,
        "findings": [
            {"kind": it.kind, "state": it.state, "words": it.words, "numbers": _plain(it.numbers)}
            for it in proof.findings
        ],
        "setting": dict(zip(("rate_hz", "accel_range_g", "gyro_range_dps"), evidence.setting, strict=True)),
        "poses": _poses(proof),
        "fill": _fill(evidence),
    }
    return (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode()


def _poses(proof: Proof) -> list[dict[str, Any]]:
    """Return what each step left: the means as the table reads them, in counts, and a few records as they came."""
    fields = ("acc", "gyr") if proof.chip.gyro_ranges else ("acc",)
    places = {field: place_of(proof.chip.record, field) for field in fields}
    found = []
    for it in proof.evidence.stretches:
        rows = proof.evidence.rows[it.rest : it.end]
        means = {name: place.values(rows).mean(axis=0).tolist() for name, place in places.items()} if len(rows) else {}
        records = [row.tobytes().hex() for row in rows[-_RECORDS:]]
        found.append({"step": it.step.name, "seen": it.seen, "counts": _plain(means), "records": records})
    return found


def _fill(evidence: Evidence) -> list[list[Any]]:
    """Return some of the readings of the level while the FIFO filled: seconds, and the bytes."""
    looks = evidence.fill
    if not len(looks.raw):
        return []
    at = np.linspace(0, len(looks.raw) - 1, _LEVELS).astype(int)
    return [[round((looks.time_ns[i] - looks.time_ns[0]) / 1e9, 4), looks.raw[i].tobytes().hex()] for i in at]


def _plain(value: Any) -> Any:
    """Return what JSON can hold: it has no infinity, no NaN, and no numbers of numpy's."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 5) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
