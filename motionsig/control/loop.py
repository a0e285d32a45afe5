"""What a running service lets its viewers see and do, and how an ask has something done in its loop.

The loop runs one block of samples after the other. What touches its state is a call that it makes between two blocks,
so nothing needs a lock; and an ask waits for that call no longer than its limit.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from motionsig.blocks import SampleBlock, SignatureBatch, WindowBatch
from motionsig.control.asking import FAILED, AskError
from motionsig.model_card import ModelCard

if TYPE_CHECKING:
    from motionsig.heads import HeadCard

T = TypeVar("T")

LIMIT_S = 3.0
"""A loop that is well makes a call within a block, some 0.2 s; on an Edge TPU that starts, half a minute may pass."""


class Calls:
    """Calls that wait for the loop."""

    def __init__(self) -> None:
        self._waiting = queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]]()

    def call(self, function: Callable[[], T]) -> T:
        """Have the loop call `function` between two blocks; return what it returns, or raise what it raises.

        Not from the loop's own thread. Raises AskError where the loop does not come to it in time; it is not made then.
        """
        made = Future[T]()
        self._waiting.put((function, made))
        try:
            return made.result(LIMIT_S)
        except TimeoutError:
            if made.cancel():
                text = f"expected the service to answer within {LIMIT_S:g} s, got none; see `motionsig status`"
                raise AskError(FAILED, text) from None
            return made.result()  # it is being made just now

    def make(self) -> None:
        """Make the calls that wait; for the loop, between two blocks. Raises nothing."""
        while not self._waiting.empty():
            function, made = self._waiting.get()
            if made.set_running_or_notify_cancel():
                try:
                    made.set_result(function())
                except Exception as error:
                    made.set_exception(error)


class Loop(Protocol):
    """What `control` needs of a service that runs. `call`, `encode` and `take_heads` wait for the loop, see `Calls`."""

    @property
    def name(self) -> str:
        """The name of the device."""

    @property
    def status(self) -> Mapping[str, Any]:
        """As `motionsig status --json` prints it, a second old at most; never changed, but replaced."""

    @property
    def sink_url(self) -> str: ...

    @property
    def card(self) -> ModelCard:
        """The model in use."""

    @property
    def heads_hop(self) -> int:
        """From one window that heads judge to the next, in samples of the grid."""

    @property
    def root_heads(self) -> Sequence[HeadCard]:
        """The heads that are configured, and those that they need."""

    @property
    def root_names(self) -> Collection[str]:
        """The names of heads that are configured, whether they can be opened or not."""

    @property
    def heads_off(self) -> Mapping[str, str]:
        """All heads of the service by name, each with why it does not judge at present, or an empty text."""

    @property
    def rate_hz(self) -> float | None:
        """The sensor's; None while there is none."""

    @property
    def correction_ns(self) -> int:
        """What the times of samples need to be the wall clock's."""

    def call(self, function: Callable[[], T]) -> T: ...

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        """Make signatures that nobody counts, by the model in use."""

    def take_heads(self) -> None:
        """Judge from here on with the page's heads as their folder has them now."""


class Hearing(Protocol):
    """Who hears samples, in the loop's thread: so it takes them and returns at once. See `Control.hearing`."""

    def follow(self, rate_hz: float) -> None:
        """Hear that the samples of another stream come."""

    def hear(self, block: SampleBlock) -> None:
        """Hear the next samples; the arrays may be used again after the call."""
