"""Looking back: strips, events told then and now, windows that are alike, and heads made better by what is stored."""

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hands import TURN, Hand, Taught, teaching
from made import wait_until
from processes import children_of, command_of
from real_heads import moving, still

import motionsig
from motionsig.blocks import SignatureBatch
from motionsig.cli import main
from motionsig.control import children as processes
from motionsig.control import strips
from motionsig.control.asking import GONE, NOTHING, REQUEST, AskError
from motionsig.control.children import Children
from motionsig.control.room import Control
from motionsig.encoders import find_model
from motionsig.events import BEGAN, Event
from motionsig.heads import Judge
from motionsig.heads.places import write_head
from motionsig.quality import Quality
from motionsig.watching import watch

HOP_NS = 1_280_000_000
BEGIN_MS = 1_795_000_000_000
DAY_MS = 86_400_000


def batch(numbers, at_rest, *, begin_ms=BEGIN_MS, spec=None, seed=0):
    codes = np.random.default_rng(seed).integers(-127, 128, (len(numbers), 64), dtype=np.int8)
    quality = np.where(at_rest, np.uint8(Quality.AT_REST), np.uint8(0)).astype(np.uint8)
    return SignatureBatch(
        begin_ms * 10**6 + np.asarray(numbers) * HOP_NS, codes, quality, HOP_NS, spec or find_model().spec
    )


@pytest.fixture
def control(tmp_path):
    """A control of a store alone: an hour at rest but for two stretches, with ten minutes missing."""
    for card in (moving(), still()):
        write_head(card, tmp_path / "heads" / card.name)
    number = np.arange(2812)
    at_rest = np.ones(len(number), bool)
    at_rest[500:520] = at_rest[2000:2100] = False
    there = (number < 1000) | (number >= 1469)
    with motionsig.open_sink(f"store:{tmp_path}/s.db", device="pi", stream_id=1) as sink:
        sink.publish(batch(number, at_rest)[there])
    with Control(store=f"store:{tmp_path}/s.db", heads_folder=tmp_path / "heads") as it:
        yield it


def look(control, *, since_ms=BEGIN_MS, until_ms=BEGIN_MS + 3_600_000, heads=None):
    return Taught(control).ask("lookback", since_ms=since_ms, until_ms=until_ms, heads=heads)


def test_strips_show_what_was_stored_and_what_moved(control):
    found = look(control)
    assert found["bin_ms"] == 15_000 and len(found["covered"]) == len(found["moving"]) == 240
    assert found["hop_ms"] == 1280
    missing = [at for at, share in enumerate(found["covered"]) if share is None]
    assert missing == list(range(86, 125)) and [found["moving"][at] for at in missing] == [None] * 39
    assert 0.9 <= found["covered"][0] <= 1.0 and found["covered"].count(None) == 39
    moves = [at for at, share in enumerate(found["moving"]) if share]
    assert moves == [*range(640 // 15, 640 // 15 + 3), *range(2560 // 15, 2688 // 15 + 1)]


def test_heads_find_what_motionsig_lookback_finds(control, tmp_path, capsys):
    found = look(control, heads=["moving"])
    (head,) = found["heads"]
    events = [event for event in watch(control.store, [moving()]) if event.phase != BEGAN]
    assert events and [(one["from_ms"], one["to_ms"], one["score"], one["phase"]) for one in head["events"]] == [
        (event.start_ns // 10**6, event.end_ns // 10**6, round(event.score, 3), event.phase) for event in events
    ]
    assert all(one["now"] and not one["told"] for one in head["events"])
    assert main(["lookback", str(tmp_path / "heads" / "moving"), control.store, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (summary["events"], summary["per_day"]) == (head["would_tell"], head["per_day"])


def test_what_was_told_then_is_shown_with_what_would_be_told_now(control):
    now = look(control, heads=["moving"])["heads"][0]["events"]

    def event(head, from_ms, to_ms, phase="ended", seq=0):
        return Event("pi", 1, seq, head, bytes(8), phase, from_ms * 10**6, to_ms * 10**6, 0.9)

    long_ago = BEGIN_MS + 60_000
    told = [
        event("moving", now[0]["from_ms"] + 300, now[0]["to_ms"] + 200, "began", 1),
        event("moving", now[0]["from_ms"] + 300, now[0]["to_ms"] + 200, "ended", 2),
        event("moving", long_ago, long_ago + 3000, "ended", 3),
        event("gone", long_ago, long_ago + 3000, "once", 4),
    ]
    with motionsig.open_sink(control.store, device="pi") as sink:
        sink.publish_events(told)
    heads = {one["name"]: one for one in look(control)["heads"]}
    assert [(one["from_ms"], one["told"], one["now"]) for one in heads["moving"]["events"]] == [
        (long_ago, True, False),
        (now[0]["from_ms"] + 300, True, True),
        *((one["from_ms"], False, True) for one in now[1:]),
    ]
    # A head that was removed has what it told.
    assert (heads["gone"]["per_day"], len(heads["gone"]["events"])) == (None, 1)
    assert [one["name"] for one in look(control, heads=["still"])["heads"]] == ["still"]


def test_nothing_stored_a_damaged_store_and_none_are_told_apart(control, tmp_path):
    found = look(control, since_ms=BEGIN_MS - 2 * DAY_MS, until_ms=BEGIN_MS - DAY_MS)
    assert set(found["covered"]) == {None} and found["heads"][0]["events"] == [] and found["hop_ms"] is None
    content = (tmp_path / "s.db").read_bytes()
    (tmp_path / "s.db").write_bytes(content[:40_000] + bytes(20_000) + content[60_000:])
    with pytest.raises(AskError, match="damaged"):
        look(control)
    none = Control(store=None, why_no_store="nothing is kept", heads_folder=tmp_path / "heads")
    with none, pytest.raises(AskError, match="nothing is kept") as error:
        look(none)
    assert error.value.kind == NOTHING
    with pytest.raises(AskError, match="until_ms: expected up to") as error:
        look(control, until_ms=BEGIN_MS + 40 * DAY_MS)
    assert error.value.kind == REQUEST


def test_signatures_of_another_encoder_cover_time_and_are_not_judged(control):
    former = find_model().spec
    other = type(former)(bytes(8), former.quantization, former.motion_dim, former.length_ns)
    with motionsig.open_sink(control.store, device="pi", stream_id=2) as sink:
        sink.publish(batch(np.arange(400), np.zeros(400, bool), begin_ms=BEGIN_MS + 3_600_000, spec=other))
    before = look(control, heads=["moving"])["heads"]
    found = look(control, until_ms=BEGIN_MS + 2 * 3_600_000, heads=["moving"])
    assert found["heads"] == before
    assert [share for share in found["moving"] if share is not None][-1] == 1.0


def test_after_a_step_of_the_clock_no_bin_is_more_than_full(control):
    with motionsig.open_sink(control.store, device="pi", stream_id=2) as sink:
        sink.publish(batch(np.arange(400), np.ones(400, bool), begin_ms=BEGIN_MS + 640_123))
    assert max(share for share in look(control)["covered"] if share is not None) == 1.0


def test_it_reads_while_the_service_writes(control):
    done, wrote = threading.Event(), 0

    def write():
        nonlocal wrote
        with motionsig.open_sink(control.store, device="pi", stream_id=3) as sink:
            while not done.is_set():
                sink.publish(batch([3000 + wrote], [True]))
                wrote += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        first = look(control)
        assert look(control, until_ms=BEGIN_MS + 3_599_999)["heads"] == first["heads"]
        wait_until(lambda: wrote > 10)
    finally:
        done.set()
        thread.join()


def test_windows_that_are_alike_come_best_first_and_none_twice(control):
    codes = batch([0], [False], seed=9)
    near = codes.codes.copy()
    near[0, :8] = -near[0, :8]
    with motionsig.open_sink(control.store, device="pi", stream_id=4) as sink:
        for at_s, row in ((100, codes.codes), (200, codes.codes), (300, near)):
            sink.publish(
                SignatureBatch(
                    np.array([(BEGIN_MS + 7_200_000 + at_s * 1000) * 10**6]), row, np.zeros(1, np.uint8), HOP_NS,
                    find_model().spec,
                )
            )  # fmt: skip
    at_ms = BEGIN_MS + 7_200_000 + 100_000
    span = {"since_ms": BEGIN_MS, "until_ms": BEGIN_MS + DAY_MS}
    found = Taught(control).ask("alike", from_ms=at_ms, to_ms=at_ms + 2560, most=5, **span)["windows"]
    assert [one["from_ms"] for one in found[:2]] == [at_ms + 100_000, at_ms + 200_000]
    assert found[0]["likeness"] == 1.0 > found[1]["likeness"] > found[2]["likeness"]
    starts = sorted(one["from_ms"] for one in found)
    assert len(found) == 5 and np.diff(starts).min() >= 2560
    with pytest.raises(AskError, match="that moves then, got rest"):
        Taught(control).ask("alike", from_ms=BEGIN_MS, to_ms=BEGIN_MS + 2560, most=5, **span)
    with pytest.raises(AskError, match="stored then, got none"):
        Taught(control).ask("alike", from_ms=BEGIN_MS + 9 * DAY_MS, to_ms=BEGIN_MS + 9 * DAY_MS + 9, most=5, **span)


def test_who_asks_for_the_same_shares_an_answer_and_the_others_wait(control, monkeypatch):
    monkeypatch.setattr(processes, "MOST_WAITING", 3)
    with Children() as children:
        arguments = control.store, BEGIN_MS, BEGIN_MS + 1000, [], None
        answers = [children.ask("look_back", *arguments)]
        # It answers nobody until all have asked.
        (child,) = lookers()
        os.kill(child, signal.SIGSTOP)

        def ask(more):
            answers.append(children.ask("look_back", control.store, BEGIN_MS, BEGIN_MS + 1000 + more, [], None))

        threads = [threading.Thread(target=ask, args=(more,)) for more in (0, 0, 0, 1, 1, 2)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: sorted(job.viewers for job in list(children._jobs.values())) == [1, 2, 3])
            with pytest.raises(AskError, match="expected at most 3"):
                children.ask("look_back", control.store, BEGIN_MS, BEGIN_MS + 9000, [], None)
        finally:
            os.kill(child, signal.SIGCONT)
        for thread in threads:
            thread.join()
        assert len(answers) == 7 and children.started == 1
        assert children.ask("look_back", *arguments) in answers


def test_the_process_stays_for_a_while_and_is_started_again_where_it_was_ended(control, monkeypatch):
    with Children() as children:
        # More than a pipe holds.
        many = "look_back", control.store, BEGIN_MS, BEGIN_MS + 1000, [], [f"head-{number}" for number in range(9000)]
        assert len(children.ask(*many)["heads"]) == 9000
        (first,) = lookers()
        os.kill(first, signal.SIGKILL)
        with pytest.raises(AskError, match="no such file"):
            children.ask("alike", "store:/none", 0, 1, 0, 1, 1)
        assert children.started == 2
        assert children.ask(*many[:-1], None)["heads"] == []
        assert children.started == 2 and len(lookers()) == 1
        # The thread waits for as long as it was told when it began to wait.
        monkeypatch.setattr(processes, "STAY_S", 0.01)
        children.ask(*many[:-1], [])
        wait_until(lambda: children._thread is None and not lookers())
        assert children.ask(*many[:-1], None)["heads"] == [] and children.started == 3
    assert not lookers()


def test_the_process_ends_with_its_parent(control):
    given, output = os.pipe()
    with subprocess.Popen([sys.executable, "-c", processes._CODE], stdin=given) as child:
        os.close(given)
        os.close(output)
        assert child.wait(60) == 0


def test_a_process_ends_when_nobody_waits_for_it_and_when_it_takes_too_long(control, monkeypatch):
    with Children() as children:
        arguments = "look_back", control.store, BEGIN_MS, BEGIN_MS + DAY_MS, [], None
        with pytest.raises(AskError, match="nobody waits"):
            children.ask(*arguments, gone=lambda: children.started == 1)
        monkeypatch.setattr(processes, "LIMIT_S", 0.0)
        with pytest.raises(AskError, match="expected an answer within"):
            children.ask(*arguments[:-2], [], ["x"])
        assert children._jobs == {} and not lookers()


def lookers():
    """Return the processes that look back for this one."""
    return [it for it in children_of(os.getpid()) if b"control.child" in command_of(it)]


def test_the_viewer_of_an_ask_is_the_one_that_counts(control):
    token = GONE.set(lambda: True)
    try:
        with pytest.raises(AskError, match="nobody waits"):
            look(control)
    finally:
        GONE.reset(token)


@pytest.fixture
def taught(tmp_path):
    """A service with a head that was taught, and whose hand goes on; its store has what was performed."""
    hand = Hand()
    with teaching(tmp_path, hand) as teach:
        teach.begin()
        teach.until(lambda now: now["state"] == "perform")
        for _ in range(3):
            hand.perform(TURN)
        lesson = teach.until(lambda now: now["state"] == "enough")
        teach.ask("lesson.end", save=True)
        yield teach, hand, lesson


def stretch_of(teach, hand):
    """Have the hand shake; return when, once it is stored."""
    began_ms = hand._next_ns // 10**6
    hand.shake()
    until_s = time.monotonic() + 60
    while True:
        assert time.monotonic() < until_s
        with sqlite3.connect(teach.control.store.removeprefix("store:")) as store:
            found = store.execute(
                "SELECT start_ns FROM signatures WHERE start_ns > ? AND quality & 4 = 0 ORDER BY start_ns",
                (began_ms * 10**6,),
            ).fetchall()
        if len(found) >= 2:
            return found[0][0] // 10**6, found[1][0] // 10**6 + 2560
        time.sleep(0.05)


def test_not_this_and_this_too_change_the_head_at_once(taught):
    teach, hand, _ = taught
    before = next(one for one in teach.ask("heads") if one["name"] == "turn")
    from_ms, to_ms = stretch_of(teach, hand)
    head = teach.ask("not_this", head="turn", from_ms=from_ms, to_ms=to_ms, request="n1")
    assert head["counter_examples"] > before["counter_examples"] == 0 and head["rate"]
    assert teach.ask("not_this", head="turn", from_ms=from_ms, to_ms=to_ms, request="n1") == head
    # With another request, too: it is one counter-example.
    again = teach.ask("not_this", head="turn", from_ms=from_ms, to_ms=to_ms)
    assert again["counter_examples"] == head["counter_examples"]
    assert teach.control.loop.heads_off["turn"] == ""
    from_ms, to_ms = stretch_of(teach, hand)
    better = teach.ask("this_too", head="turn", from_ms=from_ms, to_ms=to_ms)
    assert better["given"] == 4 and better["expectation"]
    with pytest.raises(AskError, match="stored then, got none") as error:
        teach.ask("not_this", head="turn", from_ms=BEGIN_MS, to_ms=BEGIN_MS + 3000)
    assert error.value.kind == NOTHING
    with pytest.raises(AskError, match="walking"):
        teach.ask("not_this", head="walking", from_ms=from_ms, to_ms=to_ms)


def test_this_too_takes_not_this_back(taught):
    teach, hand, _ = taught
    from_ms, to_ms = stretch_of(teach, hand)
    there = {"head": "turn", "from_ms": from_ms, "to_ms": to_ms}
    before = next(one for one in teach.ask("heads") if one["name"] == "turn")["counter_examples"]
    assert teach.ask("not_this", **there)["counter_examples"] > before
    again = teach.ask("this_too", **there)
    assert again["counter_examples"] == before
    assert teach.ask("this_too", **there) == again


def test_of_two_at_once_neither_forgets_the_other(taught):
    teach, hand, _ = taught
    stretches = [stretch_of(teach, hand) for _ in range(2)]

    def ask(from_ms, to_ms):
        teach.ask("this_too", head="turn", from_ms=from_ms, to_ms=to_ms, request=secrets.token_hex(4))

    threads = [threading.Thread(target=ask, args=stretch) for stretch in stretches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(one for one in teach.ask("heads") if one["name"] == "turn")["given"] == 5


def test_who_waits_for_what_is_stored_holds_back_nobody_else(taught):
    teach, hand, _ = taught
    from_ms, to_ms = stretch_of(teach, hand)
    look(teach.control, since_ms=from_ms, until_ms=to_ms)
    (child,) = lookers()
    os.kill(child, signal.SIGSTOP)
    heads = []
    waiting = threading.Thread(
        target=lambda: heads.append(teach.ask("not_this", head="turn", from_ms=from_ms, to_ms=to_ms))
    )
    waiting.start()
    try:
        wait_until(lambda: teach.control.made[Children]._jobs)
        teach.begin("knock")
        teach.ask("lesson.end", save=False)
        assert teach.ask("pause", head="turn", paused=True)["paused"]
        assert waiting.is_alive()
    finally:
        os.kill(child, signal.SIGCONT)
        waiting.join()
    # It changes the head as it is by then.
    assert heads[0]["counter_examples"] and heads[0]["paused"]


def test_what_is_watched_gives_finer_windows_than_what_is_stored(taught):
    teach, hand, _ = taught
    with teach.control.feed.viewer() as viewer:
        wait_until(lambda: any(b"signatures" in line for line in viewer.next(0)))
        from_ms, to_ms = stretch_of(teach, hand)
        recent = teach.control.feed.recent(from_ms * 10**6, to_ms * 10**6, teach.control.loop.card.fingerprint)
        assert recent is not None and recent.hop_ns == 160_000_000
        head = teach.ask("not_this", head="turn", from_ms=from_ms, to_ms=to_ms)
    assert head["counter_examples"] >= 5


def test_a_week_of_ten_heads_is_one_reading(control, monkeypatch):
    """Each head more costs no reading more: all are judged in one go."""
    read = []
    real = strips.iter_signatures
    monkeypatch.setattr(strips, "iter_signatures", lambda *given, **more: read.append(given) or real(*given, **more))
    heads = [moving(), still()]
    strips.look_back(control.store, BEGIN_MS, BEGIN_MS + 1000, heads, None)
    assert len(read) == 1 and Judge(heads).cards


def test_what_is_asked_for_may_be_long_as_many_heads_are():
    with Children() as children, pytest.raises(AskError) as error:
        children.ask("alike", f"store:{'x' * 300_000}", 0, 1, 0, 1, 1)
    assert "expected an answer within" not in str(error.value)
