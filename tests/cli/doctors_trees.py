"""Machines as trees of files, for the doctor to look at, and what every line of his has to be."""

from pathlib import Path

from motionsig.cli.doctor.findings import Mark

NOW_S = 1_795_000_000
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
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


def grow(root, *trees):
    """Write files; a Path stands for a symbolic link."""
    for name, content in {name: content for tree in trees for name, content in tree.items()}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            path.symlink_to(content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def without(tree, *names):
    return {name: content for name, content in tree.items() if not name.startswith(names)}


def check_lines(findings):
    for finding in findings:
        line = finding.found + finding.advice
        assert finding.found and line.isprintable(), finding
        assert bool(finding.advice) == (finding.mark is not Mark.OK), finding
