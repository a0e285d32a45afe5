"""Another model while windows come: it takes over between two of them, and goes when it is no good."""

import hashlib
import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from made import wait_until

from motionsig.blocks import WindowBatch
from motionsig.daemon import switching
from motionsig.daemon.switching import SwitchingEncoder, Wish
from motionsig.encoders import find_model, open_encoder, shipped_models
from motionsig.errors import EncoderError, ModelError

WISH = Wish("motion64", "cpu")


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Where installed models are."""
    monkeypatch.setenv("MOTIONSIG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr(switching, "_FIRST_PAUSE_S", 0.0)
    return tmp_path / "models"


def _install(models, version, *, damage=None, hop=None):
    """Put another version of the shipped model in place, as `motionsig models install` does: one rename at the end."""
    folder = models / "motion64" / f"{version}-made"
    shutil.copytree(shipped_models()["motion64"], folder)
    card = json.loads((folder / "card.json").read_text())
    network = folder / "encoder_int8.tflite"
    # Bytes behind the end change nothing but the hash, and with it the fingerprint.
    network.write_bytes(network.read_bytes() + bytes(16 * version))
    if damage:
        damage(folder)
    for name in ("encoder_int8.tflite", "golden.npz"):
        content = (folder / name).read_bytes()
        card["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    if hop:
        card["hop"] = hop
    (folder / "card.json").write_text(json.dumps(card))
    current, previous = models / "motion64" / "current", models / "motion64" / "previous"
    if current.is_symlink():
        previous.unlink(missing_ok=True)
        current.rename(previous)
    new = models / "motion64" / "new"
    new.symlink_to(folder.name)
    new.rename(current)
    return folder


def _wrong_golden(folder):
    with np.load(folder / "golden.npz") as arrays:
        content = dict(arrays)
    content["codes"] = -content["codes"]
    np.savez(folder / "golden.npz", **content)


def _windows(count=1, first=0):
    windows, *_ = find_model("motion64").golden()
    rows = np.arange(first, first + count)
    return WindowBatch(rows, windows[rows % len(windows)], np.zeros(count, np.uint8), 1_280_000_000)


def _opened(encoder):
    encoder.look()
    wait_until(lambda: encoder._opening is None)


class _Fails:
    """A model that works until its n-th window."""

    def __init__(self, encoder, after, error):
        self._encoder, self._after, self._error = encoder, after, error
        self.card, self.device = encoder.card, encoder.device

    def encode(self, windows):
        self._after -= len(windows)
        if self._after < 0:
            raise self._error
        return self._encoder.encode(windows)

    def close(self):
        self._encoder.close()


def test_an_installed_model_takes_over_at_a_windows_edge(models):
    with SwitchingEncoder(WISH) as encoder:
        shipped = encoder.encode(_windows()).spec.fingerprint
        folder = _install(models, 2)
        _opened(encoder)
        assert encoder.card.fingerprint == shipped
        made = encoder.encode(_windows(3))
        assert encoder.folder == folder
        assert made.spec.fingerprint == encoder.card.fingerprint != shipped
        assert (encoder.windows, encoder.windows_lost, encoder.trial) == (4, 0, switching.TRIAL_WINDOWS - 3)
        encoder.look()
        assert encoder._opening is None


def test_after_its_trial_it_is_kept_and_the_next_start_has_none(models, monkeypatch):
    monkeypatch.setattr(switching, "TRIAL_WINDOWS", 5)
    _install(models, 2)
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.trial == 5
        encoder.encode(_windows(5))
        assert encoder.trial is None
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.trial is None
        assert encoder.folder.name == "2-made"


@pytest.mark.parametrize("error", [EncoderError("it broke"), RuntimeError("what a runtime throws")])
def test_a_model_that_fails_on_trial_goes_and_its_window_does_not(models, monkeypatch, error):
    with SwitchingEncoder(WISH) as encoder:
        expected = encoder.encode(_windows()).codes
        folder = _install(models, 2)
        monkeypatch.setattr(
            switching, "open_encoder", lambda model, device: _Fails(open_encoder(model, device), 26, error)
        )
        _opened(encoder)  # its 24 golden windows
        assert len(encoder.encode(_windows(2))) == 2
        assert encoder.folder == folder
        made = encoder.encode(_windows())
        np.testing.assert_array_equal(made.codes, expected)
        assert encoder.folder == shipped_models()["motion64"]
        assert str(error) in encoder.last_error
        assert encoder.windows_lost == 0
        encoder.look()
        assert encoder._opening is None
    monkeypatch.undo()
    monkeypatch.setenv("MOTIONSIG_MODELS", str(models))
    monkeypatch.setenv("STATE_DIRECTORY", str(models.parent / "state"))
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == shipped_models()["motion64"]
    # Installed anew, it is tried again.
    shutil.rmtree(folder)
    (models / "motion64/current").unlink()
    _install(models, 2)
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == folder


def test_a_model_that_fails_after_a_start_goes_for_the_one_before(models, monkeypatch):
    _install(models, 2)
    real = switching.open_encoder
    monkeypatch.setattr(
        switching,
        "open_encoder",
        lambda model, device: (
            _Fails(real(model, device), 24, EncoderError("it broke")) if "2-made" in str(model) else real(model, device)
        ),
    )
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.trial
        assert len(encoder.encode(_windows(2))) == 0  # none is open to go back to
        _opened(encoder)
        assert len(encoder.encode(_windows(2))) == 2
        assert encoder.folder == shipped_models()["motion64"]
        assert (encoder.windows_lost, encoder.trial) == (2, None)


def test_an_edge_tpu_that_fails_is_not_the_new_models_fault_and_its_trial_goes_on(models):
    with SwitchingEncoder(WISH) as encoder:
        folder = _install(models, 2)
        _opened(encoder)
        encoder.encode(_windows())
        failing = _Fails(encoder._now.encoder, 0, EncoderError("unplugged"))
        encoder._now = replace(encoder._now, wish=Wish("motion64", "edgetpu:usb"), encoder=failing)
        assert len(encoder.encode(_windows(2))) == 0
        assert (encoder.folder, encoder.windows_lost, encoder.last_error.split(";")[0]) == (folder, 2, "unplugged")
        _opened(encoder)  # here on the cpu, and still on trial
        assert len(encoder.encode(_windows())) == 1
        assert (encoder.folder, encoder.trial) == (folder, switching.TRIAL_WINDOWS - 2)


def test_a_model_that_misses_its_deadline_goes(models, monkeypatch):
    with SwitchingEncoder(WISH) as encoder:
        _install(models, 2)
        _opened(encoder)
        encoder.encode(_windows())
        clock = itertools.count(0, 0.7)  # 0.7 s a window, where 1.28 s pass between two
        monkeypatch.setattr(switching, "time", type("clock", (), {"monotonic": lambda: next(clock)}))
        for _ in range(4):
            assert len(encoder.encode(_windows())) == 1
        assert encoder.folder == shipped_models()["motion64"]
        assert "took longer than 0.64 s" in encoder.last_error


def test_a_model_whose_golden_windows_differ_never_takes_over(models):
    with SwitchingEncoder(WISH) as encoder:
        folder = _install(models, 2, damage=_wrong_golden)
        _opened(encoder)
        encoder.encode(_windows())
        assert encoder.folder == shipped_models()["motion64"]
        assert "expected the golden windows' codes within" in encoder.last_error
        encoder.look()
        assert encoder._opening is None
    assert folder.exists()


def test_a_damaged_model_at_the_start_is_passed_over_for_the_one_before(models):
    before = _install(models, 2)
    damaged = _install(models, 3)
    (damaged / "encoder_int8.tflite").write_bytes(b"damaged")
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == before
        assert "sha256" in encoder.last_error


def test_a_trial_the_process_does_not_survive_counts(models):
    folder = _install(models, 2)
    for _ in range(2):
        # Never closed: as after kill -9. Two may be power cuts.
        assert SwitchingEncoder(WISH).folder == folder
    with SwitchingEncoder(WISH) as orderly:
        assert orderly.folder == folder
    assert SwitchingEncoder(WISH).folder == folder
    assert SwitchingEncoder(WISH).folder == shipped_models()["motion64"]


def test_rolled_back_it_goes_back(models):
    with SwitchingEncoder(WISH) as encoder:
        first, second = _install(models, 2), _install(models, 3)
        _opened(encoder)
        encoder.encode(_windows())
        assert encoder.folder == second
        current = models / "motion64/current"
        current.unlink()
        current.symlink_to(first.name)
        _opened(encoder)
        encoder.encode(_windows())
        assert encoder.folder == first
        current.unlink()  # to the shipped one
        _opened(encoder)
        encoder.encode(_windows())
        assert encoder.folder == shipped_models()["motion64"]


def test_a_trial_survives_another_device_and_orderly_restarts(models, monkeypatch):
    monkeypatch.setattr(switching, "TRIAL_WINDOWS", 4)
    folder = _install(models, 2)
    for _ in range(4):
        with SwitchingEncoder(WISH) as encoder:
            encoder.encode(_windows())
            encoder.wish(Wish("motion64", "reference"))
            _opened(encoder)
            encoder.encode(_windows())
            assert (encoder.device.split()[0], encoder.trial) == ("reference", 2)
    with SwitchingEncoder(WISH) as encoder:
        encoder.encode(_windows(4))
        assert (encoder.folder, encoder.trial) == (folder, None)


@pytest.mark.parametrize("error", [EncoderError("the runtime refuses it"), MemoryError("too large")])
def test_a_model_that_does_not_open_at_the_start_is_left(models, monkeypatch, error):
    folder, real = _install(models, 2), switching.open_encoder

    def opens(model, device):
        if model == folder:
            raise error
        return real(model, device)

    monkeypatch.setattr(switching, "open_encoder", opens)
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == shipped_models()["motion64"]
        assert str(error) in encoder.last_error
    monkeypatch.setattr(switching, "open_encoder", real)
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == shipped_models()["motion64"]


def test_a_process_that_dies_while_it_opens_a_model_does_so_three_times_at_most(models, monkeypatch):
    folder, real = _install(models, 2), switching.open_encoder

    class Died(BaseException):
        """Nothing that this process would hear of."""

    def dies(model, device):
        if model == folder:
            raise Died
        return real(model, device)

    monkeypatch.setattr(switching, "open_encoder", dies)
    for _ in range(3):
        with pytest.raises(Died):
            SwitchingEncoder(WISH)
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == shipped_models()["motion64"]


def test_back_to_a_model_with_other_windows_it_waits_for_who_feeds_it(models, monkeypatch):
    with SwitchingEncoder(WISH) as encoder:
        _install(models, 2, hop=32)
        _opened(encoder)
        encoder.take_over()
        broken = _Fails(encoder._now.encoder, 0, EncoderError("it broke"))
        encoder._now = replace(encoder._now, encoder=broken)
        assert len(encoder.encode(_windows())) == 0
        assert encoder.waits
        encoder.take_over()
        assert encoder.folder == shipped_models()["motion64"]
        assert (len(encoder.encode(_windows())), encoder.windows_lost, encoder.waits) == (1, 1, False)


def test_a_model_that_is_too_slow_made_its_last_signature_itself(models, monkeypatch):
    with SwitchingEncoder(WISH) as encoder:
        _install(models, 2)
        _opened(encoder)
        encoder.encode(_windows())
        clock = itertools.count(0, 0.7)
        monkeypatch.setattr(switching, "time", type("clock", (), {"monotonic": lambda: next(clock)}))
        made = [encoder.encode(_windows()) for _ in range(4)]
        assert encoder.folder == shipped_models()["motion64"]
        assert encoder.maker.fingerprint == made[-1].spec.fingerprint != encoder.card.fingerprint


def test_windows_are_taken_from_a_device_that_keeps_them(models):
    with SwitchingEncoder(WISH) as encoder:
        encoder.hurry()  # nothing to hurry
        folder = _install(models, 2)
        _opened(encoder)
        encoder.encode(_windows())
        hurried = _Fails(encoder._now.encoder, 1, None)
        hurried.encode = lambda windows: encoder.hurry()
        encoder._now = replace(encoder._now, encoder=hurried)
        assert len(encoder.encode(_windows())) == 0
        assert (encoder.windows_lost, encoder.folder) == (1, folder)
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == folder  # not the model's fault


def test_a_model_found_unfit_and_installed_again_is_tried_again_at_once(models):
    with SwitchingEncoder(WISH) as encoder:
        folder = _install(models, 2, damage=_wrong_golden)
        _opened(encoder)
        assert encoder.folder == shipped_models()["motion64"]
        (models / "motion64/current").unlink()
        shutil.rmtree(folder)
        _install(models, 2)
        _opened(encoder)
        encoder.encode(_windows())
        assert encoder.folder == folder


def test_a_model_with_other_windows_waits_for_who_feeds_it(models):
    with SwitchingEncoder(WISH) as encoder:
        folder = _install(models, 2, hop=32)
        _opened(encoder)
        assert encoder.waits
        encoder.encode(_windows())
        assert encoder.folder == shipped_models()["motion64"]
        encoder.take_over()
        assert not encoder.waits
        assert encoder.folder == folder
    # A hop of the user's own overrides both.
    with SwitchingEncoder(Wish(str(shipped_models()["motion64"]), "cpu"), hop=16) as encoder:
        encoder.wish(WISH)
        _opened(encoder)
        assert not encoder.waits


def test_a_device_that_fails_costs_windows_until_it_is_back(models, monkeypatch):
    real = switching.open_encoder
    monkeypatch.setattr(
        switching, "open_encoder", lambda model, device: _Fails(real(model, device), 2, EncoderError("gone"))
    )
    with SwitchingEncoder(WISH) as encoder:
        encoder.encode(_windows(2))
        made = encoder.encode(_windows(3))
        assert len(made) == 0
        assert (encoder.windows, encoder.windows_lost) == (5, 3)
        assert encoder.last_error.startswith("gone; windows are lost")
        monkeypatch.setattr(switching, "open_encoder", real)
        encoder.last_error = None
        _opened(encoder)
        assert len(encoder.encode(_windows(2))) == 2


def test_another_device_takes_over(models):
    with SwitchingEncoder(WISH) as encoder:
        encoder.wish(Wish("motion64", "reference"))
        _opened(encoder)
        encoder.encode(_windows())
        assert encoder.device.startswith("reference")
        assert encoder.trial is None


def test_links_that_cannot_be_read_leave_the_shipped_one(models, caplog):
    (models / "motion64/current").mkdir(parents=True)
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == shipped_models()["motion64"]
        encoder.look()
        assert encoder._opening is None
    assert caplog.text.count("expected a link to an installed model") == 1


def test_a_dangling_link_leaves_the_one_before(models):
    before = _install(models, 2)
    shutil.rmtree(_install(models, 3))
    with SwitchingEncoder(WISH) as encoder:
        assert encoder.folder == before


def test_a_wish_for_what_is_not_there_changes_nothing(models):
    with SwitchingEncoder(WISH) as encoder:
        encoder.wish(Wish("motion65", "cpu"))
        encoder.look()
        assert "motion65" in encoder.last_error
        assert len(encoder.encode(_windows())) == 1
    with pytest.raises(ModelError, match="motion65"):
        SwitchingEncoder(Wish("motion65", "cpu"))


def test_unreadable_verdicts_are_no_reason_to_stop(models, tmp_path, caplog):
    file = tmp_path / "verdicts.json"
    wrong = b'{"a": {"word": "trial", "reason": "", "starts": "x"}}'
    for content in (b"", b"[]", b'{"a": 1}', b"\xff", b'{"a": {"word": 1}}', wrong, b"[" * 100_000):
        file.write_bytes(content)
        with SwitchingEncoder(WISH, remembered=file) as encoder:
            assert len(encoder.encode(_windows())) == 1
        assert "beginning anew" in caplog.text
        caplog.clear()
