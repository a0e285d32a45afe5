"""The Edge TPU's path through real child processes and the real runtime, with the double of its library.

Nothing here has met an Edge TPU: what is proven is what becomes of windows, whatever the library does.
"""

import gc
import hashlib
import json
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import fake_edgetpu as fake
import numpy as np
import pytest

from motionsig.blocks import Quality, WindowBatch
from motionsig.encoders import find_model, open_encoder
from motionsig.encoders.edgetpu import AutoNetwork, EdgeTpuNetwork, Limits, choice
from motionsig.encoders.edgetpu.choice import Choice
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.edgetpu.starts import Starts
from motionsig.encoders.host import HostEncoder
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.errors import EncoderError, ModelError
from motionsig.model_card import CARD_NAME, GOLDEN_NAME, MODEL_NAME, load_card

WINDOWS = 300
GOLDEN = 24
"""Golden windows, which a child must answer each time it starts."""

QUICK = Limits(retry_s=0.0, starts=50)
FAULTS = ["err", "abort", "hang", "segfault", "exit"]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return fake.build(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return fake.fake_model(tmp_path_factory.mktemp("models") / "fake")


@pytest.fixture(scope="module")
def data(motion):
    return motion(0, 50, count=WINDOWS * 128).reshape(WINDOWS, 128, 6)


@pytest.fixture(scope="module")
def answers(tmp_path_factory, model, data):
    windows = np.concatenate([load_card(model).golden().windows, data])
    return fake.write_answers(tmp_path_factory.mktemp("answers") / "answers", load_card(model), windows)


@pytest.fixture
def control(tmp_path, answers, library, monkeypatch):
    """The double in place of libedgetpu, with nothing wrong yet, and a state directory of the test's own."""
    control = fake.Control(tmp_path / "control", answers)
    control.write()
    for name, value in control.environment(library).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return control


@pytest.fixture
def root(tmp_path):
    """A machine with an Edge TPU in one of its USB ports."""
    plug(tmp_path / "machine", "1-1.4")
    return tmp_path / "machine"


def plug(root, place):
    port = root / "sys/bus/usb/devices" / place
    port.mkdir(parents=True)
    for name, text in {"idVendor": "18d1", "idProduct": "9302", "busnum": "1", "devnum": "4", "speed": "480"}.items():
        (port / name).write_text(f"{text}\n")


def unplug(root, place):
    shutil.rmtree(root / "sys/bus/usb/devices" / place)


def batch(data):
    count = len(data)
    return WindowBatch(np.arange(count, dtype=np.int64), data, np.arange(count, dtype=np.uint8) % 2, 1)


@pytest.fixture(scope="module")
def twin(model, data):
    """What the CPU makes of all windows."""
    return HostEncoder(load_card(model), LiteRtNetwork(load_card(model))).encode(batch(data))


def strict(model, limits=QUICK, which=""):
    card = load_card(model)
    return HostEncoder(card, EdgeTpuNetwork(card, which, limits=limits))


class LazyCpu:
    """The CPU's network, but each window takes it as long as it would a much larger network."""

    def __init__(self, card):
        self._network = LiteRtNetwork(card)
        self.device = self._network.device

    def run(self, inputs):
        time.sleep(0.003 * len(inputs))
        return self._network.run(inputs)

    def close(self):
        self._network.close()


def auto(model, root, limits=QUICK):
    card = load_card(model)
    return HostEncoder(card, AutoNetwork(card, LiteRtNetwork(card), limits=limits, root=root))


def prefer_edgetpu(model, root):
    """Let it be remembered that the Edge TPU is faster here, which a double of it would not be."""
    card = load_card(model)
    conditions = choice.conditions(card, LiteRtNetwork(card).device, edgetpus(root))
    choice.remember(card, conditions, Choice(20.0, 50.0, "2026-11-23"))


def wait_for(happened, what, limit_s=10.0):
    until = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < until, f"{what} did not happen within {limit_s} s"
        time.sleep(0.01)


def children(parent=None):
    """Return the processes of ours that have an Edge TPU."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if "edgetpu.child" in command and fields[0] != "Z" and int(fields[1]) == (parent or os.getpid()):
            found.append(int(folder.name))
    return found


def test_every_window_is_the_twins_and_flagged(control, model, data, twin):
    with strict(model) as encoder:
        made = encoder.encode(batch(data))
        assert encoder.device.startswith("edgetpu (")
        assert encoder.encode(batch(data[:0])).codes.shape == (0, encoder.card.dim)
    assert made.codes.tobytes() == twin.codes.tobytes()
    assert made.spec == twin.spec  # and so the fingerprint: the two may be compared
    assert (made.quality == twin.quality | Quality.EDGE_TPU).all() and not (twin.quality & Quality.EDGE_TPU).any()
    assert control.counts().answered == GOLDEN + WINDOWS


@pytest.mark.parametrize("which", ["usb", ":0", "usb:0"])
def test_a_certain_one_may_be_asked_for(control, model, data, which):
    with strict(model, which=which) as encoder:
        assert encoder.device.startswith(f"edgetpu:{which.removeprefix(':')} (")
        assert len(encoder.encode(batch(data[:1])))
    with pytest.raises(EncoderError, match="expected one as pci to answer, got none; more: motionsig doctor"):
        strict(model, which="pci")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_edge_tpu_alone_takes_the_window_up_again(control, model, data, twin, caplog, fault):
    control.write(f"{fault} {GOLDEN + 150}")
    with strict(model) as encoder:
        made = encoder.encode(batch(data))
    assert made.codes.tobytes() == twin.codes.tobytes() and (made.quality & Quality.EDGE_TPU).all()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    expected = {
        "err": "it failed on a window: fake_edgetpu",
        "abort": "its process died of signal 6 (Aborted) while running the model; it said: F fake_edgetpu.c: ",
        "hang": "a window took it more than 1 s",
        "segfault": "its process died of signal 11 (Segmentation fault) while running the model",
        "exit": "its process ended with exit code",
    }
    assert warning.startswith(f"Edge TPU: {expected[fault]}") and warning.endswith("; starting it again")
    # What was done before the fault was not done again, and nothing twice.
    counts = control.counts()
    assert counts.answered == 2 * GOLDEN + WINDOWS and counts.creations == 2


@pytest.mark.parametrize("fault", [*FAULTS, "stall"])
def test_many_faults_lose_and_double_nothing(control, model, data, twin, fault):
    control.write("stall every 97 900000" if fault == "stall" else f"{fault} every 97")
    rng, made, row = np.random.default_rng(3), [], 0
    with strict(model, Limits(call_s=0.15, retry_s=0.0, starts=50)) as encoder:
        while row < WINDOWS:
            count = int(rng.integers(1, 80))
            made.append(encoder.encode(batch(data[row : row + count])).codes)
            row += count
    assert np.concatenate(made).tobytes() == twin.codes.tobytes()
    assert control.counts().creations >= 4


def test_an_edge_tpu_that_never_recovers_is_an_error_and_loses_no_process(control, model, data):
    control.write(f"abort every {GOLDEN + 1}")
    with strict(model, Limits(retry_s=0.0, starts=3)) as encoder:
        with pytest.raises(EncoderError, match=r"signal 6 \(Aborted\).*; given up after 3 starts within 600 s"):
            encoder.encode(batch(data))
        assert control.counts().creations == 3
        # Nor does asking again help before the time is over.
        with pytest.raises(EncoderError, match="given up after 3 starts"):
            encoder.encode(batch(data[:1]))
    assert not children()


def bad(tmp_path, control, monkeypatch, trouble):
    """Bring about what may be wrong with library, device or model at the start."""
    if trouble in ("none", "NO_PLUGIN", "OLD_ABI", "junk"):
        folder = tmp_path / "other library"
        folder.mkdir()
        if trouble == "junk":
            (folder / fake.LIBRARY_NAME).write_bytes(b"\x7fELF but no more")
        elif trouble != "none":
            fake.build(folder, f"-D{trouble}")
        monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    else:
        control.write(trouble)


TROUBLES = {
    "none": "libedgetpu.so.1: expected the Edge TPU's library, got: libedgetpu.so.1: cannot open shared object file",
    "junk": "libedgetpu.so.1: expected the Edge TPU's library, got: .*libedgetpu.so.1: (file too short|invalid ELF)",
    "NO_PLUGIN": "expected the Edge TPU's library, got one without a delegate; more: motionsig doctor",
    "OLD_ABI": r"its process died of signal \d+ \(.*\) while preparing the model on the Edge TPU",
    "absent": "expected one to answer, got none; more: motionsig doctor",
    "busy": "expected one to answer, got none; more: motionsig doctor",
    "runtime 10": "cannot prepare the model",
    "abort create": r"its process died of signal 6 \(Aborted\) while opening the Edge TPU with libedgetpu.so.1",
    "hang create": "it was still opening the Edge TPU with libedgetpu.so.1 after 3 s",
    "segfault prepare": r"its process died of signal 11 \(Segmentation fault\) while preparing the model",
    "hang prepare": "it was still preparing the model on the Edge TPU after 3 s",
    "hang 3": "a window took it more than 0.4 s",
    "wrong every 1": "its codes for the golden windows are off by [0-9]+, where 8 is allowed",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_bad_start_is_one_clear_error(control, model, tmp_path, monkeypatch, trouble):
    bad(tmp_path, control, monkeypatch, trouble)
    with pytest.raises(EncoderError, match=f"^Edge TPU: .*{TROUBLES[trouble]}") as error:
        strict(model, Limits(call_s=0.4, start_s=3))
    assert "\n" not in str(error.value) and not children()


@pytest.mark.parametrize("trouble", ["none", "NO_PLUGIN", "OLD_ABI", "absent", "hang prepare", "wrong every 1"])
def test_a_bad_start_leaves_auto_on_the_cpu(control, model, root, data, twin, tmp_path, monkeypatch, caplog, trouble):
    bad(tmp_path, control, monkeypatch, trouble)
    with auto(model, root, Limits(call_s=0.4, start_s=3)) as encoder:
        made = encoder.encode(batch(data[:50]))
        assert encoder.device.startswith("cpu (") and "Edge TPU: " in encoder.device
    assert made.codes.tobytes() == twin.codes[:50].tobytes() and not (made.quality & Quality.EDGE_TPU).any()
    assert any("; going on on cpu (" in record.getMessage() for record in caplog.records)


def changed(model, folder, change):
    """Return a copy of a model whose card and files `change` was let loose on."""
    shutil.copytree(model, folder)
    text = json.loads((folder / CARD_NAME).read_text())
    change(folder, text)
    (folder / CARD_NAME).write_text(json.dumps(text))
    return folder


def not_compiled(folder, text):
    """Let the card call the twin itself the compiled file."""
    shutil.copy(folder / MODEL_NAME, folder / fake.COMPILED_NAME)
    text["files"][fake.COMPILED_NAME] = text["files"][MODEL_NAME]


def damaged(folder, text):
    content = bytearray((folder / fake.COMPILED_NAME).read_bytes())
    content[-1] ^= 1
    (folder / fake.COMPILED_NAME).write_bytes(content)


def missing(folder, text):
    (folder / fake.COMPILED_NAME).unlink()


def golden_missing(folder, text):
    (folder / GOLDEN_NAME).unlink()


def golden_cut(folder, text):
    content = (folder / GOLDEN_NAME).read_bytes()
    (folder / GOLDEN_NAME).write_bytes(content[: len(content) // 2])


def golden_of_nothing(folder, text):
    """As the card says, hash and all, but nothing could fail by it."""
    np.savez(folder / GOLDEN_NAME, windows=np.empty((0, 128, 6), "f4"), codes=np.empty((0, 64), "i1"), tolerance=3)
    text["files"][GOLDEN_NAME]["sha256"] = hashlib.sha256((folder / GOLDEN_NAME).read_bytes()).hexdigest()


def golden_junk(folder, text):
    (folder / GOLDEN_NAME).write_bytes(b"PK\x03\x04 and no more")
    text["files"][GOLDEN_NAME]["sha256"] = hashlib.sha256((folder / GOLDEN_NAME).read_bytes()).hexdigest()


UNFIT = {
    not_compiled: "expected a model compiled for the Edge TPU, with an operator edgetpu-custom-op, got 11 others",
    damaged: "fake_compiled.tflite: expected sha256 .* as in card.json, got",
    missing: "fake_compiled.tflite: expected the file that card.json describes, got: No such file",
    golden_missing: "golden.npz: expected the file that card.json describes, got: No such file",
    golden_cut: "golden.npz: expected sha256 .* as in card.json, got",
    golden_of_nothing: r"golden.npz: expected windows and codes of the card's shapes, got \(\(0, 128, 6\), \(0, 64\)\)",
    golden_junk: "golden.npz: expected windows, codes and a tolerance, got: ",
}


@pytest.mark.parametrize("change", UNFIT, ids=lambda change: change.__name__)
def test_a_model_that_is_not_what_it_should_be_never_reaches_the_edge_tpu(
    control, model, root, data, twin, tmp_path, change
):
    other = changed(model, tmp_path / "model", change)
    with pytest.raises(ModelError, match=UNFIT[change]):
        strict(other)
    with auto(other, root) as encoder:
        assert encoder.encode(batch(data[:9])).codes.tobytes() == twin.codes[:9].tobytes()
        assert encoder.device.startswith("cpu (")
    assert control.counts().creations == 0


def test_a_compiled_file_of_another_model_is_refused(control, model, tmp_path):
    def louder(folder, text):
        text["quantization"][0][1] = 0.0625

    with pytest.raises(EncoderError, match=r"expected output int8 .* 0.0625 .* as in the card, got int8 .* 0.03125"):
        strict(changed(model, tmp_path / "model", louder))


def test_a_compiled_file_in_the_cpus_place_is_named(model, tmp_path):
    def swapped(folder, text):
        shutil.copy(folder / fake.COMPILED_NAME, folder / MODEL_NAME)
        text["files"][MODEL_NAME] = text["files"][fake.COMPILED_NAME]

    other = changed(model, tmp_path / "model", swapped)
    with pytest.raises(ModelError, match="expected a model for the CPU, got one compiled for the Edge TPU"):
        open_encoder(other, "cpu")


def test_a_model_that_was_never_compiled(root):
    with pytest.raises(
        ModelError, match="got none; make one, on an x86-64 machine: motionsig compile motion64 -o FOLDER"
    ):
        open_encoder(device="edgetpu")
    with open_encoder(device="auto") as encoder:
        assert encoder.device.startswith("cpu (") and encoder.device.endswith(")")
    # An Edge TPU that is idle for that reason is not passed over in silence.
    card = find_model()
    with HostEncoder(card, AutoNetwork(card, LiteRtNetwork(card), root=root)) as encoder:
        assert encoder.device.startswith("cpu (") and "expected a file compiled for the Edge TPU" in encoder.device


@pytest.mark.parametrize("card", [{}, {"file": "../x", "compiler": "16"}, {"file": MODEL_NAME}, 7, "x", []])
def test_a_card_with_a_bad_compiled_entry_is_refused(model, tmp_path, card):
    def broken(folder, text):
        text["compiled"] = card | {"min_runtime": 14} if isinstance(card, dict) and card else card

    with pytest.raises(ModelError, match=CARD_NAME):
        load_card(changed(model, tmp_path / "model", broken))


@pytest.mark.parametrize("fault", FAULTS)
def test_auto_goes_on_on_the_cpu_and_returns(control, model, root, data, twin, fault):
    prefer_edgetpu(model, root)
    with auto(model, root) as encoder:
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
            made = encoder.encode(batch(data))
            assert made.codes.tobytes() == twin.codes.tobytes()
            assert "signal 9 (Killed)" in encoder.device


def test_auto_survives_a_child_that_is_killed_at_any_moment(control, model, root, data, twin):
    prefer_edgetpu(model, root)
    done, rng = threading.Event(), np.random.default_rng(5)

    def kill():
        while not done.wait(float(rng.uniform(0.05, 0.6))):
            for child in children():
                os.kill(child, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    with auto(model, root, Limits(retry_s=0.0, starts=1000)) as encoder:
        killer.start()
        try:
            flags = []
            until = time.monotonic() + 60
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
            wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the return", 15)
    returns = [record.getMessage() for record in caplog.records if "now on edgetpu (" in record.getMessage()]
    assert len(returns) == 3 and returns[0].endswith("; 0 windows before went through the cpu")


def test_auto_takes_a_device_that_comes_later(control, model, tmp_path, data, twin):
    plug(tmp_path / "later", "1-1.4")
    prefer_edgetpu(model, tmp_path / "later")
    unplug(tmp_path / "later", "1-1.4")
    with auto(model, tmp_path / "later") as encoder:
        assert "no Edge TPU is plugged in" in encoder.device and control.counts().creations == 0
        plug(tmp_path / "later", "1-1.4")
        wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the change")


def test_auto_measures_both_and_remembers(control, model, root, tmp_path, data):
    card = load_card(model)
    with HostEncoder(card, AutoNetwork(card, LazyCpu(card), root=root)) as encoder:
        words = encoder.device
        assert words.startswith("edgetpu (") and " us a window on edgetpu, " in words and " x, measured 20" in words
        assert (encoder.encode(batch(data[:5])).quality & Quality.EDGE_TPU).all()
    measured = control.counts().calls
    with HostEncoder(card, AutoNetwork(card, LazyCpu(card), root=root)) as encoder:
        assert encoder.device == words
    assert control.counts().calls == measured + GOLDEN  # The golden windows, and no more: nothing was measured.
    kept = json.loads((tmp_path / "state/devices" / f"{card.name}.json").read_text())["choice"]
    assert kept["edgetpu_us"] < kept["cpu_us"] >= 3000 and date.fromisoformat(kept["date"])


def test_auto_stays_on_the_cpu_where_that_is_faster(control, model, root, data, twin):
    control.write("slow 2000")
    with auto(model, root) as encoder:
        words = encoder.device
        assert words.startswith("cpu (") and " us a window on cpu, " in words and " on edgetpu: " in words
        assert not children()
    started = control.counts().creations
    with auto(model, root) as encoder:
        assert encoder.device == words and control.counts().creations == started
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()
    # In another port it is another device, and another compiled file another model.
    unplug(root, "1-1.4")
    plug(root, "2-1")
    with auto(model, root):
        assert control.counts().creations == started + 1
    with auto(model, root):
        assert control.counts().creations == started + 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"choice": 1}',
        b'{"conditions": {}, "choice": {"edgetpu_us": 0, "cpu_us": 1, "date": "2026-11-23"}}',
        b'{"conditions": {}, "choice": {"edgetpu_us": NaN, "cpu_us": 1, "date": "2026-11-23"}}',
        b'{"conditions": {}, "choice": {"edgetpu_us": 1' + 400 * b"0" + b', "cpu_us": 1, "date": "2026-11-23"}}',
        b"[" * 60_000,
    ],
)
def test_a_damaged_memory_is_measured_anew(control, model, root, tmp_path, content):
    control.write("slow 1000")
    place = tmp_path / "state/devices" / f"{load_card(model).name}.json"
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    with auto(model, root) as encoder:
        assert "on edgetpu" in encoder.device
    assert json.loads(place.read_text())["choice"]["edgetpu_us"] > 1000


def test_where_nothing_can_be_remembered_it_goes_on(control, model, root, tmp_path):
    control.write("slow 1000")
    (tmp_path / "state").write_text("a file where the folder should be")
    with auto(model, root) as encoder:
        assert "measured" in encoder.device


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
    wait_for(lambda: ended(child), "the end of the child")


def ended(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_it_ends_with_its_parent_though_a_forked_process_lives_on(control, model):
    script = PARENT.replace("worker.run(", "import os; os.fork() or time.sleep(3); time.sleep(60); (")
    with subprocess.Popen([sys.executable, "-c", script, model, "60"], stdout=subprocess.PIPE) as parent:
        assert [parent.stdout.readline() for _ in range(2)] == [b"started\n", b"ready\n"]
        (child,) = children(parent.pid)
        wait_for(lambda: forked(parent.pid), "the fork")
        (other,) = forked(parent.pid)
        parent.kill()
        try:
            wait_for(lambda: ended(child), "the end of the child")
            assert not ended(other)
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


def in_a_fork(encoder, data, twin, results):
    made = encoder.encode(batch(data))
    results.put((made.codes.tobytes() == twin.codes.tobytes(), bool(made.quality[0] & Quality.EDGE_TPU)))


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
            assert results.get() == (True, False)
            other.join()
        assert (encoder.encode(batch(data[:1])).quality & Quality.EDGE_TPU).all()


def test_threads_share_an_encoder(control, model, data, twin):
    with strict(model) as encoder:
        wrong = []

        def work():
            for first in range(0, WINDOWS, 20):
                made = encoder.encode(batch(data[first : first + 20]))
                wrong.append(made.codes.tobytes() != twin.codes[first : first + 20].tobytes())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(wrong) == 4 * WINDOWS / 20 and not any(wrong)


def test_whoever_else_is_told_to_stop_the_child_is_not(control, model, data, twin):
    """Every process of a systemd service gets SIGTERM; the windows at hand are still to be encoded."""
    with strict(model) as encoder:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(children()[0], number)
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()
    assert control.counts().creations == 1


def test_a_device_that_answers_too_slowly_is_given_up_within_its_time(control, model, root):
    control.write("slow 150000")
    with pytest.raises(EncoderError, match=r"it had done [0-9]+ of 24 windows when the time was over"):
        strict(model, Limits(start_s=2.5))
    control.write("slow 40000")
    before = control.counts().calls
    with auto(model, root) as encoder:
        assert encoder.device.startswith("cpu (") and " on edgetpu: " in encoder.device
    assert control.counts().calls < before + GOLDEN + 100  # Measuring stops where windows would wait for it.


def test_an_interrupted_start_is_no_standstill(control, model, root, data, twin):
    prefer_edgetpu(model, root)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with auto(model, root, Limits(retry_s=0.0, starts=50)) as encoder:
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


def test_pauses_grow_up_to_a_bound_and_end_with_another_device():
    starts = Starts(Limits(retry_s=0.5, starts=10_000, per_s=600.0))
    pauses = []
    for _ in range(2000):
        starts.add()
        starts.ended()
        pauses.append(round(starts.wait_s()))
    assert pauses[:6] == [0, 1, 2, 4, 8, 16] and set(pauses[12:]) == {600}
    starts.forgive()
    assert starts.wait_s() == 0


def test_so_many_starts_are_allowed_in_a_time():
    starts = Starts(Limits(retry_s=0.0, starts=3, per_s=0.3))
    for _ in range(3):
        assert not starts.spent and starts.wait_s() == 0
        starts.add()
        starts.ended()
    assert starts.spent and 0.1 < starts.wait_s() <= 0.3
    time.sleep(0.31)
    assert not starts.spent and starts.wait_s() == 0
