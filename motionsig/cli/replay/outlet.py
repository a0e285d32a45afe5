"""Where the signatures of a replay go: one sink after another, as the device that is said to have recorded changes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from motionsig.blocks import SignatureBatch
from motionsig.cli.replay.making import Made, Origin
from motionsig.closing import Closing
from motionsig.errors import SinkError
from motionsig.publishers import BROKER_SCHEMES, Sink, open_sink, split_url, without_login
from motionsig.publishers.counts import SinkCounts

DAY_S = 86400.0


def stored_before(url: str, how: str) -> dict[str, str]:
    """Return the stamp of each log that a store has completely, made the way `how` says, by its path."""
    scheme, location, _ = split_url(url)
    if scheme != "store" or not Path(location).exists():
        return {}
    with open_sink(url, device="-", stream_id=0) as sink:
        return {path: stamp for path, (stamp, _) in sink.replayed(how).items()}  # type: ignore[attr-defined]


class Outlet(Closing):
    """Takes signatures with their origin, one log after the other; for the thread that closes it.

    device: who is said to have recorded them all; None for whom each log names. counts, payload_bytes: of all sinks,
    complete once closed.
    """

    def __init__(self, url: str, device: str | None) -> None:
        self.counts = SinkCounts()
        self.payload_bytes = 0
        self._url, self._device = url, device
        self._sink: Sink | None = None
        self._origin: Origin | None = None
        self._conflicts = 0

    def take(self, origin: Origin, signatures: SignatureBatch) -> None:
        """Publish a batch."""
        if origin != self._origin or self._sink is None:
            same = self._device is not None or (self._origin is not None and self._origin.device == origin.device)
            if self._sink is None or not same:
                self._sink = self._open(origin.device, origin.stream_id)
            self._sink.begin(origin.stream_id, 0, origin.recording)
            self._origin = origin
        self._sink.publish(signatures)

    def note(self, made: Made, how: str) -> None:
        """Have a store remember that all of a log is in it; for another sink do nothing."""
        if split_url(self._url)[0] == "store":
            sink: Any = self._sink or self._open(None, made.stream_id)
            self._sink = sink
            before, self._conflicts = self._conflicts, sink.counts.conflicts
            if self._conflicts > before:
                return  # not all of it is there, and the next run shall say so again
            sink.note_replayed(made.log.key, how, made.log.stamp, made.stream_id, made.summary.signatures)

    def _open(self, recorded_by: str | None, stream_id: int) -> Sink:
        """Close the sink that is open, and return the next one."""
        self.close()
        scheme, _, given = split_url(self._url)
        # Unlike a live sensor, a replay can wait until the broker keeps up.
        wait: dict[str, Any] = {"full": "wait", "close_limit_s": DAY_S} if scheme in BROKER_SCHEMES else {}
        how = {name: value for name, value in wait.items() if name not in given}
        device = recorded_by if self._device is None else self._device
        return open_sink(self._url, device=device, stream_id=stream_id, **how)

    def close(self) -> None:
        """Deliver what is left; `counts` say what could not be."""
        if self._sink is None:
            return
        sink, self._sink, self._origin, self._conflicts = self._sink, None, None, 0
        sink.close()
        total, of_this = asdict(self.counts), asdict(sink.counts)
        self.counts = SinkCounts(**{name: total[name] + of_this[name] for name in total})
        self.payload_bytes += sink.payload_bytes

    def check(self) -> None:
        """Raise SinkError unless all that was taken has arrived."""
        left = self.counts
        if left.pending or left.dropped:
            raise SinkError(
                f"{without_login(self._url)}: expected {left.accepted} signatures delivered, got "
                f"{left.pending} still waiting in the spool and {left.dropped} dropped; "
                "what waits goes out with the next run to this broker"
            )
        if left.conflicts:
            raise SinkError(
                f"{without_login(self._url)}: expected {left.accepted} signatures stored, got "
                f"{left.conflicts} that differ from what is there under the same device, stream id and number; what "
                "is there was kept. A log that has grown has another end, and another processor rounds otherwise: give "
                "such a replay another --name"
            )
