"""From anything that holds motion to events: a sensor, a log, stored signatures, signatures in memory.

What a sensor or a log gives goes through the loop of `pipeline`, with windows close together, so that no short motion
falls between two; what is stored is judged as it was stored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from motionsig import wire
from motionsig.blocks import SignatureBatch, Source, check_label
from motionsig.conventions import NS_PER_S
from motionsig.encoders import Encoder, find_model, open_encoder
from motionsig.errors import HeadError, InputError
from motionsig.events import Event
from motionsig.heads import Head, HeadCard, Judge, find_head, with_needed
from motionsig.heads.judging import check_encoder
from motionsig.heads.teaching import HOP_NS
from motionsig.model_card import ModelCard
from motionsig.pipeline import signature_stream_id, signatures
from motionsig.publishers import AT_REST, iter_signatures
from motionsig.publishers.local import Stored

AnyHead = str | Path | Head | HeadCard

HOP_S = HOP_NS / NS_PER_S
"""So far apart are windows for heads: an event is told at most so much later than it could be."""

_SENSORS = ("auto", "iio", "phone", "simulated")


def watch(
    source: str | Path | Source | SignatureBatch | Iterable[SignatureBatch],
    heads: AnyHead | Sequence[AnyHead],
    *,
    model: str | Path | None = None,
    device: str = "auto",
    hop: int | None = None,
    name: str | None = None,
    encoder: Encoder | None = None,
    **options: Any,
) -> Iterator[Event]:
    """Yield what heads find, as it happens, or in what was recorded or stored.

    >>> for event in motionsig.watch("walk.npz", ["walking"]):  # "auto" in place of a log: the first sensor there is
    ...     print(event)

    * `source`: the name of a sensor, as for `open_sensor` ("auto", "iio", "simulated", a chip, also with ":" and more);
      "store:PATH" or "file:PATH" for stored signatures, each stream by itself; any other text is the path of a log, as
      for `open_recording`, and so is "./auto". Or an open `Source`, a SignatureBatch, or an iterable of those, which
      are one stream.
    * `heads`: names, folders, Head or HeadCard objects. The heads that they need are judged, too; their events are not
      yielded.
    * `model`, `device`: what makes the signatures of a sensor or a log, as for `open_encoder`. `encoder`: an open one
      in their place, for many logs.
    * `hop`: samples of the grid from one window to the next; by default as many as .16 s have and fit into the
      model's own hop.
    * `name`: of the device, in events; by default who recorded the log or published the signatures, else this host.
    * `options`: for `open_sensor`, `open_recording`, or of what is stored only that `stream_id` or `recording`, or what
      begins from `since_ns` on and before `until_ns`.

    Heads and the kind of source are checked at once; the source is opened with the first event that is asked for, and
    what was opened here is closed when the iteration ends or is given up. A sensor gives no end. Events of a sensor and
    of a log are named after `signature_stream_id` of its samples, the model and `hop`, as the service names them;
    those of a SignatureBatch after stream 0.

    Raises HeadError for no heads, or some that do not go together; InputError for another kind of source, an option
    that it does not have, and signatures of another encoder than that of the heads; else as what opens the source.
    """
    asked = Asked(heads)
    if name is not None:
        wire.check_origin(name, 0)
        check_label(name, "name")
    kind = _kind(source)
    if kind in ("source", "batches") and options:
        raise InputError(f"{', '.join(options)}: expected no options for a source that is open, got {len(options)}")
    how = {"model": model, "device": None if device == "auto" else device, "hop": hop, "encoder": encoder}
    if kind in ("stored", "batches") and (given := [key for key, value in how.items() if value is not None]):
        raise InputError(
            f"{given[0]}: expected none for signatures, which are made already, got {how[given[0]]!r:.80}"
            + ("; stream_id= or recording= chooses among those stored" if given[0] == "device" else "")
        )
    if kind == "stored":
        return watch_stored(iter_signatures(str(source), fingerprint=asked.encoder, **options), asked, name=name)
    if kind == "batches":
        batches: Any = [source] if isinstance(source, SignatureBatch) else source
        return _watch_batches(batches, asked, name or os.uname().nodename)
    card = find_model(model) if encoder is None else encoder.card
    check_encoder(asked.cards[0], card.spec)
    hop = hop_of(card) if hop is None else hop

    def opener() -> AbstractContextManager[Encoder]:
        return open_encoder(model, device) if encoder is None else nullcontext(encoder)

    return _watch_source(source, kind, asked, hop, name, opener, options)


class Asked:
    """Heads that are judged together with those that they need, and whose events alone are passed on.

    cards: their own. Raises HeadError for none, for one that is not there, and for some that do not go together.
    """

    def __init__(self, heads: AnyHead | Sequence[AnyHead]) -> None:
        self.cards = list(map(_card_of, [heads] if isinstance(heads, AnyHead) else heads))
        if not self.cards:
            raise HeadError("heads: expected at least one, got none; motionsig heads lists those that there are")
        self.encoder = self.cards[0].encoder
        self._judge = Judge(with_needed(self.cards))
        self._names = {card.name for card in self.cards}
        self.begin = self._judge.begin

    def judge(self, signatures: SignatureBatch) -> list[Event]:
        """Return the events that these signatures, which follow the last ones, bring about."""
        return [event for event in self._judge.judge(signatures) if event.head in self._names]

    def flush(self) -> list[Event]:
        """Return the events that end because the signatures do."""
        return [event for event in self._judge.flush() if event.head in self._names]


def _card_of(head: AnyHead) -> HeadCard:
    if isinstance(head, str | Path):
        return find_head(head)
    if isinstance(head, Head | HeadCard):
        return head if isinstance(head, HeadCard) else head.card
    raise HeadError(f"heads: expected names, folders, Head or HeadCard, got {type(head).__name__}")


def hop_of(card: ModelCard) -> int:
    """Return the samples from one window to the next where heads judge them, for want of another wish."""
    most = max(1, round(HOP_S * card.rate_hz))
    return next(hop for hop in range(most, 0, -1) if card.hop % hop == 0)


def kind_of(text: str) -> str:
    """Return what a text stands for as source: "sensor", "stored" or "log". Raises InputError where it is nothing."""
    scheme, colon, _ = text.partition(":")
    from motionsig.sensors import CHIPS, SERIAL
    from motionsig.sensors.names import hint, named_chip

    if text.lower() in (*_SENSORS, *CHIPS) or (colon and scheme.lower() in ("iio", "simulated", *SERIAL)):
        return "sensor"
    if colon and scheme.lower() in AT_REST:
        return "stored"
    if os.path.exists(text):
        return "log"
    if named_chip(text):
        return "sensor"
    advice = hint(text)
    raise InputError(
        "source: expected a sensor (auto, iio[:NAME], phone, simulated[:NAME], witmotion:PORT, bno08x:PORT or a chip), "
        f"store:PATH, file:PATH or a log that is there, got {text!r:.200}" + (f"; {advice}" if advice else "")
    )


def _kind(source: object) -> str:
    if isinstance(source, str):
        return kind_of(source)
    if isinstance(source, os.PathLike):
        return "log"
    if hasattr(source, "rate_hz") and hasattr(source, "info"):  # which names its events
        return "source"
    if isinstance(source, Iterable) and not isinstance(source, np.ndarray):
        return "batches"
    raise InputError(
        "source: expected a sensor's name, a path, store:PATH, a Source or signatures, which extract makes of arrays, "
        f"got {type(source).__name__}"
    )


def _watch_source(
    source: Any,
    kind: str,
    asked: Asked,
    hop: int,
    name: str | None,
    opener: Callable[[], AbstractContextManager[Encoder]],
    options: dict[str, Any],
) -> Iterator[Event]:
    with ExitStack() as stack:
        # Before the encoder: what is wrong with it is said sooner, and costs less.
        if kind == "sensor":
            from motionsig.sensors import open_sensor

            source = stack.enter_context(open_sensor(source, **options))
        elif kind == "log":
            from motionsig.recordings import open_recording

            source = stack.enter_context(open_recording(source, **options))
        encoder = stack.enter_context(opener())
        stream_id = signature_stream_id(source.info.stream_id, encoder.card, hop)
        asked.begin(stream_id, device=name or source.info.device or os.uname().nodename)
        for made in signatures(source, encoder, hop=hop):
            yield from asked.judge(made)
        yield from asked.flush()


def _watch_batches(batches: Iterable[SignatureBatch], asked: Asked, name: str) -> Iterator[Event]:
    asked.begin(0, device=name)
    for batch in batches:
        if not isinstance(batch, SignatureBatch):
            raise InputError(f"source: expected each a SignatureBatch, got {type(batch).__name__}")
        yield from asked.judge(batch)
    yield from asked.flush()


def watch_stored(parts: Iterable[Stored], asked: Asked, *, name: str | None = None) -> Iterator[Event]:
    """Yield what heads find in stored signatures, as `iter_signatures` yields them, in one stream after the other.

    name: of the device, in place of the one that published them. Raises InputError for signatures of another encoder.
    """
    stream = None
    for part in parts:
        if stream != (part.device, part.stream_id):
            stream = part.device, part.stream_id
            yield from asked.flush()
        # Numbers may be missing: of signatures that were lost, or that another encoder made.
        cuts = [0, *(np.flatnonzero(np.diff(part.seq) != 1) + 1).tolist(), len(part.seq)]
        for first, end in pairwise(cuts):
            asked.begin(part.stream_id, int(part.seq[first]), device=name or part.device)
            yield from asked.judge(part.signatures[first:end] if len(cuts) > 2 else part.signatures)
    yield from asked.flush()
