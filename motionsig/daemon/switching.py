"""The daemon's encoder: the model in use, exchanged between two windows, and exchanged back where the new one fails.

A model that `motionsig models install` put in place is noticed within a second and opened in the background; its golden
windows are checked. It takes over between two windows if it works on the same windows. Then it is on trial: with an
error, or when windows take too long, the former model is back, for the very window that failed. A trial is noted in a
file before the model is opened, so that one which ends the process is found out, too. A rejected model is not tried
again until it is installed anew. An Edge TPU may fail by itself, which says nothing of the model until it repeats.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from motionsig.blocks import SignatureBatch, WindowBatch
from motionsig.closing import Closing
from motionsig.conventions import NS_PER_S
from motionsig.daemon.trial_results import TrialResults, installation, is_installed
from motionsig.encoders import Encoder, check_golden, find_model, model_folders, open_encoder, shipped_models
from motionsig.errors import EncoderError, InputError, MissingExtraError, ModelError
from motionsig.escaping import own_logger
from motionsig.model_card import ModelCard
from motionsig.quality import Quality, counted
from motionsig.state import state_path

log = own_logger(__name__)

_SLOW_S = 120.0  # opening a model takes an Edge TPU half a minute at most
_FIRST_PAUSE_S, _MOST_PAUSE_S = 1.0, 60.0
TRIAL_WINDOWS = 500  # ten minutes with the shipped model's hop
_MOST_LATE = 3  # windows of a trial that may take over half the time to the next; with more, the model is too slow
_MOST_FAULTS = 3  # times in a trial that an Edge TPU may fail by itself; with more, the model is the cause


class InterruptedEncodeError(Exception):
    """Raised by a signal handler, to take the windows away from a device that keeps them."""


@dataclass(frozen=True)
class RequestedModel:
    """What the configuration requests. model: a name or a folder. device: as `open_encoder` takes it."""

    model: str
    device: str


@dataclass(frozen=True)
class _OpenModel:
    requested: RequestedModel
    folder: Path
    encoder: Encoder


@dataclass
class _Trial:
    """The first windows of an installed model. left: until the model is kept."""

    folder: Path
    left: int
    late: int = 0
    faults: int = 0


class WindowCount:
    """Counts the windows that there are at one hop, while they are made at another, a part or a multiple of it."""

    def __init__(self) -> None:
        self.total = self._before = 0  # of all, and of all up to the last gap

    def count(self, windows: WindowBatch, hop_ns: int) -> int:
        """Count a batch; return how many windows at a hop of `hop_ns` it adds."""
        former = self.total
        if not windows.number:
            self._before = former
        last = (windows.number + len(windows) - 1) * windows.hop_ns // hop_ns
        # Where heads come late, windows of theirs that nobody made may be missing, but none has two numbers.
        self.total = max(former, self._before + last + 1)
        return self.total - former


class SwitchingEncoder(Closing):
    """An Encoder that stays when its model goes.

    Where heads judge more windows than the sink gets, only the sink's count here. windows_lost: those that the device
    failed on; flagged: how many of the others have each flag of `Quality`. maker: the card of the model that made the
    last signatures, which may be closed by now. last_error: why windows are lost at present, or why the last model was
    rejected.
    """

    def __init__(
        self, requested: RequestedModel, *, hop: int | None = None, heads_hop: int = 1, results: Path | None = None
    ) -> None:
        """Open the requested model or, where that is installed and rejected, the one before it.

        hop: from one window of the sink to the next, in grid samples; heads_hop: from one of the heads to the next.
        results: the file with the results of trials. Raises what `open_encoder` does where no model is left.
        """
        self._requested, self._hop, self._heads_hop = requested, hop, heads_hop
        self._results = TrialResults(results or state_path("models", "verdicts.json"))
        self._windows, self._head_windows = WindowCount(), WindowCount()
        self.windows_lost = 0
        self.flagged = Counter[Quality]()
        self.last_error: str | None = None
        self._encoding = False
        self._trial: _Trial | None = None
        self._former: _OpenModel | None = None  # to go back to while there is a trial
        self._opening: threading.Thread | None = None
        self._opening_s = 0.0
        self._next: _OpenModel | None = None
        self._refused: set[tuple[RequestedModel, str]] = set()  # what this process has tried and need not try again
        self._retry_s, self._pause_s = 0.0, _FIRST_PAUSE_S
        self._now = self._open_first()
        self.maker = self.card
        if self._results.is_on_trial(self._now.folder):
            self._begin_trial(None)

    @property
    def card(self) -> ModelCard:
        return self._now.encoder.card

    @property
    def device(self) -> str:
        return self._now.encoder.device

    @property
    def kernels(self) -> str | None:
        return self._now.encoder.kernels

    @property
    def windows(self) -> int:
        """How many windows were given to it so far."""
        return self._windows.total

    @property
    def head_windows(self) -> int:
        """How many windows there were so far for heads, had heads judged all the time."""
        return self._head_windows.total

    @property
    def folder(self) -> Path:
        """The folder of the model in use."""
        return self._now.folder

    @property
    def trial_windows_left(self) -> int | None:
        """Windows until the model in use is kept; None where it is not on trial."""
        return self._trial.left if self._trial else None

    @property
    def needs_other_windows(self) -> bool:
        """Whether the next model works on other windows: the caller then calls `take_over` and makes those."""
        following = self._next
        return following is not None and not self._same_windows(following.encoder.card)

    def _open_first(self) -> _OpenModel:
        failed: list[tuple[Path, Exception]] = []
        for folder in self._candidates(self._requested.model):
            try:
                model = self._open(self._requested, folder)
            except (InputError, MissingExtraError):
                raise
            # A new model may make the runtime raise anything.
            except Exception as error:
                if not is_installed(folder):
                    raise
                log.error("%s: %s; trying the model before it", folder, error)
                failed.append((folder, error))
                continue
            for before, reason in failed:
                # The device is there, as this model shows.
                if not isinstance(reason, EncoderError) or self._results.is_on_trial(before):
                    self._reject(self._requested, before, str(reason))
            return model
        raise failed[0][1]

    def _open(self, requested: RequestedModel, folder: Path) -> _OpenModel:
        """Open a model, and check its golden windows where it is on trial."""
        on_trial = self._results.begin(folder)
        try:
            encoder = open_encoder(folder, requested.device)
            if on_trial:
                try:
                    check_golden(encoder)
                except BaseException:
                    encoder.close()
                    raise
        except Exception:
            self._results.end_orderly(folder)
            raise
        return _OpenModel(requested, folder, encoder)

    def _candidates(self, model: str) -> list[Path]:
        """Return the folders to take a model from, the best first, without rejected ones; raise ModelError for none."""
        try:
            folders = model_folders(model)
        except ModelError as error:
            if model not in shipped_models():
                raise
            self._set_error(str(error))
            folders = [shipped_models()[model]]
        # A model that is neither installed nor shipped is a folder, or `find_model` raises what there is.
        left = [folder for folder in folders or [find_model(model).path] if not self._is_rejected(folder)]
        if not left:
            raise ModelError(f"model: expected {model}, got only rejected ones")
        return left

    def _set_error(self, error: str) -> None:
        """Keep an error, and log it once while it lasts."""
        if error != self.last_error:
            log.error("%s", error)
        self.last_error = error

    def _is_rejected(self, folder: Path) -> bool:
        in_use = self._trial is not None and self._trial.folder == folder
        if self._results.is_on_trial(folder) and not in_use and (starts := self._results.lost_starts(folder)):
            self._reject(None, folder, f"the daemon ended {starts} times while it was on trial")
        return self._results.is_rejected(folder)

    def _reject(self, requested: RequestedModel | None, folder: Path, reason: str) -> None:
        """Do not try a model again. requested: what it was tried for, where it may work for another request."""
        self.last_error = f"{folder}: rejected: {reason}"
        log.error("%s; it is not tried again until it is installed anew", self.last_error)
        if requested is not None:
            self._refused.add((requested, installation(folder)))
        # An Edge TPU needs more than the model's card promises: the model may work on another device.
        if requested is None or not requested.device.startswith("edgetpu"):
            self._results.reject(folder, reason)

    def request(self, requested: RequestedModel) -> None:
        """Request another model or device; it takes over when it is ready."""
        self._requested = requested

    def look_for_model(self) -> None:
        """Notice another model, and open it in the background; call it about once a second."""
        if self._opening is not None:
            if time.monotonic() - self._opening_s > _SLOW_S:
                self._set_error(f"a model has been opening for {_SLOW_S:.0f} s; going on with {self.folder}")
            return
        if self._next is not None or time.monotonic() < self._retry_s:
            return
        try:
            folders = self._candidates(self._requested.model)
        except ModelError as error:
            self._set_error(f"{error}; going on with {self.folder}")
            self._wait()
            return
        untried = (folder for folder in folders if (self._requested, installation(folder)) not in self._refused)
        folder = next(untried, None)
        if folder is None or (self._requested, folder) == (self._now.requested, self._now.folder):
            return
        # An Edge TPU may take half a minute to open, and no window waits for that.
        task = (self._requested, folder)
        self._opening = threading.Thread(target=self._open_next, args=task, name="motionsig-model", daemon=True)
        self._opening_s = time.monotonic()
        try:
            self._opening.start()
        except RuntimeError as error:
            self._opening = None
            self._set_error(f"{folder}: cannot be opened: {error}")
            self._wait()

    def _open_next(self, requested: RequestedModel, folder: Path) -> None:
        try:
            self._next = self._open(requested, folder)
        # Otherwise the error would end this thread, and nobody would hear of it.
        except Exception as error:
            if isinstance(error, EncoderError | OSError):
                self._set_error(f"{error}; going on with {self.folder} on {self.device}")
            else:
                self._reject(requested, folder, str(error))
            self._wait()
        finally:
            self._opening = None

    def _wait(self) -> None:
        self._retry_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _MOST_PAUSE_S)

    def _same_windows(self, card: ModelCard) -> bool:
        now = self.card
        return (card.rate_hz, card.length, card.max_gap_s) == (now.rate_hz, now.length, now.max_gap_s) and (
            self._hop is not None or card.hop == now.hop
        )

    def take_over(self) -> None:
        """Put the model that was opened in the place of the one in use."""
        following, self._next = self._next, None
        if following is None:
            return
        former, self._now = self._now, following
        self._pause_s, self.last_error = _FIRST_PAUSE_S, None
        log.info("model %s (%s) on %s from this window on", self.card.name, self.folder, self.device)
        if self._trial is not None and self._trial.folder == self.folder:
            # Opened again: on another device, or after that had failed. Its trial goes on.
            self._results.end_orderly(self.folder)
            former.encoder.close()
            return
        if self._trial is not None:
            self._results.end_orderly(self._trial.folder)
            if self._former is not None:
                former.encoder.close()
                former = self._former
            self._trial = self._former = None
        if self._results.is_on_trial(self.folder):
            self._begin_trial(former)
        else:
            former.encoder.close()

    def _begin_trial(self, former: _OpenModel | None) -> None:
        self._trial, self._former = _Trial(self.folder, TRIAL_WINDOWS), former

    def interrupt(self) -> None:
        """Take the windows away from a device that keeps them; for a signal handler in the thread of `encode`."""
        if self._encoding:
            raise InterruptedEncodeError("stopped before the device answered")

    def encode_beside(self, windows: WindowBatch) -> SignatureBatch:
        """Return signatures by the model in use, which count for nothing here. Raises what its encoder does."""
        return self._now.encoder.encode(windows)

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        """Return one signature per window; none for those that the device failed on, which are counted."""
        if self._next is not None and not self.needs_other_windows:
            self.take_over()
        step_ns = round(NS_PER_S / self.card.rate_hz)
        hop_ns = step_ns * (self.card.hop if self._hop is None else self._hop)
        count = self._windows.count(windows, hop_ns)
        self._head_windows.count(windows, step_ns * self._heads_hop)
        every = max(1, hop_ns // windows.hop_ns)
        sinks = slice(-windows.number % every, None, every)
        began_s = time.monotonic()
        try:
            try:
                self._encoding = True
                made = self._now.encoder.encode(windows)
            finally:
                self._encoding = False
        except InterruptedEncodeError as error:
            return self._lose(windows, count, error)
        # Whatever a model makes the runtime raise: another one may work, and windows go on coming.
        except Exception as error:
            return self._encode_by_former(windows, count, sinks, error)
        made = self._note_maker(made, sinks)
        if self._trial is not None:
            late = time.monotonic() - began_s > len(windows) * windows.hop_ns / NS_PER_S / 2
            self._count_windows(self._trial, count, late, windows.hop_ns / NS_PER_S / 2)
        return made

    def _note_maker(self, made: SignatureBatch, sinks: slice) -> SignatureBatch:
        self.maker = self.card
        self.flagged.update(counted(made.quality[sinks]))
        return made

    def _encode_by_former(self, windows: WindowBatch, count: int, sinks: slice, error: Exception) -> SignatureBatch:
        """Encode by the former model what the one on trial failed on, or count it as lost."""
        trial = self._trial
        if trial is None:
            return self._lose(windows, count, error)
        trial.faults += 1
        by_device = self._now.requested.device.startswith("edgetpu") and trial.faults <= _MOST_FAULTS
        if by_device or not self._go_back(trial, str(error)):
            return self._lose(windows, count, error)
        try:
            return self._note_maker(self._now.encoder.encode(windows), sinks)
        except EncoderError as also:
            return self._lose(windows, count, also)

    def _count_windows(self, trial: _Trial, windows: int, late: bool, deadline_s: float) -> None:
        trial.left -= windows
        trial.late += late
        if trial.late > _MOST_LATE:
            self._go_back(trial, f"{trial.late} times a window took longer than {deadline_s:.2f} s")
        elif trial.left <= 0:
            log.info("model %s: kept after %d windows on trial", trial.folder, TRIAL_WINDOWS)
            self._results.keep(trial.folder)
            if self._former is not None:
                self._former.encoder.close()
            self._trial = self._former = None

    def _go_back(self, trial: _Trial, reason: str) -> bool:
        """Leave the model on trial; return whether the former one has its place already, for the same windows."""
        former, self._trial, self._former = self._former, None, None
        self._reject(None, trial.folder, reason)
        if former is None or not self._same_windows(former.encoder.card):
            self._next = former
            return False
        self._now.encoder.close()
        self._now = former
        log.warning("back to model %s", self.folder)
        return True

    def _lose(self, windows: WindowBatch, count: int, error: Exception) -> SignatureBatch:
        """Count windows without a signature, and have the device opened again in the background."""
        self.windows_lost += count
        self._set_error(f"{error}; windows are lost until there is another device or model")
        # Whatever is opened next is taken, the same model included.
        self._now = replace(self._now, requested=RequestedModel("", ""))
        card = self.card
        none = np.empty((0, card.dim), np.int8)
        return SignatureBatch(windows.start_ns[:0], none, windows.quality[:0], windows.hop_ns, card.spec)

    def close(self) -> None:
        """Let go of the device. A trial that ends with the service's orderly end does not count against the model."""
        for model in (self._now, self._next, self._former):
            if model is not None:
                self._results.end_orderly(model.folder)
                model.encoder.close()
