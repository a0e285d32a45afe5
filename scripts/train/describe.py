"""The model's card and README, from what the run measured."""

from __future__ import annotations

import hashlib
import json
import string
from pathlib import Path
from typing import Any

from motionsig import frontend
from motionsig.conventions import CHANNELS
from motionsig.frontend import POSTURE_DIM, FrontEnd
from scripts.train import data, network

POSTURE_SCALE = 1 / 32
"""The front end brings posture to a spread of about 1: the motion codes' scale serves it too."""

SUMMARY = "48 motion codes that do not care how the device is turned, and 16 of posture, from 2.56 s of a 6-axis IMU"

LIMITS = [
    "not for medical, safety or security decisions: no fall, seizure or intruder detection was trained or measured",
    "not for telling people apart, and not proof against it: re-identification was not measured for this model",
    "not for motion above 20 Hz, impacts whose peak matters, or events longer than 2.56 s",
    "not for devices whose accelerometer has gravity removed: the front end needs it",
    "free fall, and motion whose mean acceleration is far from gravity, have no reliable 'up': there 'along' and "
    "'across' are arbitrary",
    "people, ages, gaits and machines unlike those of the training sets are unseen",
]

CITATIONS = {
    "wisdm2019": "Weiss 2019 (WISDM)",
    "dsads": "Altun, Barshan & Tunçel 2010 (DSADS)",
    "motionsense": "Malekzadeh et al. 2019 (MotionSense)",
    "geotec_spsw": "Matey-Sanz et al. 2023 (SP-SW-HAR, 10.1016/j.dib.2023.109809)",
    "seglearn_watch": "Burns et al. 2018 (SPAR, in seglearn)",
    "st_mlc_6axis": "STMicroelectronics st-mems-machine-learning-core",
    "android_digits": "computersniper/Android-IMU-Digits-Gesture-Dataset",
    "broad": "Laidig et al. 2021 (BROAD)",
}


def write(folder: Path, front_end: FrontEnd, training: dict[str, Any], figures: dict[str, Any]) -> None:
    """Write card.json and README.md beside the files already in `folder`."""
    card = {
        "card_version": 1,
        "name": folder.name,
        "summary": SUMMARY,
        "licence": "Apache-2.0",
        "rate_hz": data.GRID_HZ,
        "length": data.LENGTH,
        "hop": data.HOP,
        "channels": list(CHANNELS),
        "units": ["m/s^2"] * 3 + ["rad/s"] * 3,
        "max_gap_s": data.MAX_GAP_S,
        "front_end": {
            "name": frontend.NAME,
            "version": frontend.VERSION,
            "acc_knee": front_end.acc_knee,
            "gyr_knee": front_end.gyr_knee,
        },
        "input": {
            "shape": [1, *network.INPUT_SHAPE],
            "scale": network.INPUT_SCALE,
            "zero_point": network.ZERO_POINT,
        },
        "output": {"shape": [1, network.MOTION_DIM]},
        "motion_dim": network.MOTION_DIM,
        "quantization": [
            [network.MOTION_DIM, network.OUTPUT_SCALE, network.ZERO_POINT],
            [POSTURE_DIM, POSTURE_SCALE, 0],
        ],
        "files": {name: _file(folder / name) for name in ("encoder_int8.tflite", "golden.npz")},
        "training": training,
        "quality": figures,
        "limits": LIMITS,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_readme(card), encoding="utf-8")


def _file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


ROWS = {
    "signature_64": "**the signature**, 64 codes",
    "signature_motion_48": "**its motion part alone**, 48 codes",
    "random_weights_64": "the same, network with random weights, 64 codes",
    "random_weights_motion_48": "its motion part alone, 48 codes",
    "plain_statistics_216": "plain statistics and spectrum, 216 floats",
    "gravity_statistics_162": "statistics about gravity, 162 floats",
}
COLUMNS = {
    "motionsense_held_out_people": "motionsense, people kept away",
    "hapt_test_people": "hapt, never trained on",
    "hapt_test_people_turned": "hapt, every test window turned",
}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _readme(card: dict[str, Any]) -> str:
    figures, training, front_end = card["quality"], card["training"], card["front_end"]
    int8, turned, call = (
        figures[key] for key in ("int8_against_float", "turned_against_unturned_codes", "microseconds_per_call")
    )
    template = (Path(__file__).parent / "model_readme.md").read_text(encoding="utf-8")
    return string.Template(template).substitute(
        name=card["name"],
        summary=card["summary"][0].upper() + card["summary"][1:],
        length=card["length"],
        rate_hz=f"{card['rate_hz']:g}",
        seconds_long=f"{card['length'] / card['rate_hz']:.2f}",
        channels=", ".join(card["channels"]),
        front_end=f"{front_end['name']}` version `{front_end['version']}",
        acc_knee=front_end["acc_knee"],
        gyr_knee=front_end["gyr_knee"],
        parameters=training["parameters"],
        mmac=f"{training['multiply_accumulates'] / 1e6:.2f}",
        operations=", ".join(dict.fromkeys(training["operations"])),
        motion_dim=card["motion_dim"],
        posture_dim=POSTURE_DIM,
        probes=_probes(figures["linear_probe_macro_f1"]),
        cosine_mean=int8["cosine_mean"],
        cosine_low=int8["cosine_1st_percentile"],
        turned_mean=turned["mean_lsb"],
        turned_most=turned["largest_lsb"],
        microseconds=call["median"],
        microseconds_of=call["of"],
        kernels_apart=figures["kernels_apart_lsb"],
        limits="\n".join(f"* {limit[0].upper()}{limit[1:]}." for limit in card["limits"]),
        sets=_sets(training["sets"]),
        seed=training["seed"],
        seconds=training["seconds"],
    )


def _probes(figures: dict[str, dict[str, float]]) -> str:
    rows = []
    for key, title in ROWS.items():
        cells = [f"{figures[key][column]:.3f}" if column in figures[key] else "" for column in COLUMNS]
        rows.append([title, *cells])
    return _table(["vector", *COLUMNS.values()], rows)


def _sets(sets: list[dict[str, Any]]) -> str:
    rows = [
        [
            facts["name"],
            str(facts["people"] or "not named"),
            str(facts["hours"]),
            str(facts["windows"]),
            facts["licence"],
            CITATIONS[facts["name"]],
        ]
        for facts in sets
    ]
    return _table(["set", "people", "hours", "windows", "licence", "source"], rows)
