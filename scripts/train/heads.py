"""Make the heads that come with a model: still, walking and running.

    python -m scripts.train.heads --data FOLDER --model firmware_models/motion64

It takes some minutes on one core, writes MODEL/heads/NAME and MODEL/heads/README.md, and gives the same bytes when it
is run again. Each head learns from all training sets; never from hapt, whose licence forbids it.

What a head is worth is measured by the Judge that devices have, on signatures in order of time, .16 s and 1.28 s apart:
on whole sets left out of all that was learned and chosen, on people left out, and on hapt. --more FOLDER has further
sets that nobody trained on, as windows in no order: NAME.npz with windows (n, 128, 6), label (n,) and person (n,). Of
those it says which share of the windows scores above the level.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import Encoder, SampleBlock, Source, SourceInfo, open_encoder, sample_block, signatures
from motionsig.blocks import SignatureBatch, WindowBatch, concatenate
from motionsig.conventions import NS_PER_S
from motionsig.events import BEGAN
from motionsig.files import replace_file
from motionsig.heads.card import HIGHEST, LOWEST, HeadCard
from motionsig.heads.judging import Judge
from motionsig.heads.labelled import of_labels
from motionsig.heads.places import write_head
from motionsig.heads.scoring import Scoring
from motionsig.quality import flags_of, is_at_rest
from scripts.train import data
from scripts.train.clock import Clock, Say
from scripts.train.heads_page import OTHERS, page

HOP = 8
SLOW = 8
"""So many times HOP is a signature's usual hop."""
SETS = tuple(name for name in data.TRAINING_SETS if name not in {"android_digits", "misc_unlabelled"})
"""Left out are one person's gestures, which are no life, and logs without labels."""
UNSEEN = "hapt"
SEED = 1
BOOTSTRAPS = 1000
ENOUGH_HOURS = 0.5
"""Of an activity, for a set to count in the mean."""
_SHOWN = 6

STAIRS = {
    "stairs", "ups", "dws", "ascending_stairs", "descending_stairs", "stairs_up", "stairs_down", "upstairs",
    "downstairs", "stepper", "STU", "STN", "stairs_slow", "stairs_quick", "GoUpstairs", "GoDownstairs",
}  # fmt: skip
SITTING = {"typing", "writing", "chips", "pasta", "soup", "sandwich", "drinking"}


@dataclass(frozen=True)
class Aim:
    """What a head tells, by the sets' names of activities.

    yes: what it looks for. either: what is neither taught nor counted, because both answers are right or the label does
    not say. either_at: the same, for one place of one set or, with the place "", for all of it; "*" is any. wish: false
    alarms in an hour that its levels are chosen for; on further sets there are about twice as many.
    """

    says: str
    yes: frozenset[str]
    either: frozenset[str]
    at_rest: str
    wish: float
    either_at: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)


AIMS = {
    "still": Aim(
        "Nobody moves the device: it lies on a table, or whoever wears it sits, stands or lies still. A moving vehicle "
        "is not still. Neither taught nor counted: sitting with something in the hands, standing in a lift, poses.",
        frozenset({
            "sitting", "standing", "sit", "std", "seated", "lying_back", "lying_side", "laying", "idle", "pad",
            "landed", "head_gestures/stationary", "door_opening_closing_still/still",
            "vehicle_stationary_detection/vehicle_stationary_mod", "yoga_pose_recognition/standing_still",
            "yoga_pose_recognition/meditation_pose", "STD", "back stand", "foot stand",
        }),
        frozenset({
            "standing_elevator", "moving_elevator", "ground", "Sitting_GettingUpOnAChair", "LyingDown_OnABed",
            "sit_wait_stand", "sit_half_slow", "sit_half_quick", "sit_low_slow", "sit_low_quick", "collapse_into_chair",
            "sit_try_getup_collapse", "car_in_out", "lie_slow", "lie_quick", "turn_over_lying", "MakingACall",
            "Bending", "HandsUp", "OpeningDoor", "null", "calm", "SCH", "CSI", "CSO",
        }),
        HIGHEST,
        2.0,
        {
            ("wisdm2019", "pocket"): frozenset(SITTING | {"teeth", "folding", "clapping"}),
            ("wisdm2019", "wrist"): frozenset(SITTING),
            # Its labels do not say when the body rests between two movements.
            ("broad", ""): frozenset({"*"}),
            # Its people move their arms while they do nothing.
            ("cg4002_laser5", ""): frozenset({"idle"}),
        },
    ),
    "walking": Aim(
        "Somebody who wears or carries the device walks on level ground. Neither taught nor counted: stairs and "
        "steppers (it may tell of them), turning, moving about in a lift, and ball games in which people walk.",
        frozenset({
            "walking", "wlk", "walk", "walking_parking", "treadmill_4kmh_flat", "treadmill_4kmh_incline",
            "head_gestures/walk", "WAL", "walk_slow", "walk_quick", "Walking", "back walk", "foot walk", "grass",
        }),
        frozenset({
            *STAIRS, "turning", "moving_elevator", "basketball", "kicking", "ground", "back turn", "foot turn",
            "stumble", "fall_trip_walk", "OpeningDoor", "open_close_door",
        }),
        LOWEST,
        1.0,
    ),
    "running": Aim(
        "Somebody who wears or carries the device runs or jogs. Neither taught nor counted: ball games in which "
        "people run.",
        frozenset({"jogging", "jog", "treadmill_running_8kmh", "JOG", "jog_slow", "jog_quick", "Jogging"}),
        frozenset({"basketball", "kicking", "fall_trip_jog"}),
        LOWEST,
        0.25,
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Life:
    """What one device recorded without a gap: signatures with the set's own labels."""

    set: str
    person: str
    place: str
    signatures: SignatureBatch


class Recorded(Source):
    """A stream of a set, as a device would deliver it, with the label of each piece."""

    def __init__(self, stream: data.Stream) -> None:
        self._stream = stream

    @property
    def rate_hz(self) -> float:
        return self._stream.rate_hz

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(self._stream.wearing, "set", 0)

    def __iter__(self) -> Iterator[SampleBlock]:
        stream = self._stream
        time_ns = np.rint(np.arange(len(stream.samples)) * (NS_PER_S / stream.rate_hz)).astype(np.int64)
        for piece, label in enumerate(stream.activity.tolist()):
            part = slice(*stream.offsets[piece : piece + 2].tolist())
            yield sample_block(time_ns[part], stream.samples[part], label=label)


def main() -> None:
    """Make the heads, write them and their page."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.heads",
        usage=argparse.SUPPRESS,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets (NAME.npz)")
    parser.add_argument("--model", type=Path, required=True, help="model folder, into which the heads are written")
    parser.add_argument("--more", type=Path, help="folder with sets of windows that nobody trained on")
    options = parser.parse_args()
    data.check_folder(options.data)
    clock = Clock()
    with open_encoder(options.model, device="cpu") as encoder:
        life = [one for name in (*SETS, UNSEEN) for one in lived(options.data, name, encoder, clock.say)]
        more = further(options.more, encoder) if options.more else {}
    make(life, more, options.model / "heads", clock.say)


def make(life: Sequence[Life], more: dict[str, SignatureBatch], folder: Path, say: Say) -> None:
    """Write all heads into `folder`, and the page about them. life: of the training sets and of UNSEEN."""
    for name, aim in AIMS.items():
        card = head_of(name, aim, life, more, say)
        write_head(card, folder / name)
        text = {key: card.measured[key] for key in ("recall", "false_alarms_an_hour")}
        say(f"{name}: {card.timing}, {text}")
    replace_file(folder / "README.md", page(folder).encode())


def lived(folder: Path, name: str, encoder: Encoder, say: Say) -> Iterator[Life]:
    """Yield what each stream of a set gives, HOP samples apart."""
    count = 0
    for stream in data.streams(folder, name):
        made = list(signatures(Recorded(stream), encoder, hop=HOP))
        if made:
            batch = concatenate(made)
            count += len(batch)
            yield Life(name, f"{name}/{stream.person[0]}", stream.position, with_labels(batch, str))
    say(f"{name}: {count} signatures")


def further(folder: Path, encoder: Encoder) -> dict[str, SignatureBatch]:
    """Return the signatures of sets of windows, by name; each with the label PERSON/ACTIVITY."""
    found = {}
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as stored:
            windows, label, person = stored["windows"], stored["label"], stored["person"]
        hop_ns = round(HOP / data.GRID_HZ * NS_PER_S)
        batch = encoder.encode(WindowBatch(np.arange(len(windows)) * hop_ns, windows, flags_of(windows), hop_ns))
        found[file.stem] = replace(batch, labels=np.char.add(np.char.add(person.astype(str), "/"), label.astype(str)))
    return found


def head_of(name: str, aim: Aim, life: Sequence[Life], more: dict[str, SignatureBatch], say: Say) -> HeadCard:
    """Return one head, with all that was measured of it."""
    learned = [one for one in life if one.set != UNSEEN]
    card = taught(name, aim, learned)
    say(f"{name}: learned from all sets")
    right = {one.set for one in learned if "yes" in sides(aim, one)}
    by_set: dict[str, Tally] = {}
    by_set_slow: dict[str, Tally] = {}
    for out in folds(sorted({one.set for one in learned}), right):
        without = taught(name, aim, [one for one in learned if one.set not in out])
        rest = [one for one in learned if one.set in out]
        by_set |= judged(without, aim, rest)
        by_set_slow |= judged(without, aim, rest, SLOW)
        say(f"{name}: without {', '.join(sorted(out))}")
    people: dict[str, Tally] = {}
    half = {person: at % 2 for at, person in enumerate(sorted({one.person for one in learned}))}
    for side in (0, 1):
        without = taught(name, aim, [one for one in learned if half[one.person] != side])
        for known, tally in judged(without, aim, [one for one in learned if half[one.person] == side]).items():
            people[known] = people[known] + tally if known in people else tally
        say(f"{name}: without half of the people")
    unseen = judged(card, aim, [one for one in life if one.set == UNSEEN])
    together = sum(by_set.values(), Tally())
    long = [one for one in sorted(right) if by_set[one].labelled_hours() >= ENOUGH_HOURS]
    # A card has room for some thousand characters.
    return replace(
        card,
        measured={
            "says": aim.says,
            "recall": mean_recall(by_set, long),
            "recall_over": long,
            "false_alarms_an_hour": together.an_hour(),
            "hours": round(together.hours(), 1),
            "from": f"{len(by_set)} sets, each left out of what was learned and chosen",
            "would_fire_at": list(together.most()),
            "taken_for_it": together.most(),
            "hop_s": HOP / data.GRID_HZ,
            "every_1.28_s": {
                "recall": mean_recall(by_set_slow, long),
                "false_alarms_an_hour": sum(by_set_slow.values(), Tally()).an_hour(),
            },
            "sets_left_out": by_set_stated(by_set, right),
            "people_left_out": by_set_stated(people, right),
            "never_seen": {known: tally.stated() for known, tally in unseen.items()},
            "windows_never_seen": windows_above(card, aim, more),
        },
    )


def mean_recall(found: dict[str, Tally], names: Sequence[str]) -> float:
    """Return the mean of the recalls on some sets."""
    return _rounded(sum(found[name].recall() for name in names) / len(names))


def by_set_stated(found: dict[str, Tally], right: set[str]) -> dict[str, Any]:
    """Return what a card says of each set that has the activity, and under OTHERS of all others together."""
    others = sum((tally for name, tally in found.items() if name not in right), Tally())
    stated = {name: found[name].stated() for name in sorted(right)}
    return stated | ({OTHERS: others.stated()} if others.people else {})


def taught(name: str, aim: Aim, life: Sequence[Life]) -> HeadCard:
    """Return the head that some of life teaches; each set is held out by itself where levels are chosen."""
    batches = [with_labels(one.signatures, lambda label, one=one: said(aim, one, label)) for one in life]
    batches = [at_rest_apart(aim, batch) for batch in batches]
    names = {str(label) for batch in batches for label in np.unique(_labels(batch))}
    wanted = sorted(label for label in names if label.startswith("yes "))
    spec = life[0].signatures.spec
    return of_labels(name, batches, wanted, spec, whose=[one.set for one in life], wish=aim.wish, at_rest=aim.at_rest)


def said(aim: Aim, one: Life, label: str) -> str:
    """Return the label to teach with: which side, set, activity and place; "" where both answers are right."""
    side = side_of(aim, one.set, one.place, label)
    return side and f"{side} {one.set} {label} {one.place}"


def side_of(aim: Aim, name: str, place: str, label: str) -> str:
    """Return "yes" for what a head looks for, "no" for other life, "" for what is neither taught nor counted."""
    there = aim.either_at.get((name, place)) or aim.either_at.get((name, "")) or frozenset()
    if label in {"", data.UNLABELLED} | there or "*" in there:
        return ""
    if label in aim.yes:
        return "yes"
    # Poses are named after their set.
    return "" if label in aim.either or (aim.at_rest == HIGHEST and label.startswith("yoga")) else "no"


def sides(aim: Aim, one: Life) -> set[str]:
    """Return which sides there are in a stream."""
    return {side_of(aim, one.set, one.place, str(label)) for label in np.unique(_labels(one.signatures))}


def at_rest_apart(aim: Aim, batch: SignatureBatch) -> SignatureBatch:
    """Return a batch in which a sensor at rest is of no side where the label says the other: there it rested."""
    rests = is_at_rest(batch.quality)
    wrong = "no " if aim.at_rest == HIGHEST else "yes "
    labels = _labels(batch)
    apart = rests & np.char.startswith(labels, wrong)
    return replace(batch, labels=np.where(apart, "", labels)) if apart.any() else batch


def folds(names: Sequence[str], right: set[str]) -> list[set[str]]:
    """Return which sets are left out together: one of `right` each time, and some of the others."""
    first = [name for name in names if name in right]
    rest = [name for name in names if name not in right]
    return [{name, *rest[at :: len(first)]} for at, name in enumerate(first)]


def with_labels(batch: SignatureBatch, name: Any) -> SignatureBatch:
    """Return a batch whose labels went through a function; one label for all takes no memory."""
    there, which = np.unique(_labels(batch), return_inverse=True)
    new = np.array([name(str(label)) for label in there])
    return replace(batch, labels=np.broadcast_to(new[0], len(batch)) if len(new) == 1 else new[which])


def _labels(batch: SignatureBatch) -> NDArray[np.str_]:
    assert batch.labels is not None
    return batch.labels


@dataclass(frozen=True)
class Tally:
    """What a Judge told.

    people: (hours of the activity that events cover, hours of the activity, false alarms, hours of other life that
    events cover, hours of other life) of each. taken: how many false alarms each label had.
    """

    people: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        people = dict(self.people)
        for person, counts in other.people.items():
            people[person] = people[person] + counts if person in people else counts
        return Tally(people, self.taken + other.taken)

    def recall(self) -> float:
        held, right, *_ = sum(self.people.values(), np.zeros(5))
        return float(held / right)

    def labelled_hours(self) -> float:
        return float(sum(counts[1] for counts in self.people.values()))

    def hours(self) -> float:
        return float(sum(counts[4] for counts in self.people.values()))

    def an_hour(self) -> list[float]:
        """Return the false alarms in an hour, and their interval."""
        rows = np.stack(list(self.people.values()))
        return [_rounded(self._an_hour(rows.sum(axis=0))), *self._interval(4, self._an_hour)]

    def most(self) -> dict[str, int]:
        return dict(sorted(self.taken.most_common(_SHOWN), key=lambda one: (-one[1], one[0])))

    def stated(self) -> dict[str, Any]:
        """Return what a card says of it: figures with their intervals over people, of what there is."""
        told: dict[str, Any] = {"people": len(self.people)}
        if of_it := self.labelled_hours():
            interval = self._interval(1, lambda total: total[0] / total[1])
            told |= {"hours_of_it": round(of_it, 2), "recall": [_rounded(self.recall()), *interval]}
        if hours := self.hours():
            told |= {"hours": round(hours, 1), "false_alarms_an_hour": self.an_hour()}
        return told

    def _an_hour(self, total: NDArray[np.float64]) -> float:
        return float(total[2] / total[4]) if total[4] else 0.0

    def _interval(self, needs: int, figure: Any) -> list[float]:
        rows = np.stack([counts for counts in self.people.values() if counts[needs]])
        rng = np.random.default_rng(SEED)
        drawn = [figure(rows[rng.integers(len(rows), size=len(rows))].sum(axis=0)) for _ in range(BOOTSTRAPS)]
        return [_rounded(value) for value in np.quantile(drawn, (0.025, 0.975))]


def judged(card: HeadCard, aim: Aim, life: Sequence[Life], every: int = 1) -> dict[str, Tally]:
    """Return what a head tells of life, by set; `every`: which of the signatures it gets."""
    found: dict[str, Tally] = {}
    for one in life:
        whole = one.signatures
        batch = replace(whole[::every], hop_ns=every * whole.hop_ns)
        batch = at_rest_apart(aim, with_labels(batch, lambda label, one=one: said(aim, one, label)))
        judge = Judge([card])
        events = [*judge.judge(batch), *judge.flush()]
        holds = np.zeros(len(batch), bool)
        for event in events:
            if event.phase != BEGAN:
                # The end of a state is named after the last signature that it holds for.
                holds[np.searchsorted(batch.start_ns, event.start_ns) : event.seq + 1] = True
        labels = _labels(batch)
        right, other = np.char.startswith(labels, "yes "), np.char.startswith(labels, "no ")
        began = [event.seq for event in events if event.phase == BEGAN and other[event.seq]]
        hours = batch.hop_ns / NS_PER_S / 3600
        counts = np.array(
            [
                (holds & right).sum() * hours,
                right.sum() * hours,
                len(began),
                (holds & other).sum() * hours,
                other.sum() * hours,
            ]
        )
        taken = Counter(str(labels[seq]).split(" ")[2].rsplit("/", 1)[-1] for seq in began)
        tally = Tally({one.person: counts}, taken)
        found[one.set] = found[one.set] + tally if one.set in found else tally
    return found


def windows_above(card: HeadCard, aim: Aim, more: dict[str, SignatureBatch]) -> dict[str, Any]:
    """Return [people, windows, share that scores at least `on`, at least `off`] of what a head looks for, by set.

    more: windows in no order, labelled PERSON/ACTIVITY. Under OTHERS the same of the windows of all other activities.
    """
    found: dict[str, Any] = {}
    people, other = 0, [np.empty(0)]
    for name, batch in more.items():
        scores = Scoring([card])(batch)[:, 0]
        who, labels = np.array([label.split("/", 1) for label in _labels(batch).tolist()]).T
        side = np.array([side_of(aim, name, "", label) for label in labels.tolist()])
        if (side == "yes").any():
            found[name] = [len(np.unique(who[side == "yes"])), *_shares(card, scores[side == "yes"])]
        people += len(np.unique(who[side == "no"]))
        other.append(scores[side == "no"])
    return found | ({OTHERS: [people, *_shares(card, np.concatenate(other))]} if people else {})


def _shares(card: HeadCard, scores: NDArray[np.float64]) -> list[float]:
    return [len(scores), *(_rounded((scores >= level).mean()) for level in (card.timing.on, card.timing.off))]


def _rounded(value: float) -> float:
    return round(float(value), 3)


if __name__ == "__main__":
    main()
