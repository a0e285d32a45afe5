"""Another model while windows come: it takes over between two of them."""

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from installing import REQUESTED, Failing, install, wait_opened, windows
from made import wait_until

from motionsig.daemon import switching
from motionsig.daemon.switching import RequestedModel, SwitchingEncoder
from motionsig.encoders import shipped_models
from motionsig.errors import EncoderError, ModelError
from motionsig.quality import Quality


def test_an_installed_model_takes_over_at_a_windows_edge(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        shipped = encoder.encode(windows()).spec.fingerprint
        folder = install(models, 2)
        wait_opened(encoder)
        assert encoder.card.fingerprint == shipped
        made = encoder.encode(windows(3))
        assert encoder.folder == folder
        assert made.spec.fingerprint == encoder.card.fingerprint != shipped
        assert (encoder.windows, encoder.windows_lost, encoder.trial_windows_left) == (
            4,
            0,
            500 - 3,
        )
        encoder.look_for_model()
        assert encoder._opening is None


def test_it_counts_the_flags_of_what_was_encoded(models):
    flags = [Quality.CLEAR, Quality.AT_REST, Quality.AT_REST | Quality.BRIDGED, Quality.ABOVE_GRID]
    with SwitchingEncoder(REQUESTED) as encoder:
        for _ in range(2):
            encoder.encode(replace(windows(4), quality=np.array(flags, np.uint8)))
        encoder._now.encoder.close()
        encoder.encode(windows(4))
        assert (encoder.windows, encoder.windows_lost) == (12, 4)
        flagged = {flag: count for flag, count in encoder.flagged.items() if count}
        assert flagged == {Quality.AT_REST: 4, Quality.BRIDGED: 2, Quality.ABOVE_GRID: 2}


def test_a_damaged_model_at_the_start_is_passed_over_for_the_one_before(models):
    before = install(models, 2)
    damaged = install(models, 3)
    (damaged / "encoder_int8.tflite").write_bytes(b"damaged")
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == before
        assert "sha256" in encoder.last_error


def test_rolled_back_it_goes_back(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        first, second = install(models, 2), install(models, 3)
        wait_opened(encoder)
        encoder.encode(windows())
        assert encoder.folder == second
        current = models / "motion64/current"
        current.unlink()
        current.symlink_to(first.name)
        wait_opened(encoder)
        encoder.encode(windows())
        assert encoder.folder == first
        current.unlink()  # to the shipped one
        wait_opened(encoder)
        encoder.encode(windows())
        assert encoder.folder == shipped_models()["motion64"]


def test_windows_are_taken_from_a_device_that_keeps_them(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        encoder.interrupt()  # nothing to interrupt
        folder = install(models, 2)
        wait_opened(encoder)
        encoder.encode(windows())
        interrupted = Failing(encoder._now.encoder, 1, None)
        interrupted.encode = lambda batch: encoder.interrupt()
        encoder._now = replace(encoder._now, encoder=interrupted)
        assert len(encoder.encode(windows())) == 0
        assert (encoder.windows_lost, encoder.folder) == (1, folder)
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == folder  # not the model's fault


def test_a_model_with_other_windows_waits_for_who_feeds_it(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        folder = install(models, 2, hop=32)
        wait_opened(encoder)
        assert encoder.needs_other_windows
        encoder.encode(windows())
        assert encoder.folder == shipped_models()["motion64"]
        encoder.take_over()
        assert not encoder.needs_other_windows
        assert encoder.folder == folder
    # A hop of the user's own overrides both.
    with SwitchingEncoder(RequestedModel(str(shipped_models()["motion64"]), "cpu"), hop=16) as encoder:
        encoder.request(REQUESTED)
        wait_opened(encoder)
        assert not encoder.needs_other_windows


def test_a_device_that_fails_costs_windows_until_it_is_back(models, monkeypatch):
    real = switching.open_encoder
    monkeypatch.setattr(
        switching, "open_encoder", lambda model, device: Failing(real(model, device), 2, EncoderError("gone"))
    )
    with SwitchingEncoder(REQUESTED) as encoder:
        encoder.encode(windows(2))
        made = encoder.encode(windows(3))
        assert len(made) == 0
        assert (encoder.windows, encoder.windows_lost) == (5, 3)
        assert encoder.last_error.startswith("gone; windows are lost")
        monkeypatch.setattr(switching, "open_encoder", real)
        encoder.last_error = None
        wait_opened(encoder)
        assert len(encoder.encode(windows(2))) == 2


def test_another_device_takes_over(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        encoder.request(RequestedModel("motion64", "reference"))
        wait_opened(encoder)
        encoder.encode(windows())
        assert encoder.device.startswith("reference")
        assert encoder.trial_windows_left is None


def test_links_that_cannot_be_read_leave_the_shipped_one(models, caplog):
    (models / "motion64/current").mkdir(parents=True)
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == shipped_models()["motion64"]
        encoder.look_for_model()
        assert encoder._opening is None
    assert caplog.text.count("expected a link to an installed model") == 1


def test_a_dangling_link_leaves_the_one_before(models):
    before = install(models, 2)
    shutil.rmtree(install(models, 3))
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == before


def test_a_request_for_what_is_not_there_changes_nothing(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        encoder.request(RequestedModel("motion65", "cpu"))
        encoder.look_for_model()
        assert "motion65" in encoder.last_error
        assert len(encoder.encode(windows())) == 1
    with pytest.raises(ModelError, match="motion65"):
        SwitchingEncoder(RequestedModel("motion65", "cpu"))


def test_a_model_that_takes_too_long_to_open_is_told(models, monkeypatch):
    monkeypatch.setattr(switching, "_SLOW_S", 0.0)
    opened, real = threading.Event(), switching.open_encoder
    with SwitchingEncoder(REQUESTED) as encoder:

        def opens(model, device):
            opened.wait(60)
            return real(model, device)

        monkeypatch.setattr(switching, "open_encoder", opens)
        install(models, 2)
        encoder.look_for_model()
        encoder.look_for_model()
        assert encoder.last_error.startswith("a model has been opening for 0 s; going on with ")
        opened.set()
        wait_until(lambda: encoder._opening is None)
        assert len(encoder.encode(windows())) == 1
        assert encoder.folder.name == "2-made"


def test_a_model_that_an_edge_tpu_does_not_take_may_do_on_another_device(models, monkeypatch):
    real = switching.open_encoder

    def opens(model, device):
        if device == "edgetpu":
            raise ModelError("not compiled")
        return real(model, device)

    monkeypatch.setattr(switching, "open_encoder", opens)
    with SwitchingEncoder(REQUESTED) as encoder:
        folder = install(models, 2)
        encoder.request(RequestedModel("motion64", "edgetpu"))
        wait_opened(encoder)
        assert "rejected: not compiled" in encoder.last_error
        assert encoder.folder == shipped_models()["motion64"]
        encoder._retry_s = 0.0
        encoder.request(REQUESTED)
        wait_opened(encoder)
        encoder.encode(windows())
        assert encoder.folder == folder


def test_windows_of_the_sink_are_counted_whatever_the_hop(models):
    with SwitchingEncoder(REQUESTED, hop=64, heads_hop=8) as encoder:
        encoder.encode(replace(windows(11), hop_ns=160_000_000))  # numbers 0 to 10, of which the sink gets two
        assert (encoder.windows, encoder.head_windows, sum(encoder.flagged.values())) == (2, 11, 0)
        encoder.encode(replace(windows(1), hop_ns=1_280_000_000, number=2))  # without heads: 16 at their hop
        assert (encoder.windows, encoder.head_windows) == (3, 17)
        encoder.encode(replace(windows(3), hop_ns=160_000_000, number=24))
        assert (encoder.windows, encoder.head_windows) == (4, 27)
        encoder.encode(replace(windows(1), hop_ns=160_000_000))  # after a gap
        assert (encoder.windows, encoder.head_windows, encoder.windows_lost) == (5, 28, 0)
