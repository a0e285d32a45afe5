"""The service in the container: from a clean clone to signatures at a broker over TLS, and through faults."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from scripts.packaging_trial.checks import Checks
from scripts.packaging_trial.machines import Container, Machine, ShellError

PORT = 28883
"""The first container shares this machine's network: beside the ports that anybody has."""

METRICS = 29107

BROKER = f"""
mkdir -p /root/broker && cd /root/broker
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=trial \
    -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -keyout key.pem -out request.pem 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:10.0.2.2' >names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names \
    -out cert.pem 2>/dev/null
touch passwords && mosquitto_passwd -b passwords hall opensesame
chmod 700 . passwords
cat >mosquitto.conf <<END
user root
listener {PORT} 127.0.0.1
cafile /root/broker/ca.pem
certfile /root/broker/cert.pem
keyfile /root/broker/key.pem
password_file /root/broker/passwords
max_queued_messages 0
END
mkdir -p /etc/motionsig && cp ca.pem /etc/motionsig/ca.pem
"""
START_BROKER = "systemd-run --quiet --unit=broker mosquitto -c /root/broker/mosquitto.conf"

SETTINGS = f"""
[sensor]
name = "simulated"
[sink]
url = "mqtts://localhost:{PORT}"
username = "hall"
password_credential = "mqtt-password"
ca = "/etc/motionsig/ca.pem"
delay_s = 0.0
"""


def clone(repository: Path, root: Path, *, changes: bool) -> None:
    """Clone into /root/motionsig of `root`; changes: with what is not committed yet."""
    to = root / "root/motionsig"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(repository), str(to)], check=True)
    if changes:
        query = ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(query, check=True, capture_output=True).stdout.split(b"\0")
        there = b"\0".join(name for name in listed if name and (repository / name.decode()).exists())
        packed = ["tar", "-C", str(repository), "--null", "-T", "-", "-cf", "-"]
        archive = subprocess.run(packed, input=there, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-C", str(to), "-xf", "-"], input=archive, check=True)


def start_broker(machine: Machine) -> None:
    machine.shell(f"{BROKER}\n{START_BROKER}")


def status(machine: Machine, *, timeout_s: float = 60) -> dict[str, Any]:
    said = machine.shell("motionsig status --json 2>&1 || true", timeout_s=timeout_s)
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    return answer


def shown(machine: Machine, name: str, unit: str = "motionsig") -> str:
    return machine.shell(f"systemctl show --value -p {name} {unit}")


def await_(machine: Machine, script: str, timeout_s: float) -> float:
    """Run `script` until it succeeds; return how long that took, infinity where it never did."""
    start_s = time.monotonic()
    while (now_s := time.monotonic()) - start_s < timeout_s:
        try:
            machine.shell(script, timeout_s=timeout_s)
        except ShellError:
            time.sleep(0.2)
            continue
        return now_s - start_s
    return float("inf")


def try_install(machine: Container, checks: Checks) -> None:
    start_s = time.monotonic()
    said = machine.shell("cd /root/motionsig && scripts/install 2>&1", timeout_s=600)
    checks("scripts/install from a clean clone", "Next:" in said, f"{time.monotonic() - start_s:.0f} s")
    wrong = [text for text in said.splitlines() if text.startswith("wrong") and "service:" not in text]
    checks(
        "it ends with a doctor that finds nothing wrong but no sensor",
        "ok     Python" in said and not wrong,
        "; ".join(wrong),
    )
    checks("service enabled", machine.shell("systemctl is-enabled motionsig", check=False) == "enabled")
    checks(
        "without a sensor it waits, and says so",
        "no sensor" in shown(machine, "StatusText"),
        shown(machine, "StatusText"),
    )
    score = machine.shell("systemd-analyze security --no-pager motionsig | sed -n 's/.*level for[^:]*: //p'")
    checks("exposure at most 1.5", float(score.split()[0]) <= 1.5, score)


def try_service(machine: Container, checks: Checks) -> None:
    start_broker(machine)
    (machine.root / "etc/motionsig/conf.d/trial.toml").write_text(SETTINGS)

    machine.shell(
        "cd /etc/motionsig/credentials && chmod 755 . && printf opensesame >mqtt-password && chmod 644 mqtt-password"
    )
    said = machine.shell("motionsig run --check 2>&1; echo code $?")
    checks(
        "--check refuses a password that others can read",
        "chmod" in said and said.endswith("code 2"),
        said.splitlines()[0],
    )
    machine.shell("systemctl restart motionsig", check=False)
    refused = shown(machine, "ActiveState") != "active" and "chmod" in machine.shell(
        "journalctl -u motionsig -o cat -n 20"
    )
    checks("so does the service", refused)
    machine.shell("chmod 700 /etc/motionsig/credentials; chmod 600 /etc/motionsig/credentials/*")
    said = machine.shell("motionsig run --check 2>&1; echo code $?")
    checks(
        "--check of the right configuration", said.endswith("code 0"), "" if said.endswith("code 0") else said[-300:]
    )

    hear = f"mosquitto_sub -h localhost -p {PORT} --cafile /root/broker/ca.pem -u hall -P opensesame -t 'motionsig/#'"
    machine.shell(f"{hear} -F %t >/root/heard 2>&1 &")
    start_s = time.monotonic()
    machine.shell("systemctl stop motionsig; systemctl start motionsig", timeout_s=100)
    checks(
        "start to ready (a window takes 2.56 s)",
        shown(machine, "ActiveState") == "active",
        f"{time.monotonic() - start_s:.1f} s",
    )
    took_s = await_(machine, "grep -q /signatures /root/heard", 30)
    checks("a signature at the broker over TLS, password by LoadCredential", took_s < 30, f"{took_s:.1f} s later")
    time.sleep(5)
    now = status(machine)
    checks(
        "motionsig status answers",
        now["ready"] and now["sensor"]["state"] == "streaming" and now["sink"]["delivered"] > 0,
        f"{now['sensor']['true_rate_hz']:.1f} Hz, {now['windows']} windows, {now['sink']['delivered']} delivered",
    )
    denied = machine.shell("setpriv --reuid=65534 --regid=65534 --clear-groups motionsig status 2>&1; true")
    checks("to root alone, and says so to others", "sudo" in denied, denied.splitlines()[-1])
    resident_kb = int(
        machine.shell(f"sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/{shown(machine, 'MainPID')}/status")
    )
    checks("resident memory is less than half of MemoryMax", resident_kb < 128e3, f"{resident_kb / 1e3:.0f} MB")

    try_reload(machine, checks)
    try_end(machine, checks)

    (machine.root / "etc/motionsig/hall.toml").write_text(
        '[sink]\nurl = "store:/var/lib/motionsig-hall/signatures.db"\n'
    )
    said = machine.shell(
        "systemctl enable --now -q motionsig@hall 2>&1; motionsig status --name hall 2>&1", check=False
    )
    # A store takes none of what is a broker's: the instance's file names another kind of sink.
    checks(
        "an instance says that its sink does not fit the keys of the first file",
        "username" in said or "running" in said,
    )
    (machine.root / "etc/motionsig/hall.toml").write_text('[sensor]\nname = "simulated:lsm6dso"\n')
    machine.shell("systemctl restart motionsig@hall", timeout_s=100, check=False)
    said = machine.shell("motionsig status --name hall 2>&1", check=False)
    checks("motionsig@hall runs beside it", said.startswith("well") and "lsm6dso" in said, said.splitlines()[0])


def try_reload(machine: Container, checks: Checks) -> None:
    before = status(machine)
    override = machine.root / "etc/motionsig/conf.d/zz.toml"
    override.write_text(f'[status]\nprometheus = {METRICS}\n[sensor]\nname = "bmi160"\n')
    machine.shell("systemctl reload motionsig")
    time.sleep(6)
    after = status(machine)
    metrics = machine.shell(
        f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{METRICS}; printf \"GET /metrics HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3'",
        check=False,
    )
    checks("SIGHUP applies what it can: metrics on a port", "motionsig_" in metrics, f"{metrics.count(chr(10))} lines")
    checks(
        "and names what needs a restart, in the same process, without a window lost",
        after["pid"] == before["pid"] and "sensor.name" in str(after["needs_restart"]) and not after["windows_lost"],
        f"{after['windows'] - before['windows']} windows in 6 s; needs a restart: {', '.join(after['needs_restart'])}",
    )
    override.write_text("[sink\n")
    machine.shell("systemctl reload motionsig")
    time.sleep(2)
    said = status(machine)
    checks(
        "SIGHUP with a broken file changes nothing and says so",
        said["pid"] == before["pid"] and said["last_error"],
        said["last_error"]["text"],
    )
    override.unlink()
    machine.shell("for i in $(seq 50); do systemctl kill --kill-whom=main -s HUP motionsig; done")
    time.sleep(3)
    said = status(machine)
    checks("fifty SIGHUPs", said["pid"] == before["pid"] and not said["windows_lost"] and not said["needs_restart"])


def try_end(machine: Container, checks: Checks) -> None:
    start_s = time.monotonic()
    machine.shell("systemctl stop motionsig")
    took_s = time.monotonic() - start_s
    checks(
        "SIGTERM ends it within 5 s, cleanly", took_s < 5 and shown(machine, "Result") == "success", f"{took_s:.1f} s"
    )

    machine.shell("systemctl start motionsig; systemctl stop broker", timeout_s=100)
    time.sleep(6)
    start_s = time.monotonic()
    machine.shell("systemctl stop motionsig")
    took_s = time.monotonic() - start_s
    checks("the same while the broker is away", took_s < 5 and shown(machine, "Result") == "success", f"{took_s:.1f} s")
    machine.shell(START_BROKER)

    machine.shell("systemctl start motionsig", timeout_s=100)
    pid = shown(machine, "MainPID")
    machine.shell(f"kill -9 {pid}")
    again = f'[ "$(systemctl show --value -p MainPID motionsig)" != {pid} ] && systemctl is-active -q motionsig'
    took_s = await_(machine, again, 60)
    checks("kill -9: ready again", took_s < 60, f"{took_s:.1f} s")

    pid = shown(machine, "MainPID")
    machine.shell(f"kill -STOP {pid}")
    again = f'[ "$(systemctl show --value -p MainPID motionsig)" != {pid} ] && systemctl is-active -q motionsig'
    took_s = await_(machine, again, 120)
    said = "Watchdog timeout" in machine.shell("journalctl -u motionsig -o cat --no-pager")
    checks("stopped dead: the watchdog has it started again", took_s < 120 and said, f"ready after {took_s:.0f} s")
