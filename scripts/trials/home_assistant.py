"""Show a real Home Assistant a device's entities and events, and print a table of what it made of them.

With --hass, the command that starts Home Assistant (as PATH/bin/hass, installed with `pip install homeassistant`), the
trial sets one up in a temporary folder, with a broker of its own unless --broker names one; its first start fetches
what Home Assistant lacks. With --url, --token-file and --broker it uses one that runs: its MQTT integration must know
that broker, and the token (from your profile there) be an administrator's. That one is restarted only with --restart.
About two minutes. The device is called trial-hall, and leaves nothing at the broker.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "publishers")]

from broker import PERSISTENT, Broker, free_port  # noqa: E402

from motionsig import Event  # noqa: E402
from motionsig.publishers import open_sink  # noqa: E402
from motionsig.publishers.brokers import parse_broker  # noqa: E402
from motionsig.publishers.connection import Connection  # noqa: E402
from motionsig.publishers.mqtt import MqttSink  # noqa: E402

DEVICE = "trial-hall"
RENAMED = "trial-kitchen"
TIMEOUT_S = 30.0
NAMES = {
    "binary_sensor": {"Connection", "walking"},
    "sensor": {"Signal quality", "Backlog", "Runs on", "Last error"},
    "event": {"knock"},
}
"""The entities of the device by their kind, each by its name without the device's."""

MINE = re.compile(r"trial.hall|trial.kitchen|mqtt|value_json", re.IGNORECASE)
"""What a line of the log has that is about the device, its messages or their templates."""


class HomeAssistant:
    """The REST interface of Home Assistant at `url`."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self.token = token
        self.heard: list[tuple[float, dict[str, Any]]] = []

    def open(self, path: str, said: object = None, *, timeout_s: float = TIMEOUT_S) -> Any:
        data = said if isinstance(said, bytes) or said is None else json.dumps(said).encode()
        request = urllib.request.Request(f"{self.url}{path}", data)
        if not isinstance(said, bytes):
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            return urllib.request.urlopen(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            raise OSError(f"{path}: {error}: {error.read(2000).decode('utf-8', 'replace')}") from error

    def ask(self, path: str, said: object = None) -> Any:
        with self.open(path, said) as answer:
            return json.load(answer)

    def render(self, template: str) -> str:
        with self.open("/api/template", {"template": template}) as answer:
            return str(answer.read().decode())

    def ready(self) -> bool:
        try:
            return bool(self.ask("/api/config")["state"] == "RUNNING")
        except (OSError, ValueError):
            return False

    def states(self, device: str = DEVICE) -> dict[str, dict[str, Any]]:
        """Return a device's entities, by kind and name without the device's, as "event knock"."""
        ids = json.loads(
            self.render(f"{{{{ (device_entities(device_id('{device}')) if device_id('{device}') else []) | tojson }}}}")
        )
        every = {state["entity_id"]: state for state in self.ask("/api/states")}
        found = [every[entity] for entity in ids if entity in every]
        return {f"{it['entity_id'].split('.')[0]} {short(it)}": it for it in found}

    def say(self, what: str) -> str:
        """Return the state of an entity of the device; "gone" where there is none."""
        return str(self.states().get(what, {}).get("state", "gone"))

    def listen(self) -> None:
        """Note every change of a state from here on, with the time when it was heard."""
        answer = self.open("/api/stream?restrict=state_changed", timeout_s=120)

        def run() -> None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                for line in answer:
                    heard_s = time.monotonic()
                    if line.startswith(b"data: {"):
                        self.heard.append((heard_s, json.loads(line[6:])["data"]))

        threading.Thread(target=run, daemon=True).start()

    def log(self) -> list[str] | None:
        """Return the warnings and errors since it started; None where it writes no log that can be read."""
        try:
            with self.open("/api/error_log") as answer:
                return warnings_in(answer.read().decode())
        except OSError:
            return None


class OwnHomeAssistant(HomeAssistant):
    """One that is set up and started here, in `folder`."""

    def __init__(self, command: str, folder: Path) -> None:
        self._port = free_port()
        super().__init__(f"http://127.0.0.1:{self._port}")
        self._command, self._folder = shlex.split(command), folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        (folder / "configuration.yaml").write_text(f"http:\n  server_host: 127.0.0.1\n  server_port: {self._port}\n")

    def start(self) -> None:
        with (self._folder / "output").open("ab") as output:
            command = [*self._command, "--config", str(self._folder), "--log-no-color"]
            self._process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        if not until(self.ready if self.token else self._answers, timeout_s=600):
            raise SystemExit(f"Home Assistant does not start: {(self._folder / 'output').read_text()[-2000:]}")

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise SystemExit(f"Home Assistant ended: {(self._folder / 'output').read_text()[-2000:]}")
        try:
            self.ask("/api/onboarding")
        except (OSError, ValueError):
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(120)
            self._process = None

    def set_up(self, broker: str) -> None:
        """Make a user and the entry of the MQTT integration, through the pages that a person would fill in."""
        me = {"client_id": f"{self.url}/"}
        person = {"name": "Trial", "username": "trial", "password": "trial", "language": "en"}
        code = self.ask("/api/onboarding/users", {**me, **person})["auth_code"]
        form = urllib.parse.urlencode({**me, "grant_type": "authorization_code", "code": code}).encode()
        self.token = self.ask("/auth/token", form)["access_token"]
        until(self.ready, timeout_s=600)
        page = self.ask("/api/config/config_entries/flow", {"handler": "mqtt"})
        where = parse_broker(broker)
        filled: dict[str, Any] = {"broker": where.host, "port": where.port}
        if where.username is not None:
            filled |= {"username": where.username, "password": where.password or ""}
        # Newer versions have a group of further settings, and want an answer to two of them.
        plain = {"set_client_cert": False, "set_ca_cert": "off"}
        filled |= {field["name"]: plain for field in page["data_schema"] if field.get("type") == "expandable"}
        done = self.ask(f"/api/config/config_entries/flow/{page['flow_id']}", filled)
        if done["type"] != "create_entry":
            raise SystemExit(f"Home Assistant did not take the broker: {done}")

    def log(self) -> list[str] | None:
        return warnings_in((self._folder / "output").read_text("utf-8", "replace"))


def short(state: dict[str, Any]) -> str:
    """Return an entity's name without that of its device."""
    return str(state["attributes"].get("friendly_name", "")).removeprefix(f"{DEVICE} ").removeprefix(f"{RENAMED} ")


def warnings_in(log: str) -> list[str]:
    return [line for line in log.splitlines() if re.search(r"\b(?:WARNING|ERROR|CRITICAL)\b", line)]


def until(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> bool:
    """Return whether the condition came true in time."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.1)
    return False


class Trial:
    """The checks, and the rows of the table that they make."""

    def __init__(
        self, home: HomeAssistant, broker: str, spool: Path, restart: Callable[[Callable[[], None]], None] | None
    ) -> None:
        self.home, self.broker, self.spool, self.restart = home, broker, spool, restart
        self.rows: list[tuple[str, str, bool]] = []
        self.seq = 0
        self.newest: Event | None = None
        self.stream_id = time.time_ns()

    def note(self, check: str, seen: object, good: bool) -> None:
        self.rows.append((check, str(seen), good))
        print(f"{'yes' if good else 'NO ':4}{check:62}{seen}", flush=True)

    def becomes(self, check: str, what: str, wanted: str) -> None:
        until(lambda: self.home.say(what) == wanted)
        seen = self.home.say(what)
        self.note(check, f"{what}: {seen}", seen == wanted)

    def sink(self, device: str = DEVICE, home_assistant: str | None = "homeassistant") -> MqttSink:
        sink = open_sink(
            self.broker, device=device, stream_id=self.stream_id, spool=str(self.spool), retry_s=0.2, max_retry_s=1,
            home_assistant=home_assistant, availability=True,
        )  # fmt: skip
        assert isinstance(sink, MqttSink)
        return sink

    def event(self, head: str, phase: str, *, score: float = 0.93) -> Event:
        self.seq += 1
        end_ns = time.time_ns()
        fingerprint = bytes.fromhex("00a1b2c3d4e5f607")
        start_ns = end_ns - 3_840_000_000
        return Event(DEVICE, self.stream_id, self.seq, head, fingerprint, phase, start_ns, end_ns, score)

    def run(self, events: int) -> None:
        with self.sink() as sink:
            sink.announce_heads({"knock": False, "walking": True})
            sink.report({"signal_quality": 99.5, "backlog": 3, "device": "cpu", "last_error": None})
            self.entities()
            self.events(sink)
            self.latency(sink, events)
            before = self.knock()["state"]
        self.offline()
        with self.sink() as sink:
            sink.announce_heads({"knock": False, "walking": True})
            sink.publish_events([self.newest] if self.newest else [])
            self.becomes("the device is back: its state is", "binary_sensor walking", "off")
            time.sleep(2)
            shown = self.knock()["state"]
            self.note(
                "the same from the next process changes nothing", f"event knock: {before}, {shown}", shown == before
            )
            if self.restart is not None:
                self.restarted(sink)
            self.removed(sink)
            sink.announce_heads({"knock": False, "walking": True})
            until(lambda: len(self.home.states()) == 7)
        self.renamed()

    def entities(self) -> None:
        wanted = {f"{kind} {name}" for kind, names in NAMES.items() for name in names}
        until(lambda: self.home.states().keys() >= wanted)
        time.sleep(1)
        states = self.home.states()
        self.note("entities of the device", ", ".join(sorted(states)), states.keys() == wanted)
        facts = [
            self.home.render(f"{{{{ device_attr(device_id('{DEVICE}'), '{name}') }}}}")
            for name in ("name", "manufacturer", "sw_version")
        ]
        self.note("the device", ", ".join(facts), facts[:2] == [DEVICE, "motionsig"])
        for what in ("event knock", "binary_sensor walking"):
            self.becomes("a head that gave nothing yet", what, "unknown")
        for what, wanted_state in (
            ("binary_sensor Connection", "on"), ("sensor Signal quality", "99.5"), ("sensor Backlog", "3"),
            ("sensor Runs on", "cpu"), ("sensor Last error", "none"),
        ):  # fmt: skip
            self.becomes("the service", what, wanted_state)

    def knock(self) -> dict[str, Any]:
        return self.home.states().get("event knock", {"state": "gone", "attributes": {}})

    def events(self, sink: MqttSink) -> None:
        knock = self.event("knock", "once")
        sink.publish_events([knock])
        until(lambda: self.knock()["attributes"].get("score") == knock.score)
        seen = self.knock()
        said = {key: seen["attributes"].get(key) for key in ("event_type", "score", "duration_s", "start", "end")}
        good = (said["event_type"], said["score"], said["duration_s"]) == ("knock", 0.93, 3.84)
        self.note("once", f"event knock: {seen['state']}, {said}", good and seen["state"] != "unknown")
        age = self.home.render(
            f"{{{{ now() - as_datetime(state_attr('{seen['entity_id']}', 'end')) < timedelta(minutes=1) }}}}"
        )
        self.note("a template can tell how old it is", age, age == "True")
        sink.publish_events([knock])
        time.sleep(2)
        again = self.knock()["state"]
        self.note("the same event once more changes nothing", f"event knock: {again}", again == seen["state"])
        sink.publish_events([self.event("walking", "began")])
        self.becomes("began", "binary_sensor walking", "on")
        sink.publish_events([self.event("walking", "ended")])
        self.becomes("ended", "binary_sensor walking", "off")

    def latency(self, sink: MqttSink, events: int) -> None:
        """Measure from `publish_events` to the change of the state, as the stream of changes tells it."""
        self.home.listen()
        entity = self.knock()["entity_id"]
        time.sleep(1)
        took_ms = []
        for number in range(events):
            score = round(1 + number / 1000, 3)
            knock = self.event("knock", "once", score=score)
            began_s = time.monotonic()
            sink.publish_events([knock])
            self.newest = knock

            def heard(score: float = score) -> list[float]:
                changes = [
                    (s, change["new_state"]) for s, change in list(self.home.heard) if change["entity_id"] == entity
                ]
                return [s for s, state in changes if state and state["attributes"].get("score") == score]

            if until(lambda: bool(heard()), 5):
                took_ms.append((heard()[0] - began_s) * 1000)
            time.sleep(0.05)
        seen = f"{len(took_ms)} of {events} events"
        if len(took_ms) > 1:
            cuts = statistics.quantiles(took_ms, n=20, method="inclusive")
            seen += f", p50 {statistics.median(took_ms):.1f} ms, p95 {cuts[-1]:.1f} ms, longest {max(took_ms):.1f} ms"
        self.note("from publish_events to the change of the state", seen, len(took_ms) == events)

    def offline(self) -> None:
        self.becomes("the device is offline", "binary_sensor Connection", "off")
        self.becomes("the device is offline", "event knock", "unavailable")
        self.becomes("the device is offline", "binary_sensor walking", "unavailable")

    def restarted(self, sink: MqttSink) -> None:
        assert self.restart is not None
        sink.publish_events([self.event("walking", "began")])
        self.becomes("before the restart", "binary_sensor walking", "on")
        before = self.knock()
        self.restart(lambda: None)
        self.becomes("after a restart: the state", "binary_sensor walking", "on")
        sink.publish_events([self.newest] if self.newest else [])
        time.sleep(2)
        after = self.knock()
        same = (before["state"], before["attributes"]) == (after["state"], after["attributes"])
        self.note(
            "after a restart: no event again, not even if it comes again",
            f"event knock: {before['state']}, {after['state']}",
            same,
        )
        until(lambda: self.home.say("sensor Backlog") == "3")
        states = {what: state["state"] for what, state in self.home.states().items()}
        self.note(
            "after a restart: all of them",
            states,
            len(states) == 7 and not {"unknown", "unavailable"} & set(states.values()),
        )

        def meanwhile() -> None:
            sink.publish_events([self.event("walking", "ended"), self.event("knock", "once", score=0.5)])
            until(lambda: sink.counts.pending == 0)

        self.restart(meanwhile)
        self.becomes("what ended while it was away", "binary_sensor walking", "off")
        time.sleep(3)
        seen = self.knock()
        self.note(
            "what happened while it was away is not shown",
            f"event knock: {seen['state']}",
            seen["state"] == before["state"],
        )
        sink.publish_events([self.event("knock", "once", score=0.6)])
        until(lambda: self.knock()["attributes"].get("score") == 0.6)
        self.note(
            "an event after the restart is",
            f"event knock: {self.knock()['state']}",
            self.knock()["state"] != before["state"],
        )

    def removed(self, sink: MqttSink) -> None:
        sink.announce_heads({"knock": True})
        until(lambda: "binary_sensor knock" in self.home.states() and "binary_sensor walking" not in self.home.states())
        heads = sorted(what for what in self.home.states() if what.split()[1] in ("knock", "walking"))
        self.note("walking is gone, and knock gives a state now", heads, heads == ["binary_sensor knock"])
        sink.announce_heads({"knock": False, "walking": True})
        self.becomes("a state that comes back has forgotten", "binary_sensor walking", "unknown")
        sink.announce_heads({})
        until(lambda: len(self.home.states()) == 5)
        states = sorted(self.home.states())
        self.note("without heads", f"{len(states)} entities", len(states) == 5 and "event knock" not in states)

    def renamed(self) -> None:
        with self.sink(RENAMED) as sink:
            sink.announce_heads({"knock": False, "walking": True})
            until(lambda: not self.home.states() and len(self.home.states(RENAMED)) == 7)
            seen = len(self.home.states()), len(self.home.states(RENAMED))
            self.note("with another name: entities of the old one, of the new one", seen, seen == (0, 7))
        with self.sink(RENAMED, None):
            until(lambda: not self.home.states(RENAMED))
            left = self.home.states(RENAMED)
            self.note("Home Assistant is switched off: entities", len(left), not left)
            kept = retained_of(self.broker)
            self.note(
                "what the broker keeps then", ", ".join(sorted(kept)), kept == {f"motionsig/{RENAMED}/availability"}
            )

    def log(self, before: list[str] | None) -> None:
        lines = self.home.log()
        if lines is None:
            print("    the log was not looked at: this Home Assistant does not give it out")
            return
        new = [line for line in lines if line not in (before or [])]
        mine = [line for line in new if MINE.search(line)]
        self.note("warnings and errors about it in the log", mine or f"none ({len(new)} others)", not mine)
        for line in new:
            print(f"    {line}")


def retained_of(broker: str) -> set[str]:
    """Return where the broker keeps something of the device, under either name."""
    with contextlib.closing(_hearing(broker, kept := set[str]())):
        return kept


def clear(broker: str) -> None:
    """Remove what the broker keeps of the device."""
    connection = _hearing(broker, kept := set[str]())
    # What describes an entity goes before what it would read.
    sent = {connection.publish(topic, b"", retain=True) for topic in sorted(kept)}
    while not sent <= {each.mid for each in connection.acknowledged}:
        connection.loop(0.5)
    connection.close()


def _hearing(broker: str, kept: set[str]) -> Connection:
    """Return a connection that has put into `kept` where the broker keeps something of the device."""
    connection = Connection(
        parse_broker(broker), client_id="motionsig-trial", clean_session=True, keepalive_s=10,
        on_message=lambda message: kept.add(str(message.topic)) if message.retain and message.payload else None,
    )  # fmt: skip
    connection.open(10, lambda: False)
    for device in (DEVICE, RENAMED):
        connection.subscribe(f"motionsig/{device}/#", 5)
        connection.subscribe(f"homeassistant/+/motionsig_{device}/#", 5)
    deadline_s = time.monotonic() + 1
    while time.monotonic() < deadline_s:
        connection.loop(0.1)
    return connection


@contextlib.contextmanager
def given(options: argparse.Namespace, folder: Path) -> Iterator[Trial]:
    """Yield the trial with the Home Assistant and the broker that the options name."""
    if options.url:
        home = HomeAssistant(options.url, Path(options.token_file).read_text().strip())

        def ask_it(meanwhile: Callable[[], None]) -> None:
            with contextlib.suppress(OSError, ValueError):
                home.ask("/api/services/homeassistant/restart", {})
            until(lambda: not home.ready())
            meanwhile()
            if not until(home.ready, 600):
                raise SystemExit("Home Assistant did not come back after the restart")

        yield Trial(home, options.broker, folder / "spool", ask_it if options.restart else None)
        return
    with contextlib.ExitStack() as stack:
        broker = (
            options.broker
            or stack.enter_context(Broker(folder / "broker", settings="allow_anonymous true\n" + PERSISTENT)).url
        )
        own = OwnHomeAssistant(options.hass, folder / "home-assistant")
        stack.callback(own.stop)
        own.start()
        own.set_up(broker)

        def start_again(meanwhile: Callable[[], None]) -> None:
            own.stop()
            meanwhile()
            own.start()

        yield Trial(own, broker, folder / "spool", start_again)


def main() -> int:
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--hass", metavar="COMMAND", help="start one with this command")
    where.add_argument("--url", metavar="URL", help="use the one that runs there, as http://HOST:8123")
    parser.add_argument("--token-file", metavar="FILE", help="with --url: the file with a long-lived access token")
    parser.add_argument("--restart", action="store_true", help="with --url: restart it, twice")
    parser.add_argument("--broker", metavar="URL", help="mqtt://[USER:PASSWORD@]HOST[:PORT]; needed with --url")
    parser.add_argument("--events", type=int, default=50, help="how many to measure the time of (50)")
    options = parser.parse_args()
    if options.url and not (options.token_file and options.broker):
        parser.error("--url needs --token-file and --broker")
    with (
        tempfile.TemporaryDirectory(prefix="motionsig-home-assistant-") as folder,
        given(options, Path(folder)) as trial,
    ):
        version = trial.home.ask("/api/config")["version"]
        print(f"Home Assistant {version}")
        before = trial.home.log()
        clear(trial.broker)
        try:
            trial.run(options.events)
        finally:
            clear(trial.broker)
        gone = until(lambda: not trial.home.states())
        trial.note("nothing is left of the device", ", ".join(trial.home.states()) or "nothing", gone)
        trial.log(before)
    bad = sum(not good for *_, good in trial.rows)
    print(f"{len(trial.rows) - bad} of {len(trial.rows)} as wanted, Home Assistant {version}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
