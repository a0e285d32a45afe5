"""What the doctor says of I2C and of the kernel's own drivers, on trees of files."""

import grp
import os
from pathlib import Path

import pytest
from doctors_trees import ADAPTER, BOUND, PI, SENSOR, grow, without

from motionsig.cli.doctor import buses
from motionsig.cli.doctor.findings import Mark
from motionsig.errors import SensorError
from motionsig.sensors import CHIPS, Found
from motionsig.sensors.bus import transaction_s

NO_BUS = without(PI, "dev/i2c-1", ADAPTER, "boot")


@pytest.mark.parametrize(
    ("tree", "found", "advice"),
    [
        (NO_BUS, "I2C is off in /boot/firmware/config.txt", "sudo raspi-config nonint do_i2c 0"),
        (NO_BUS | {"boot/config.txt": "#dtparam=i2c_arm=on\n"}, "I2C is off in /boot/config.txt", "sudo raspi-config"),
        (NO_BUS | {"boot/config.txt": "dtparam=i2c_arm=on\ndtparam=i2c=off\n"}, "I2C is off", "sudo raspi-config"),
        (
            without(NO_BUS, "usr") | {"boot/firmware/config.txt": b"\xff\0\x01"},
            "I2C is off in /boot/firmware/config.txt",
            "echo dtparam=i2c_arm=on | sudo tee -a /boot/firmware/config.txt && ",
        ),
        (NO_BUS | {"boot/config.txt": "dtparam=spi=on, i2c_arm\n"}, "I2C is on in /boot/config.txt", "sudo reboot"),
        (without(PI, "dev/i2c-1"), "i2c-dev is not loaded", "sudo modprobe i2c-dev"),
        (without(PI, "dev/i2c-1", "proc"), "i2c-dev is not loaded", "sudo modprobe i2c-dev"),
    ],
)
def test_i2c_that_is_off(tmp_path, tree, found, advice):
    (finding,) = buses.i2c(grow(tmp_path, tree))
    assert finding.mark is Mark.WRONG and found in finding.found and finding.advice.startswith(advice)


def test_no_bus_is_no_fault_where_none_is_to_be_had(tmp_path):
    (finding,) = buses.i2c(grow(tmp_path, without(NO_BUS, "proc")))
    assert finding.mark is Mark.NOTE and finding.found == "no I2C bus on this machine"


@pytest.mark.parametrize(
    ("raw", "mark", "found", "advice"),
    [
        ((1_000_000).to_bytes(4, "big"), Mark.OK, "runs at 1000 kHz: about 5220 six-axis", ""),
        ((100_000).to_bytes(4, "big"), Mark.NOTE, "runs at 100 kHz: about 520 six-axis", "i2c_arm_baudrate=400000"),
        ((10_000).to_bytes(4, "big"), Mark.NOTE, "runs at 10 kHz: about 50 six-axis", "i2c_arm_baudrate=400000"),
        (b"", Mark.NOTE, "says 0 Hz, which no I2C bus has", "clock_hz="),
        (b"\x01", Mark.NOTE, "says 1 Hz, which no I2C bus has", "clock_hz="),
        (b"\xff" * 9, Mark.NOTE, "says 4294967295 Hz, which no I2C bus has", "clock_hz="),
    ],
)
def test_the_clock_of_a_bus(tmp_path, raw, mark, found, advice):
    finding = buses.i2c(grow(tmp_path, PI | {f"{ADAPTER}/of_node/clock-frequency": raw}))[1]
    assert finding.mark is mark and found in finding.found and advice in finding.advice


def test_what_is_said_to_fit_fits_with_records_read_in_bursts_of_20():
    for hz, rate_hz in ((100_000, 520), (400_000, 2090)):
        assert 0.7 < (transaction_s(hz, 2) + transaction_s(hz, 20 * 16)) * rate_hz / 20 < 0.8


def test_a_slow_bus_that_is_not_a_pis_own_is_set_in_the_device_tree(tmp_path):
    slow = {f"{ADAPTER}/of_node/clock-frequency": (100_000).to_bytes(4, "big")}
    finding = buses.i2c(grow(tmp_path, without(PI, "proc") | slow))[1]
    assert finding.mark is Mark.NOTE and "device tree" in finding.advice and "config.txt" not in finding.advice


def test_a_bus_that_this_user_may_not_use(tmp_path):
    device = grow(tmp_path, PI) / "dev/i2c-1"
    gid = 4 if os.geteuid() == 0 else os.getgid()
    os.chown(device, -1, gid)
    device.chmod(0o660)
    group = grp.getgrgid(gid).gr_name
    by_group = buses.i2c(tmp_path, lambda path: False)[0]
    assert by_group.mark is Mark.WRONG and by_group.found.endswith(f"only by group {group}")
    assert by_group.advice == f"sudo usermod -aG {group} $USER  # then log in again"
    device.chmod(0o600)
    by_none = buses.i2c(tmp_path, lambda path: False)[0]
    assert by_none.mark is Mark.WRONG and "no udev rule" in by_none.found
    assert 'SUBSYSTEM=="i2c-dev", GROUP="i2c", MODE="0660"' in by_none.advice
    if os.geteuid() == 0:
        # Nobody should become a member of root's group.
        os.chown(device, -1, 0)
        device.chmod(0o660)
        assert "no udev rule" in buses.i2c(tmp_path, lambda path: False)[0].found


def test_sensors_are_asked_for_on_each_bus_that_may_be_used(tmp_path):
    grow(tmp_path, PI, {"dev/i2c-3": ""})

    def scan(number):
        known = Found("/dev/i2c-1", 0x6A, (CHIPS["lsm6dsox"],), says={0x0F: 0x6C})
        clone = Found("/dev/i2c-3", 0x68, (), says={0x00: 0x00, 0x75: 0x72})
        return {1: [known], 3: [clone]}.get(number, [])

    found = [finding.found for finding in buses.i2c(tmp_path, scan=scan)]
    assert "on /dev/i2c-1: lsm6dsox at 0x6a" in found
    (strange,) = [finding for finding in buses.i2c(tmp_path, scan=scan) if "on /dev/i2c-3 at" in finding.found]
    assert 'says 0x72 at register 0x75, as a clone that is sold as MPU-6050 does (chip="mpu6500"' in strange.found
    assert strange.advice == "if it is a clone of a chip: motionsig record --chip NAME --bus 3 --address 0x68"
    nothing = [finding.found for finding in buses.i2c(tmp_path, scan=lambda number: [])]
    assert "no known sensor answers on /dev/i2c-3" in nothing
    assert not any("6a" in finding.found for finding in buses.i2c(tmp_path, lambda path: False, scan))

    def stuck(number):
        raise SensorError(f"/dev/i2c-{number}:\n timed out")

    assert "/dev/i2c-3: timed out" in [finding.found for finding in buses.i2c(tmp_path, scan=stuck)]


@pytest.mark.parametrize(
    ("who", "mark"),
    [("process 7 (motionsig run)", Mark.OK), ("process 8 (mine.py)", Mark.NOTE), ("process 9", Mark.NOTE)],
)
def test_who_reads_a_chip_is_said_and_only_the_service_is_as_it_should_be(tmp_path, who, mark):
    here = [Found("/dev/i2c-1", at, (CHIPS["mpu6050"],), held=held) for at, held in ((0x68, None), (0x69, who))]
    findings = buses.i2c(grow(tmp_path, PI), scan=lambda number: here)
    (finding,) = [each for each in findings if each.found.startswith("on /dev/i2c-1")]
    assert finding.found == f"on /dev/i2c-1: mpu6050 at 0x68, mpu6050 at 0x69, held by {who}"
    assert finding.mark is mark and (mark is Mark.OK or "end that first" in finding.advice)


def test_a_chip_that_a_kernel_driver_holds_is_read_through_iio_or_released(tmp_path):
    (finding,) = buses.drivers(grow(tmp_path, PI, BOUND))
    assert finding.mark is Mark.NOTE
    assert finding.found == "lsm6dsox at 1-006a is held by the kernel driver st_lsm6dsx_i2c"
    assert "--sensor iio:lsm6dsox_gyro or --sensor iio:lsm6dsox_accel" in finding.advice
    assert "echo 1-006a | sudo tee /sys/bus/i2c/drivers/st_lsm6dsx_i2c/unbind" in finding.advice


def test_a_clock_chip_at_a_sensors_address(tmp_path):
    held = {
        "sys/bus/i2c/devices/1-0068/driver": Path("../rtc-ds1307"),
        "sys/bus/i2c/devices/1-0050/driver": Path("../at24"),
        "sys/bus/i2c/devices/1-0069/name": "nothing holds it\n",
        "sys/bus/i2c/devices/i2c-1/name": "an adapter\n",
    }
    (finding,) = buses.drivers(grow(tmp_path, held))
    assert finding.found == "a chip at 1-0068 is held by the kernel driver rtc-ds1307"
    assert finding.advice.startswith("give a sensor its other address")


@pytest.mark.parametrize(
    ("tree", "may", "mark", "found", "advice"),
    [
        (BOUND, True, Mark.OK, "gyroscope through IIO: iio:device0 (lsm6dsox_gyro)", ""),
        (BOUND, False, Mark.WRONG, "but this user may not read it", 'GROUP="iio"'),
        (BOUND | {f"{SENSOR}/buffer/enable": "1\n"}, True, Mark.WRONG, "held by iio-sensor-proxy", "mask --now"),
        (
            without(BOUND, "proc") | {f"{SENSOR}/buffer/enable": "1\n"},
            True,
            Mark.NOTE,
            "which something reads",
            "fuser -v /dev/iio:device0",
        ),
        (without(BOUND, f"{SENSOR}/scan"), True, Mark.NOTE, "without a buffer", "interrupt"),
        (without(BOUND, "dev"), True, Mark.NOTE, "without a buffer", "interrupt"),
        (
            BOUND | {f"{SENSOR}/in_accel_x_raw": "1\n"},
            True,
            Mark.OK,
            "accelerometer and gyroscope through IIO: iio:device0",
            "",
        ),
    ],
)
def test_sensors_through_iio(tmp_path, tree, may, mark, found, advice):
    (finding,) = buses.iio(grow(tmp_path, tree), lambda path: may)
    assert finding.mark is mark and found in finding.found and advice in finding.advice


def test_what_is_no_motion_sensor_is_not_named(tmp_path):
    assert buses.iio(grow(tmp_path, {"sys/bus/iio/devices/iio:device0/in_voltage0_raw": "5\n"})) == []
