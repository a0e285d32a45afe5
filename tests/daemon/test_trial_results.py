"""Results of trials, which outlive the process."""

import json
import shutil

import pytest
from installing import REQUESTED, install, wait_opened, windows, wrong_golden

from motionsig.daemon import switching
from motionsig.daemon.switching import SwitchingEncoder
from motionsig.daemon.trial_results import TrialResults, installation
from motionsig.encoders import shipped_models
from motionsig.errors import EncoderError


def test_a_trial_the_process_does_not_survive_counts(models):
    folder = install(models, 2)
    for _ in range(2):
        # Never closed: as after kill -9. Two may be power cuts.
        assert SwitchingEncoder(REQUESTED).folder == folder
    with SwitchingEncoder(REQUESTED) as orderly:
        assert orderly.folder == folder
    assert SwitchingEncoder(REQUESTED).folder == folder
    assert SwitchingEncoder(REQUESTED).folder == shipped_models()["motion64"]


def test_a_process_that_dies_while_it_opens_a_model_does_so_three_times_at_most(models, monkeypatch):
    folder, real = install(models, 2), switching.open_encoder

    class Died(BaseException):
        """Nothing that this process would hear of."""

    def dies(model, device):
        if model == folder:
            raise Died
        return real(model, device)

    monkeypatch.setattr(switching, "open_encoder", dies)
    for _ in range(3):
        with pytest.raises(Died):
            SwitchingEncoder(REQUESTED)
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == shipped_models()["motion64"]


def test_unreadable_results_are_no_reason_to_stop(models, tmp_path, caplog):
    file = tmp_path / "verdicts.json"
    wrong = b'{"a": {"word": "trial", "reason": "", "starts": "x"}}'
    for content in (b"", b"[]", b'{"a": 1}', b"\xff", b'{"a": {"word": 1}}', wrong, b"[" * 100_000):
        file.write_bytes(content)
        with SwitchingEncoder(REQUESTED, results=file) as encoder:
            assert len(encoder.encode(windows())) == 1
        assert "starting without any" in caplog.text
        caplog.clear()


def test_a_rejected_model_installed_again_is_tried_again_at_once(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        folder = install(models, 2, damage=wrong_golden)
        wait_opened(encoder)
        assert encoder.folder == shipped_models()["motion64"]
        (models / "motion64/current").unlink()
        shutil.rmtree(folder)
        install(models, 2)
        wait_opened(encoder)
        encoder.encode(windows())
        assert encoder.folder == folder


def test_a_model_whose_golden_windows_differ_never_takes_over(models):
    with SwitchingEncoder(REQUESTED) as encoder:
        folder = install(models, 2, damage=wrong_golden)
        wait_opened(encoder)
        encoder.encode(windows())
        assert encoder.folder == shipped_models()["motion64"]
        assert "expected the golden windows' codes within" in encoder.last_error
        encoder.look_for_model()
        assert encoder._opening is None
    assert folder.exists()


@pytest.mark.parametrize("error", [EncoderError("the runtime refuses it"), MemoryError("too large")])
def test_a_model_that_does_not_open_at_the_start_is_left(models, monkeypatch, error):
    folder, real = install(models, 2), switching.open_encoder

    def opens(model, device):
        if model == folder:
            raise error
        return real(model, device)

    monkeypatch.setattr(switching, "open_encoder", opens)
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == shipped_models()["motion64"]
        assert str(error) in encoder.last_error
    monkeypatch.setattr(switching, "open_encoder", real)
    with SwitchingEncoder(REQUESTED) as encoder:
        assert encoder.folder == shipped_models()["motion64"]


def test_what_version_0_1_rejected_stays_rejected(models, tmp_path):
    folder, file = install(models, 2), tmp_path / "verdicts.json"
    row = {"word": "unfit", "reason": "too slow", "starts": 0}
    file.write_text(json.dumps({installation(folder): row}))
    with SwitchingEncoder(REQUESTED, results=file) as encoder:
        assert encoder.folder == shipped_models()["motion64"]


def test_the_newest_results_are_remembered(models, tmp_path):
    results = TrialResults(tmp_path / "verdicts.json")
    folders = [models / "motion64" / f"{number}-made" for number in range(33)]
    for folder in folders:
        results.reject(folder, "too slow")
    again = TrialResults(tmp_path / "verdicts.json")
    assert [again.is_rejected(folder) for folder in folders] == [False] + 32 * [True]
