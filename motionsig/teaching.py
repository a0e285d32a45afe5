"""From examples to a head: logs, stored signatures and labels in, a head out.

What is taught with is found here; how a head is made of it stands in `motionsig.heads`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from motionsig.blocks import SampleBlock, SignatureBatch, SignatureSpec, Source, concatenate
from motionsig.closing import Closing
from motionsig.encoders import Encoder, open_encoder
from motionsig.errors import HeadError, InputError
from motionsig.events import HEAD_NAME
from motionsig.heads import Head, find_head
from motionsig.heads.background import Background, load_background, with_own
from motionsig.heads.card import After, HeadCard, Timing
from motionsig.heads.labelled import WISHED_AN_HOUR, of_labels
from motionsig.heads.teaching import (
    Codes,
    Wish,
    of_normal_life,
    of_performances,
    of_rest,
    unlike_the_others,
)
from motionsig.lesson import Lesson, Performed, samples_between
from motionsig.model_card import ModelCard
from motionsig.pipeline import signatures
from motionsig.publishers import SCHEMES, iter_signatures
from motionsig.quality import is_at_rest

Example = str | os.PathLike[str] | SignatureBatch
"""A log, or a part of it as LOG@START-END in seconds; signatures; for normal life also store:PATH or file:PATH."""

_MARGIN_S = 2.0  # of a part of a log: rest before and after it, and whole windows about a performance at its edge
_COUNTER_HOP = 16
MOST_AN_HOUR = 0.1
"""False alarms that a level may allow, unless somebody says otherwise."""
_STEADY_S = 10.0  # so long a state has to go on, and a pause does not end it


class _Part(Closing):
    """The samples of a log between two seconds, as a Source."""

    def __init__(self, log: Source, begin_s: float, end_s: float) -> None:
        self.rate_hz, self.info = log.rate_hz, log.info
        self._log, self._between_s = log, (begin_s, end_s)

    def __iter__(self) -> Iterator[SampleBlock]:
        return iter(samples_between(self._log, *self._between_s))


class _Shown(NamedTuple):
    """A performance: (k, dim) codes of its windows. where: which one, in words."""

    where: str
    codes: Codes


class Refused(NamedTuple):
    """A performance that the head is not taught with. where: which one, in words."""

    where: str
    why: str


def teach(
    name: str,
    examples: Sequence[Example] | Example = (),
    *,
    against: Sequence[Example] | Example = (),
    normal: Sequence[Example] | Example = (),
    state: str | None = None,
    labels: str | None = None,
    label: str | Sequence[str] | None = None,
    better: Head | HeadCard | None = None,
    most_an_hour: float | None = None,
    least_s: float | None = None,
    most_s: float | None = None,
    hold_s: float | None = None,
    while_head: str | None = None,
    after: tuple[str, float] | None = None,
    model: str | Path | None = None,
    encoder: Encoder | None = None,
    options: Mapping[str, Any] | None = None,
    refused: list[Refused] | None = None,
) -> Head:
    """Return a head that finds more of what the examples show; `save` keeps it.

    >>> rng = np.random.default_rng(1)
    >>> lesson = rng.normal(0, 0.02, (2000, 6)) + [0, 0, 9.81, 0, 0, 0]  # 20 s at 100 Hz, at rest but for three turns
    >>> for begin in (400, 900, 1400):
    ...     lesson[begin : begin + 100, 3] += 4 * np.sin(np.arange(100) / 8)
    >>> np.savez("lesson.npz", acc_mps2=lesson[:, :3], gyr_rads=lesson[:, 3:], rate_hz=100)
    >>> head = motionsig.teach("turn", "lesson.npz")
    >>> head.card.measured["found"], head.card.measured["given"]
    (3, 3)
    >>> head.save("turn")
    PosixPath('turn')

    * `examples`: logs of lessons, in which the performances are found by themselves: rest for a second before and after
      each. "LOG@START-END" is the part of a log between two seconds. A SignatureBatch is one performance. With none of
      them, and `normal`, the head is a novelty: a state that is told while something is unlike all of normal life.
    * `against`: what the head must not take for it.
    * `normal`: logs, stores or signatures of the owner's days. With examples, they join the other people's life that
      tells how often the head is wrong; they must not hold what is taught.
    * `state`: "moving" or "still", with nothing to learn from: of a thing that moves or lies at rest by itself, such as
      a washing machine. It is what the flag `Quality.AT_REST` says, held for `hold_s`.
    * `labels`: the column of the example logs that says what was done, or "folder" for the name of each log's folder.
      The head is then a state, of all that has the `label`, one or several; by default that is its name.
    * `better`: a head that was taught before; its examples and counter-examples are used, too, and its settings, where
      no others are given.
    * `most_an_hour`: false alarms that its level may allow: .1, with labels 1. `least_s`, `most_s`, `hold_s`: how long
      an event lasts, and what pause does not end it. `while_head`: a state that has to hold. `after`: (name, seconds),
      an event before.
    * `model`, `encoder`: as for `extract`. `options`: for `open_recording`, as in {"acc_unit": "g"}. `refused`: a list
      that gets what looked like a performance and was not used.

    `head.card.measured` says what to expect. Raises InputError where nothing can be learned, saying why, HeadError for
    a head that it needs and that is not there, and what opening a log, a store or a model raises.
    """
    refused = [] if refused is None else refused
    shown, wrong_ones, life = _listed(examples), _listed(against), _listed(normal)
    before = better.card if isinstance(better, Head) else better
    by_performances = (bool(shown) and labels is None) or before is not None
    wish = wish_of(
        name,
        before,
        is_state=not by_performances,
        most_an_hour=(MOST_AN_HOUR if labels is None else WISHED_AN_HOUR) if most_an_hour is None else most_an_hour,
        least_s=least_s,
        most_s=most_s,
        hold_s=hold_s,
        while_head=while_head,
        after=after,
    )
    if labels is not None:
        if before or wrong_ones or life or state or not shown or (least_s, hold_s) != (None, None):
            raise InputError(f"head {name}: expected labels with examples alone, and times that come from them")
        with open_encoder(model, device="cpu") if encoder is None else nullcontext(encoder) as opened:
            logs = _Logs(opened, {**(options or {}), **({} if labels == "folder" else {"label": labels})})
            batches = [logs.labelled(one, by_folder=labels == "folder") for one in shown]
            card = of_labels(name, batches, name if label is None else label, opened.card.spec, wish=wish.most_an_hour)
            return Head(replace(card, while_head=wish.while_head, after=wish.after))
    if state is not None and (by_performances or wrong_ones or life):
        raise InputError(
            f"head {name}: expected a state alone, as nothing is learned for it, got examples or life, too"
        )
    if not by_performances and wrong_ones:
        raise InputError(f"head {name}: expected examples of it with those that it is not, got none")
    if not (by_performances or state or life):
        raise InputError(f"head {name}: expected examples of it, normal life, or a state, got none of them")
    with open_encoder(model, device="cpu") if encoder is None else nullcontext(encoder) as opened:
        if state is not None:
            return Head(_state(name, state, opened.card.spec, wish))
        logs = _Logs(opened, options or {})
        days = [batch for one in life for batch in logs.days(one)]
        if not by_performances:
            return Head(of_normal_life(name, days, wish=wish))
        known, wrong = known_before(before, opened.card.spec)
        new = [one for example in shown for one in logs.performances(example, refused)]
        performances = [*known, *_alike(known, new, refused)]
        if not performances:
            said = "; ".join(f"{one.where}: {one.why}" for one in refused[:3]) or "no motion between two rests"
            raise InputError(f"head {name}: expected at least one performance, got none ({said})")
        wrong += [logs.counter_example(one) for one in wrong_ones]
        return Head(of_codes(name, performances, wrong, opened.card, wish=wish, days=days))


def of_codes(
    name: str,
    performances: Sequence[Codes],
    against: Sequence[Codes],
    card: ModelCard,
    *,
    wish: Wish,
    days: Sequence[SignatureBatch] = (),
) -> HeadCard:
    """Return a head that finds more of these performances, with the model's background as other life.

    performances: (k, dim) codes of the windows of each. against: (p, dim) each of what it is not. days: of the owner.
    Raises InputError where nothing can be learned, saying why.
    """
    none = np.zeros((0, card.dim), np.int8)
    wrong = np.concatenate([none, *against])
    return of_performances(name, performances, card.spec, other_life(card, days), against=wrong, wish=wish)


def wish_of(
    name: str,
    before: HeadCard | None = None,
    *,
    is_state: bool = False,
    most_an_hour: float = MOST_AN_HOUR,
    least_s: float | None = None,
    most_s: float | None = None,
    hold_s: float | None = None,
    while_head: str | None = None,
    after: tuple[str, float] | None = None,
) -> Wish:
    """Return what a head shall be like: as given, else as the one before it was, else what suits an event or a state.

    Raises InputError for what cannot be, and HeadError where a head that it needs is not there.
    """
    if not HEAD_NAME.fullmatch(name):
        raise InputError(f"name: expected 1 to 64 of A-Z, a-z, 0-9, _ and -, the first no _ or -, got {name!r:.200}")
    if is_state and most_s is not None:
        raise InputError(f"most_s: expected none for a state, which begins and ends, got {most_s}")
    usual_s = _STEADY_S if is_state else 0.0
    kept = Timing(0, 0, usual_s, None, usual_s)
    if before is not None:
        kept, while_head, after = before.timing, while_head or before.while_head, after or before.after
    if while_head is not None and not find_head(while_head).is_state:
        raise HeadError(f"head {name}: expected a state as while, got {while_head!r}, which gives events")
    if after is not None:
        find_head(after[0])
    return Wish(
        most_an_hour=most_an_hour,
        least_s=kept.least_s if least_s is None else least_s,
        most_s=kept.most_s if most_s is None else most_s,
        hold_s=kept.hold_s if hold_s is None else hold_s,
        while_head=while_head,
        after=After(*after) if after else None,
    )


def _state(name: str, state: str, spec: SignatureSpec, wish: Wish) -> HeadCard:
    if state not in ("moving", "still"):
        raise InputError(f"state: expected moving or still, got {state!r}")
    return of_rest(name, spec, moving=state == "moving", wish=wish)


def _alike(known: Sequence[Codes], new: Sequence[_Shown], refused: list[Refused]) -> list[Codes]:
    """Return the new performances but for those that are unlike the others; what a head knew before stays."""
    odd = {one.number - len(known): one for one in unlike_the_others([*known, *(one.codes for one in new)])}
    for at, one in odd.items():
        if at >= 0:
            refused.append(Refused(new[at].where, one.why))
    return [one.codes for at, one in enumerate(new) if at not in odd]


def other_life(card: ModelCard, days: Sequence[SignatureBatch]) -> Background:
    """Return the model's background, joined by the owner's days. Raises InputError where there is neither."""
    life = with_own(load_background(card), days)
    if life is None:
        raise InputError(
            f"model {card.name}: expected a background of other life in its folder, got none; without it nobody knows "
            "how often a head is wrong: give hours of normal life (normal=, --normal)"
        )
    return life


def _listed(given: Sequence[Example] | Example) -> Sequence[Example]:
    return [given] if isinstance(given, str | os.PathLike | SignatureBatch) else given


def known_before(card: HeadCard | None, spec: SignatureSpec) -> tuple[list[Codes], list[Codes]]:
    """Return the performances and the counter-examples of a head that was taught before; none for None.

    Raises InputError for a head of another encoder, and for one that was not taught by performances.
    """
    if card is None:
        return [], []
    if card.encoder != spec.fingerprint:
        raise InputError(
            f"head {card.name}: expected one of encoder {spec.fingerprint.hex()}, got one of {card.encoder.hex()}: its "
            "examples do not compare; teach it anew"
        )
    taught = card.taught
    performances = [taught.examples[taught.performance == number] for number in np.unique(taught.performance)]
    if not performances:
        raise InputError(f"head {card.name}: expected one taught by performances, got a {card.kind} head")
    return performances, [taught.against] if len(taught.against) else []


class _Logs:
    """What is taught with, as codes: of logs, of parts of them, or of signatures that are there already."""

    def __init__(self, encoder: Encoder, options: Mapping[str, Any]) -> None:
        self._encoder, self._options = encoder, options

    def performances(self, example: Example, refused: list[Refused]) -> Iterator[_Shown]:
        """Yield the performances in an example; put those that are no use into `refused`."""
        if isinstance(example, SignatureBatch):
            batch = moving(_of_encoder(example, self._encoder))
            if len(batch):
                yield _Shown(str(batch.time[0]), batch.codes)
            else:
                refused.append(Refused("signatures", "none of them moves" if len(example) else "there are none"))
            return
        path, begin_s, end_s = part_of_log(example)
        for one in performed(path, self._encoder.card, begin_s, end_s, self._options):
            where = f"{path} at {one.begin_s:.1f} s"
            if one.windows is None:
                refused.append(Refused(where, one.why))
            else:
                yield _Shown(where, self._encoder.encode(one.windows).codes)

    def counter_example(self, example: Example) -> Codes:
        """Return the codes of what moves in it. Raises InputError where nothing does."""
        # Of a part the windows whose middle is in it: a false alarm may be shorter than a window.
        margin_s = self._encoder.card.length / 2 / self._encoder.card.rate_hz
        made = [moving(batch).codes for batch in self._batches(example, _COUNTER_HOP, margin_s)]
        if not sum(map(len, made)):
            what = "signatures" if isinstance(example, SignatureBatch) else os.fspath(example)
            raise InputError(f"against: expected {2 * margin_s:g} s or more of motion, got none in {what}")
        return np.concatenate(made)

    def labelled(self, example: Example, *, by_folder: bool) -> SignatureBatch:
        """Return all signatures of an example as one stream, with its labels."""
        made = list(self._batches(example, None, 0.0))
        if not made:
            raise InputError(f"{example}: expected 2.56 s of samples without a gap, got less")
        whole = concatenate(made)
        if by_folder and not isinstance(example, SignatureBatch):
            folder = Path(os.path.abspath(part_of_log(example)[0])).parent.name
            whole = replace(whole, labels=np.full(len(whole), folder))
        return whole

    def days(self, example: Example) -> Iterator[SignatureBatch]:
        """Yield signatures of normal life: of a log, a store or a file, or those that are there already."""
        if isinstance(example, str) and example.partition(":")[0].lower() in SCHEMES:
            for stored in iter_signatures(example, fingerprint=self._encoder.card.fingerprint):
                yield stored.signatures
        else:
            yield from self._batches(example, None, 0.0)

    def _batches(self, example: Example, hop: int | None, margin_s: float) -> Iterator[SignatureBatch]:
        """Yield the signatures `hop` samples apart, of a part with so much before and after it."""
        if isinstance(example, SignatureBatch):
            yield _of_encoder(example, self._encoder)
            return
        path, begin_s, end_s = part_of_log(example)
        from motionsig.recordings import open_recording

        with open_recording(path, **self._options) as log:
            source = log if end_s is None else _Part(log, max(0.0, begin_s - margin_s), end_s + margin_s)
            yield from signatures(source, self._encoder, hop=hop)


def performed(
    path: str, card: ModelCard, begin_s: float, end_s: float | None, options: Mapping[str, Any]
) -> list[Performed]:
    """Return the performances in a log, or in a part of it, which without a rest is one performance itself."""
    from motionsig.recordings import open_recording

    with open_recording(path, **options) as log:
        lesson = Lesson(card, log.rate_hz)
        blocks = iter(log)
        margin_s = min(begin_s, _MARGIN_S) if end_s is not None else 0.0
        offset_s = begin_s - margin_s
        if end_s is not None:
            blocks = samples_between(blocks, offset_s, end_s + _MARGIN_S)
        found = [*chain.from_iterable(map(lesson.push, blocks)), *lesson.flush()]
        if end_s is None:
            if not found and lesson.seconds < card.length / card.rate_hz:
                why = f"expected {card.length / card.rate_hz:g} s of samples without a gap, got {lesson.seconds:.2f}"
                found = [Performed(0.0, lesson.seconds, None, why)]
            return found
        if lesson.seconds <= margin_s:
            raise InputError(f"{path}: expected samples from {begin_s:g} to {end_s:g} s, got none")
        inside = [one for one in found if margin_s <= (one.begin_s + one.end_s) / 2 <= end_s - offset_s]
        if all(one.windows is None for one in inside):
            inside = [lesson.stretch(margin_s, end_s - offset_s)]
        return [one._replace(begin_s=one.begin_s + offset_s, end_s=one.end_s + offset_s) for one in inside]


def part_of_log(example: str | os.PathLike[str]) -> tuple[str, float, float | None]:
    """Return path, begin and end of LOG@START-END; the end is None for a whole log."""
    text = os.fspath(example)
    found = re.fullmatch(r"(.+)@([0-9.]+)-([0-9.]+)", text)
    if found is None or os.path.exists(text):
        return text, 0.0, None
    try:
        begin_s, end_s = float(found[2]), float(found[3])
    except ValueError:
        raise InputError(f"{text}: expected LOG@START-END in seconds, got {found[2]!r} and {found[3]!r}") from None
    if not begin_s < end_s:
        raise InputError(f"{text}: expected an end after the start, got {begin_s:g} and {end_s:g} s")
    return found[1], begin_s, end_s


def moving(batch: SignatureBatch) -> SignatureBatch:
    """Return the signatures of windows in which something moves."""
    return batch[~is_at_rest(batch.quality)]


def _of_encoder(batch: SignatureBatch, encoder: Encoder) -> SignatureBatch:
    if batch.spec.fingerprint != encoder.card.fingerprint:
        raise InputError(
            f"signatures: expected those of encoder {encoder.card.fingerprint.hex()}, got those of "
            f"{batch.spec.fingerprint.hex()}: vectors of different encoders do not compare"
        )
    return batch
