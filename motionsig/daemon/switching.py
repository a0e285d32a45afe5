"""The daemon's encoder: the model in use, changed between two windows, and back by itself.

A model that `motionsig models install` put in place is noticed within a second, opened beside the one at work, held
against its golden windows, and takes over at a window's edge if it works on the same windows. Then it is on trial: an
error, or windows that take too long, and the former one is back, for the very window that failed. A trial that the
process did not survive counts, too. What was found unfit is remembered and not tried again until it is installed anew.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from motionsig.blocks import Quality, SignatureBatch, WindowBatch
from motionsig.encoders import (
    Encoder,
    find_model,
    golden_distance,
    installed,
    model_folders,
    open_encoder,
    shipped_models,
)
from motionsig.errors import EncoderError, InputError, MissingExtraError, ModelError, MotionsigError
from motionsig.model_card import ModelCard
from motionsig.state import state_path

log = logging.getLogger(__name__)

TRIAL_WINDOWS = 500
"""Ten minutes at the shipped model's stride."""

_MOST_LATE = 3
"""Windows of a trial that may take longer than half the time until the next one; more, and the model is too slow."""

_MOST_STARTS = 2
"""Starts of the daemon with one model on trial that may end before the trial does: a power cut is no fault of it."""

_FIRST_PAUSE_S, _MOST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True)
class Wish:
    """What the configuration asks for. model: a name or a folder. device: as `open_encoder` takes it."""

    model: str
    device: str


@dataclass
class Verdict:
    """What is known of an installed model here. word: trial, kept or unfit. starts: trials begun and not ended."""

    word: str
    reason: str = ""
    starts: int = 0


class Verdicts:
    """Verdicts on installed models, in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._verdicts: dict[str, Verdict] = {}
        try:
            self._verdicts = {key: Verdict(**value) for key, value in json.loads(path.read_bytes()).items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s: expected what is known of the installed models, got: %s; beginning anew", path, error)

    def of(self, folder: Path) -> Verdict | None:
        """Return what is known of the model in `folder` since it was installed."""
        return self._verdicts.get(_key(folder))

    def put(self, folder: Path, verdict: Verdict) -> None:
        """Remember it; where the disk refuses, for as long as this process lives."""
        self._verdicts[_key(folder)] = verdict
        text = json.dumps({key: asdict(value) for key, value in list(self._verdicts.items())[-32:]})
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with beside.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            log.warning("%s: %s; what is known of the installed models is not remembered", self._path, error)


def _key(folder: Path) -> str:
    """Return what changes when the model in `folder` is installed again."""
    try:
        return f"{folder.parent.name}/{folder.name} {folder.stat().st_ctime_ns}"
    except OSError:
        return f"{folder.parent.name}/{folder.name} gone"


@dataclass
class _Trial:
    """A model that has to prove itself. left: windows until it has. deadline_s: for one of them."""

    folder: Path
    former: Encoder | None
    left: int
    deadline_s: float
    late: int = 0


class SwitchingEncoder:
    """An Encoder that stays when its model goes.

    windows: handed to it so far; windows_lost: of those, without a signature, because the device failed; on_edgetpu.
    waits: the next model works on other windows, so whoever feeds this has to begin anew and call `take_over`.
    at_work: whether the device has windows now. last_error: why windows are lost at present, or why the last model was
    found unfit.
    """

    def __init__(self, wish: Wish, *, hop: int | None = None, remembered: Path | None = None) -> None:
        """Open the model wished for or, where that is installed and unfit, the one before it.

        Raises what `open_encoder` does where there is no other.
        """
        self._wish, self._hop = wish, hop
        self._verdicts = Verdicts(remembered or state_path("models", "verdicts.json"))
        self.windows = self.windows_lost = self.on_edgetpu = 0
        self.last_error: str | None = None
        self.at_work = False
        self._trial: _Trial | None = None
        self._opening: threading.Thread | None = None
        self._opened: tuple[Wish, Path, Encoder] | None = None
        self._unfit: set[tuple[Wish, Path]] = set()  # of those not installed: not tried twice by this process
        self._retry_s, self._pause_s = 0.0, _FIRST_PAUSE_S
        self._running, self._folder, self._encoder = self._open_first()

    @property
    def card(self) -> ModelCard:
        return self._encoder.card

    @property
    def device(self) -> str:
        return self._encoder.device

    @property
    def folder(self) -> Path:
        """Where the model in use lies."""
        return self._folder

    @property
    def trial(self) -> int | None:
        """How many windows more the model in use is on trial for; None where it is not."""
        return self._trial.left if self._trial else None

    @property
    def waits(self) -> bool:
        opened = self._opened
        return opened is not None and not self._same_windows(opened[2].card)

    def _open_first(self) -> tuple[Wish, Path, Encoder]:
        for folder in self._candidates(self._wish.model):
            try:
                encoder = open_encoder(folder, self._wish.device)
                verdict = self._verdicts.of(folder)
                if _is_installed(folder) and (verdict is None or verdict.word == "trial"):
                    _require_golden(encoder)
                    self._begin_trial(folder, encoder, None)
                return self._wish, folder, encoder
            except ModelError as error:
                if not _is_installed(folder):
                    raise
                self._find_unfit(folder, str(error))
        raise ModelError(f"model: expected {self._wish.model}, got none that is fit")

    def _candidates(self, model: str) -> list[Path]:
        """Return the folders to take a model from, the best first, without those found unfit."""
        try:
            folders = model_folders(model)
        except ModelError as error:
            if model not in shipped_models():
                raise
            self._complain(str(error))
            folders = [shipped_models()[model]]
        # What is neither installed nor shipped is a folder, or an error that names what there is.
        return [folder for folder in folders or [find_model(model).path] if self._is_fit(folder)]

    def _complain(self, trouble: str) -> None:
        """Say what is wrong, once while it is."""
        if trouble != self.last_error:
            log.error("%s", trouble)
        self.last_error = trouble

    def _is_fit(self, folder: Path) -> bool:
        verdict = self._verdicts.of(folder)
        if verdict is None or not _is_installed(folder):
            return True
        if verdict.word == "trial" and verdict.starts > _MOST_STARTS:
            self._find_unfit(folder, f"the daemon ended {verdict.starts} times while it was on trial")
            return False
        return verdict.word != "unfit"

    def _find_unfit(self, folder: Path, reason: str) -> None:
        self.last_error = f"{folder}: found unfit: {reason}"
        log.error("%s; it is not tried again until it is installed anew", self.last_error)
        if _is_installed(folder):
            self._verdicts.put(folder, Verdict("unfit", reason))

    def wish(self, wish: Wish) -> None:
        """Ask for another model or device; it takes over when it is ready."""
        self._wish = wish

    def look(self) -> None:
        """Notice another model, and open it in the background; call it about once a second."""
        if self._opening is not None or self._opened is not None or time.monotonic() < self._retry_s:
            return
        try:
            folder = self._candidates(self._wish.model)[0]
        except (ModelError, IndexError) as error:
            self._complain(f"{error}; going on with {self._folder}")
            self._wait()
            return
        if (self._wish, folder) in ((self._running, self._folder), *self._unfit):
            return
        # An Edge TPU may take half a minute to open, and no window waits for that.
        self._opening = threading.Thread(
            target=self._open, args=(self._wish, folder), name="motionsig-model", daemon=True
        )
        self._opening.start()

    def _open(self, wish: Wish, folder: Path) -> None:
        try:
            encoder = open_encoder(folder, wish.device)
            try:
                _require_golden(encoder)
            except MotionsigError:
                encoder.close()
                raise
            self._opened = (wish, folder, encoder)
        except MotionsigError as error:
            self._refuse(wish, folder, error)
        finally:
            self._opening = None

    def _refuse(self, wish: Wish, folder: Path, error: MotionsigError) -> None:
        """Stay with the model in use: the other one is wrong, or its device is not there."""
        if isinstance(error, ModelError):
            self._find_unfit(folder, str(error))
        else:
            self.last_error = str(error)
            log.error("%s; going on with %s on %s", error, self._folder, self.device)
        if isinstance(error, InputError | MissingExtraError | ModelError):
            self._unfit.add((wish, folder))
        self._wait()

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
        opened, self._opened = self._opened, None
        if opened is None:
            return
        wish, folder, encoder = opened
        former, was = self._encoder, self._folder
        if self._trial is not None:
            self._end_trial(self._trial, "superseded")
        self._running, self._folder, self._encoder = wish, folder, encoder
        self._pause_s, self.last_error = _FIRST_PAUSE_S, None
        log.info("model %s (%s) on %s from this window on", encoder.card.name, folder, encoder.device)
        if folder != was and _is_installed(folder):
            self._begin_trial(folder, encoder, former)
        else:
            former.close()

    def _begin_trial(self, folder: Path, encoder: Encoder, former: Encoder | None) -> None:
        verdict = self._verdicts.of(folder)
        if verdict is not None and verdict.word == "kept":
            if former is not None:
                former.close()
            return
        starts = 1 if verdict is None else verdict.starts + 1
        self._verdicts.put(folder, Verdict("trial", starts=starts))
        card = encoder.card
        hop_s = (card.hop if self._hop is None else self._hop) / card.rate_hz
        self._trial = _Trial(folder, former, TRIAL_WINDOWS, hop_s / 2)

    def _end_trial(self, trial: _Trial, word: str) -> None:
        """End it well: the model is kept, or nobody asks any more."""
        self._trial = None
        if word == "kept":
            log.info("model %s: kept after %d windows on trial", trial.folder, TRIAL_WINDOWS)
            self._verdicts.put(trial.folder, Verdict("kept"))
        if trial.former is not None:
            trial.former.close()

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        """Return one signature per window; none for those that the device failed on, which are counted."""
        if self._opened is not None and not self.waits:
            self.take_over()
        self.windows += len(windows)
        began_s = time.monotonic()
        self.at_work = True
        try:
            made = self._encoder.encode(windows)
        # Whatever a new model makes the runtime raise, it is the former one's turn.
        except Exception as error:
            if self._trial is not None:
                return self._instead(windows, self._trial, error)
            if not isinstance(error, EncoderError):
                raise
            return self._lose(windows, error)
        finally:
            self.at_work = False
        if self._trial is not None:
            self._judge(self._trial, time.monotonic() - began_s, len(windows))
        return self._made(made)

    def _made(self, made: SignatureBatch) -> SignatureBatch:
        self.on_edgetpu += int(np.count_nonzero(made.quality & Quality.EDGE_TPU))
        return made

    def _instead(self, windows: WindowBatch, trial: _Trial, error: Exception) -> SignatureBatch:
        """Encode by the former model what the one on trial failed on; where both fail, it is their device."""
        try:
            made = self._before(trial).encode(windows)
        except (EncoderError, ModelError):
            return self._lose(windows, error)
        self._go_back(trial, str(error))
        return self._made(made)

    def _before(self, trial: _Trial) -> Encoder:
        """Return the model before the one on trial, opened where the process began with the trial."""
        if trial.former is None:
            folders = [folder for folder in self._candidates(self._wish.model) if folder != trial.folder]
            if not folders:
                raise ModelError(f"{trial.folder}: expected a model to go back to, got none")
            trial.former = open_encoder(folders[0], self._wish.device)
        return trial.former

    def _judge(self, trial: _Trial, took_s: float, windows: int) -> None:
        trial.left -= windows
        trial.late += took_s > trial.deadline_s * windows
        if trial.late > _MOST_LATE:
            try:
                self._before(trial)
            except (EncoderError, ModelError) as error:
                log.error("%s is too slow, and there is nothing to go back to: %s", trial.folder, error)
                self._trial = None
                return
            self._go_back(trial, f"{trial.late} times a window took longer than {trial.deadline_s:.2f} s")
        elif trial.left <= 0:
            self._end_trial(trial, "kept")

    def _go_back(self, trial: _Trial, reason: str) -> None:
        assert trial.former is not None
        self._trial = None
        self._find_unfit(trial.folder, reason)
        self._encoder.close()
        self._encoder, self._folder = trial.former, trial.former.card.path
        log.warning("back to model %s", self._folder)

    def _lose(self, windows: WindowBatch, error: Exception) -> SignatureBatch:
        """Count windows without a signature, and have the device opened again in the background."""
        self.windows_lost += len(windows)
        self._complain(f"{error}; windows are lost until it is back")
        # Whatever is opened next is taken, the same model included.
        self._running = Wish("", "")
        card = self.card
        none = np.empty((0, card.dim), np.int8)
        return SignatureBatch(windows.start_ns[:0], none, windows.quality[:0], windows.hop_ns, card.spec)

    def close(self) -> None:
        """Let go of the device. A trial that ends with the service's orderly end does not count against the model."""
        if self._trial is not None:
            verdict = self._verdicts.of(self._trial.folder)
            if verdict is not None:
                self._verdicts.put(self._trial.folder, Verdict("trial", starts=max(0, verdict.starts - 1)))
            if self._trial.former is not None:
                self._trial.former.close()
        self._encoder.close()
        if self._opened is not None:
            self._opened[2].close()

    def __enter__(self) -> SwitchingEncoder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


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
