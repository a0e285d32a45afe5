"""A WitMotion sensor over a pseudo-terminal, from its bytes to SampleBlocks, with all that may go wrong.

This is in real time: a busy machine runs device and reader late. So nothing here depends on times; `test_witmotion` and
`test_arrivals` test those in virtual time.
"""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from real_time import undisturbed
from serial_collecting import LATE_S, collect
from witmotion_device import WitMotionDevice, acc_gyr

from motionsig.blocks import SampleBlock
from motionsig.config import load_config
from motionsig.errors import ConfigError, InputError, SensorError
from motionsig.sensors import SerialSource, open_sensor
from motionsig.sensors.owner import HeldError
from motionsig.sensors.serial import list_ports
from motionsig.sensors.serial.witmotion import SCALE


def opened(device: WitMotionDevice, **options: object) -> SerialSource:
    sensor = open_sensor(f"witmotion:{device.path}", baud=115_200, calibration="none", **options)  # type: ignore[arg-type]
    assert isinstance(sensor, SerialSource)
    return sensor


def numbers(blocks: list[SampleBlock]) -> list[int]:
    return [round(value) for block in blocks for value in block.data[:, 5] / SCALE[5]]


@undisturbed
def test_samples_come_as_they_were_taken_and_the_settings_are_put_back() -> None:
    with WitMotionDevice(clock=1.01) as device:
        with opened(device) as sensor:
            assert (sensor.rate_hz, sensor.baud) == (100, 115_200)
            blocks = collect(sensor, 2.5)
            assert device.registers[0x02] == 0x0006 and device.registers[0x03] == 0x09
        late_s = time.monotonic() + LATE_S
        while device.registers[0x03] != 0x06 and time.monotonic() < late_s:
            time.sleep(0.01)
        assert device.registers[0x02] == 0x001E and device.registers[0x03] == 0x06
        came = numbers(blocks)
        assert np.diff(came).tolist() == [1] * (len(came) - 1)
        data, first = np.concatenate([block.data for block in blocks]), came[0]
        wanted = np.array([np.concatenate(acc_gyr(first + at)) for at in range(len(data))], np.float32)
        assert data == pytest.approx(wanted * SCALE, rel=1e-6, abs=1e-6)


@undisturbed
def test_the_speed_is_found_and_wrong_ones_say_what_came() -> None:
    with WitMotionDevice() as device:
        with open_sensor(f"witmotion:{device.path}", calibration="none") as sensor:
            assert isinstance(sensor, SerialSource) and sensor.baud == 115_200
        device.damage = lambda number, text: bytes(byte ^ 0x5A for byte in text)
        with pytest.raises(SensorError, match="bytes that are none"):
            opened(device)
        device.sends = False
        with pytest.raises(SensorError, match="got nothing"):
            opened(device)


@undisturbed
def test_damaged_and_lost_frames_are_left_out_and_counted() -> None:
    def damage(number: int, text: bytes) -> bytes:
        if number % 50 == 7:
            return text[:5] + bytes([text[5] ^ 0x10]) + text[6:]
        return b"" if number % 50 == 30 else text[:9] if number % 50 == 40 else text

    with WitMotionDevice(damage=damage, rate=0x09, content=0x0006) as device, opened(device) as sensor:
        blocks = collect(sensor, 3)
        came = numbers(blocks)
        missing = [number for number in range(came[0], came[-1]) if number not in came]
        assert missing and {number % 50 for number in missing} <= {7, 30, 40}
        assert sensor.counts.lost and sensor.counts.discards
        assert sum(block.gap for block in blocks) == sensor.counts.gaps > 0


@undisturbed
def test_a_sensor_that_takes_no_commands_is_read_as_it_is() -> None:
    with WitMotionDevice(answers=False, rate=0x08) as device, opened(device) as sensor:
        assert 40 < sensor.rate_hz < 62 and len(numbers(collect(sensor, 1))) > 30


def test_without_angular_rates_it_is_refused() -> None:
    with (
        WitMotionDevice(answers=False, content=0x000A) as device,
        pytest.raises(SensorError, match="0x51, 0x53; set them"),
    ):
        opened(device)


def test_a_sensor_that_was_switched_off_and_on_is_set_up_again() -> None:
    with WitMotionDevice() as device, opened(device) as sensor:
        collect(sensor, 0.3)
        device.switch_off_and_on()
        blocks = collect(sensor, 1)
        while not sensor.counts.recoveries:
            blocks += collect(sensor, 1)
        assert device.registers[0x03] == 0x09


@undisturbed
def test_unplugging_is_said_and_a_new_plug_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plug = tmp_path / "ttyUSB0"
    first = WitMotionDevice()
    plug.symlink_to(first.path)
    with open_sensor(f"witmotion:{plug}", baud=115_200, calibration="none") as sensor, first:
        assert isinstance(sensor, SerialSource)
        collect(sensor, 0.3)
        caplog.set_level(logging.WARNING)
        plug.unlink()
        first.unplug()
        began, blocks = time.monotonic(), iter(sensor)
        while "plug" not in (sensor.trouble or ""):
            next(blocks)
            assert time.monotonic() - began < LATE_S, sensor.trouble
        with WitMotionDevice() as second:
            plug.symlink_to(second.path)
            got = next(block for block in blocks if len(block))
            assert got.gap and sensor.counts.recoveries >= 1 and sensor.counts.lost > 100
            assert "plug" not in (sensor.trouble or "")
            sensor.close()


def test_a_second_reader_is_refused_by_the_name_of_the_first() -> None:
    with WitMotionDevice() as device, opened(device):
        with pytest.raises(HeldError, match="this process"):
            opened(device)
        code = f"import motionsig; motionsig.open_sensor('witmotion:{device.path}', baud=115200)"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
        assert f"process {os.getpid()}" in other.stderr


def test_what_it_does_not_have_is_refused() -> None:
    for options, said in (
        ({"accel_range_g": 17.0}, "at most 16"),
        ({"gyro_range_dps": 2001.0}, "at most 2000"),
        ({"rate_hz": 400.0}, "at most 200"),
        ({"bus": 1}, "no bus"),
        ({"baud": 12345}, "expected a speed such as"),
    ):
        with WitMotionDevice() as device, pytest.raises(InputError, match=said):
            open_sensor(f"witmotion:{device.path}", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected a port"):
        open_sensor("witmotion")
    with pytest.raises(SensorError, match="no such file"):
        open_sensor("witmotion:/dev/ttyNONE")
    with pytest.raises(InputError, match="no baud"):
        open_sensor("simulated", baud=9600)


def test_a_line_too_slow_says_what_fits() -> None:
    with WitMotionDevice() as device, pytest.raises(InputError, match=r"rate_hz=20 fits"):
        open_sensor(f"witmotion:{device.path}", baud=9600)


def test_a_sensor_that_fills_its_line_and_takes_no_commands_is_refused() -> None:
    with (
        WitMotionDevice(answers=False, rate=0x0B, content=0x0006) as device,
        pytest.raises(SensorError, match="at 9600 baud: it drops samples"),
    ):
        open_sensor(f"witmotion:{device.path}", baud=9600)


def test_the_configuration_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    text = '[sensor]\nname = "witmotion:/dev/ttyUSB0"\nbaud = 115200\n[sink]\nurl = "store:{}"\n'
    file.write_text(text.format(tmp_path / "a.db"))
    assert load_config(file).sensor["baud"] == 115_200
    file.write_text(text.format(tmp_path / "a.db").replace(":/dev/ttyUSB0", ""))
    with pytest.raises(ConfigError, match="expected a port"):
        load_config(file)


def test_ports_with_such_adapters_are_listed(tmp_path: Path) -> None:
    for name, ids in (("ttyUSB0", ("1a86", "7523")), ("ttyUSB1", ("dead", "beef")), ("ttyS0", None)):
        tty = tmp_path / "sys/class/tty" / name
        tty.parent.mkdir(parents=True, exist_ok=True)
        interface = tmp_path / f"sys/devices/usb1/{name}/1-1:1.0"
        (interface / name).mkdir(parents=True)
        tty.mkdir()
        (tty / "device").symlink_to(interface / name)
        if ids:
            (interface.parent / "idVendor").write_text(f"{ids[0]}\n")
            (interface.parent / "idProduct").write_text(f"{ids[1]}\n")
    assert [(port.path, port.adapter) for port in list_ports(root=tmp_path)] == [("/dev/ttyUSB0", "CH340, 1a86:7523")]
