"""A real kernel's Industrial I/O and I2C in QEMU: drivers, buffers, triggers, a multiplexer (see kernel/run).

A minute on two processors. The kernel is Debian's, fetched by apt; the code is this tree's, unmodified.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "kernel/run"
NEEDED = ("qemu-system-x86_64", "apt-get", "dpkg-deb")


@pytest.fixture(scope="module")
def results():
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing or platform.machine() != "x86_64":
        # scripts/test installs what is needed and sets this, so that nothing is left out unnoticed.
        assert "MOTIONSIG_TEST_MACHINES" not in os.environ, f"expected {NEEDED}, got none of {missing}"
        pytest.skip(f"needs x86_64 and {', '.join(NEEDED)} (apt-get install qemu-system-x86)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "motionsig-iio-kernel"
    return checks_of([sys.executable, str(RUN), str(cache)])


def checks_of(command):
    """Return what the checks in the guest found; a boot that does not get as far as them is tried once more."""
    for attempt in (1, 2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
        print(done.stdout, done.stderr[-2000:], sep="")
        if "CHECKS BEGIN" in done.stdout:
            break
        print(f"boot {attempt} of 2 failed: QEMU ended with {done.returncode} before the checks began")
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULTS ")]
    assert lines, f"expected results from the guest, got {done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return json.loads(lines[0].removeprefix("RESULTS "))


@pytest.mark.parametrize(
    ("boots", "results", "used"),
    [
        (["CHECKS BEGIN\nRESULTS 7"], 7, 1),
        (["Kernel panic", "CHECKS BEGIN\nRESULTS 8"], 8, 2),
        (["Kernel panic", "", "CHECKS BEGIN\nRESULTS 9"], None, 2),
        (["CHECKS BEGIN\nTraceback", "CHECKS BEGIN\nRESULTS 9"], None, 1),
    ],
)
def test_only_a_boot_that_fails_is_tried_again_and_once(tmp_path, capsys, boots, results, used):
    for number, text in enumerate(boots):
        (tmp_path / f"boot{number}").write_text(text)
    machine = f"cd {tmp_path}; for boot in boot*; do cat $boot; rm $boot; exit 3; done"
    if results is None:
        with pytest.raises(AssertionError, match="expected results from the guest, got"):
            checks_of(["sh", "-c", machine])
    else:
        assert checks_of(["sh", "-c", machine]) == results
    assert len(list(tmp_path.glob("boot*"))) == len(boots) - used
    assert ("boot 1 of 2 failed: QEMU ended with 3" in capsys.readouterr().out) == ("BEGIN" not in boots[0])


def test_it_is_seen_for_what_it_is(results):
    (sensor,) = results["one"]["listing"]
    assert sensor["name"] == "accel_3d"
    assert sensor["driver"] == "hid_sensor_accel_3d"
    assert sensor["trigger"] == "accel_3d-dev0"
    assert sensor["watermark"]
    assert results["one"]["type"] == "le:s16/32>>0"
    assert results["one"]["rate_hz"] == 100
    assert not results["one"]["polled"]
    assert results["one"]["format"] == "iio:hid_sensor_accel_3d"


def test_every_sample_comes_with_its_value_and_time(results):
    steady = results["one"]["steady"]
    assert steady["samples"] >= 300
    assert (steady["missing"], steady["lost"], steady["steps_back"], steady["discards"]) == (0, 0, 0, 0)
    assert results["one"]["worst_acc"] < 1e-5
    assert results["one"]["gyr_nan"]
    assert steady["true_rate_hz"] == pytest.approx(100, rel=0.03)
    least, median, *_ = steady["after_sent_ms"]
    assert 0 <= least <= median < 5


def test_a_full_kernel_fifo_is_noticed(results):
    full = results["one"]["full"]
    assert full["overflows"] == 1
    assert full["gap_blocks"] == full["gaps"] == 1
    assert full["missing"] > 100
    assert abs(full["lost"] - full["missing"]) <= 1


def test_a_pulled_cable_is_a_gap(results):
    back = results["one"]["back"]
    assert results["one"]["while_away"] == []
    assert back["recoveries"] == 1
    assert back["empty_blocks"] >= 1
    assert back["gaps"] == back["gap_blocks"] == 2
    assert abs(back["lost"] - back["missing"]) <= 3
    assert results["one"]["back_s"] < 10


def test_settings_are_made_and_undone(results):
    during = results["one"]["during"]
    assert during["current_timestamp_clock"].strip("\0\n") == "monotonic"
    assert (during["buffer/length"], during["buffer/watermark"]) == ("256", "10")
    assert results["one"]["before"] == results["one"]["after"]


def test_who_has_it_is_told(results):
    assert "iio:accel_3d: expected a sensor that nobody else reads, got one held by this" in results["one"]["second"]


def test_two_devices_of_one_hub_are_joined(results):
    two = results["two"]
    assert two["name"] == "accel_3d+gyro_3d"
    assert (two["lost"], two["missing"], two["steps_back"]) == (0, 0, 0)
    # The hub's two reports are stamped one after the other.
    assert -0.5 < two["gyr_behind"][1] <= 0
    assert two["gyr_z"] < 1e-5


RANGES = {
    "lsm6dsox": ("lsm6dsox_accel+lsm6dsox_gyro", 104, (2, 4, 8, 16), 0.244e-3, 35e-3),
    "bmi160": ("bmi160", 100, (2, 4, 8, 16), 1 / 4096, 1 / 32.8),
    "lis3dh": ("lis3dh", 100, (2, 4, 8, 24.6), 0.25e-3, None),
}
"""Name, a rate that can be set, ranges in g (at 16 g an LIS3DH has 12 mg per count of 12 bits), and by the data sheets
g and degrees per second per count at 8 g and 1000 dps (LSM6DSOX DS12814 table 2, BMI160 BST-BMI160-DS000 tables 2 and
4, LIS3DH DocID17530 table 4)."""


@pytest.mark.parametrize("chip", RANGES)
def test_the_kernel_s_drivers_are_set_and_polled_where_nothing_triggers_them(results, chip):
    facts = results["chips"][chip]
    name, rate_hz, ranges_g, acc, gyr = RANGES[chip]
    assert facts["name"] == name
    assert rate_hz in facts["rates_hz"]
    assert facts["accel_ranges_g"] == pytest.approx(ranges_g, rel=0.05)
    assert facts["format"].startswith("iio-polled:")
    counts = {"lsm6dsox": 4096, "bmi160": 8192, "lis3dh": 16384}[chip]
    assert facts["z"] == pytest.approx(counts * acc * 9.80665, rel=0.025)
    if gyr:
        assert facts["gyr_x"] == pytest.approx(-1000 * gyr * 3.14159265 / 180, rel=0.01)


def test_a_chip_behind_its_driver_is_seen_from_its_multiplexer_and_left_alone(results):
    buses = results["buses"]
    places = [["above", 0x68], ["above", 0x69], ["channel", 0x68], ["channel", 0x69]]
    assert buses["held"] == [[*at, "inv-mpu6050-i2c" if at[1] == 0x68 else None] for at in places]
    # As the kernel itself judges.
    assert buses["kernel"] == [[*at, "EBUSY" if at[1] == 0x68 else "free"] for at in places]
    for said in buses["refused"].values():
        assert "got the kernel's driver inv-mpu6050-i2c (open it as iio) on /dev/i2c-" in said
    assert 0x68 not in buses["asked"] and 0x69 in buses["asked"]


def test_an_adapter_whose_word_for_nobody_is_a_time_out_hides_no_chip(results):
    # The driver has let go of it, so its own bus is gone, too.
    assert results["buses"]["channel_after"] is None
    (found,) = results["buses"]["free"]
    assert found.startswith("mpu6050 on /dev/i2c-") and found.endswith(" at 0x68")


def test_an_adapter_for_smbus_alone_is_named(results):
    assert "(SMBus stub driver): expected an adapter that takes whole I2C" in results["buses"]["smbus_alone"]


def test_a_chip_has_one_owner_on_a_real_node(results):
    said = results["buses"]["second"]
    assert re.search(
        r"^/dev/i2c-\d+ address 0x68: expected .* got one held by process \d+ \(check.py\); stop that", said
    )
    same, other = results["buses"]["twice"]
    assert "held by this process" in same and other == "free"
