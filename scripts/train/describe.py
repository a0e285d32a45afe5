"""The model's card and README, from what the run measured."""

from __future__ import annotations

import hashlib
import json
import string
from pathlib import Path
from typing import Any

from motionsig import frontend
from motionsig.conventions import CHANNELS
from motionsig.frontend import POSTURE_DIM
from motionsig.model_card import GOLDEN_NAME, MODEL_NAME, load_card

FLOAT_NAME = "encoder_float.tflite"

SUMMARY = "48 motion codes that do not care how the device is turned, and 16 of posture, from 2.56 s of a 6-axis IMU"

LIMITS = [
    "not for medical, safety or security decisions: no fall, seizure or intruder detection was trained or measured",
    "not for telling people apart, and not proof against it: a signature names its owner among 30 far more often than "
    "chance does (quality.privacy); treat it as personal data",
    "not for motion above 20 Hz, impacts whose peak matters, or events longer than 2.56 s",
    "not for devices whose accelerometer has gravity removed: the front end needs it",
    "free fall, and motion whose mean acceleration is far from gravity, have no reliable 'up': there 'along' and "
    "'across' are arbitrary",
    "where the gyroscope reads exactly nothing, or a motion without noise swings about one axis in a pure sine, no "
    "swing axis can be named: there the motion codes do change when the device is turned",
    "people, ages, gaits and machines unlike those of the training sets are unseen",
]

TRIED = [
    "From tries of 2,500 to 3,000 batches, one seed each, with motionsense, seglearn_watch and hapt all left out of "
    "training. The figure is the linear probe of the motion codes, mean of the three sets in three folds of people, "
    "unless another is named. Differences below .01 may be chance",
    "kept: other paces and gains: .887 -> .891",
    "kept: five full convolutions in place of separable ones (those with a weak adversary): .882 -> .887, enrolment of "
    "one window of other people .653 -> .674",
    "kept: copies as other sensors would have delivered them: .887 -> .894",
    "kept: the four channels about the swing axis, its ends exchanged at random: .887 -> .895",
    "kept: 96 statistics components in place of 64: .896 -> .898, and novelty on hapt .844 -> .873",
    "kept: in posture, products of gravity's direction and the mean rate in place of correlations between axes: "
    "enrolment of five windows of other people, hapt .831 -> .900, motionsense .861 -> .899",
    "not kept: contrast of weight 1 in place of .3: novelty better, seglearn_watch .848 -> .827",
    "not kept: every window scaled by its own strength, the strength told beside it: .887 -> .882",
    "not kept: an adversary against identity, weight 1.5: named from a window of motion .228 -> .214, enrolment of "
    "five windows of other people .775 -> .748",
    "not tried: masked reconstruction, placement pairs, a larger teacher distilled",
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


def new_card(folder: Path, training: dict[str, Any]) -> dict[str, Any]:
    """Return the card of the files in `folder`, which nobody has measured yet."""
    # They bring TensorFlow, which whoever only describes a card has not.
    from scripts.train import data, network, sensors
    from scripts.train.material import FRONT_END, POSTURE_SCALE

    return {
        "card_version": 1,
        # Raised by whoever ships an update of it: `motionsig models install` never goes back.
        "version": 1,
        "name": folder.name,
        "summary": SUMMARY,
        "licence": "Apache-2.0",
        "rate_hz": data.GRID_HZ,
        "length": data.LENGTH,
        "hop": data.HOP,
        "channels": list(CHANNELS),
        "units": ["m/s^2"] * 3 + ["rad/s"] * 3,
        "max_gap_s": sensors.MAX_GAP_S,
        "front_end": {
            "name": frontend.NAME,
            "version": frontend.VERSION,
            "acc_knee": FRONT_END.acc_knee,
            "gyr_knee": FRONT_END.gyr_knee,
            "acc_full": FRONT_END.acc_full,
            "gyr_full": FRONT_END.gyr_full,
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
        "files": {name: _file(folder / name) for name in (MODEL_NAME, FLOAT_NAME, GOLDEN_NAME)},
        "training": training,
        "quality": {},
        "limits": LIMITS,
        "tried": TRIED,
    }


def write(folder: Path, card: dict[str, Any]) -> None:
    """Write card.json and README.md beside the files already in `folder`."""
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(readme(folder), encoding="utf-8")


def _file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


ROWS = {
    "signature": "**the signature**",
    "signature_motion": "**its motion part alone**",
    "float_twin": "its float twin",
    "float_twin_motion": "its float twin, motion alone",
    "random_weights": "the same network, random weights",
    "random_weights_motion": "the same, motion alone",
    "plain_statistics_216": "plain statistics and spectrum",
    "gravity_statistics_162": "statistics about gravity",
    "minirocket_924": "MiniRocket (aeon)",
    "catch24_144": "catch24 (pycatch22)",
}
WORTH = {
    "probe": "linear probe",
    "probe_turned": "probe, turned",
    "novelty_mean": "novelty, mean",
    "novelty_worst": "novelty, worst",
    "recognised": "named from a window (lower is better)",
    "recognised_wearing": "named from a wearing (lower is better)",
}
ENROLMENT = {
    f"enrolment_{who}_{shots}": f"{text}, {shots}"
    for who, text in (("worn_again", "worn again"), ("across", "other people"))
    for shots in (1, 3, 5)
} | {"enrolment_across_5_bare": "other people, 5, bare numbers"}
LEFT_OUT = {
    "probe": "probe",
    "probe_turned": "turned",
    "enrolment_across_1": "enrolled, 1",
    "enrolment_across_5": "enrolled, 5",
    "novelty_mean": "novelty",
}
NOT_MEASURED = "Not measured yet: run `python -m scripts.evaluate`.\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def readme(folder: Path) -> str:
    """Return the README of the model in `folder`, from its card.json and the templates beside this file alone."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    training, front_end = card["training"], card["front_end"]
    template = (Path(__file__).parent / "model_readme.md").read_text(encoding="utf-8")
    return string.Template(template).substitute(
        name=card["name"],
        fingerprint=load_card(folder).fingerprint.hex(),
        summary=card["summary"][0].upper() + card["summary"][1:],
        length=card["length"],
        rate_hz=f"{card['rate_hz']:g}",
        seconds_long=f"{card['length'] / card['rate_hz']:.2f}",
        channels=", ".join(card["channels"]),
        front_end=f"{front_end['name']}` version `{front_end['version']}",
        acc_knee=front_end["acc_knee"],
        gyr_knee=front_end["gyr_knee"],
        parameters=f"{training['parameters']:,}",
        mmac=f"{training['multiply_accumulates'] / 1e6:.2f}",
        operations=", ".join(dict.fromkeys(training["operations"])),
        motion_dim=card["motion_dim"],
        posture_dim=POSTURE_DIM,
        measured=_measured(card["quality"]) if card["quality"] else NOT_MEASURED,
        kernels_apart=training["kernels_apart_lsb"],
        limits="\n".join(f"* {limit[0].upper()}{limit[1:]}." for limit in card["limits"]),
        tried="\n".join(f"* {line[0].upper()}{line[1:]}" for line in card["tried"][1:]),
        tried_how=card["tried"][0],
        sets=_sets(training["sets"]),
        seed=training["seed"],
        batches=f"{training['batches']:,}",
        minutes=round(training["seconds"] / 60),
    )


def _measured(quality: dict[str, Any]) -> str:
    template = (Path(__file__).parent / "model_measured.md").read_text(encoding="utf-8")
    hapt, turned = quality["hapt"], quality["turned_against_unturned_codes"]
    return string.Template(template).substitute(
        quality["int8_against_float"],
        worth=_scores(hapt, WORTH),
        enrolment=_scores(hapt, ENROLMENT),
        time=_times(hapt),
        sensors=_sensors(quality["sensors"]),
        privacy=_privacy(quality["privacy"]),
        waveform_linear=_score(quality["waveform_returned"]["linear"]),
        waveform_network=_score(quality["waveform_returned"]["network"]),
        turned_mean=turned["mean_lsb"],
        turned_most=turned["largest_lsb"],
        **{key: f"{quality[key]:,}" for key in ("draws", "folds", "left_out_batches", "left_out_windows")},
        test_windows=quality["windows"]["hapt_test"],
        train_windows=quality["windows"]["hapt_train"],
        left_out=_left_out(quality["left_out"]) if "left_out" in quality else NOT_MEASURED,
    )


def _number(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _score(score: list[float]) -> str:
    value, low, high = map(_number, score)
    return f"{value} [{low}, {high}]"


def _scores(table: dict[str, Any], columns: dict[str, str]) -> str:
    rows = [
        [title, str(table[key]["numbers"]), *(_score(table[key][column]) for column in columns)]
        for key, title in ROWS.items()
    ]
    return _table(["vector", "numbers", *columns.values()], rows)


def _times(table: dict[str, Any]) -> str:
    columns = {"microseconds_alone": "one window at a time, µs", "microseconds_in_a_batch": "in a batch of 256, µs"}
    rows = [
        [title, *(f"{table[key][column]:.1f}" for column in columns)]
        for key, title in ROWS.items()
        if "microseconds_alone" in table[key]
    ]
    return _table(["vector", *columns.values()], rows)


def _sensors(table: dict[str, Any]) -> str:
    columns = ["signature", "signature_motion", "plain_statistics_216", "gravity_statistics_162"]
    rows = [
        [title, _number(row["windows_kept"]), *(_score(row[column]) for column in columns)]
        for title, row in table.items()
    ]
    return _table(["behind", "windows kept", "signature", "motion alone", "plain statistics", "about gravity"], rows)


def _privacy(table: dict[str, Any]) -> str:
    columns = {
        "recognised": "named from a window",
        "recognised_wearing": "from a wearing",
        "probe": "linear probe",
        "enrolment_across_5": "enrolled across people, 5",
    }
    rows = [[title, *(_score(row[column]) for column in columns)] for title, row in table.items()]
    return _table(["what is sent", *columns.values()], rows)


def _left_out(table: dict[str, Any]) -> str:
    rows = []
    for rival in next(iter(table.values())):
        mean = [_number(sum(row[rival][column][0] for row in table.values()) / len(table)) for column in LEFT_OUT]
        rows.append(["**mean**", ROWS[rival], *(f"**{value}**" for value in mean)])
    for name, row in table.items():
        rows += [[name, ROWS[rival], *(_score(row[rival][column]) for column in LEFT_OUT)] for rival in row]
    return _table(["left out", "vector", *LEFT_OUT.values()], rows)


def _sets(sets: list[dict[str, Any]]) -> str:
    rows = [
        [
            facts["name"],
            str(facts["people"] or "not named"),
            str(facts["hours"]),
            str(facts["windows"]),
            facts["licence"],
            CITATIONS.get(facts["name"], "own logs"),
        ]
        for facts in sets
    ]
    return _table(["set", "people", "hours", "windows", "licence", "source"], rows)
