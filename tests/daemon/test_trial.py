"""A model on trial: it is kept, or goes for the one before it."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest
from installing import REQUESTED, Failing, install, wait_opened, windows

from motionsig.daemon import switching
from motionsig.daemon.switching import RequestedModel, SwitchingEncoder
from motionsig.encoders import open_encoder, shipped_models
from motionsig.errors import EncoderError


def test_after_its_trial_it_is_kept_and_the_next_start_has_none(models, monkeypatch):
    monkeypatch.setattr(switching, "TRIAL_WINDOWS", 5)
    install(models, 2)
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.trial_windows_left == 5
        encoder.encode(windows(5))
        assert encoder.trial_windows_left is None
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.trial_windows_left is None
        assert encoder.folder.name == "2-made"


@pytest.mark.parametrize("error", [EncoderError("it broke"), RuntimeError("what a runtime throws")])
def test_a_model_that_fails_on_trial_goes_and_its_window_does_not(models, monkeypatch, error):
    with SwitchingEncoder(REQUESTED) as encoder:
        expected = encoder.encode(windows()).codes
        folder = install(models, 2)
        monkeypatch.setattr(
            switching, "open_encoder", lambda model, device: Failing(open_encoder(model, device), 26, error)
        )
        wait_opened(encoder)  # its 24 golden windows
        assert len(encoder.encode(windows(2))) == 2
        assert encoder.folder == folder
        made = encoder.encode(windows())
        np.testing.assert_array_equal(made.codes, expected)
        assert encoder.folder == shipped_models()["motion64"]
        assert str(error) in encoder.last_error
        assert encoder.windows_lost == 0
        encoder.look_for_model()
        assert encoder._opening is None
    monkeypatch.undo()
    monkeypatch.setenv("MOTIONSIG_MODELS", str(models))
    monkeypatch.setenv("STATE_DIRECTORY", str(models.parent / "state"))
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == shipped_models()["motion64"]
    # Installed anew, it is tried again.
    shutil.rmtree(folder)
    (models / "motion64/current").unlink()
    install(models, 2)
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == folder


def test_a_model_that_fails_after_a_start_goes_for_the_one_before(models, monkeypatch):
    install(models, 2)
    real = switching.open_encoder
    monkeypatch.setattr(
        switching,
        "open_encoder",
        lambda model, device: (
            Failing(real(model, device), 24, EncoderError("it broke"))
            if "2-made" in str(model)
            else real(model, device)
        ),
    )
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.trial_windows_left
        assert len(encoder.encode(windows(2))) == 0  # none is open to go back to
        wait_opened(encoder)
        assert len(encoder.encode(windows(2))) == 2
        assert encoder.folder == shipped_models()["motion64"]
        assert (encoder.windows_lost, encoder.trial_windows_left) == (2, None)


def test_an_edge_tpu_that_fails_is_not_the_new_models_fault_and_its_trial_goes_on(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        folder = install(models, 2)
        wait_opened(encoder)
        encoder.encode(windows())
        failing = Failing(encoder._now.encoder, 0, EncoderError("unplugged"))
        encoder._now = replace(encoder._now, requested=RequestedModel("motion64", "edgetpu:usb"), encoder=failing)
        assert len(encoder.encode(windows(2))) == 0
        assert (encoder.folder, encoder.windows_lost, encoder.last_error.split(";")[0]) == (folder, 2, "unplugged")
        wait_opened(encoder)  # here on the cpu, and still on trial
        assert len(encoder.encode(windows())) == 1
        assert (encoder.folder, encoder.trial_windows_left) == (folder, switching.TRIAL_WINDOWS - 2)


def test_a_model_that_misses_its_deadline_goes(models, monkeypatch):
    with SwitchingEncoder(REQUESTED) as encoder:
        install(models, 2)
        wait_opened(encoder)
        encoder.encode(windows())
        clock = itertools.count(0, 0.7)  # 0.7 s a window, where 1.28 s pass between two
        monkeypatch.setattr(switching, "time", type("clock", (), {"monotonic": lambda: next(clock)}))
        for _ in range(4):
            assert len(encoder.encode(windows())) == 1
        assert encoder.folder == shipped_models()["motion64"]
        assert "took longer than 0.64 s" in encoder.last_error


def test_back_to_a_model_with_other_windows_it_waits_for_who_feeds_it(models, monkeypatch):
    with SwitchingEncoder(REQUESTED) as encoder:
        install(models, 2, hop=32)
        wait_opened(encoder)
        encoder.take_over()
        broken = Failing(encoder._now.encoder, 0, EncoderError("it broke"))
        encoder._now = replace(encoder._now, encoder=broken)
        assert len(encoder.encode(windows())) == 0
        assert encoder.needs_other_windows
        encoder.take_over()
        assert encoder.folder == shipped_models()["motion64"]
        assert (len(encoder.encode(windows())), encoder.windows_lost, encoder.needs_other_windows) == (1, 1, False)


def test_a_model_that_is_too_slow_made_its_last_signature_itself(models, monkeypatch):
    with SwitchingEncoder(REQUESTED) as encoder:
        install(models, 2)
        wait_opened(encoder)
        encoder.encode(windows())
        clock = itertools.count(0, 0.7)
        monkeypatch.setattr(switching, "time", type("clock", (), {"monotonic": lambda: next(clock)}))
        made = [encoder.encode(windows()) for _ in range(4)]
        assert encoder.folder == shipped_models()["motion64"]
        assert encoder.maker.fingerprint == made[-1].spec.fingerprint != encoder.card.fingerprint


def test_a_trial_survives_another_device_and_orderly_restarts(models, monkeypatch):
    monkeypatch.setattr(switching, "TRIAL_WINDOWS", 4)
    folder = install(models, 2)
    for _ in range(4):
        with SwitchingEncoder(REQUESTED) as encoder:
            encoder.encode(windows())
            encoder.request(RequestedModel("motion64", "reference"))
            wait_opened(encoder)
            encoder.encode(windows())
            assert (encoder.device.split()[0], encoder.trial_windows_left) == ("reference", 2)
    with SwitchingEncoder(REQUESTED) as encoder:
        encoder.encode(windows(4))
        assert (encoder.folder, encoder.trial_windows_left) == (folder, None)


def test_an_edge_tpu_that_fails_again_and_again_is_the_models_fault(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        folder = install(models, 2)
        wait_opened(encoder)
        encoder.encode(windows())
        for _ in range(4):
            assert encoder.folder == folder
            failing = Failing(encoder._now.encoder, 0, EncoderError("again"))
            requested = RequestedModel("motion64", "edgetpu:usb")
            encoder._now = replace(encoder._now, requested=requested, encoder=failing)
            made = encoder.encode(windows())
        assert len(made) == 1
        assert encoder.folder == shipped_models()["motion64"]
        assert "rejected: again" in encoder.last_error
