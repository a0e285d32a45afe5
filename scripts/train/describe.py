"""The model's card and README, from what the run measured."""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motionsig import frontend, packing
from motionsig.conventions import CHANNELS
from motionsig.frontend import POSTURE_DIM
from motionsig.model_card import BACKGROUND_NAME, GOLDEN_NAME, MODEL_NAME, digest_of, load_card
from scripts.train import tables

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
    "Judged on public sets that nobody trained on (falls, swimming, dance, physiotherapy, gestures, drawing, gaits, "
    "terrains, vehicles, a robot dog), fetched for this alone. The figures are means over eleven such sets for "
    "version 2 and over fourteen for version 3, so those of the two versions cannot be compared. In version 3 the "
    "first figure of a pair is that of version 2's network and codes, if nothing else is said. *Probe* is the linear "
    "probe of the motion codes, *enrolment* the balanced accuracy of the signature with five windows of other people "
    "enrolled. Version 2 was found by tries of 800 batches, version 3 by five networks of 6,000 to 8,000. One seed "
    "each; two trainings that differ in little differed by .02 in the probe, by .01 in enrolment, and by .05 in "
    "novelty on hapt",
    "version 3, kept: other rules for reading the codes out of the same network: classes a quarter in place of a "
    "tenth, pairs of classes that are hard to tell apart count more, half of the variance within sets, a resting "
    "sensor's noise as a change that means nothing. On three networks enrolment +.003 to +.005, novelty +.004 to "
    "+.006, novelty on hapt +.019 to +.035, the same stillness through two chips from .90, .92, .95 to .99 each; "
    "probe -.000 to -.007. With the first 16 as a vector of their own enrolment +.002",
    "version 3, kept: codes as large as what they carry, in place of a spread of one each: enrolment on the bare "
    "numbers +.012 to +.014 with the line above",
    "version 3, kept: the first 16 codes as a vector of their own, in which the variance leads: on hapt they reach 96 "
    "% of the probe of all 48 and 94 % of the enrolment; those with the 16 largest quotients would reach 94 and 92 %, "
    "and version 2's reached 97 and 95 %",
    "version 3, not kept: statistics with a weight of 20 in place of 8 and 150 components in place of 96: probe .617 "
    "-> .630, enrolment .579 -> .578, novelty on hapt .877 -> .845. With a weight of 14, 128 components and 8,000 "
    "batches: probe .608, enrolment .570, novelty on hapt .819",
    "version 3, not kept: correlations between channels at five delays and skewness among the statistics: probe .617 "
    "-> .610, novelty on hapt .877 -> .866; letters drawn in the air .54 -> .62",
    "version 3, not kept: half of the views as recorded, and statistics told down to .01 m/s² in place of .03: the "
    "motion probe on hapt .895 -> .920, but the probe on the other sets .617 -> .603, novelty on hapt .877 -> .851, "
    "the same stillness through two chips .90 -> .74. Sitting and standing differ by less than what cheap sensors add",
    "version 3, not kept: what people differ in, doing the same, as a change that means nothing: probe .613 -> .605, "
    "enrolment .582 -> .578; with four times the weight worst novelty on hapt .825 -> .873, enrolment .572",
    "version 3, not kept: log energies in eleven bands, for both senses of rotation, beside the network's "
    "activations, another sample of windows: the motion probe on hapt .897 -> .905, one enrolled window, worn again, "
    ".855 -> .840",
    "version 2, kept: a longer training, 800 -> 8,000 batches: probe .618 -> .643, enrolment .593 -> .598",
    "version 2, kept: a logarithm in place of x / (knee + |x|), on five sets left out: probe .782 -> .795; novelty on "
    "hapt .841 -> .873",
    "version 2, kept: each window behind sensors drawn at random: the same stillness through two chips from a cosine "
    "of .64 to .97; probe .621 -> .625",
    "version 2, kept: the codes computed from the trunk in closed form, on the network of version 1: enrolment .595 "
    "-> .606, probe .641 -> .639. By classes alone .601 and .618, by variance alone .600 and .638",
    "version 2, kept: the losses behind a head that is thrown away in place of on the codes: probe .613 -> .617, "
    "which may be chance",
    "version 2, kept, without a difference: seven further training sets: probe .628 -> .624, enrolment .588 -> .585",
    "version 2, not kept: 3,000 procedural motions (gestures, strokes, gaits, exercises, falls, machines, vehicles) "
    "as further classes: probe .625 -> .621, enrolment .590 -> .582; without their labels .620 -> .622 and .587 -> "
    ".582",
    "version 2, not kept: the leading components of 1,260 MiniRocket features of the same channels, to be predicted "
    "too: probe .618 -> .624, enrolment .593 -> .595, one enrolled window on hapt .742 -> .671",
    "version 2, not kept: the means of every layer beside those of the last: probe .624 -> .623; a first layer of 56 "
    "filters of width 15: .624",
    "version 2, not kept: means over quarters of the window, on five sets left out: probe .798 -> .775",
    "version 2, not kept: contrast of windows with weight 1 in place of .3, on five sets left out: probe .798 -> .788",
    "version 1, kept: five full convolutions in place of separable ones; other paces and gains; the four channels "
    "about the swing axis, its ends exchanged at random; in posture, products of gravity's direction and mean rates",
    "version 1, not kept: every window scaled by its own strength; an adversary against identity (named from a window "
    "of motion .228 -> .214, enrolment of five windows of other people .775 -> .748)",
    "not tried: relative contrast (RelCon), several small embeddings, a large teacher, pairs of places worn at once",
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
    "boreal": "LaRocque et al. 2024 (BorealTC)",
    "quadrotor": "Hurwitz & Klein (Quadrotor Dead Reckoning with Multiple Inertial Sensors)",
    "car_road": "Meszaros 2020 (road-surface-quality)",
    "body_lab": "gaitmap, x-io Gait-Tracking, OpenShoe ZUPT-aided-INS, UC Riverside Constrained-ZUPT-FGO, qmt, mobgap",
    "rocket": "NCSU High-Powered Rocketry Club (AirbrakesV2)",
    "nicla_transport": "Ergül (TinyML Motion Classification and Anomaly Detection Dataset)",
    "misc_unlabelled": "Schafer et al. 2018 (comma2k19), x-io Fusion, PX4 pyulog, robot_localization",
}


def new_card(folder: Path, training: dict[str, Any]) -> dict[str, Any]:
    """Return the card of the files in `folder`, which nobody has measured yet."""
    # They bring TensorFlow, which whoever only describes a card has not.
    from scripts.train import data, network, sensors
    from scripts.train.material import FRONT_END, POSTURE_SCALE

    return {
        "card_version": 1,
        # Raised by whoever ships an update of it: `motionsig models install` never goes back.
        "version": 3,
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
        "files": {name: stated(folder / name) for name in (MODEL_NAME, FLOAT_NAME, GOLDEN_NAME)},
        "training": training,
        "quality": {},
        "limits": LIMITS,
        "tried": TRIED,
    }


def write(folder: Path, card: dict[str, Any]) -> None:
    """Write card.json and README.md beside the files already in `folder`."""
    card["digest"] = digest_of(card)
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(readme(folder), encoding="utf-8")


def stated(path: Path) -> dict[str, Any]:
    """Return what a card states of a file."""
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


NOT_MEASURED = "Not measured yet ({}): run `python -m scripts.evaluate`."


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
        measured=measured(card["quality"]),
        kernels_apart=training["kernels_apart_lsb"],
        limits="\n".join(f"* {limit[0].upper()}{limit[1:]}." for limit in card["limits"]),
        tried="\n".join(f"* {line[0].upper()}{line[1:]}" for line in card["tried"][1:]),
        tried_how=card["tried"][0],
        sets=_sets(training["sets"]),
        seed=training["seed"],
        background=_background(card),
        packing=_packing(card),
        batches=f"{training['batches']:,}",
        minutes=round(training["seconds"] / 60),
    )


def add_background(folder: Path, sets: dict[str, Any]) -> None:
    """Enter the background bank, which is in `folder` already, into the card; sets: what is in it, set by set."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["files"][BACKGROUND_NAME] = stated(folder / BACKGROUND_NAME)
    card["background"] = sets
    write(folder, card)


def add_packing(folder: Path, told: dict[str, Any]) -> None:
    """Enter the tables for packing, which are in `folder` already, into the card; told: as `packing` measured them."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["files"][packing.FILE_NAME] = stated(folder / packing.FILE_NAME)
    card["packing"] = told
    write(folder, card)


def _packing(card: dict[str, Any]) -> str:
    """Return what the README says of the tables for packing; nothing where there are none."""
    told = card.get("packing")
    if told is None:
        return ""
    many, of_each = told["messages_of"], "; ".join(f"{name} ({licence})" for name, licence in told["sets"].items())
    rows = [
        f"| {name} | {one['bits']} | {one['method']} | {' | '.join(f'{size:.1f}' for size in one['bytes'])} |"
        for name, sizes in told["bytes"].items()
        for one in sizes
    ]
    probes = ", ".join(f"{tables.score(score)} with {bits} bits" for bits, score in told["probe"].items())
    return "\n".join([
        f"`{packing.FILE_NAME}` holds tables that pack the codes, see [packing](../../motionsig/packing/README.md): "
        "bytes of a signature's codes,\nwithout the rest of a message, on sets that the tables never saw. From the "
        f"sets {of_each}.\n",
        f"| set | bits | method | {' | '.join(f'{it} in a message' for it in many)} |",
        f"| --- | --- | --- |{' --- |' * len(many)}",
        *rows,
        f"\nThe linear probe of hapt reaches {probes}. Fewer bits are one of the options of "
        "[publishers](../../motionsig/publishers/README.md#fewer-bits).\n",
    ])  # fmt: skip


def _background(card: dict[str, Any]) -> str:
    """Return what the README says of the bank of other life; nothing where there is none."""
    sets = card.get("background")
    if sets is None:
        return ""
    count, hours = (sum(one[key] for one in sets.values()) for key in ("signatures", "hours"))
    of_each = "; ".join(f"{name} ({one['licence']}) {one['hours']:.1f} h" for name, one in sets.items())
    return (
        f"`{BACKGROUND_NAME}` holds {count:,} signatures of other life, which tell how often a head that is taught\n"
        f"would be wrong: single ones that stand for {hours:.1f} hours of people, machines and vehicles, and what\n"
        f"was done. From {of_each}.\nHalf of it is exercise in a gym, and none of it a real day.\n"
    )


def measured(quality: dict[str, Any]) -> str:
    """Return the page of figures; a part whose figures are not there is named at its end."""
    template = (Path(__file__).parent / "model_measured.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^<!-- needs: (.*) -->$", template, flags=re.MULTILINE)
    page, missing = [], []
    for needs, text in zip(sections[::2], sections[1::2], strict=True):
        keys = needs.split()
        if all(key in quality for key in keys):
            figures = {name: _figure(name, quality) for name in re.findall(r"\$(\w+)", text)}
            page.append(string.Template(text.strip()).substitute(figures))
        else:
            missing.append(keys[0])
    if missing:
        page.append(NOT_MEASURED.format(", ".join(missing)))
    return "\n\n".join(page) + "\n"


def _figure(name: str, quality: dict[str, Any]) -> str:
    if name in FIGURES:
        return str(FIGURES[name](quality))
    found = quality[name] if name in quality else quality["int8_against_float"][name]
    return f"{found:,}" if isinstance(found, int) else str(found)


def _times_bare(quality: dict[str, Any], how: str) -> str:
    return f"{quality['hapt']['signature'][how] / quality['bare_interpreter'][how]:.1f}"


def _left_out_groups(quality: dict[str, Any]) -> str:
    if "left_out_groups" not in quality:
        return ", each by itself"
    groups = "; ".join(", ".join(group) for group in quality["left_out_groups"] if group)
    return f", in groups, which is stricter than each by itself: each training lacked all of a group ({groups})"


def _left_out_never(quality: dict[str, Any]) -> str:
    never = quality.get("left_out_never", {})
    told = "; ".join(f"{name}: {why}" for name, why in never.items())
    why = "because what is learned from a part of them could not be asked of the rest"
    return f" These were only trained on, {why}: {told}." if never else ""


FIGURES: dict[str, Callable[[dict[str, Any]], object]] = {
    "train_windows": lambda quality: quality["windows"]["hapt_train"],
    "test_windows": lambda quality: quality["windows"]["hapt_test"],
    "worth": lambda quality: tables.scores(quality["hapt"], tables.WORTH),
    "enrolment": lambda quality: tables.scores(quality["hapt"], tables.ENROLMENT),
    "time": lambda quality: tables.times(quality["hapt"]),
    "sensors": lambda quality: tables.sensors(quality["sensors"]),
    "privacy": lambda quality: tables.privacy(quality["privacy"]),
    "prefixes": lambda quality: tables.prefixes(quality["prefixes"], quality.get("left_out_prefixes", {})),
    "gait_noise": lambda quality: tables.gait_noise(quality["gait_noise"] | quality.get("left_out_gait_noise", {})),
    "chips": lambda quality: tables.chips(quality["chips"]),
    "waveform_linear": lambda quality: tables.score(quality["waveform_returned"]["linear"]),
    "waveform_network": lambda quality: tables.score(quality["waveform_returned"]["network"]),
    "turned_mean": lambda quality: quality["turned_against_unturned_codes"]["mean_lsb"],
    "turned_most": lambda quality: quality["turned_against_unturned_codes"]["largest_lsb"],
    "bare": lambda quality: quality["bare_interpreter"]["microseconds_in_a_batch"],
    "bare_times_alone": lambda quality: _times_bare(quality, "microseconds_alone"),
    "bare_times_in_a_batch": lambda quality: _times_bare(quality, "microseconds_in_a_batch"),
    "life_hours": lambda quality: quality["few_shot"]["hours"],
    "life_people": lambda quality: quality["few_shot"]["people"],
    "few_shot": lambda quality: tables.few_shot(quality["few_shot"]),
    "few_shot_sets": lambda quality: "\n".join(
        f"* {name}: {facts['how']}." for name, facts in quality["few_shot"]["sets"].items()
    ),
    "heads_aims": lambda quality: tables.heads_aims(quality["heads"]),
    "heads": lambda quality: tables.heads(quality["heads"]),
    "heads_at_once": lambda quality: tables.heads_at_once(quality["heads"]),
    "heads_sets": lambda quality: "\n".join(
        f"* {name}: {facts['how']}." for name, facts in quality["heads"]["sets"].items() if "," not in name
    ),
    "heads_pooled": lambda quality: ", ".join(quality["heads"]["pooled"]["sets"]),
    "heads_hours": lambda quality: quality["heads"]["life"]["hours"],
    "heads_people": lambda quality: quality["heads"]["life"]["people"],
    "heads_count": lambda quality: quality["heads"]["life"]["heads"],
    "heads_on": lambda quality: quality["heads"]["cost"]["on"],
    "kernels_library": lambda quality: quality["kernels"]["library"],
    "kernels_windows": lambda quality: f"{quality['kernels']['neighbours']['windows']:,}",
    "kernels_known": lambda quality: f"{quality['kernels']['neighbours']['library']:,}",
    "kernels_heads": lambda quality: quality["kernels"]["heads"]["heads"],
    "kernels_hours": lambda quality: quality["kernels"]["heads"]["life_hours"],
    "kernels": lambda quality: tables.kernels(quality["kernels"]),
    "margins": lambda quality: tables.margins(quality["left_out"]),
    "left_out": lambda quality: tables.left_out(quality["left_out"]),
    "left_out_groups": _left_out_groups,
    "left_out_never": _left_out_never,
}
"""What the names in model_measured.md stand for that are no key of the quality, nor of its int8_against_float."""


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
    return tables.table(["set", "people", "hours", "windows", "licence", "source"], rows)
