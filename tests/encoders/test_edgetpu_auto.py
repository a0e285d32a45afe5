"""`auto`: the Edge TPU while there is one, the CPU while it is away, and no window lost between them."""

import dataclasses
import logging
import os
import resource
import signal
import threading
import time

import numpy as np
import pytest
from edgetpu_runs import (
    FAULTS,
    GOLDEN,
    HANGING,
    QUICK,
    auto,
    bad,
    batch,
    children,
    plug,
    prefer_edgetpu,
    unplug,
    wait_for,
)

from motionsig.encoders.edgetpu import Limits
from motionsig.quality import Quality


@pytest.mark.parametrize("trouble", ["none", "NO_PLUGIN", "OLD_ABI", "absent", "hang prepare", "wrong every 1"])
def test_a_bad_start_leaves_auto_on_the_cpu(control, model, root, data, twin, tmp_path, monkeypatch, caplog, trouble):
    bad(tmp_path, control, monkeypatch, trouble)
    with auto(model, root, Limits(call_s=4.0, start_s=8.0 if trouble == "hang prepare" else 60.0)) as encoder:
        made = encoder.encode(batch(data[:50]))
        assert encoder.device.startswith("cpu (") and "Edge TPU: " in encoder.device
    assert made.codes.tobytes() == twin.codes[:50].tobytes() and not (made.quality & Quality.EDGE_TPU).any()
    assert any("; going on on cpu (" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("fault", FAULTS)
def test_auto_goes_on_on_the_cpu_and_returns(control, model, root, data, twin, fault):
    prefer_edgetpu(model, root)
    with auto(model, root, HANGING if fault == "hang" else QUICK) as encoder:
        control.write(f"{fault} {GOLDEN + 71}")
        made = encoder.encode(batch(data[:200]))
        # 64 in two whole calls, 6 before the fault, and the rest of that call and of all others on the CPU.
        assert np.flatnonzero(made.quality & Quality.EDGE_TPU).tolist() == list(range(70))
        assert made.codes.tobytes() == twin.codes[:200].tobytes()
        assert encoder.device.startswith("cpu (") and "Edge TPU: " in encoder.device
        rows = []

        def returned():
            made = encoder.encode(batch(data[200 + len(rows) % 100 :][:1]))
            assert made.codes.tobytes() == twin.codes[200 + len(rows) % 100].tobytes()
            rows.append(bool(made.quality[0] & Quality.EDGE_TPU))
            return rows[-1]

        wait_for(returned, "the return to the Edge TPU")
        assert encoder.device.startswith("edgetpu (") and not any(rows[:-1])


def test_auto_survives_a_child_that_is_killed(control, model, root, data, twin):
    prefer_edgetpu(model, root)
    with auto(model, root) as encoder:
        for _ in range(3):
            wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the return")
            (child,) = children()
            os.kill(child, signal.SIGKILL)
            # One window at first: over all of them the next child may be there before anybody asks for the reason.
            made = encoder.encode(batch(data[:1]))
            assert "signal 9 (Killed)" in encoder.device
            assert made.codes.tobytes() == twin.codes[:1].tobytes()
            assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()


def test_auto_survives_a_child_that_is_killed_at_any_moment(control, model, root, data, twin):
    prefer_edgetpu(model, root)
    done, rng = threading.Event(), np.random.default_rng(5)
    began = time.monotonic()
    with auto(model, root, dataclasses.replace(QUICK, starts=1000)) as encoder:
        # Under load a start takes longer, and would always be cut off by kills that keep their pace.
        most_s = max(0.6, 2 * (time.monotonic() - began))

        def kill():
            while not done.wait(float(rng.uniform(0.05, most_s))):
                for child in children():
                    os.kill(child, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            flags = []
            until = time.monotonic() + 120
            while control.counts().creations < 6:
                assert time.monotonic() < until
                made = encoder.encode(batch(data))
                assert made.codes.tobytes() == twin.codes.tobytes()
                flags += (made.quality & Quality.EDGE_TPU).tolist()
        finally:
            done.set()
            killer.join()
    assert any(flags) and not all(flags)


def test_auto_follows_the_device_in_and_out_of_its_port(control, model, root, data, twin, caplog):
    caplog.set_level(logging.INFO)
    prefer_edgetpu(model, root)
    with auto(model, root) as encoder:
        for _ in range(2):
            unplug(root, "1-1.4")
            control.write("absent")
            started = control.counts().creations
            made = encoder.encode(batch(data[:3]))
            assert made.codes.tobytes() == twin.codes[:3].tobytes() and not (made.quality & Quality.EDGE_TPU).any()
            assert "its process died of signal 6 (Aborted)" in encoder.device
            wait_for(
                lambda: encoder.encode(batch(data[:1])) and "no Edge TPU is plugged in" in encoder.device, "a look"
            )
            assert control.counts().creations == started  # No process is started for what is not there.
            plug(root, "1-1.4")
            control.write()
            wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the return")
    returns = [record.getMessage() for record in caplog.records if "now on edgetpu (" in record.getMessage()]
    assert len(returns) == 3 and returns[0].endswith("; 0 windows before went through the cpu")


def test_auto_starts_a_child_only_so_often(control, model, root, data, twin):
    prefer_edgetpu(model, root)
    control.write("abort every 1")
    with auto(model, root, dataclasses.replace(QUICK, starts=3)) as encoder:
        wait_for(lambda: encoder.encode(batch(data[:1])) and control.counts().creations == 3, "three starts", 60)
        until = time.monotonic() + 3  # longer than two looks for a device take
        while time.monotonic() < until:
            assert encoder.encode(batch(data[:9])).codes.tobytes() == twin.codes[:9].tobytes()
        assert control.counts().creations == 3 and not children()


def test_auto_takes_a_device_that_comes_later(control, model, tmp_path, data, twin):
    plug(tmp_path / "later", "1-1.4")
    prefer_edgetpu(model, tmp_path / "later")
    unplug(tmp_path / "later", "1-1.4")
    with auto(model, tmp_path / "later") as encoder:
        assert "no Edge TPU is plugged in" in encoder.device and control.counts().creations == 0
        plug(tmp_path / "later", "1-1.4")
        wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the change")


def test_without_descriptors_or_processes_auto_goes_on(control, model, root, data, twin):
    prefer_edgetpu(model, root)
    with auto(model, root) as encoder:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        open_now = len(os.listdir("/proc/self/fd"))
        os.kill(children()[0], signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_now, limits[1]))
        try:
            made = encoder.encode(batch(data))
            again = encoder.encode(batch(data))
            assert made.codes.tobytes() == again.codes.tobytes() == twin.codes.tobytes()
            assert "expected to start a process for it, got: " in encoder.device
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the return")
        assert len(os.listdir("/proc/self/fd")) == open_now


def test_nothing_is_left_over_after_many_starts(control, model, root, data):
    prefer_edgetpu(model, root)
    with auto(model, root) as encoder:
        before = len(os.listdir("/proc/self/fd"))
        for fault in FAULTS:
            control.write(f"{fault} {control.counts().calls + 1}")
            encoder.encode(batch(data[:1]))
            wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the return")
        assert len(os.listdir("/proc/self/fd")) == before and len(children()) == 1


def test_an_interrupted_start_is_no_standstill(control, model, root, data, twin):
    prefer_edgetpu(model, root)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with auto(model, root, QUICK) as encoder:
            os.kill(children()[0], signal.SIGKILL)
            control.write(f"stall {control.counts().calls + 3} 500000")  # among the golden windows of the next start
            signal.setitimer(signal.ITIMER_REAL, 0.4)
            with pytest.raises(KeyboardInterrupt):
                while True:
                    encoder.encode(batch(data[:1]))
            wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the return")
            assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_what_is_printed_is_short_whatever_the_trouble(control, model, root):
    control.write("abort create")
    with auto(model, root) as encoder:
        assert len(encoder.device) > 90 and "motion64" in repr(encoder) and len(repr(encoder)) <= 200
        assert (
            repr(encoder._network).startswith(f"AutoNetwork(motion64 version {encoder.card.version}, ")
            and len(repr(encoder._network)) <= 200
        )
