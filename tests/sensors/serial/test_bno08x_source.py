"""A BNO08x over a pseudo-terminal, from its bytes to SampleBlocks, with all that may go wrong.

This is in real time: a busy machine runs device and reader late. So nothing here depends on times; `test_bno08x` tests
those in virtual time.
"""

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from bno08x_device import ACC, GYRO_UNCALIBRATED, Bno08xDevice, Hub
from real_time import undisturbed
from serial_collecting import LATE_S, collect

from motionsig.blocks import SampleBlock
from motionsig.config import load_config
from motionsig.errors import InputError, SensorError
from motionsig.sensors import SerialSource, open_sensor
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.owner import HeldError
from motionsig.sensors.serial import port as serial_port


def opened(device: Bno08xDevice, **options: object) -> SerialSource:
    sensor = open_sensor(f"bno08x:{device.path}", **{"calibration": "none", **options})  # type: ignore[arg-type]
    assert isinstance(sensor, SerialSource)
    return sensor


def assert_all_of(hub: Hub, blocks: list[SampleBlock] | list[np.ndarray]) -> None:
    """Require that the accelerations are those that the hub sent, each once and in order."""
    data = np.concatenate([block.data if isinstance(block, SampleBlock) else block for block in blocks])
    came, sent = np.rint(data[:, :3] * 256).astype(int).tolist(), list(hub.counts[ACC])
    first = sent.index(came[0])
    assert came == sent[first : first + len(came)]


def is_silent(hub: Hub) -> bool:
    """Wait until the hub has obeyed; tell whether it sends no more."""
    late_s = time.monotonic() + LATE_S
    while hub.intervals and time.monotonic() < late_s:
        time.sleep(0.01)
    return not hub.intervals


@undisturbed
def test_samples_come_as_they_were_felt_and_it_is_left_silent() -> None:
    hub = Hub(clock=1.01)
    with Bno08xDevice(hub) as device:
        with opened(device, rate_hz=100) as sensor:
            # The accelerometer has no 100 Hz, and what the chip would do to its own calibration is off.
            assert (sensor.rate_hz, sensor.baud, hub.calibrates) == (125, 3_000_000, [0, 0, 0])
            blocks = [block for block in collect(sensor, 2.5) if len(block)]
            assert sensor.counts.lost == 0
            assert sensor.info.format == "serial:bno08x" and sensor.info.scale is None
            assert_all_of(hub, blocks)
        assert is_silent(hub) and hub.resets == 2


@undisturbed
def test_other_names_a_calibration_and_a_mount_are_taken() -> None:
    biased = Calibration(accel_bias=np.array([1.0, 0.0, 0.0]))
    with Bno08xDevice(Hub()) as device:
        mount = "0, 1, 0; -1, 0, 0; 0, 0, 1"
        with open_sensor(f"BNO085:{device.path}", calibration=biased, mount=mount) as sensor:
            assert isinstance(sensor, SerialSource) and sensor.device_id.startswith("bno08x-")
            blocks = [block for block in collect(sensor, 0.5) if len(block)]
            turned = [
                np.stack([1.0 - block.data[:, 1], block.data[:, 0], block.data[:, 2]], axis=1) for block in blocks
            ]
            assert_all_of(device.hub, turned)


@undisturbed
def test_a_reset_is_noticed_and_it_is_set_up_again() -> None:
    with Bno08xDevice() as device, opened(device) as sensor:
        collect(sensor, 0.5)
        device.switch_off_and_on()
        blocks = collect(sensor, 0.5)
        while not sensor.counts.lost:
            blocks = collect(sensor, 0.5)
        assert sensor.counts.recoveries >= 1 and any(block.gap for block in blocks)
        assert sensor.counts.lost > 20 and device.hub.intervals


@undisturbed
def test_a_gyroscope_that_stops_alone_is_started_again() -> None:
    with Bno08xDevice() as device, opened(device) as sensor:
        collect(sensor, 0.5)
        device.hub.silent = {GYRO_UNCALIBRATED}
        blocks = iter(sensor)
        while sensor.counts.recoveries < 1:
            next(blocks)
        device.hub.silent = set()
        lost = next(block for block in blocks if block.gap)
        assert len(lost) and sensor.counts.lost > 100


@undisturbed
def test_frozen_values_are_found() -> None:
    with Bno08xDevice() as device, opened(device) as sensor:
        collect(sensor, 3)
        device.hub.frozen = True
        began_s, blocks = time.monotonic(), iter(sensor)
        while not sensor.counts.recoveries:
            next(blocks)
            assert time.monotonic() - began_s < LATE_S, sensor.trouble
        assert sensor.counts.dead


@undisturbed
def test_unplugging_is_said_and_a_new_plug_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plug = tmp_path / "ttyUSB0"
    first = Bno08xDevice()
    plug.symlink_to(first.path)
    with open_sensor(f"bno08x:{plug}", calibration="none") as sensor, first:
        assert isinstance(sensor, SerialSource)
        collect(sensor, 0.3)
        caplog.set_level(logging.WARNING)
        plug.unlink()
        first.unplug()
        began, blocks = time.monotonic(), iter(sensor)
        # A busy machine makes times doubtful, which is said, too.
        while "plug" not in (sensor.trouble or ""):
            next(blocks)
            assert time.monotonic() - began < LATE_S, sensor.trouble
        with Bno08xDevice() as second:
            plug.symlink_to(second.path)
            got = next(block for block in blocks if block.gap)
            assert len(got) and sensor.counts.recoveries >= 1 and sensor.counts.lost > 100
            assert "plug" not in (sensor.trouble or "")
            sensor.close()


@undisturbed
def test_it_is_closed_from_any_thread() -> None:
    with Bno08xDevice() as device:
        sensor = opened(device)
        threading.Timer(0.3, sensor.close).start()
        for _ in sensor:
            pass
        assert is_silent(device.hub)
        opened(device).close()


class _KeptBack(Hub):
    """What it sends once it has stated both intervals twice comes .4 s later, all at once, as on a busy machine."""

    _stated, _from_s = 0, float("inf")

    def _say_feature(self, now_s: float, kind: int) -> None:
        super()._say_feature(now_s, kind)
        self._stated += 1
        if self._stated == 4:
            self._from_s = now_s + 0.01

    def run(self, until_s: float) -> list[tuple[float, bytes]]:
        return [] if 0 < until_s - self._from_s < 0.4 else super().run(until_s)


@undisturbed
def test_reports_that_were_kept_back_show_no_rate() -> None:
    with Bno08xDevice(_KeptBack()) as device, opened(device, rate_hz=100) as sensor:
        assert sensor.rate_hz == 125
        collect(sensor, 0.5)


def test_a_second_reader_is_refused() -> None:
    with Bno08xDevice() as device, opened(device), pytest.raises(HeldError, match="this process"):
        open_sensor(f"witmotion:{device.path}")


def test_what_is_not_there_or_not_possible_is_refused() -> None:
    with (
        Bno08xDevice(answers=False) as device,
        pytest.raises(SensorError, match=r"expected what a BNO08x sends at 3000000 baud, got .*PS1"),
    ):
        opened(device)
    for options, said in (
        ({"rate_hz": 500.0}, "at most 400"),
        ({"accel_range_g": 16.0}, "at most 8"),
        ({"gyro_range_dps": 4000.0}, "at most 2000"),
        ({"bus": 1}, "no bus"),
    ):
        with Bno08xDevice() as device, pytest.raises(InputError, match=said):
            opened(device, **options)
    with pytest.raises(InputError, match="as in bno086:/dev/ttyUSB0"):
        open_sensor("bno086:")


@undisturbed
def test_a_rate_that_the_hub_states_wrong_is_measured() -> None:
    with Bno08xDevice(Hub(stated_us=lambda interval_us: interval_us and 10_000)) as device, opened(device) as sensor:
        assert 112 < sensor.rate_hz < 140  # it says 100
        assert any(len(block) for block in collect(sensor, 0.5))


def test_a_hub_that_keeps_its_own_calibration_is_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with Bno08xDevice(Hub(accepts_calibration=False)) as device, opened(device):
        assert "dynamic calibration" in caplog.text


def test_bytes_to_the_hub_keep_their_distance() -> None:
    with Bno08xDevice() as device, opened(device) as sensor:
        began_s = time.monotonic()
        sensor.close()
        # A reset is nine bytes after the three that ask for room; the data sheet wants 100 us after each.
        assert time.monotonic() - began_s > 12 * 100e-6


def test_a_speed_that_the_driver_does_not_have_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = serial_port.termios.tcgetattr

    def set_another(file: int) -> list[object]:
        attributes = real(file)
        return [*attributes[:4], serial_port.termios.B921600, serial_port.termios.B921600, attributes[6]]

    with Bno08xDevice() as device:
        # A pseudo-terminal has every speed; a driver that has not says which one it set.
        monkeypatch.setattr(serial_port.termios, "tcgetattr", set_another)
        with pytest.raises(SensorError, match="expected 3000000 baud, which its adapter"):
            opened(device)


def test_a_recording_is_made_of_it(tmp_path: Path) -> None:
    with Bno08xDevice() as device:
        command = ["record", "--sensor", f"bno08x:{device.path}", "--seconds", "2", "--out", str(tmp_path / "a.msig")]
        done = subprocess.run(
            [sys.executable, "-m", "motionsig", *command], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "a.msig").exists()


def test_the_configuration_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[sensor]\nname = "bno08x:/dev/ttyUSB0"\n[sink]\nurl = "store:{tmp_path / "a.db"}"\n')
    assert load_config(file).sensor["name"] == "bno08x:/dev/ttyUSB0"
