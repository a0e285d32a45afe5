"""A lesson over kill -9 of the service: what was found is there, once, and the head is made of it."""

import signal
import time

from control_client import Client
from daemons import Daemon
from made import wait_until


def client_of(daemon):
    path = daemon.folder / "run" / "control.sock"
    wait_until(path.exists, 60)
    return Client(path)


def lesson_of(client, holds):
    """Return the first lesson of which something holds."""
    client.send({"ask": "live", "after": None})
    return next(it for it in client.lines("lesson") if it is not None and holds(it))


def begin(daemon, times):
    parameters = {"name": "turn", "for": "examples", "times": times, "better": False, "request": "b1"}
    with client_of(daemon) as client:
        until_s = time.monotonic() + 60
        while "error" in (answer := client.ask("lesson.begin", **parameters)):
            assert answer["error"]["kind"] == "nothing" and time.monotonic() < until_s, answer
            time.sleep(0.1)
    return answer["ok"]


def test_kill_9_in_the_middle_of_a_lesson_loses_nothing_and_doubles_nothing(tmp_path):
    environment = {"MOTIONSIG_HEADS": str(tmp_path / "roots")}
    made = Daemon(tmp_path / "daemon", "store:s.db", sensor="simulated:lesson")
    with made.start(**environment) as daemon:
        first = begin(daemon, 2)
        with client_of(daemon) as client:
            before = lesson_of(client, lambda it: any(one["kept"] for one in it["performances"]))
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        (daemon.folder / "run" / "control.sock").unlink(missing_ok=True)
        daemon.start(**environment)
        # As a client does that got no answer.
        assert begin(daemon, 2)["id"] == first["id"]
        with client_of(daemon) as client:
            after = lesson_of(client, lambda it: it["state"] == "enough")
        assert after["performances"][: len(before["performances"])][0] == {
            **before["performances"][0],
            "likeness": after["performances"][0]["likeness"],
        }
        begins = [one["begin_ms"] for one in after["performances"]]
        assert begins == sorted(set(begins))
        assert "started again" in (after["said"] or "started again")
        with client_of(daemon) as client:
            head = client.ok("lesson.end", save=True, request="e1")
            assert (head["given"], head["judges"]) == (2, True)
            assert client.ok("lesson.end", save=True, request="e1")["given"] == 2
        daemon.stop()
