"""The double of libedgetpu, in a real process under the real runtime: what it is told to do, it does."""

import ctypes
import math
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
import tflite
from fake_edgetpu import (
    COMPILED_NAME,
    LIBRARY_NAME,
    QUICK_US,
    Control,
    Counts,
    build,
    compiled_like,
    fake_model,
    input_codes,
    runtime,
    twin_outputs,
    write_answers,
)

from motionsig.model_card import MODEL_NAME, load_card

KNOWN = 6
"""Windows with an answer; the next one is without."""

# One line of input is the row to run, one line of output what came of it.
PROCESS = """
import sys
import numpy as np
try:
    from ai_edge_litert import interpreter as runtime
except ImportError:
    from tflite_runtime import interpreter as runtime
library, device, model, inputs = sys.argv[1:]
inputs = np.load(inputs)
def say(error):
    print(type(error).__name__, str(error).replace("\\n", " "), flush=True)
try:
    delegates = [runtime.load_delegate(library, {"device": device})] if library else []
    interpreter = runtime.Interpreter(model_path=model, experimental_delegates=delegates)
    interpreter.allocate_tensors()
except (ValueError, RuntimeError, OSError, AttributeError) as error:
    say(error)
    sys.exit(1)
print("ready", flush=True)
given, made = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
for line in sys.stdin:
    interpreter.set_tensor(given, inputs[int(line)][None])
    try:
        interpreter.invoke()
    except RuntimeError as error:
        say(error)
    else:
        print(interpreter.get_tensor(made).tobytes().hex(), flush=True)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return fake_model(tmp_path_factory.mktemp("models") / "fake")


@pytest.fixture(scope="module")
def made(model, motion, tmp_path_factory):
    """A folder with answers to all windows but the last, the inputs, and the twin's outputs in hexadecimal."""
    folder, card = tmp_path_factory.mktemp("made"), load_card(model)
    windows = motion(0, 50, count=(KNOWN + 1) * 128).reshape(-1, 128, 6)
    write_answers(folder / "answers", card, windows[:KNOWN])
    np.save(folder / "inputs.npy", input_codes(card, windows))
    return folder, [row.tobytes().hex() for row in twin_outputs(card, input_codes(card, windows))]


@pytest.fixture
def outputs(made):
    return made[1]


@pytest.fixture
def control(made, tmp_path):
    control = Control(tmp_path / "control", made[0] / "answers", QUICK_US)
    control.write()
    return control


@pytest.fixture
def start(library, model, made, control):
    """A process with the double, which has said its first line: `start(...).said`, then `ask`."""

    @contextmanager
    def started(*, library=library, name=None, device="", file=model / COMPILED_NAME):
        with subprocess.Popen(
            [sys.executable, "-c", PROCESS, name or library or "", device, file, made[0] / "inputs.npy"],
            env=control.environment(library) if library else {},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return started


def said(process):
    """Return the next line, empty once the process has ended."""
    return process.stdout.readline().rstrip("\n")


def ask(process, row):
    process.stdin.write(f"{row}\n")
    process.stdin.flush()
    return said(process)


def hangs(process, control, **entered):
    """Wait until the library has been entered so often, and return whether the process then stays silent."""
    ((name, count),) = entered.items()
    deadline = time.monotonic() + 60
    while getattr(control.counts(), name) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return getattr(control.counts(), name) == count and not select.select([process.stdout], [], [], 0.3)[0]


def test_it_answers_as_the_twin_does_in_any_order(start, control, outputs):
    with start() as process:
        assert said(process) == "ready"
        order = [0, 1, 2, 3, 4, 5, 5, 1, 0, 4]
        assert [ask(process, row) for row in order] == [outputs[row] for row in order]
    assert control.counts() == Counts(creations=1, preparations=1, calls=10, answered=10)
    assert len(set(outputs)) == len(outputs)


def test_a_window_it_does_not_know_is_an_error(start, outputs):
    with start() as process:
        said(process)
        assert ask(process, KNOWN).startswith("RuntimeError fake_edgetpu: no answer to this input of 1536 bytes")
        assert ask(process, 0) == outputs[0]


@pytest.mark.parametrize(
    ("fault", "death"), [("abort", signal.SIGABRT), ("segfault", signal.SIGSEGV), ("exit", None), ("hang", None)]
)
def test_a_fault_at_the_nth_call_is_counted_over_processes(start, control, outputs, fault, death):
    control.write(f"{fault} 3", f"{fault} every 5")
    with start() as first:
        said(first)
        assert [ask(first, 0), ask(first, 1)] == outputs[:2]
        print(2, file=first.stdin, flush=True)
        if fault == "hang":
            assert hangs(first, control, calls=3)
            first.kill()
            death = signal.SIGKILL
        assert said(first) == ""
        assert first.wait(60) == (-death if death else 3)
        assert ("Aborting" in first.stderr.read()) == (fault == "abort")
    with start() as second:
        said(second)
        assert ask(second, 2) == outputs[2]
        print(3, file=second.stdin, flush=True)
        if fault == "hang":
            assert hangs(second, control, calls=5)
        else:
            assert said(second) == ""
    assert control.counts() == Counts(creations=2, preparations=2, calls=5, answered=3)


def test_errors_and_wrong_numbers_leave_it_running(start, control, outputs):
    control.write("wrong 2", "err every 2")
    with start() as process:
        said(process)
        lines = [ask(process, row) for row in range(5)]
    assert [lines[0], lines[2], lines[4]] == [outputs[0], outputs[2], outputs[4]]
    assert len(lines[1]) == len(outputs[1]) and lines[1] != outputs[1]
    assert lines[3].startswith("RuntimeError fake_edgetpu: told to fail")
    assert control.counts().answered == 3


def test_it_is_slow_or_stalls_as_told(start, control, outputs):
    control.write("stall 2 500000")
    with start() as process:
        said(process)
        took_s = []
        for row in range(3):
            began = time.monotonic()
            assert ask(process, row) == outputs[row]
            took_s.append(time.monotonic() - began)
        assert took_s[1] > 0.5 > min(took_s[0], took_s[2])
        control.write("slow 200000")
        began = time.monotonic()
        assert ask(process, 3) == outputs[3] and time.monotonic() - began > 0.2


@pytest.mark.parametrize(("moment", "counted"), [("create", "creations"), ("prepare", "preparations")])
def test_faults_while_it_starts(start, control, moment, counted):
    control.write(f"err {moment} 1", f"abort {moment} 2", f"hang {moment} 3", f"stall {moment} 4 200000")
    with start() as process:
        error = "ValueError" if moment == "create" else "RuntimeError"
        assert re.match(f"{error} .*fake_edgetpu: told to fail", said(process))
    with start() as process:
        assert said(process) == "" and process.wait(60) == -signal.SIGABRT
    with start() as process:
        assert hangs(process, control, **{counted: 3})
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    for _ in range(2):
        with start() as process:
            assert said(process) == "ready"
    assert control.counts() == (Counts(5, 2) if moment == "create" else Counts(5, 5))


def test_a_device_that_is_pulled_and_put_back(start, control, outputs):
    with start() as process:
        said(process)
        assert ask(process, 0) == outputs[0]
        control.write("absent")
        assert process.wait(60) == -signal.SIGABRT  # nobody has called it
        assert "the device has gone" in process.stderr.read()
    with start() as process:
        assert re.fullmatch(r"ValueError Failed to load delegate from \S+ ", said(process))
    control.write()
    with start() as process:
        assert said(process) == "ready" and ask(process, 1) == outputs[1]


@pytest.mark.parametrize(
    ("line", "there", "not_there"),
    [
        ("devices usb", ("", ":0", "usb", "usb:0"), (":1", "usb:1", "pci", "pci:0")),
        ("devices usb pci usb", (":2", "usb:1", "pci"), (":3", "usb:2", "pci:1", "tpu", "usb:", ":x", "usb:0x", "us")),
        ("absent", (), ("", "usb", "pci", ":0")),
        ("denied", (), ("", "usb", ":0")),
    ],
)
def test_devices_are_chosen_as_libedgetpu_does(library, control, monkeypatch, line, there, not_there):
    monkeypatch.setenv("FAKE_EDGETPU", str(control.file))
    control.write(line)
    for device in there:
        runtime().load_delegate(str(library), {"device": device})
    for device in not_there:
        with pytest.raises(ValueError, match=r"Failed to load delegate from \S+\n$"):
            runtime().load_delegate(str(library), {"device": device})


def opening_s(library, control, monkeypatch, *lines):
    """Return how long it takes to open the double with a second of 20 ms, and whether it opened."""
    monkeypatch.setenv("FAKE_EDGETPU", str(control.file))
    Control(control.file, control.answers, second_us=20_000).write(*lines)
    began = time.monotonic()
    try:
        runtime().load_delegate(str(library))
    except ValueError:
        return time.monotonic() - began, False
    return time.monotonic() - began, True


@pytest.mark.parametrize(
    ("lines", "sleeps", "opens"),
    [
        ((), 2, True),
        (("new",), 3, True),
        (("denied",), 25, False),
        (("absent",), 0, False),
        (("devices pci",), 0, True),
    ],
)
def test_it_sleeps_before_each_raw_opening_and_tries_25_times(library, control, monkeypatch, lines, sleeps, opens):
    fastest_s = math.inf
    for _ in range(3):
        took_s, opened = opening_s(library, control, monkeypatch, *lines)
        assert opened == opens and took_s >= 0.02 * sleeps
        fastest_s = min(fastest_s, took_s)
    assert sleeps == 25 or fastest_s < 0.02 * 25


def test_without_being_told_it_sleeps_whole_seconds(start, control):
    control.file.write_text(f"answers {control.answers}\n")
    began = time.monotonic()
    with start() as process:
        assert said(process) == "ready" and time.monotonic() - began >= 2


@pytest.mark.parametrize(("line", "resets"), [("", 1), ("new", 2)])
def test_whoever_opens_it_resets_the_port_and_the_one_that_had_it_aborts(start, control, outputs, line, resets):
    control.write(line)
    with start() as first:
        assert said(first) == "ready" and ask(first, 0) == outputs[0]
        assert control.resets() == (resets, *[0] * 7)
        with start() as second:
            assert said(second) == "ready"
            # Without a call of anybody: its own transfers fail.
            assert first.wait(60) == -signal.SIGABRT and "has reset the port" in first.stderr.read()
            assert ask(second, 1) == outputs[1] and control.resets()[0] == 2 * resets


def test_another_of_several_is_not_disturbed(start, control, outputs):
    control.write("devices usb usb")
    with start(device="usb:0") as first, start(device="usb:1") as second:
        assert said(first) == said(second) == "ready"
        assert ask(first, 0) == outputs[0] and ask(second, 1) == outputs[1]
    assert control.resets()[:3] == (1, 1, 0)


def test_on_pcie_the_second_process_is_refused_and_the_first_goes_on(start, control, outputs):
    control.write("devices pci")
    with start() as first:
        assert said(first) == "ready"
        with start() as second:
            assert said(second).startswith("ValueError ")
        assert ask(first, 0) == outputs[0]
    with start() as third:
        assert said(third) == "ready"
    assert not any(control.resets())


def test_within_a_process_a_device_is_shared(library, control, monkeypatch):
    monkeypatch.setenv("FAKE_EDGETPU", str(control.file))
    first = runtime().load_delegate(str(library))
    Control(control.file, control.answers).write()
    took_s = []
    for _ in range(3):
        began = time.monotonic()
        second = runtime().load_delegate(str(library))
        took_s.append(time.monotonic() - began)
        del second
    assert min(took_s) < 1
    del first


def test_it_refuses_an_option_that_libedgetpu_does_not_have(library, control, monkeypatch):
    monkeypatch.setenv("FAKE_EDGETPU", str(control.file))
    with pytest.raises(ValueError, match="no such option: devise"):
        runtime().load_delegate(str(library), {"devise": "usb"})


def test_it_lists_devices_and_its_version(library, control, monkeypatch):
    class Device(ctypes.Structure):
        _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))

    monkeypatch.setenv("FAKE_EDGETPU", str(control.file))
    double, count = ctypes.CDLL(str(library)), ctypes.c_size_t()
    double.edgetpu_list_devices.restype = ctypes.POINTER(Device)
    double.edgetpu_version.restype = ctypes.c_char_p
    control.write("devices usb pci", "runtime 13")
    listed = double.edgetpu_list_devices(ctypes.byref(count))
    assert [(listed[i].type, listed[i].path) for i in range(count.value)] == [
        (1, b"/sys/bus/usb/devices/2-1"),
        (0, b"/dev/apex_1"),
    ]
    double.edgetpu_free_devices(listed)
    assert double.edgetpu_version() == b"BuildLabel(FAKE),RuntimeVersion(13)"
    control.write("absent")
    assert not double.edgetpu_list_devices(ctypes.byref(count)) and count.value == 0


def test_a_runtime_too_old_for_the_model_says_so(start, control):
    control.write("runtime 13")
    with start() as process:
        assert "the model needs runtime 14, this one is 13" in said(process)


@pytest.mark.parametrize(
    "line", ["abort", "abort every", "err 5 5", "stall 5", "wrong create", "nonsense", "devices tpu"]
)
def test_a_line_without_sense_is_not_passed_over(start, control, line):
    control.write(line)
    with start() as process:
        assert said(process) == "" and process.wait(60) == 99
        assert "fake_edgetpu: " in process.stderr.read()


def test_a_library_that_is_no_delegate(start, tmp_path):
    with start(library=build(tmp_path, "-DNO_PLUGIN")) as process:
        assert re.match("AttributeError .*undefined symbol: tflite_plugin_create_delegate", said(process))


def test_a_library_for_an_older_runtime_dies_of_a_signal(start, tmp_path):
    with start(library=build(tmp_path, "-DOLD_ABI")) as process:
        process.communicate("0\n", timeout=60)
        assert process.returncode in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS)


def test_a_missing_library(start, tmp_path):
    with start(library=tmp_path / "libedgetpu.so.1") as process:
        assert re.match("OSError .*cannot open shared object file", said(process))


def test_the_library_is_found_by_its_bare_name(start, outputs):
    with start(name=LIBRARY_NAME) as process:
        assert said(process) == "ready" and ask(process, 0) == outputs[0]


def test_a_compiled_model_without_the_delegate(start):
    with start(library=None) as process:
        assert re.match("RuntimeError .*unresolved custom op: edgetpu-custom-op", said(process))


def test_a_model_that_is_not_compiled_runs_beside_the_delegate_unseen(start, control, model, outputs):
    with start(file=model / MODEL_NAME) as process:
        assert said(process) == "ready" and ask(process, KNOWN) == outputs[KNOWN]
    assert control.counts() == Counts(creations=1)


def test_the_fake_compiled_file_keeps_the_twins_contract(model):
    twin = tflite.Model.GetRootAs((model / MODEL_NAME).read_bytes()).Subgraphs(0)
    file = (model / COMPILED_NAME).read_bytes()
    fake = tflite.Model.GetRootAs(file)
    graph = fake.Subgraphs(0)
    assert file[4:8] == b"TFL3" and file == compiled_like((model / MODEL_NAME).read_bytes())
    assert b"FAKE" in fake.Description() and "edgetpu" not in COMPILED_NAME
    assert graph.OperatorsLength() == 1 and fake.OperatorCodes(0).CustomCode() == b"edgetpu-custom-op"
    assert border(graph, graph.Inputs(0)) == border(twin, twin.Inputs(0))
    assert border(graph, graph.Outputs(0)) == border(twin, twin.Outputs(0))
    card = load_card(model)
    assert card.text["files"][COMPILED_NAME]["bytes"] == len(file)
    assert card.text["compiled"]["file"] == COMPILED_NAME


def border(graph, index):
    tensor = graph.Tensors(index)
    of = tensor.Quantization()
    return tensor.Name(), tensor.Type(), tensor.ShapeAsNumpy().tolist(), of.Scale(0), of.ZeroPoint(0)
