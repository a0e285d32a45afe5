"""The page in the container: systemd starts it for the first browser, and it ends after a minute with none."""

import json
import time
from typing import Any

from scripts.packaging_trial.checks import Checks
from scripts.packaging_trial.machines import ALONE, Container
from scripts.packaging_trial.service import await_, shown

PAGE = "motionsig-page.service"
STAYS_S = 60.0
MOST_KB = 35_000
SETTINGS = "etc/motionsig/conf.d/zz-page.toml"
LISTENS = "cat /proc/net/tcp /proc/net/tcp6 | grep -cE ':223[DE] .* 0A '"
"""At 8765 and 8766, the page's ports: how many sockets."""

# A browser: `page.py LINK` is let in by a link and keeps the session; `page.py` asks what the service says of itself.
BROWSER = """
import http.client, json, re, ssl, sys
KEPT = "/root/browser.json"
if len(sys.argv) > 1:
    scheme, host, port, code = re.fullmatch(r"(https?)://(.+):([0-9]+)/#pair=(.+)", sys.argv[1]).groups()
else:
    scheme, host, port, cookie = json.load(open(KEPT))
connection = http.client.HTTPConnection(host, int(port), timeout=20)
if scheme == "https":
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, int(port), timeout=20, context=unchecked)
def ask(method, path, body=None, **headers):
    connection.request(method, path, json.dumps(body), {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    return answer, json.loads(answer.read())
if len(sys.argv) > 1:
    answer, _ = ask("POST", "/api/pair", {"code": code})
    cookie = answer.headers["set-cookie"].split(";")[0]
    json.dump([scheme, host, port, cookie], open(KEPT, "w"))
_, session = ask("GET", "/api/session", Cookie=cookie)
token = {"X-Motionsig-CSRF": session["csrf"], "Cookie": cookie}
print(json.dumps([ask("POST", "/api/ask", {"ask": name}, **token)[1] for name in ("hello", "status")]))
"""


def try_page(machine: Container, checks: Checks) -> None:
    (machine.root / "root/page.py").write_text(BROWSER)
    machine.shell("motionsig page --end all", check=False)
    (machine.root / SETTINGS).write_text('[sensor]\nname = "simulated"\n')
    machine.shell("systemctl restart motionsig", timeout_s=100)
    score = machine.shell(f"systemd-analyze security --no-pager {PAGE} | sed -n 's/.*level for[^:]*: //p'")
    checks("the page's exposure at most 1.5", float(score.split()[0]) <= 1.5, score)
    checks("with nobody there is no process of it", shown(machine, "MainPID", PAGE) == "0")
    link = _link(machine, "motionsig page")
    start_s = time.monotonic()
    hello, _ = _asked(machine, link)
    took_s = time.monotonic() - start_s
    checks(
        "the first browser starts it, and it says what the service says", "version" in hello["ok"], f"{took_s:.1f} s"
    )
    resident = machine.shell(f"grep VmRSS /proc/{shown(machine, 'MainPID', PAGE)}/status")
    kb = int(resident.split()[1])
    checks(f"it takes at most {MOST_KB:,} kB", kb <= MOST_KB, f"{kb:,} kB")

    pid = shown(machine, "MainPID", PAGE)
    machine.shell("systemctl restart motionsig", timeout_s=100)
    _, status = _asked(machine)
    checks(
        "the service restarts, and the same page and session go on",
        status["ok"]["uptime_s"] < 30 and shown(machine, "MainPID", PAGE) == pid,
    )
    machine.shell("systemctl stop motionsig")
    said = machine.shell("python3 /root/page.py", check=False)
    stopped = shown(machine, "ActiveState") == "inactive" and "does not answer" in said
    checks("a service that was stopped stays so, whoever looks at the page", stopped)
    machine.shell("systemctl start motionsig", timeout_s=100)

    took_s = await_(machine, f'[ "$(systemctl show --value -p MainPID {PAGE})" = 0 ]', 2 * STAYS_S)
    checks("it ends by itself when nobody has asked for a minute", took_s < 2 * STAYS_S, f"{took_s:.0f} s later")
    checks("and is started again, with the same session", "version" in _asked(machine)[0]["ok"])

    before = machine.shell(LISTENS, check=False)
    link = _link(machine, "motionsig page --network")
    hello, _ = _asked(machine, link)
    checks(
        "--network: a browser is let in over TLS, where nothing listened",
        before == "1" and "ok" in hello and link.startswith(f"https://{ALONE}:8766/"),
        link.partition("#")[0],
    )
    machine.shell("motionsig page --loopback")
    checks("--loopback: nothing listens on the network", machine.shell(LISTENS, check=False) == "1")
    listed = machine.shell("motionsig page --sessions").count("since")
    machine.shell("motionsig page --end all")
    left = machine.shell("motionsig page --sessions")
    checks("--sessions lists two, --end all ends them", listed == 2 and left == "no browser is let in", left)
    denied = machine.shell("setpriv --reuid=65534 --regid=65534 --clear-groups motionsig page 2>&1; true")
    checks("no user but root lets anybody in", "sudo motionsig page" in denied, denied.splitlines()[-1])
    (machine.root / SETTINGS).unlink()


def open_to_network(machine: Container) -> None:
    """Let a browser of the network in."""
    (machine.root / "root/page.py").write_text(BROWSER)
    _asked(machine, _link(machine, "motionsig page --network"))


def check_still_open(machine: Container, checks: Checks) -> None:
    listening = machine.shell(LISTENS, check=False)
    checks(
        "the upgraded page is reached as before, by the same session",
        listening == "2" and "version" in _asked(machine)[0]["ok"],
        f"{listening} ports",
    )


def _link(machine: Container, command: str) -> str:
    said = machine.shell(f"{command} 2>&1")
    return next(line.split()[1] for line in said.splitlines() if line.startswith("open"))


def _asked(machine: Container, link: str = "") -> list[Any]:
    answers: list[Any] = json.loads(machine.shell(f"python3 /root/page.py {link}"))
    return answers
