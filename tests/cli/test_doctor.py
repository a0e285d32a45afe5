"""The checks of `motionsig doctor` on trees of files as machines have them, and on the machine that runs the tests."""

import argparse
import grp
import json
import os
import sys
import tempfile
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from doctors_trees import check_lines, grow, without
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.tags import sys_tags

from motionsig.cli import doctor
from motionsig.cli.doctor import buses, machine, software
from motionsig.cli.doctor.findings import Mark
from motionsig.errors import SensorError
from motionsig.sensors.bus import transaction_s

NOW_S = 1_795_000_000
INTERPRETER = software.Interpreter("aarch64", 64, "cp311", "3.11.2", (2, 36))
ADAPTER = "sys/class/i2c-adapter/i2c-1"
CHIP = "sys/bus/i2c/devices/1-006a"
SENSOR = "sys/bus/iio/devices/iio:device0"

PI = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n',
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    "boot/firmware/config.txt": "# interfaces\ndtparam=i2c_arm=on,i2c_arm_baudrate=400000\n",
    "usr/bin/raspi-config": "",
    "dev/i2c-1": "",
    f"{ADAPTER}/name": "bcm2835 (i2c@7e804000)\n",
    f"{ADAPTER}/of_node/clock-frequency": (400_000).to_bytes(4, "big"),
    "dev/i2c-20": "",
    "sys/class/i2c-adapter/i2c-20/of_node/clock-frequency": (97_500).to_bytes(4, "big"),
    "sys/class/drm/card1-HDMI-A-1/ddc": Path("../../../i2c-20"),
    "sys/class/rtc/rtc0/name": "rtc-ds1307 1-0068\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "run/systemd/timesync/synchronized": "",
}
BOUND = {
    f"{CHIP}/name": "lsm6dsox\n",
    f"{CHIP}/driver": Path("../../../../bus/i2c/drivers/st_lsm6dsx_i2c"),
    f"{CHIP}/iio:device0/name": "lsm6dsox_gyro\n",
    f"{CHIP}/iio:device1/name": "lsm6dsox_accel\n",
    f"{SENSOR}/name": "lsm6dsox_gyro\n",
    f"{SENSOR}/in_anglvel_x_raw": "12\n",
    f"{SENSOR}/scan_elements/in_anglvel_x_en": "1\n",
    f"{SENSOR}/buffer/enable": "0\n",
    "dev/iio:device0": "",
    "proc/411/comm": "iio-sensor-prox\n",
}


def on_tree(root, allowed=buses.read_write):
    return [
        software.python(root, INTERPRETER),
        *buses.i2c(root, allowed),
        *buses.drivers(root),
        *buses.iio(root, allowed),
        *machine.clock(root, NOW_S, None),
        *machine.supply(root),
    ]


def test_on_a_pi_with_all_well_nothing_is_to_do(tmp_path):
    findings = on_tree(grow(tmp_path, PI))
    check_lines(findings)
    assert {finding.mark for finding in findings} == {Mark.OK}
    assert [finding.found for finding in findings] == [
        "Python 3.11.2 on Debian GNU/Linux 12 (bookworm), aarch64",
        "/dev/i2c-1 (bcm2835 (i2c@7e804000)) can be read and written",
        "I2C bus 1 runs at 400 kHz: about 2090 six-axis samples a second fit",
        "the time has been synchronised since the last start",
        "the supply is strong enough",
    ]


def test_a_machine_without_any_of_the_files(tmp_path):
    findings = on_tree(tmp_path)
    check_lines(findings)
    assert all(finding.mark is not Mark.WRONG for finding in findings)


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


def test_sensors_are_asked_for_on_each_bus_that_may_be_used(tmp_path):
    grow(tmp_path, PI, {"dev/i2c-3": ""})

    def scan(number):
        return [("lsm6dsox", 0x6A)] if number == 1 else []

    found = [finding.found for finding in buses.i2c(tmp_path, scan=scan)]
    assert "on /dev/i2c-1: lsm6dsox at 0x6a" in found and "no known sensor answers on /dev/i2c-3" in found
    assert not any("6a" in finding.found for finding in buses.i2c(tmp_path, lambda path: False, scan))

    def stuck(number):
        raise SensorError(f"/dev/i2c-{number}:\n timed out")

    assert "/dev/i2c-3: timed out" in [finding.found for finding in buses.i2c(tmp_path, scan=stuck)]


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


@pytest.mark.parametrize(
    ("interpreter", "extras"),
    [
        (INTERPRETER, ["litert", "tflite"]),
        (replace(INTERPRETER, tag="cp313"), ["litert"]),
        (replace(INTERPRETER, tag="cp314t"), []),
        (replace(INTERPRETER, tag="cp315"), []),
        (replace(INTERPRETER, tag="pypy311"), []),
        (replace(INTERPRETER, glibc=None), []),
        (replace(INTERPRETER, glibc=(2, 31)), ["litert"]),
        (replace(INTERPRETER, glibc=(2, 26)), []),
        (replace(INTERPRETER, machine="x86_64", glibc=(2, 26)), ["tflite"]),
        (replace(INTERPRETER, machine="x86_64", bits=32), []),
        (replace(INTERPRETER, bits=32), ["tflite"]),
        (replace(INTERPRETER, machine="armv8l", bits=32), ["tflite"]),
        (replace(INTERPRETER, machine="armv7l", bits=32), ["tflite"]),
        (replace(INTERPRETER, machine="armv7l", bits=32, tag="cp313"), []),
        (replace(INTERPRETER, machine="armv6l", bits=32), []),
        (replace(INTERPRETER, machine="riscv64"), []),
    ],
)
def test_the_wheels_that_fit(interpreter, extras):
    assert [wheel.extra for wheel in software.fitting(interpreter)] == extras
    finding = software.wheels(interpreter)
    check_lines([finding])
    assert finding.mark is (Mark.OK if extras else Mark.NOTE)
    assert all(f"motionsig[{extra}]" in finding.found for extra in extras)


def test_the_wheels_that_fit_here_are_those_that_pip_takes():
    here, takes = software.this_interpreter(), {str(tag) for tag in sys_tags()}
    for wheel in software.WHEELS:
        names = {
            f"{tag}-{tag}-manylinux_{glibc[0]}_{glibc[1]}_{architecture}"
            for tag in wheel.tags
            for architecture, glibc in wheel.glibc.items()
        }
        assert (wheel in software.fitting(here)) == bool(names & takes)


@pytest.mark.parametrize(
    ("interpreter", "mark", "found"),
    [
        (replace(INTERPRETER, bits=32), Mark.NOTE, "a 64-bit kernel under 32-bit programs, which take armv7l wheels"),
        (replace(INTERPRETER, machine="armv7l", bits=32), Mark.OK, "armv7l, 32 bits"),
    ],
)
def test_32_bit_programs(tmp_path, interpreter, mark, found):
    finding = software.python(grow(tmp_path, PI), interpreter)
    check_lines([finding])
    assert finding.mark is mark and found in finding.found
    assert mark is Mark.OK or "Raspberry Pi OS (64-bit)" in finding.advice


def test_numpy_of_another_age():
    assert software.numpy_version().mark is Mark.OK
    assert software.numpy_version("1.24.2").mark is Mark.OK
    assert software.numpy_version("1.23.5").mark is Mark.WRONG


def fake(root, **modules):
    """Return a search path on which these modules come first."""
    for name, code in modules.items():
        package = root / name
        package.mkdir()
        (package / "__init__.py").write_text("__version__ = '2.14.0'\n")
        (package / "interpreter.py").write_text(textwrap.dedent(code))
    return [str(root), *sys.path]


ABSENT = "raise ImportError('not here')"
ZEROS = """
    import numpy as np
    from motionsig.encoders import find_model

    load_delegate = None

    class Interpreter:
        def __init__(self, **options):
            self.card = find_model()
        def allocate_tensors(self):
            print("INFO: loaded", end="")
        def tensor(self, shape, scale):
            return [{"index": 0, "dtype": np.int8, "shape": np.array(shape), "quantization": scale}]
        def get_input_details(self):
            group = self.card.input.groups[0]
            return self.tensor([1, 1, self.card.length, self.card.input.dim], (group.scale, group.zero_point))
        def get_output_details(self):
            group = self.card.motion.groups[0]
            return self.tensor([1, self.card.motion_dim], (group.scale, group.zero_point))
        def set_tensor(self, index, data):
            pass
        def invoke(self):
            pass
        def get_tensor(self, index):
            return np.zeros((1, self.card.motion_dim), np.int8)
"""


@pytest.mark.parametrize(
    ("litert", "interpreter", "mark", "found", "advice"),
    [
        (ABSENT, INTERPRETER, Mark.WRONG, "no inference runtime", "pip install 'motionsig[litert]'"),
        (ABSENT, replace(INTERPRETER, bits=32), Mark.WRONG, "no inference runtime", "'motionsig[tflite]'"),
        (ABSENT, replace(INTERPRETER, machine="armv6l"), Mark.NOTE, "no inference runtime", "--device reference"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            INTERPRETER,
            Mark.WRONG,
            "the inference runtime died of signal 11",
            "pip install --force-reinstall --no-deps ai-edge-litert",
        ),
        (
            "import os; os._exit(3)",
            replace(INTERPRETER, machine="riscv64"),
            Mark.WRONG,
            "the inference runtime failed",
            "--device reference",
        ),
        ("raise OSError('wrong ELF class')", INTERPRETER, Mark.WRONG, "wrong ELF class", "--device reference"),
        ("1 / 0", INTERPRETER, Mark.WRONG, "failed: ZeroDivisionError", "--device reference"),
        ("import time; time.sleep(60)", INTERPRETER, Mark.WRONG, "did not finish within 2 s", "--device reference"),
        (ZEROS, INTERPRETER, Mark.WRONG, "are allowed: not to be trusted", "--device reference"),
    ],
    ids=["none", "none, 32 bits", "none to be had", "segfault", "exit", "library", "bug", "hangs", "wrong numbers"],
)
def test_a_runtime_that_is_not_well(tmp_path, litert, interpreter, mark, found, advice):
    path = fake(tmp_path, ai_edge_litert=litert, tflite_runtime=ABSENT)
    finding = software.runtime(interpreter, path, deadline_s=2 if "sleep" in litert else software.DEADLINE_S)
    check_lines([finding])
    assert finding.mark is mark and found in finding.found and advice in finding.advice


def test_the_runtime_here_runs_the_shipped_model():
    finding = software.runtime(software.this_interpreter(), sys.path)
    assert finding.mark is not Mark.WRONG and "runs the shipped model" in finding.found


def test_the_old_runtime_where_the_new_one_has_a_wheel(tmp_path):
    card_codes = ZEROS.replace(
        "return np.zeros((1, self.card.motion_dim), np.int8)",
        """
            self.row = getattr(self, "row", -1) + 1
            return np.load(self.card.path / "golden.npz")["codes"][self.row : self.row + 1, : self.card.motion_dim]
        """.strip(),
    )
    # An old numpy by name: the encoder refuses this runtime beside a newer one.
    old = "import numpy; numpy.__version__ = '1.26.4'\n" + textwrap.dedent(card_codes)
    path = fake(tmp_path, ai_edge_litert=ABSENT, tflite_runtime=old)
    finding = software.runtime(INTERPRETER, path)
    assert finding.mark is Mark.NOTE and "LiteRT is faster" in finding.found and "motionsig[litert]" in finding.advice
    assert software.runtime(replace(INTERPRETER, bits=32), path).mark is Mark.OK


def test_extras(tmp_path):
    here = software.extras(sys.path)
    absent = software.extras([str(tmp_path)])
    check_lines([*here, *absent])
    assert any(finding.found.startswith("paho-mqtt ") and finding.mark is Mark.OK for finding in here)
    assert [finding.mark for finding in absent] == [Mark.NOTE, Mark.NOTE]
    assert absent[0].advice.endswith("'motionsig[i2c]'") and absent[1].advice.endswith("'motionsig[mqtt]'")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\0", b"Name: smbus2\n"])
def test_half_a_package_is_of_unknown_version(tmp_path, content):
    (tmp_path / "smbus2-0.6.1.dist-info").mkdir()
    if content is not None:
        (tmp_path / "smbus2-0.6.1.dist-info/METADATA").write_bytes(content)
    assert software.extras([str(tmp_path)])[0].found == "smbus2 of unknown version for sensors on I2C"


@pytest.mark.parametrize(
    ("now_s", "synchronized", "tree", "mark", "found"),
    [
        (NOW_S, True, {}, Mark.OK, "the time is synchronised"),
        (NOW_S, False, {}, Mark.NOTE, "the time is not synchronised"),
        (NOW_S, None, {}, Mark.NOTE, "the kernel does not tell"),
        (NOW_S, False, {"run/systemd/timesync/synchronized": ""}, Mark.OK, "since the last start"),
        (0, True, {}, Mark.WRONG, "the clock shows 1970-01-01"),
    ],
)
def test_the_time(tmp_path, now_s, synchronized, tree, mark, found):
    finding, rtc = machine.clock(grow(tmp_path, tree), now_s, synchronized)
    check_lines([finding, rtc])
    assert finding.mark is mark and found in finding.found
    assert rtc.mark is Mark.NOTE and "while this machine is off" in rtc.found


def test_the_kernel_is_asked_without_being_changed():
    assert machine.kernel_says_synchronized() in (True, False)


def test_where_signatures_wait(tmp_path):
    fine = machine.state_directory(tmp_path / "not/yet/there")
    assert fine.mark is Mark.OK and "MiB are free" in fine.found
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    wrong = machine.state_directory(tmp_path / "file/spool")
    assert wrong.mark is Mark.WRONG and "is not a directory" in wrong.found
    check_lines([fine, wrong])


THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ({}, None),
        ({THROTTLED: "0\n"}, "the supply is strong enough"),
        (
            {THROTTLED: "50005\n"},
            "too weak now and the processor is throttled now and the supply has been too weak and",
        ),
        ({THROTTLED: "50000\n"}, "the supply has been too weak and the processor has been throttled"),
        ({THROTTLED: "\n"}, None),
        ({THROTTLED: b"\xff\0zz"}, None),
        (PI | {THROTTLED: "50005\n"}, "the supply is strong enough"),
        (PI | {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, "the supply is too weak now"),
    ],
)
def test_the_supply(tmp_path, tree, found):
    findings = machine.supply(grow(tmp_path, tree))
    check_lines(findings)
    assert len(findings) == (found is not None) and all(found in finding.found for finding in findings)


FILES = sorted(name for name, content in (PI | BOUND | {THROTTLED: "0\n"}).items() if not isinstance(content, Path))
JUNK = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [None, Path("."), Path("nowhere"), b"\x1b[2J\r\n\0", b"\xe2\x80\xa8" * 9, b"A" * 200_000, b"$(reboot)\n"]
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), JUNK, max_size=len(FILES)), st.booleans())
def test_junk_in_any_file_is_at_most_a_finding(junk, may):
    with tempfile.TemporaryDirectory() as folder:
        root = grow(Path(folder), {name: value for name, value in (PI | BOUND | junk).items() if value is not None})
        findings = on_tree(root, lambda path: may)
    check_lines(findings)
    assert len(findings) >= 5 and all(len(finding.found) < 400 for finding in findings)


@pytest.mark.parametrize("json_too", [False, True])
def test_the_command_on_this_machine(tmp_path, monkeypatch, capsys, json_too):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    parser = argparse.ArgumentParser()
    doctor.add_to(parser.add_subparsers())
    options = parser.parse_args(["doctor", "--json"] if json_too else ["doctor"])
    code = options.command(options)
    shown = capsys.readouterr().out
    if json_too:
        findings = json.loads(shown)
        assert all(sorted(finding) == ["advice", "found", "mark"] for finding in findings)
        marks = [finding["mark"] for finding in findings]
        assert all(finding["found"] for finding in findings)
    else:
        lines = shown.splitlines()
        marks = [line.split()[0] for line in lines]
        assert all(line[7:].strip() for line in lines) and str(tmp_path) in shown
        assert all((" -> " in line) == (mark != "ok") for line, mark in zip(lines, marks, strict=True))
    assert len(marks) >= 9 and set(marks) <= {"ok", "note", "wrong"}
    assert code == int("wrong" in marks)
    assert list(tmp_path.iterdir()) == []
