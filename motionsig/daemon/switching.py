"""The daemon's encoder: the model in use, changed between two windows, and back by itself.

A model that `motionsig models install` put in place is noticed within a second, opened beside the one at work, held
against its golden windows, and takes over at a window's edge if it works on the same windows. Then it is on trial: an
error, or windows that take too long, and the former one is back, for the very window that failed. A trial is noted
before the model is opened, so one that the process did not survive counts, too. What was found unfit is remembered and
not tried again until it is installed anew.

An Edge TPU that was asked for by name may fail by itself, which says nothing of the model until it repeats.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from motionsig.blocks import Quality, SignatureBatch, WindowBatch
from motionsig.closing import Closing
from motionsig.daemon.verdicts import Verdict, Verdicts, installation
from motionsig.encoders import (
    Encoder,
    find_model,
    golden_distance,
    installed,
    model_folders,
    open_encoder,
    shipped_models,
)
from motionsig.errors import EncoderError, InputError, MissingExtraError, ModelError
from motionsig.model_card import ModelCard
from motionsig.state import state_path

log = logging.getLogger(__name__)

TRIAL_WINDOWS = 500
"""Ten minutes at the shipped model's stride."""

_MOST_LATE = 3
"""Windows of a trial that may take longer than half the time until the next one; more, and the model is too slow."""

_MOST_FAULTS = 3
"""Times in a trial that an Edge TPU may fail; more, and it is the model."""

_MOST_STARTS = 2
"""Starts of the daemon with one model on trial that may end before the trial does: a power cut is no fault of it."""

_SLOW_S = 120.0
"""Opening a model takes an Edge TPU half a minute at most."""

_FIRST_PAUSE_S, _MOST_PAUSE_S = 1.0, 60.0


class HurriedError(Exception):
    """Raised by a signal's handler, to take the windows away from a device that keeps them."""


@dataclass(frozen=True)
class Wish:
    """What the configuration asks for. model: a name or a folder. device: as `open_encoder` takes it."""

    model: str
    device: str


@dataclass(frozen=True)
class _Model:
    """An open model, and the wish that it was opened for."""

    wish: Wish
    folder: Path
    encoder: Encoder


@dataclass
class _Trial:
    """A model that has to prove itself. former: to go back to. left: windows until it has. deadline_s: for each."""

    folder: Path
    former: _Model | None
    left: int
    deadline_s: float
    late: int = 0
    faults: int = 0


class SwitchingEncoder(Closing):
    """An Encoder that stays when its model goes.

    windows: handed to it so far; windows_lost: of those, without a signature, because the device failed; on_edgetpu.
    maker: the card of the model that made the last signatures, which may have gone since.
    waits: the next model works on other windows, so whoever feeds this has to begin anew and call `take_over`.
    last_error: why windows are lost at present, or why the last model was found unfit.
    """

    def __init__(self, wish: Wish, *, hop: int | None = None, remembered: Path | None = None) -> None:
        """Open the model wished for or, where that is installed and unfit, the one before it.

        Raises what `open_encoder` does where there is no other.
        """
        self._wish, self._hop = wish, hop
        self._verdicts = Verdicts(remembered or state_path("models", "verdicts.json"))
        self.windows = self.windows_lost = self.on_edgetpu = 0
        self.last_error: str | None = None
        self._at_work = False
        self._trial: _Trial | None = None
        self._opening: threading.Thread | None = None
        self._opening_s = 0.0
        self._next: _Model | None = None
        self._refused: set[tuple[Wish, str]] = set()  # what this process has tried and need not try again
        self._retry_s, self._pause_s = 0.0, _FIRST_PAUSE_S
        self._now = self._open_first()
        self.maker = self.card
        if self._is_on_trial(self._now.folder):
            self._begin_trial(None)

    @property
    def card(self) -> ModelCard:
        return self._now.encoder.card

    @property
    def device(self) -> str:
        return self._now.encoder.device

    @property
    def folder(self) -> Path:
        """Where the model in use lies."""
        return self._now.folder

    @property
    def trial(self) -> int | None:
        """How many windows more the model in use is on trial for; None where it is not."""
        return self._trial.left if self._trial else None

    @property
    def waits(self) -> bool:
        following = self._next
        return following is not None and not self._same_windows(following.encoder.card)

    def _open_first(self) -> _Model:
        failed: list[tuple[Path, Exception]] = []
        for folder in self._candidates(self._wish.model):
            try:
                model = self._open(self._wish, folder)
            except (InputError, MissingExtraError):
                raise
            # A new model may make the runtime raise anything.
            except Exception as error:
                if not _is_installed(folder):
                    raise
                log.error("%s: %s; going on to the one before", folder, error)
                failed.append((folder, error))
                continue
            for before, reason in failed:
                # The device is there, as the next one shows.
                if not isinstance(reason, EncoderError) or self._is_on_trial(before):
                    self._find_unfit(self._wish, before, str(reason))
            return model
        raise failed[0][1]

    def _open(self, wish: Wish, folder: Path) -> _Model:
        """Open a model, and hold it against its golden windows where it is not known yet."""
        verdict = self._verdicts.of(folder)
        unknown = _is_installed(folder) and (verdict is None or verdict.word == "trial")
        if unknown:
            self._verdicts.put(folder, Verdict("trial", starts=verdict.starts + 1 if verdict else 1))
        try:
            encoder = open_encoder(folder, wish.device)
            if unknown:
                try:
                    _require_golden(encoder)
                except BaseException:
                    encoder.close()
                    raise
        except Exception:
            self._give_back(folder)
            raise
        return _Model(wish, folder, encoder)

    def _give_back(self, folder: Path) -> None:
        """Take back a start that did end, in some good order."""
        verdict = self._verdicts.of(folder)
        if verdict is not None and verdict.word == "trial":
            self._verdicts.put(folder, Verdict("trial", starts=verdict.starts - 1))

    def _candidates(self, model: str) -> list[Path]:
        """Return the folders to take a model from, the best first, without those found unfit.

        Raises ModelError where there is none.
        """
        try:
            folders = model_folders(model)
        except ModelError as error:
            if model not in shipped_models():
                raise
            self._complain(str(error))
            folders = [shipped_models()[model]]
        # What is neither installed nor shipped is a folder, or an error that names what there is.
        fit = [folder for folder in folders or [find_model(model).path] if self._is_fit(folder)]
        if not fit:
            raise ModelError(f"model: expected {model}, got none that is fit")
        return fit

    def _complain(self, trouble: str) -> None:
        """Say what is wrong, once while it is."""
        if trouble != self.last_error:
            log.error("%s", trouble)
        self.last_error = trouble

    def _is_on_trial(self, folder: Path) -> bool:
        verdict = self._verdicts.of(folder)
        return _is_installed(folder) and verdict is not None and verdict.word == "trial"

    def _is_fit(self, folder: Path) -> bool:
        verdict = self._verdicts.of(folder)
        if verdict is None or not _is_installed(folder):
            return True
        in_use = self._trial is not None and self._trial.folder == folder
        if verdict.word == "trial" and verdict.starts > _MOST_STARTS and not in_use:
            self._find_unfit(None, folder, f"the daemon ended {verdict.starts} times while it was on trial")
            return False
        return verdict.word != "unfit"

    def _find_unfit(self, wish: Wish | None, folder: Path, reason: str) -> None:
        """Do not try a model again; wish: what it was tried for, where something else might go well."""
        self.last_error = f"{folder}: found unfit: {reason}"
        log.error("%s; it is not tried again until it is installed anew", self.last_error)
        if wish is not None:
            self._refused.add((wish, installation(folder)))
        # An Edge TPU asks for more than the card has to give: on another device the model may do.
        if _is_installed(folder) and not (wish is not None and wish.device.startswith("edgetpu")):
            self._verdicts.put(folder, Verdict("unfit", reason))

    def wish(self, wish: Wish) -> None:
        """Ask for another model or device; it takes over when it is ready."""
        self._wish = wish

    def look(self) -> None:
        """Notice another model, and open it in the background; call it about once a second."""
        if self._opening is not None:
            if time.monotonic() - self._opening_s > _SLOW_S:
                self._complain(f"a model has been opening for {_SLOW_S:.0f} s; going on with {self.folder}")
            return
        if self._next is not None or time.monotonic() < self._retry_s:
            return
        try:
            folders = self._candidates(self._wish.model)
        except ModelError as error:
            self._complain(f"{error}; going on with {self.folder}")
            self._wait()
            return
        folder = next((folder for folder in folders if (self._wish, installation(folder)) not in self._refused), None)
        if folder is None or (self._wish, folder) == (self._now.wish, self._now.folder):
            return
        # An Edge TPU may take half a minute to open, and no window waits for that.
        opening = threading.Thread(
            target=self._open_aside, args=(self._wish, folder), name="motionsig-model", daemon=True
        )
        self._opening, self._opening_s = opening, time.monotonic()
        try:
            opening.start()
        except RuntimeError as error:
            self._opening = None
            self._complain(f"{folder}: cannot be opened: {error}")
            self._wait()

    def _open_aside(self, wish: Wish, folder: Path) -> None:
        try:
            self._next = self._open(wish, folder)
        # Nobody else would hear of what ends this thread.
        except Exception as error:
            if isinstance(error, EncoderError | OSError):
                self._complain(f"{error}; going on with {self.folder} on {self.device}")
            else:
                self._find_unfit(wish, folder, str(error))
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
        """Put the model that was opened in place of the one in use."""
        following, self._next = self._next, None
        if following is None:
            return
        former, self._now = self._now, following
        self._pause_s, self.last_error = _FIRST_PAUSE_S, None
        log.info("model %s (%s) on %s from this window on", self.card.name, self.folder, self.device)
        trial = self._trial
        if trial is not None and trial.folder == self.folder:
            # Opened again: on another device, or after that had failed.
            self._give_back(self.folder)
            former.encoder.close()
            return
        if trial is not None:
            self._trial = None
            self._give_back(trial.folder)
            if trial.former is not None:
                former.encoder.close()
                former = trial.former
        if self._is_on_trial(self.folder):
            self._begin_trial(former)
        else:
            former.encoder.close()

    def _begin_trial(self, former: _Model | None) -> None:
        hop_s = (self.card.hop if self._hop is None else self._hop) / self.card.rate_hz
        self._trial = _Trial(self.folder, former, TRIAL_WINDOWS, hop_s / 2)

    def hurry(self) -> None:
        """Take the windows away from a device that keeps them; for a signal's handler in the thread of `encode`."""
        if self._at_work:
            raise HurriedError("stopped before the device answered")

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        """Return one signature per window; none for those that the device failed on, which are counted."""
        if self._next is not None and not self.waits:
            self.take_over()
        self.windows += len(windows)
        began_s = time.monotonic()
        try:
            self._at_work = True
            made = self._now.encoder.encode(windows)
            self._at_work = False
        except HurriedError as error:
            self._at_work = False
            return self._lose(windows, error)
        # Whatever a model makes the runtime raise, there may be another one, and windows go on coming.
        except Exception as error:
            self._at_work = False
            return self._instead(windows, error)
        made = self._made(made)
        if self._trial is not None:
            self._judge(self._trial, time.monotonic() - began_s, len(windows))
        return made

    def _made(self, made: SignatureBatch) -> SignatureBatch:
        self.maker = self.card
        self.on_edgetpu += int(np.count_nonzero(made.quality & Quality.EDGE_TPU))
        return made

    def _instead(self, windows: WindowBatch, error: Exception) -> SignatureBatch:
        """Encode by the former model what the one on trial failed on, or count it as lost."""
        trial = self._trial
        if trial is None:
            return self._lose(windows, error)
        trial.faults += 1
        if self._now.wish.device.startswith("edgetpu") and trial.faults <= _MOST_FAULTS:
            return self._lose(windows, error)
        if not self._go_back(trial, str(error)):
            return self._lose(windows, error)
        try:
            return self._made(self._now.encoder.encode(windows))
        except EncoderError as also:
            return self._lose(windows, also)

    def _judge(self, trial: _Trial, took_s: float, windows: int) -> None:
        trial.left -= windows
        trial.late += took_s > trial.deadline_s * windows
        if trial.late > _MOST_LATE:
            self._go_back(trial, f"{trial.late} times a window took longer than {trial.deadline_s:.2f} s")
        elif trial.left <= 0:
            log.info("model %s: kept after %d windows on trial", trial.folder, TRIAL_WINDOWS)
            self._trial = None
            self._verdicts.put(trial.folder, Verdict("kept"))
            if trial.former is not None:
                trial.former.encoder.close()

    def _go_back(self, trial: _Trial, reason: str) -> bool:
        """Leave the model on trial; return whether the former one has taken its place, for the same windows.

        Else it does so soon: it is opened in the background, or waits for windows of its own.
        """
        self._trial = None
        self._find_unfit(None, trial.folder, reason)
        if trial.former is None or not self._same_windows(trial.former.encoder.card):
            self._next = trial.former
            return False
        self._now.encoder.close()
        self._now = trial.former
        log.warning("back to model %s", self.folder)
        return True

    def _lose(self, windows: WindowBatch, error: Exception) -> SignatureBatch:
        """Count windows without a signature, and have the device opened again in the background."""
        self.windows_lost += len(windows)
        self._complain(f"{error}; windows are lost until there is another device or model")
        # Whatever is opened next is taken, the same model included.
        self._now = replace(self._now, wish=Wish("", ""))
        card = self.card
        none = np.empty((0, card.dim), np.int8)
        return SignatureBatch(windows.start_ns[:0], none, windows.quality[:0], windows.hop_ns, card.spec)

    def close(self) -> None:
        """Let go of the device. A trial that ends with the service's orderly end does not count against the model."""
        models = [self._now, self._next, self._trial.former if self._trial else None]
        for model in models:
            if model is not None:
                self._give_back(model.folder)
                model.encoder.close()


def _is_installed(folder: Path) -> bool:
    return installed.models_folder() in folder.parents


def _require_golden(encoder: Encoder) -> None:
    """Raise ModelError where the golden windows do not come out as they should on this machine."""
    worst, tolerance = golden_distance(encoder)
    if worst > tolerance:
        raise ModelError(
            f"{encoder.card.path}: expected the golden windows' codes within {tolerance} steps on {encoder.device}, "
            f"got {worst}"
        )
