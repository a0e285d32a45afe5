"""A running daemon as viewers see it: rows, events and heads over its control socket."""

import base64
import itertools
import json
import threading
import time

import numpy as np
import pytest
from control_client import Client
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from in_process import MadeSensor, carried_by_turns, running
from made import wait_until
from made_heads import by_rest

from motionsig.control import loop as control_loop
from motionsig.control import page_heads, serving
from motionsig.control.serving import SOCKET_NAME
from motionsig.daemon import loop
from motionsig.encoders import find_model, open_encoder
from motionsig.encoders.signing import sign
from motionsig.events import BEGAN, ENDED
from motionsig.heads.card import CARD_NAME, SIGNATURE_NAME, Timing, load_head
from motionsig.heads.places import write_head
from motionsig.heads.sending import read_files, zipped
from motionsig.pipeline import run, signature_stream_id
from motionsig.publishers import iter_signatures, read_events

CARD = find_model("motion64")


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "roots"))
    monkeypatch.setattr(loop, "_HEARTBEAT_S", 0.05)
    # A machine under load may stand still for longer than a service lets an ask wait.
    monkeypatch.setattr(control_loop, "LIMIT_S", 60.0)


@pytest.fixture
def sensor(motion):
    return lambda: carried_by_turns(motion)


@pytest.fixture
def start(tmp_path, sensor):
    """Start the daemon with a socket, which `client` connects to. text: of its configuration."""

    def start(text="", *, made=None):
        config = f'name = "pi"\n[sink]\nurl = "store:{tmp_path}/s.db"\n{text}'
        return running(tmp_path, config, made or sensor(), control_folder=tmp_path / "run")

    return start


@pytest.fixture
def client(tmp_path):
    return lambda: Client(tmp_path / "run" / SOCKET_NAME)


def put(tmp_path, name, **more):
    """Put one of root's heads in its place."""
    write_head(by_rest(name, **{"encoder": CARD.fingerprint} | more), tmp_path / "roots" / name)


def save(daemon, name, **more):
    """Save a head as a lesson at the page does."""
    return page_heads.save(daemon.viewing.control, by_rest(name, **{"encoder": CARD.fingerprint} | more))


def head(client, name):
    """Return how a head is shown, None where it is not."""
    return next((one for one in client.ok("heads") if one["name"] == name), None)


def codes_of(made):
    return np.frombuffer(base64.b64decode(made["codes"]), np.int8).reshape(-1, 64)


def test_rows_are_those_of_one_run_and_are_made_only_while_somebody_watches(tmp_path, sensor, start, client):
    played = sensor()
    with start(made=played) as daemon:
        wait_until(lambda: daemon.status["windows"] >= 3)
        assert daemon._heads.hop() is None
        with client() as viewer:
            viewer.send({"ask": "live", "after": None})
            rows = list(itertools.islice(viewer.lines("signatures"), 12))
        assert daemon._heads.hop() == 8
        last = [rows[-1]["stream"], rows[-1]["seq"] + len(rows[-1]["quality"]) - 1]
        # It goes on where it was, also some time later.
        time.sleep(0.3)
        with client() as viewer:
            viewer.send({"ask": "live", "after": last})
            rows += itertools.islice(viewer.lines("signatures"), 8)
    again, made = MadeSensor(lambda seconds, rate_hz: played._data), []
    count = sum(len(row["quality"]) for row in rows)
    first = rows[0]["seq"]

    def take(signatures):
        made.append(signatures)
        if sum(map(len, made)) >= first + count:
            again.close()

    with open_encoder(device="cpu") as encoder:
        run(again, encoder, take, hop=8)
    codes = np.concatenate([one.codes for one in made])[first : first + count]
    assert np.array_equal(np.concatenate([codes_of(row) for row in rows]), codes)
    numbers = [row["seq"] + at for row in rows for at in range(len(row["quality"]))]
    assert numbers == list(range(first, first + count))
    assert {row["stream"] for row in rows} == {str(signature_stream_id(1, CARD, 8))}
    # The sink has what it would have had.
    (part,) = iter_signatures(f"store:{tmp_path}/s.db")
    assert part.seq.tolist() == list(range(len(part.seq)))
    every = np.concatenate([one.codes for one in made])[:: CARD.hop // 8]
    assert np.array_equal(part.signatures.codes[: len(every)], every[: len(part.seq)])


def test_a_line_comes_as_soon_as_its_window_is_made(start, client, monkeypatch):
    # Whoever is not woken for a row looks for it after this time.
    monkeypatch.setattr(serving, "_LOOK_S", 600.0)
    with start(), client() as viewer:
        viewer.send({"ask": "live", "after": None})
        assert len(list(itertools.islice(viewer.lines("signatures"), 21))) == 21


def test_a_head_that_is_saved_judges_at_once_and_its_events_are_stored(tmp_path, start, client):
    url = f"store:{tmp_path}/s.db"
    with start() as daemon, client() as asker, client() as viewer:
        viewer.send({"ask": "live", "after": None})
        shown = save(daemon, "moving")
        assert (shown["judges"], shown["whose"], shown["paused"], shown["why_not"]) == (True, "page", False, None)
        assert shown["may"] == ["pause", "rename", "remove", "export"]
        row = next(row for row in viewer.lines("signatures") if row["scores"])
        assert set(row["scores"]) == {"moving"}
        began = next(viewer.lines("event"))
        assert (began["head"], began["phase"]) == ("moving", BEGAN)
        assert began["stream_id"] == row["stream"]
        wait_until(lambda: head(asker, "moving")["holds"])
        # Paused, it ends, and judges no more.
        paused = asker.ok("pause", head="moving", paused=True, request="p1")
        assert (paused["judges"], paused["paused"], paused["why_not"]) == (False, True, "it is paused")
        assert next(viewer.lines("event"))["phase"] == ENDED
        wait_until(lambda: daemon.status["heads"] == [])
        events = len(read_events(url))
        windows = daemon.status["windows"]
        wait_until(lambda: daemon.status["windows"] > windows + 20)
        assert len(read_events(url)) == events == 2
    # That holds over a restart, as does its being switched on.
    with start() as daemon, client() as asker:
        assert (head(asker, "moving")["paused"], head(asker, "moving")["judges"]) == (True, False)
        assert asker.ok("pause", head="moving", paused=False, request="p2")["judges"]
        wait_until(lambda: len(read_events(url)) > events)
    with start() as daemon, client() as asker:
        assert head(asker, "moving")["judges"]
        events = len(read_events(url))
        wait_until(lambda: len(read_events(url)) > events)


def test_a_head_gets_another_name_and_is_removed(tmp_path, start, client):
    place = tmp_path / "state" / "heads"
    with start() as daemon, client() as asker, client() as viewer:
        save(daemon, "moving")
        viewer.send({"ask": "live", "after": None})
        assert next(viewer.lines("heads"))[0]["name"] == "moving"
        wait_until(lambda: head(asker, "moving")["holds"])
        before = load_head(place / "moving")
        renamed = asker.ok("rename", head="moving", name="carried", request="r1")
        assert (renamed["name"], renamed["judges"]) == ("carried", True)
        assert not (place / "moving").exists()
        assert load_head(place / "carried").timing == before.timing
        wait_until(
            lambda: [event.phase for event in read_events(f"store:{tmp_path}/s.db", head="moving")] == [BEGAN, ENDED]
        )
        next(heads for heads in viewer.lines("heads") if heads[0]["name"] == "carried")
        wait_until(lambda: head(asker, "carried")["holds"])
        assert asker.ok("remove", head="carried", request="r2") == "carried"
        assert [path.name for path in place.iterdir() if path.is_dir()] == []
        next(heads for heads in viewer.lines("heads") if "carried" not in [one["name"] for one in heads])
        assert asker.error("remove", head="carried", request="r3") == {
            "kind": "head",
            "text": "head: expected one that is there, got carried",
        }
        wait_until(lambda: daemon.status["heads"] == [])


def test_what_is_roots_or_shipped_stays_as_it_is(tmp_path, start, client):
    put(tmp_path, "moving")
    put(tmp_path, "spare", moves=False)
    told = tmp_path / "told"
    (tmp_path / "tell").write_text(f"#!/bin/sh\ncat >>{told}\n")
    (tmp_path / "tell").chmod(0o755)
    text = f'[heads]\nnames = ["moving", "gone"]\n[exec]\nmoving.began = ["{tmp_path}/tell"]\n'
    with start(text) as daemon, client() as asker:
        shown = {one["name"]: one for one in asker.ok("heads")}
        assert {name: one["whose"] for name, one in shown.items()} == {
            "moving": "root", "spare": "root", "walking": "shipped", "running": "shipped", "still": "shipped",
        }  # fmt: skip
        assert (shown["moving"]["judges"], shown["moving"]["may"]) == (True, ["export"])
        assert shown["spare"]["why_not"] == "root has this head, and heads.names does not name it"
        for name in ("moving", "spare", "walking"):
            for ask, more in (("remove", {}), ("rename", {"name": "other"})):
                error = asker.error(ask, head=name, request=f"{ask}{name}", **more)
                assert error["kind"] == "head"
                assert "expected one that may be changed here" in error["text"]
        assert asker.error("pause", head="moving", paused=True, request="x")["kind"] == "head"
        save(daemon, "mine")
        for name in ("moving", "spare", "gone", "walking", "mine"):
            assert "which" in asker.error("rename", head="mine", name=name, request=f"to{name}")["text"]
            if name != "mine":
                with pytest.raises(page_heads.AskError):
                    save(daemon, name)
        # A shipped head judges where somebody switches it on.
        assert asker.ok("pause", head="still", paused=False, request="s1")["judges"]
        wait_until(lambda: [one["name"] for one in daemon.status["heads"]] == ["moving", "mine", "still"])
        assert not asker.ok("pause", head="still", paused=True, request="s2")["judges"]
        # No program starts for a head of the page.

        def events(name):
            return next(one for one in daemon.status["heads"] if one["name"] == name)["events"]

        wait_until(lambda: events("mine") >= 3 and events("moving") >= 3)
    assert {json.loads(line)["head"] for line in told.read_text().replace("}{", "}\n{").splitlines()} == {"moving"}
    assert {one.name for one in (tmp_path / "roots").iterdir()} == {"moving", "spare"}


def test_a_name_that_root_takes_later_is_roots(tmp_path, start, client):
    with start() as daemon:
        save(daemon, "moving", timing=Timing(1.0, 1.0, least_s=0.2))
    put(tmp_path, "moving")
    with start('[heads]\nnames = ["moving"]\n') as daemon, client() as asker:
        shown = head(asker, "moving")
        assert (shown["whose"], shown["judges"]) == ("root", True)
        (one,) = daemon.status["heads"]
        assert one["fingerprint"] == load_head(tmp_path / "roots" / "moving").fingerprint.hex()
        wait_until(lambda: "root has configured a head of this name" in (daemon.status["heads_error"] or ""))


def test_heads_are_exported_and_taken_where_a_pinned_key_signed_them(tmp_path, start, client):
    key, keys = Ed25519PrivateKey.generate(), tmp_path / "keys"
    keys.mkdir(mode=0o755)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "key.pem").chmod(0o600)
    public = key.public_key()
    (keys / "owner.pem").write_bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with start() as daemon, client() as asker:
        daemon.viewing.control.keys_folder = keys
        save(daemon, "moving")
        exported = asker.ok("export", head="moving")
        assert (exported["name"], exported["signed"]) == ("moving", False)
        content = base64.b64decode(exported["zip"])
        assert content == zipped(read_files(tmp_path / "state" / "heads" / "moving").files)
        asker.ok("remove", head="moving", request="r1")
        error = asker.error("import", zip=exported["zip"], request="i1")
        assert error["kind"] == "head"
        assert "got an unsigned one" in error["text"]
        assert head(asker, "moving") is None
        (tmp_path / "moving.zip").write_bytes(content)
        files = dict(read_files(tmp_path / "moving.zip").files)
        files[SIGNATURE_NAME] = sign(files[CARD_NAME], tmp_path / "key.pem")
        signed = base64.b64encode(zipped(files)).decode()
        assert asker.ok("import", zip=signed, request="i2")["judges"]
        assert asker.ok("export", head="moving") == {"name": "moving", "zip": signed, "signed": True}
        assert "which was taught here" in asker.error("import", zip=signed, request="i3")["text"]
        asker.ok("remove", head="moving", request="r2")
        (keys / "owner.pem").unlink()
        assert "expected the public keys" in asker.error("import", zip=signed, request="i4")["text"]
        assert asker.ok("export", head="walking")["name"] == "walking"


def test_the_same_request_changes_nothing_twice(tmp_path, start, client):
    with start() as daemon, client() as asker:
        save(daemon, "moving")
        first = asker.ok("rename", head="moving", name="carried", request="once")
        assert asker.ok("rename", head="moving", name="carried", request="once") == first
        assert "expected a new one" in asker.error("rename", head="moving", name="other", request="once")["text"]
        # What could not be done may be tried again.
        assert asker.error("rename", head="moving", name="again", request="r")["kind"] == "head"
        save(daemon, "moving")
        assert asker.ok("rename", head="moving", name="again", request="r")["name"] == "again"
        asker.ok("pause", head="again", paused=True, request="p1")
        asker.ok("pause", head="again", paused=False, request="p2")
        assert asker.ok("pause", head="again", paused=True, request="p1")["paused"]
        assert not head(asker, "again")["paused"]
        save(daemon, "moving")
    with start(), client() as asker:
        assert asker.ok("rename", head="moving", name="carried", request="once") == first
        assert head(asker, "moving")["judges"]


def test_two_of_the_same_request_at_once(start, client):
    with start() as daemon:
        save(daemon, "moving")
        answers = []

        def rename():
            with client() as asker:
                answers.append(asker.ask("rename", head="moving", name="carried", request="same"))

        threads = [threading.Thread(target=rename) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(answers) == 4
        assert all(answer == answers[0] and "ok" in answer for answer in answers)


def test_a_viewer_hears_that_the_service_was_started_again(tmp_path, start, client, sensor):
    with start(), client() as viewer:
        viewer.send({"ask": "live", "after": None})
        row = next(viewer.lines("signatures"))
    again = sensor()
    again.info = again.info.__class__("made", "made", stream_id=2)
    with start(made=again), client() as viewer:
        viewer.send({"ask": "live", "after": [row["stream"], row["seq"]]})
        assert viewer.line() == {"gap": {"missed": None, "why": "restarted"}}
        assert next(viewer.lines("signatures"))["stream"] != row["stream"]


def test_while_the_loop_hangs_asks_fail_in_time_and_heads_judge_later(start, client, sensor, monkeypatch, tmp_path):
    monkeypatch.setattr(control_loop, "LIMIT_S", 0.2)
    made = sensor()
    with start(made=made) as daemon, client() as asker:
        wait_until(lambda: daemon.status["windows"] >= 3)
        made.going.clear()
        wait_until(made.hangs.is_set)
        with pytest.raises(page_heads.AskError, match="expected the service to answer"):
            daemon.viewing.call(lambda: pytest.fail("it was made too late"))
        shown = save(daemon, "moving")
        assert not shown["judges"]
        assert asker.ok("status")["windows"] >= 3
        made.going.set()
        wait_until(lambda: head(asker, "moving")["judges"])


def test_hops_that_do_not_go_together_make_no_rows_and_are_said(start, client):
    with start("[model]\nhop = 50\n") as daemon, client() as viewer, client() as asker:
        viewer.send({"ask": "live", "after": None})
        shown = save(daemon, "moving")
        assert not shown["judges"]
        assert shown["why_not"].startswith("heads.hop: expected a part of the hop of 50 samples")
        windows = daemon.status["windows"]
        wait_until(lambda: daemon.status["windows"] > windows + 10)
        assert asker.ok("hello")["live"]


def test_a_damaged_head_is_shown_and_can_be_removed(tmp_path, start, client):
    with start() as daemon:
        save(daemon, "moving")
        save(daemon, "resting", moves=False)
    (tmp_path / "state" / "heads" / "moving" / CARD_NAME).write_text("{}")
    with start() as daemon, client() as asker:
        shown = head(asker, "moving")
        assert (shown["judges"], shown["may"], shown["kind"]) == (False, ["remove"], None)
        assert "expected head_version 1" in shown["why_not"]
        assert head(asker, "resting")["judges"]
        wait_until(lambda: "moving" in (daemon.status["heads_error"] or ""))
        asker.ok("remove", head="moving", request="r")
        wait_until(lambda: daemon.status["heads_error"] is None)
