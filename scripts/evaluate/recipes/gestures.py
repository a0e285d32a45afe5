"""Three gestures, and a door: taught from three performances each, and asked about all the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionsig import Encoder, Head, teach
from motionsig.blocks import SignatureBatch
from scripts.evaluate.recipes.signed import Life, Piece, Watching, performances, pieces, signed, windowed
from scripts.train import data
from scripts.train.clock import Say

TAUGHT = 3
"""Performances of each."""
THIRDS, SEED = 10, 1
WRIST_LIFE = ("umafall_wrist", "weda_fall")

Lessons = dict[str, list[list[SignatureBatch]]]
"""By gesture, for each recording what it teaches: its performances, or none."""


def measured(folder: Path, more: Path, encoder: Encoder, say: Say) -> dict[str, Any]:
    """Return the counts for the gestures of each set, with and without telling the three apart by --not."""
    life = {"hapt": pieces(folder, "hapt", encoder)}
    life |= {name: windowed(more / f"{name}.npz", encoder) for name in WRIST_LIFE}
    say("other life: signed")
    found: dict[str, Any] = {"android_digits": _digits(folder, encoder, life)}
    say(f"digits: {found['android_digits']}")
    found["utd_mhad"] = _people(windowed(more / "utd_mhad.npz", encoder), encoder, life, _actions)
    say(f"utd_mhad: {found['utd_mhad']}")
    found["cg4002_laser5"] = _people(windowed(more / "cg4002_laser5.npz", encoder), encoder, life, _laser)
    say(f"laser: {found['cg4002_laser5']}")
    return found


def _digits(folder: Path, encoder: Encoder, life: dict[str, list[Piece]]) -> dict[str, Any]:
    """One person draws ten digits, fifty times each; the first ones that begin and end with a rest teach."""
    asked: dict[str, list[SignatureBatch]] = defaultdict(list)
    lessons: Lessons = defaultdict(list)
    for stream in data.streams(folder, "android_digits"):
        batch = signed(stream.samples, stream.rate_hz, encoder)
        assert batch is not None
        asked[str(stream.activity[0])].append(batch)
        lessons[str(stream.activity[0])].append(performances(stream.samples, stream.rate_hz, encoder))
    rng = np.random.default_rng(SEED)
    known = sorted(name for name, given in lessons.items() if sum(len(one) == 1 for one in given) >= TAUGHT)
    trials = [[str(name) for name in rng.permutation(known)[:3]] for _ in range(THIRDS)]
    return _both(lambda apart: _counted([(asked, lessons, trial, 0) for trial in trials], encoder, life, apart=apart))


def _people(
    found: list[Piece], encoder: Encoder, life: dict[str, list[Piece]], chosen: Callable[[list[str]], list[list[str]]]
) -> dict[str, Any]:
    """Each person by itself: three gestures of it are taught with three recordings, the next ones are asked."""
    trials = []
    for person in sorted({piece.person for piece in found}):
        asked: dict[str, list[SignatureBatch]] = defaultdict(list)
        for piece in found:
            if piece.person == person:
                asked[piece.activity].append(piece.signatures)
        lessons = {name: [[batch] for batch in batches] for name, batches in asked.items()}
        full = sorted(name for name, batches in asked.items() if len(batches) > TAUGHT)
        trials += [(asked, lessons, three, turn) for three in chosen(full) for turn in range(TAUGHT + 1)]
    return _both(lambda apart: _counted(trials, encoder, life, apart=apart))


def _actions(names: list[str]) -> list[list[str]]:
    """Return the wrist's actions in threes."""
    on_thigh = {"jog", "walk", "sit_to_stand", "stand_to_sit", "lunge", "squat"}
    left = np.random.default_rng(SEED).permutation([name for name in names if name not in on_thigh]).tolist()
    return [left[at : at + 3] for at in range(0, len(left) - 2, 3)]


def _laser(names: list[str]) -> list[list[str]]:
    three = [name for name in names if name in ("grenade", "reload", "shield")]
    return [three] if len(three) == 3 else []


def _both(count: Callable[[bool], dict[str, Any]]) -> dict[str, Any]:
    return {"alone": count(False), "apart": count(True)}


def _counted(trials: Sequence[Any], encoder: Encoder, life: dict[str, list[Piece]], *, apart: bool) -> dict[str, Any]:
    """Return the counts over some trials. turn: by how many recordings the three that teach are moved on."""
    right = wrong = missed = others = taken = 0
    lives = {name: Life() for name in life}
    for number, (asked, lessons, three, turn) in enumerate(trials):
        use = {}
        for name in three:
            given = [at for at, one in enumerate(lessons[name]) if len(one) == 1]
            use[name] = [given[(turn + step) % len(given)] for step in range(TAUGHT)]
        heads = taught({name: [lessons[name][at][0] for at in use[name]] for name in three}, encoder, apart=apart)
        for name, batches in asked.items():
            for at, batch in enumerate(batches):
                if name in three and at in use[name]:
                    continue
                said = {event.head for event in heads.told(batch)}
                if name not in three:
                    others, taken = others + 1, taken + bool(said)
                elif said == {_plain(name)}:
                    right += 1
                elif said:
                    wrong += 1
                else:
                    missed += 1
        # Other life takes most of the time, and one trial in some says the same.
        if number % max(1, len(trials) // 10) == 0:
            for name, one in lives.items():
                one.look(life[name], heads)
    return {
        "trials": len(trials), "asked": right + wrong + missed, "right": right, "wrong": wrong, "missed": missed,
        "others": others, "taken_for_one": taken,
        "life": {name: {"head_hours": round(one.hours, 1), "events": one.events} for name, one in lives.items()},
    }  # fmt: skip


def taught(given: dict[str, list[SignatureBatch]], encoder: Encoder, *, apart: bool) -> Watching:
    """Return heads, one for each gesture; apart: the performances of the others are what it is not."""
    heads = list[Head]()
    for name, batches in given.items():
        others = [batch for other, those in given.items() if other != name for batch in those] if apart else []
        heads.append(teach(_plain(name), batches, against=others, encoder=encoder))
    return Watching(heads)


def _plain(name: str) -> str:
    return name.replace("/", "-")


def door(folder: Path, encoder: Encoder, say: Say) -> dict[str, Any]:
    """Return the counts for a door: taught with three openings and three closings, asked about the fourth of each."""
    recorded: dict[str, list[Any]] = defaultdict(list)
    for stream in data.streams(folder, "st_mlc_6axis"):
        name = str(stream.activity[0])
        if name.startswith("door_opening_closing"):
            recorded[name.rpartition("/")[2]].append(stream)
    still = recorded.pop("still")
    rate_hz, rest = still[0].rate_hz, [one.samples[: round(4 * still[0].rate_hz)] for one in still[:2]]
    # The set has them cut out; the door rests before and after.
    logs = {
        name: [np.concatenate([rest[0], one.samples, rest[1]]) for one in streams] for name, streams in recorded.items()
    }
    found = {}
    for key, apart in (("alone", False), ("apart", True)):
        right = wrong = missed = false = 0
        seconds = 0.0
        for out in range(4):
            given = {
                name: [
                    batch for at, log in enumerate(given) if at != out for batch in performances(log, rate_hz, encoder)
                ]
                for name, given in logs.items()
            }
            heads = taught(given, encoder, apart=apart)
            for name, there in logs.items():
                batch = signed(there[out], rate_hz, encoder)
                assert batch is not None
                said = [event.head for event in heads.told(batch)]
                right, wrong = right + (said == [name]), wrong + (bool(said) and said != [name])
                missed += not said
            for one in still:
                batch = signed(one.samples, rate_hz, encoder)
                assert batch is not None
                false += len(heads.told(batch))
                seconds += len(one.samples) / rate_hz
        found[key] = {
            "asked": right + wrong + missed, "right": right, "wrong": wrong, "missed": missed,
            "still_s": round(seconds / 4), "false": false,
        }  # fmt: skip
        say(f"door, {key}: {found[key]}")
    return found
