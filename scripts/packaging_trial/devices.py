"""The service in QEMU, on a kernel with devices: what its sandbox lets through, and a sensor that the kernel drives.

i2c-stub stands in for a chip on I2C, USB/IP for two Edge TPUs, uhid for a sensor hub's accelerometer and gyroscope.
"""

import json
import shutil
import time
from pathlib import Path

from scripts.packaging_trial.checks import Checks
from scripts.packaging_trial.machines import HERE, Guest
from scripts.packaging_trial.service import await_, shown, status

HUB = HERE.parents[1] / "tests/sensors/iio/kernel/hid_sensor.py"
PLACE = "/usr/local/lib/trial"

PLUG_IN = f"""
modprobe -a i2c_dev vhci_hcd uhid hid_sensor_hub hid_sensor_accel_3d hid_sensor_gyro_3d
modprobe i2c_stub chip_addr=0x6a
python3 {PLACE}/usb_device.py 0 1a6e 089a >/run/edge-tpu-0 2>&1 &
python3 {PLACE}/usb_device.py 1 18d1 9302 >/run/edge-tpu-1 2>&1 &
mkfifo /run/hub
sleep infinity >/run/hub &
python3 {PLACE}/hid_sensor.py /run/sent accel gyro </run/hub >/run/hub.log 2>&1 &
sleep 5
udevadm settle
"""

# The unit's own text, so that nothing in it is forgotten; another program, which runs once.
PROBE = f"""
sed -e 's#^ExecStart=.*#ExecStart=/opt/motionsig/bin/python3 {PLACE}/probe.py#' -e 's/^Type=.*/Type=oneshot/' \
    -e '/^\\(Restart\\|RestartSec\\|WatchdogSec\\|ExecReload\\)=/d' \
    /usr/lib/systemd/system/motionsig.service >/run/systemd/system/probe.service
systemctl daemon-reload
systemctl start probe
journalctl -u probe -o cat --no-pager
"""


def equip(root: Path) -> None:
    """Put what the trial runs in the guest into `root`."""
    for program in (*(HERE / "guest").glob("*.py"), HUB):
        shutil.copy(program, root / PLACE.lstrip("/"))


def try_devices(guest: Guest, checks: Checks) -> None:
    guest.shell(PLUG_IN, timeout_s=120)
    said = guest.shell("stat -c '%n %a %G' /dev/i2c-* /dev/iio:* /dev/bus/usb/003/00[23]")
    owned = {line.split()[0]: line.split()[1:] for line in said.splitlines()}
    for kind, group, least in (("/dev/i2c-", "i2c", 1), ("/dev/iio:", "iio", 2), ("/dev/bus/usb", "plugdev", 2)):
        given = [mode for name, mode in owned.items() if name.startswith(kind)]
        checks(
            f"udev gives {kind}… to group {group}",
            len(given) >= least and all(mode == ["660", group] for mode in given),
        )
    rows = [json.loads(row) for row in guest.shell(PROBE, timeout_s=120).splitlines() if row.startswith("[")]
    for name, so, why in rows:
        checks(f"sandbox: {name}", so, why)
    checks("sandbox: probed to the end", bool(rows) and "mounts" in rows[-1][0])

    settings = '[sensor]\nname = "iio"\nrate_hz = 50.0\n'
    guest.shell(f"printf '{settings}' >/etc/motionsig/conf.d/trial.toml")
    start_s = time.monotonic()
    guest.shell("systemctl restart --no-block motionsig")
    took_s = await_(guest, "systemctl is-active -q motionsig", 120)
    checks(
        "an IIO sensor in the sandbox, ready (emulated processor)", took_s < 120, f"{time.monotonic() - start_s:.0f} s"
    )
    time.sleep(10)
    now = status(guest)
    sensor, delivered = now["sensor"], now["sink"]["delivered"]
    checks(
        "it streams, and signatures are made",
        sensor["state"] == "streaming" and delivered > 1,
        f"{sensor['name']}, {sensor['samples']} samples, {sensor['lost']} lost, {delivered} signatures",
    )
    used = int(shown(guest, "MemoryCurrent"))
    limit = int(shown(guest, "MemoryMax"))
    checks(
        "memory of the whole service below half of MemoryMax",
        used < limit / 2,
        f"{used / 1e6:.0f} of {limit / 1e6:.0f} MB",
    )
    guest.shell("systemctl stop motionsig", timeout_s=60)
    buffers = guest.shell("cat /sys/bus/iio/devices/iio:device*/buffer/enable").split()
    checks("stopped, it leaves the kernel's buffers off", set(buffers) == {"0"})
