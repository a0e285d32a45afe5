"""The daemon's side of `control`: what viewers see of it, and what they have done in its loop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionsig.blocks import SampleBlock, SignatureBatch, WindowBatch
from motionsig.closing import Closing
from motionsig.config import Config
from motionsig.control.feed import HEADS, STATUS
from motionsig.control.judged import chosen_heads
from motionsig.control.loop import Calls, T
from motionsig.control.room import Control
from motionsig.control.serving import SOCKET_NAME, Server
from motionsig.control.unix_sockets import listen_at, passed
from motionsig.daemon.delivery import Delivery
from motionsig.daemon.heads import Heads
from motionsig.daemon.history import history_path
from motionsig.daemon.switching import SwitchingEncoder
from motionsig.escaping import own_logger
from motionsig.model_card import ModelCard
from motionsig.publishers import split_url
from motionsig.sensors.live import LiveSource
from motionsig.state import state_folder

if TYPE_CHECKING:
    from motionsig.heads import HeadCard

log = own_logger(__name__)


class Viewing(Closing):
    """A running service as `control.loop.Loop` says, and what its loop calls: `follow`, `passed`, `wait`, `beat`."""

    def __init__(
        self,
        config: Config,
        encoder: SwitchingEncoder,
        delivery: Delivery,
        heads: Heads,
        status: Callable[[], Mapping[str, Any]],
        *,
        place: Path | None = None,
    ) -> None:
        """place: of the heads that are taught at the page; `state_folder()/"heads"` for None."""
        self._config, self._encoder, self._delivery, self._heads = config, encoder, delivery, heads
        self._status = status
        self._calls = Calls()
        self._stale = False
        self._off: Mapping[str, str] = {}
        self._server: Server | None = None
        self.rate_hz: float | None = None
        store, why_not = _store_of(config)
        self.control = Control(
            loop=self,
            store=store,
            why_no_store=why_not,
            heads_folder=place or state_folder() / "heads",
            feed=heads.feed,
        )
        heads.use_own(*chosen_heads(self.control.heads_folder))
        self.control.resume()

    def listen(self, folder: Path) -> None:
        """Answer at the socket that the service manager passed, or else at one in `folder`."""
        path = folder / SOCKET_NAME
        try:
            listening = passed("control") or listen_at(path, mode=0o600)
            self._server = Server(self.control, listening)
        except OSError as error:
            log.warning("%s: %s; the page gets no answer", path, error)

    def follow(self, sensor: LiveSource) -> None:
        """Hear that another stream of samples begins."""
        self.rate_hz = sensor.rate_hz
        if self.control.hearing is not None:
            self.control.hearing.follow(sensor.rate_hz)

    def passed(self, block: SampleBlock) -> None:
        """Hear a block that the loop is done with; make the calls that wait."""
        if self.control.hearing is not None and len(block):
            self.control.hearing.hear(block)
        self._calls.make()

    def wait(self) -> None:
        """Make the calls that wait while there is no sensor."""
        self.rate_hz = None
        self._calls.make()

    def beat(self) -> None:
        """Tell viewers how the service is."""
        if self._stale:
            self._stale = False
            self._heads.use_own(*chosen_heads(self.control.heads_folder))
        if self._heads.off is not self._off:
            self._off = self._heads.off
            self.control.feed.again(HEADS)
        self.control.feed.put(STATUS, self._status())

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def status(self) -> Mapping[str, Any]:
        return self._status()

    @property
    def sink_url(self) -> str:
        return self._config.sink_url

    @property
    def card(self) -> ModelCard:
        return self._encoder.card

    @property
    def heads_hop(self) -> int:
        return self._config.heads_hop

    @property
    def root_heads(self) -> Sequence[HeadCard]:
        return self._heads.of_root[0]

    @property
    def root_names(self) -> Collection[str]:
        _, names, missing = self._heads.of_root
        return {*names, *missing}

    @property
    def heads_off(self) -> Mapping[str, str]:
        return self._heads.off

    @property
    def correction_ns(self) -> int:
        return self._delivery.correction_ns

    def call(self, function: Callable[[], T]) -> T:
        return self._calls.call(function)

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        return self.call(lambda: self._encoder.encode_beside(windows))

    def take_heads(self) -> None:
        cards, missing = chosen_heads(self.control.heads_folder)
        # Where the loop does not come to it in time, it reads them in a heartbeat.
        self._stale = True
        self.call(lambda: self._heads.use_own(cards, missing))
        self._stale = False

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.control.close()


def _store_of(config: Config) -> tuple[str | None, str | None]:
    """Return the URL of what can be looked back at, or None and why there is none."""
    scheme, location, _ = split_url(config.sink_url)
    if scheme == "store":
        return f"store:{state_folder() / location}", None
    if config.history_days:
        return f"store:{history_path()}", None
    return None, (
        f"signatures go to {scheme}:, and nothing is kept here to look back on; history_days = 7 below [page] in "
        "/etc/motionsig/config.toml keeps a week of them"
    )
