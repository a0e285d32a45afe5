"""`motionsig record` on a simulated chip, in real time; sensors/test_process.py has a bus."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from motionsig import SampleBlock, open_recording
from motionsig.cli import main
from motionsig.recordings.native import Recorder
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import save_calibration

RECORD = [sys.executable, "-m", "motionsig.cli", "record", "--sensor", "simulated", "--rate-hz", "200"]


def test_a_recording_holds_what_the_sensor_gave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "walk.msig"
    # Its FIFO holds five seconds: a busy machine loses nothing, and may read seconds late.
    assert main(["record", "--sensor", "simulated", "--rate-hz", "50", "--seconds", "1", "--out", str(out)]) == 0
    with open_recording(out) as log:
        blocks = list(log)
    samples = sum(map(len, blocks))
    assert log.info.device == "lsm6dso-simulated-6a"
    assert log.rate_hz == 52
    # Whole counts, which make a log small and lossless.
    assert log.info.scale is not None
    assert 52 <= samples < 6 * 52
    assert not any(block.gap for block in blocks)
    assert 8 < np.linalg.norm(np.concatenate([block.data for block in blocks])[:, :3], axis=1).mean() < 12
    text = capsys.readouterr().out
    assert text.startswith(f"{samples} samples of lsm6dso-simulated-6a to {out}: ")
    assert "Hz (nominal 52); 0 gaps, 0 samples lost" in text


def test_every_sample_gets_the_label(tmp_path: Path) -> None:
    out = tmp_path / "walk.msig"
    options = ["--sensor", "simulated", "--rate-hz", "50", "--seconds", "1", "--label", "stairs, up"]
    assert main(["record", *options, "--out", str(out)]) == 0
    with open_recording(out) as log:
        blocks = list(log)
    assert sum(map(len, blocks)) >= 52
    assert {block.label for block in blocks} == {"stairs, up"}


def test_the_stored_calibration_is_applied_and_named_unless_it_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    save_calibration("lsm6dso-simulated-6a", Calibration(gyro_bias=np.array([0.45, 0, 0]), when_s=1.7e9))
    mean_rad_s = []
    for options in ([], ["--calibration", "none"]):
        out = tmp_path / f"{len(options)}.msig"
        assert main(["record", "--sensor", "simulated", "--seconds", "1", "--out", str(out), *options]) == 0
        with open_recording(out) as log:
            mean_rad_s.append(np.concatenate([block.data for block in log])[:, 3].mean())
        assert ("with its calibration of 2023-11-1" in capsys.readouterr().out) == (not options)
    applied, left_out = mean_rad_s
    assert applied - left_out == pytest.approx(-0.45, abs=0.2)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--seconds", "0"], 2, "--seconds: expected a number above 0, got 0.0"),
        (["--seconds", "nan"], 2, "--seconds: expected a number above 0, got nan"),
        (["--label", "x" * 129], 2, "--label: expected a label of at most 128 characters, got 129"),
        (["--sensor", "simulated:mpu65000"], 2, "expected the name of a sensor, got"),
        (["--rate-hz", "99999"], 2, "rate_hz: expected above 0 and at most 1666 Hz"),
        (
            ["--out", "x.csv"],
            2,
            "name that does not end as another format, got 'x.csv'; write x.msig",
        ),
        (["--out", "x.msig.gz"], 2, "got 'x.msig.gz'; write x.msig; motionsig convert makes .csv, .parquet and .mcap"),
        (["--mount", "0, 1, 0"], 2, "mount: expected 3 x 3"),
        (["--sensor", "mpu6500", "--bus", "77"], 1, "/dev/i2c-77"),
        (["--sensor", "iio:nothing"], 1, "expected 'nothing'"),
    ],
)
def test_wrong_usage_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, said: str
) -> None:
    out = tmp_path / "walk.msig"
    assert main(["record", "--sensor", "simulated", "--out", str(out), *options]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_an_existing_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "walk.msig"
    out.write_text("mine")
    assert main(["record", "--sensor", "simulated", "--seconds", "1", "--out", str(out)]) == 1
    assert "expected to create a new recording" in capsys.readouterr().err
    assert out.read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_it_ends_the_log_is_whole(tmp_path: Path, number: int) -> None:
    out = tmp_path / "walk.msig"
    with subprocess.Popen([*RECORD, "--out", str(out)], stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        # Two records of a second each are on the disk.
        while not (out.exists() and out.stat().st_size > 2 * 200 * 12) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, number)
        try:
            said = process.communicate(timeout=60)[0]
        finally:
            process.kill()  # or the test would wait for one that does not end
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    with open_recording(out) as log:
        samples = sum(map(len, log))
    assert samples >= 400
    if number != signal.SIGKILL:
        assert said.startswith(f"{samples:,} samples of lsm6dso-simulated-6a")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_loses_no_block_that_was_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """It comes when a block has been delivered and is not written yet."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background inherits that it is ignored
    write, written = Recorder.write, []

    def interrupted(log: Recorder, block: SampleBlock) -> None:
        written.append(len(block))
        if sum(written) > 50:
            signal.raise_signal(number)
        write(log, block)

    monkeypatch.setattr(Recorder, "write", interrupted)
    out = tmp_path / "walk.msig"
    try:
        assert main(["record", "--sensor", "simulated", "--rate-hz", "200", "--out", str(out)]) == 0
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    with open_recording(out) as log:
        samples = sum(map(len, log))
    assert capsys.readouterr().out.startswith(f"{samples} samples of ")
