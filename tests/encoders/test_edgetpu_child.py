"""The child process: it ends when it should, and an interruption or a fork mixes up no answers."""

import gc
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from edgetpu_runs import (
    GOLDEN,
    auto,
    batch,
    children,
    prefer_edgetpu,
    strict,
    wait_for,
)
from processes import is_running

from motionsig.encoders.edgetpu import Limits, worker
from motionsig.errors import EncoderError
from motionsig.quality import Quality


def test_a_lot_of_words_does_not_stop_it(control, model, data, twin, tmp_path, monkeypatch):
    """A library that writes more than a pipe holds; here it is the dynamic linker that talks."""
    monkeypatch.setenv("LD_DEBUG", "all")
    with strict(model) as encoder:
        monkeypatch.delenv("LD_DEBUG")
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()


def test_it_ends_with_its_encoder(control, model):
    encoder = strict(model)
    assert len(children()) == 1
    # Its own session: Ctrl-C in a terminal is for the parent.
    assert os.getsid(children()[0]) != os.getsid(0)
    encoder.close()
    encoder.close()
    assert not children()
    encoder = strict(model)
    del encoder
    gc.collect()
    assert not children()


PARENT = """
import sys, time
from motionsig.encoders.edgetpu.worker import Job, Limits, Worker
from motionsig.model_card import load_card
job = Job(load_card(__import__("pathlib").Path(sys.argv[1])), "")
worker = Worker(job, Limits(call_s=60, start_s=float(sys.argv[2])))
print("started", flush=True)
worker.ready(60)
print("ready", flush=True)
worker.run(job.golden_inputs, job.golden_codes.copy())
"""


@pytest.mark.parametrize("moment", ["idle", f"hang {GOLDEN + 1}", "hang create"])
def test_it_ends_with_its_parent(control, model, moment):
    """Even where it never returns from the library."""
    if moment == "idle":
        script = PARENT.replace("worker.run(", "time.sleep(60); (")
    else:
        script = PARENT
        control.write(moment)
    # Opening holds Python's lock, and only the deadline ends it.
    start_s = "1" if moment == "hang create" else "60"
    with subprocess.Popen([sys.executable, "-c", script, model, start_s], stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"started\n"
        if moment != "hang create":
            assert parent.stdout.readline() == b"ready\n"
        wait_for(lambda: children(parent.pid), "the child")
        if moment == f"hang {GOLDEN + 1}":
            wait_for(lambda: control.counts().calls > GOLDEN, "the call that hangs")
        (child,) = children(parent.pid)
        parent.kill()
    wait_for(lambda: not is_running(child), "the end of the child")


def test_it_ends_at_its_deadline_though_its_parent_does_not_look(control, model):
    control.write("hang create")
    script = PARENT.replace("worker.ready(60)", "time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", script, model, "1"], stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"started\n"
        wait_for(lambda: children(parent.pid), "the child")
        (child,) = children(parent.pid)
        wait_for(lambda: not is_running(child), "the end of the child", 30)
        assert parent.poll() is None
        parent.kill()


def test_it_ends_with_its_parent_though_a_forked_process_lives_on(control, model):
    script = PARENT.replace("worker.run(", "import os; os.fork() or time.sleep(3); time.sleep(60); (")
    with subprocess.Popen([sys.executable, "-c", script, model, "60"], stdout=subprocess.PIPE) as parent:
        assert [parent.stdout.readline() for _ in range(2)] == [b"started\n", b"ready\n"]
        (child,) = children(parent.pid)
        wait_for(lambda: forked(parent.pid), "the fork")
        (other,) = forked(parent.pid)
        parent.kill()
        try:
            wait_for(lambda: not is_running(child), "the end of the child")
            assert is_running(other)
        finally:
            os.kill(other, signal.SIGKILL)


def forked(parent):
    """Return the processes of `parent` that are none of its Edge TPUs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(folder.name))
        except OSError:
            continue
    return [process for process in found if process not in children(parent)]


@pytest.mark.parametrize("policy", [strict, auto])
def test_an_interrupted_call_does_not_shift_the_answers(control, model, root, data, twin, policy):
    """Ctrl-C, or a signal handler that raises, in the middle of a call; and then the caller goes on."""
    prefer_edgetpu(model, root)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with policy(model) if policy is strict else policy(model, root) as encoder:
            control.write(f"stall {control.counts().calls + 5} 300000")
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                encoder.encode(batch(data[:32]))
            for first in range(32, 128, 32):
                made = encoder.encode(batch(data[first : first + 32]))
                assert made.codes.tobytes() == twin.codes[first : first + 32].tobytes()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def in_a_fork(encoder, data, twin, results):
    made = encoder.encode(batch(data))
    on_edgetpu = bool(made.quality[0] & Quality.EDGE_TPU)
    until_s = time.monotonic() + 30
    # It looks for one of its own, and the only one has an owner.
    while " is in use by " not in encoder.device and not on_edgetpu and time.monotonic() < until_s:
        on_edgetpu = bool(encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU)
    results.put((made.codes.tobytes() == twin.codes.tobytes(), on_edgetpu, " is in use by " in encoder.device))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_goes_its_own_way(control, model, root, data, twin):
    """Two that wrote into one memory would read each other's answers."""
    prefer_edgetpu(model, root)
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    with auto(model, root) as encoder:
        others = [fork.Process(target=in_a_fork, args=(encoder, data, twin, results)) for _ in range(2)]
        for other in others:
            other.start()
        made = encoder.encode(batch(data))
        assert made.codes.tobytes() == twin.codes.tobytes() and (made.quality & Quality.EDGE_TPU).all()
        for other in others:
            assert results.get() == (True, False, True)
            other.join()
        assert (encoder.encode(batch(data[:1])).quality & Quality.EDGE_TPU).all()


def test_whoever_else_is_told_to_stop_the_child_is_not(control, model, data, twin):
    """Every process of a systemd service gets SIGTERM; the windows at hand are still to be encoded."""
    with strict(model) as encoder:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(children()[0], number)
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()
    assert control.counts().creations == 1


def test_a_crash_leaves_no_core_file(control, model):
    with strict(model):
        limits = Path(f"/proc/{children()[0]}/limits").read_text()
    assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)


HOSTILE = """
import fcntl, json, os, socket, sys
task = json.loads(sys.argv[1])
connection = socket.socket(fileno=task["socket"])
def failed(text):
    connection.send(json.dumps({"failed": text}).encode())
"""


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("while True: connection.send(b'{}')", "Edge TPU: its process sent messages without end"),
        ("connection.send(b'[' * 60_000)", "Edge TPU: its process sent what is no message: b'[[["),
        ("failed('a\\x1b[2J\\nb')", "Edge TPU: a?[2J b"),
        (
            "os.write(2, b'\\x1b]0;x\\x07'); connection.send(b'7')",
            "Edge TPU: its process sent what is no message: b'7'",
        ),
        (
            # What parent and child share must not vanish under the parent.
            "try: os.ftruncate(task['memory'], 0)\nexcept OSError as error: failed(type(error).__name__)",
            "Edge TPU: PermissionError",
        ),
    ],
)
def test_whatever_a_child_sends_is_one_line(control, model, monkeypatch, does, says):
    """A network may have taken the child over."""
    monkeypatch.setattr(worker, "_CHILD", HOSTILE + does)
    with pytest.raises(EncoderError) as error:
        strict(model, Limits(start_s=20.0))
    assert str(error.value).startswith(says) and str(error.value).isprintable()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_it_runs_a_network_without_the_rights_of_its_parent(control, model):
    with strict(model):
        status = Path(f"/proc/{children()[0]}/status").read_text()
    assert re.search(r"^Uid:(\t6[1-5][0-9]{3}){4}$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE) and re.search(r"^Groups:\t *$", status, re.MULTILINE)
