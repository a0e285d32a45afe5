"""A head in use: its card, and how far it is in a stream of signatures."""

from __future__ import annotations

from pathlib import Path

from motionsig.blocks import SignatureBatch
from motionsig.events import Event
from motionsig.heads.card import HeadCard
from motionsig.heads.judging import Judge
from motionsig.heads.places import find_head, heads_folder, with_needed, write_head


class Head:
    """Turns signatures into events; `open_head` opens one, `teach` makes one.

    >>> head = motionsig.open_head("walking")
    >>> events = head.judge(signatures) + head.flush()
    >>> [event.phase for event in events]
    []

    `judge` takes batch after batch of one stream; how they are cut does not matter. A head holds no thread, no clock
    and no open file: copy or pickle it to stop and resume. The heads that it needs (`while`, `after`) are judged with
    it.
    """

    def __init__(self, card: HeadCard) -> None:
        """Find the heads that it needs by name. Raises HeadError where one is missing, or waits for itself."""
        self.card = card
        self._judge = Judge(with_needed([card]))

    def __repr__(self) -> str:
        what = "state" if self.card.is_state else "event"
        return f"Head({self.card.name!r}, {what} by {self.card.kind}, encoder {self.card.encoder.hex()})"

    def begin(self, stream_id: int, seq: int = 0, *, device: str = "local") -> None:
        """Name the signatures from here on, as `Sink.begin` does: events are named after them.

        Without it, they are of the device "local" and stream 0, numbered from 0.
        """
        self._judge.begin(stream_id, seq, device=device)

    def judge(self, signatures: SignatureBatch) -> list[Event]:
        """Return the events that these signatures, which follow the last ones, bring about; none for none.

        Raises InputError for signatures of another encoder: their vectors do not compare.
        """
        return [event for event in self._judge.judge(signatures) if event.head == self.card.name]

    def flush(self) -> list[Event]:
        """Return the events that end because the signatures do: a state that still holds."""
        return [event for event in self._judge.flush() if event.head == self.card.name]

    def save(self, folder: str | Path | None = None) -> Path:
        """Write the head into a folder, by default where `open_head` finds it by name; return the folder.

        A head that is there is replaced in one step. Raises HeadError where that cannot be done.
        """
        place = heads_folder() / self.card.name if folder is None else Path(folder)
        write_head(self.card, place)
        return place


def open_head(head: str | Path) -> Head:
    """Open a head by its name (one of the owner's, or one that came with motionsig) or by its folder.

    >>> motionsig.open_head("walking")
    Head('walking', state by ..., encoder ...)

    Raises HeadError for one that is not there, that is damaged, or that needs one which is not there.
    """
    return Head(find_head(head))
