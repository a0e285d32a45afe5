"""The power is cut in the middle of an outage and of a model's installation, and comes back.

The guest publishes to the broker in the container, where `motionsig collect` stores what arrives.
"""

import time
from pathlib import Path

from scripts.packaging_trial.checks import Checks
from scripts.packaging_trial.machines import Container, Guest
from scripts.packaging_trial.service import PORT, START_BROKER, await_, status

OUTAGE_S = 40.0
WINDOW_S, HOP_S, BUFFER_S = 2.56, 1.28, 16.0

SETTINGS = f"""
name = "cut"
[sensor]
name = "simulated"
rate_hz = 50.0
[sink]
url = "mqtts://10.0.2.2:{PORT}"
username = "hall"
password_credential = "mqtt-password"
ca = "/etc/motionsig/ca.pem"
delay_s = 0.0
retry_s = 1.0
max_retry_s = 2.0
"""

COLLECT = f"systemd-run -q --unit=collect motionsig collect --from 'mqtts://hall:opensesame@localhost:{PORT}?ca=/root/broker/ca.pem'"
STORED = """python3 - <<'END'
import sqlite3
store = sqlite3.connect("file:/root/cloud.db?mode=ro", uri=True)
wanted = "SELECT epoch, count(*), min(seq), max(seq), max(start_ns) FROM signatures WHERE device = 'cut' GROUP BY epoch"
for row in store.execute(wanted):
    print(*row)
END"""
READY = "systemctl is-active -q motionsig"
NEWER = """
mkdir -p /root/newer && cp /opt/motionsig/lib/python3*/site-packages/motionsig/firmware_models/motion64/* /root/newer/
sed -i 's/"version": [0-9]*,/"version": VERSION,/' /root/newer/card.json
motionsig models install --unsigned /root/newer 2>&1
"""


def stored(broker: Container) -> dict[int, list[int]]:
    """Return count, first, last number and time of the last of each stream id."""
    return {
        int(stream_id): [int(word) for word in rest]
        for stream_id, *rest in map(str.split, broker.shell(STORED).splitlines())
    }


def try_power_cut(guest: Guest, broker: Container, checks: Checks) -> None:
    broker.shell(f"{COLLECT} --into store:/root/cloud.db")
    certificate = (broker.root / "root/broker/ca.pem").read_text()
    guest.shell(
        f"cat >/etc/motionsig/ca.pem <<'END'\n{certificate}END\n"
        "cd /etc/motionsig/credentials && (umask 077; printf opensesame >mqtt-password)\n"
        f"cat >/etc/motionsig/conf.d/trial.toml <<'END'\n{SETTINGS}END\n"
        "systemctl enable -q motionsig; systemctl restart --no-block motionsig"
    )
    await_(guest, READY, 120)
    for _ in range(60):
        if stored(broker):
            break
        time.sleep(1)

    broker.shell("systemctl stop broker")
    time.sleep(OUTAGE_S)
    waiting = status(guest)["sink"]["pending"]
    # The query slowed the emulated processor down; let the service catch up before the power goes.
    time.sleep(10)
    cut_s = time.time()
    guest.cut()
    checks("an outage, and its signatures in the spool when the power goes", waiting > 10, f"{waiting} signatures")

    broker.shell(START_BROKER)
    with guest:
        checks("after the cut the service is ready by itself", await_(guest, READY, 180) < 180)
        damaged = status(guest)["sink"]["damaged_bytes"]
        checks("the spool opens, and is whole", damaged == 0, f"{damaged} B damaged")
        for _ in range(60):
            if len(arrived := stored(broker)) == 2 and not status(guest)["sink"]["pending"]:
                break
            time.sleep(1)
        (count, first, last, last_ns), *newer = sorted(arrived.values(), key=lambda each: each[3])
        lost_s = cut_s - (last_ns / 1e9 + WINDOW_S)
        # The write-ahead buffer, the window that was being made, and a second, as the processor is emulated.
        checks(
            "lost: at most the last 16 s of the outage",
            lost_s < BUFFER_S + HOP_S + 1,
            f"the last to arrive ended {lost_s:.1f} s before the cut",
        )
        checks("before that every signature arrived, once", first == 0 and count == last + 1, f"{count} of {last + 1}")
        checks("and new ones follow, in a new stream", bool(newer), f"{sum(each[0] for each in newer)} signatures")

        said = guest.shell(NEWER.replace("VERSION", "2"), timeout_s=120, check=False)
        checks("models install", "installed" in said, said.splitlines()[-3])
        guest.shell(f"({NEWER.replace('VERSION', '3')}) >/run/installing 2>&1 &")
        await_(guest, "grep -q signature /run/installing", 60)
        guest.cut()
    with guest:
        checks("after a cut while a model is installed: ready by itself", await_(guest, READY, 180) < 180)
        folder = status(guest)["model"]["folder"]
        guest.shell(f"motionsig models {folder}", timeout_s=120)
        there = guest.shell("cd /var/lib/motionsig-models/motion64 && ls -A").split()
        checks("with the old model or the new one, whole", Path(folder).name in there, f"{folder} of {there}")
        errors = guest.shell("dmesg | grep -c 'EXT4-fs error'", check=False)
        checks("and a file system without an error", errors == "0")
