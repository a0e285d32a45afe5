"""A network of anybody's is run in a child first, which has given up what it does not need."""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from edgetpu_runs import wait_for
from made_models import Made
from whole_model import network, restated_in, write

from motionsig.encoders import find_model, models, open_encoder
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.encoders.trial import run_trial
from motionsig.errors import EncoderError, ModelError
from motionsig.model_card import CARD_NAME, MODEL_NAME, load_card


def two_inputs():
    made = Made()
    first, second, last = made.tensor([1, 4]), made.tensor([1, 4]), made.tensor([1, 4])
    made.operator("ADD", [first, second], [last], 1, "AddOptions")
    made.ends([first, second], [last])
    return made.file()


RIGHTS = """
import ctypes, encodings.idna, os, socket
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.encoders.confinement import confine
from motionsig.encoders.trial import report

def tried(call):
    try:
        call()
    except OSError as error:
        return type(error).__name__
    return "done"



def look(root_will_do, **what):
    import signal
    libc, server = ctypes.CDLL(None), socket.create_server(("127.0.0.1", 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file = open("/dev/shm/motionsig-test-%d" % os.getpid(), "wb", buffering=0)
    os.unlink(file.name)
    confine(root_will_do=root_will_do, **what)
    try:
        bytearray(2 << 30)
        memory = "done"
    except MemoryError:
        memory = "refused"
    report(
        uid=os.geteuid(), groups=os.getgroups(), memory=memory, write=tried(lambda: file.write(b"1")),
        child=tried(lambda: os.fork() or os._exit(0)) if os.geteuid() else "root",
        root=tried(lambda: os.setuid(0)) if os.geteuid() else "root",
        shadow=tried(lambda: open("/etc/shadow")), read=tried(lambda: open("/etc/passwd")),
        change=tried(lambda: os.open(os.getcwd(), os.O_TMPFILE | os.O_WRONLY)),
        connect=tried(lambda: socket.create_connection(server.getsockname(), 5)),
        signal=tried(lambda: os.kill(os.getppid(), 0)), group=os.getpgid(0) == os.getpgid(os.getppid()),
        privileges=libc.prctl(39, 0, 0, 0, 0), traced=libc.prctl(3, 0, 0, 0, 0), landlock=libc.syscall(444, None, 0, 1),
    )
"""


@pytest.fixture
def rights(tmp_path):
    (tmp_path / "rights.py").write_text(RIGHTS)
    return lambda options: run_trial("it", f"rights.look({options})", [tmp_path, *sys.path], 30)


REFUSED = "PermissionError"


@pytest.mark.parametrize("root_will_do", [True, False])
def test_a_confined_child_has_given_up_what_it_does_not_need(rights, root_will_do):
    found = rights(f"root_will_do={root_will_do}")
    if os.geteuid() == 0:
        assert found["uid"] in range(61184, 65520) and found["groups"] == [] and found["child"] == "BlockingIOError"
    else:
        assert found["uid"] == os.geteuid()
    assert found["root"] == found["shadow"] == REFUSED
    assert found["memory"] == "refused" and found["write"] == "OSError"
    assert (found["privileges"], found["traced"], found["group"]) == (1, 0, False)
    check_landlock(found)
    assert found["landlock"] < 1 or found["read"] == REFUSED


def check_landlock(found):
    """What the kernel of 2021 refuses the process, of 2023, of 2024."""
    for version, what in ((1, "change"), (4, "connect"), (6, "signal")):
        assert found["landlock"] < version or found[what] == REFUSED or (what, found[what]) == ("connect", "OSError")


def test_with_a_device_only_what_its_library_may_need_is_left(rights):
    found = rights("root_will_do=True, device=True")
    assert found["root"] == found["shadow"] == REFUSED and found["write"] == "OSError"
    assert (found["privileges"], found["traced"]) == (1, 0)
    check_landlock(found)
    assert found["memory"] == found["read"] == "done"


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("print('motionsig reports: ' + '[' * 100_000)", {}),
        ("print('motionsig reports: 7')", {}),
        ("os.write(1, b'x' * (8 << 20))", {}),
        ("os.fork() or time.sleep(60)", {}),
        ("time.sleep(60)", {"failed": "it did not finish within 3 s"}),
    ],
)
def test_whatever_a_child_writes_or_starts_ends_with_it(tmp_path, does, says):
    module = f"does_{os.getpid()}"
    (tmp_path / f"{module}.py").write_text(
        f"import os, time\nfrom motionsig.encoders.trial import report\ndef it():\n"
        f"    report(pid=os.getpid())\n    {does}\n    report(worst=1)\n"
    )
    reported = run_trial("it", f"{module}.it()", [tmp_path, *sys.path], 3 if "failed" in says else 15)
    reported.pop("pid", None)  # what comes before a flood is lost
    assert reported == (says or {"worst": 1})
    wait_for(lambda: not running(f"{module}.it()"), "the end of what it started")


def running(words):
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [command] if words.encode() in command.read_bytes() else []
    return found


def test_a_network_is_run_as_nobody_else_and_agrees(tmp_path):
    write(tmp_path / "m", {})
    card = load_card(tmp_path / "m")
    reported = models.try_network(card, root_will_do=False)
    assert reported["worst"] <= reported["tolerance"] and "died" not in reported
    assert reported["uid"] == os.geteuid() != 0 or reported["uid"] in range(61184, 65520)
    (tmp_path / "m" / MODEL_NAME).write_bytes(b"other")
    assert "expected" in models.try_network(card, root_will_do=False)["failed"]


def test_a_network_that_was_exchanged_meanwhile_is_not_tried(tmp_path):
    write(tmp_path / "m", {})
    card = load_card(tmp_path / "m")
    write(tmp_path / "m", restated_in(MODEL_NAME, network() + bytes(16)))
    assert "it has been changed" in models.try_network(card, root_will_do=True)["failed"]


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """A runtime that a network of another size than the shipped one kills."""
    real = pytest.importorskip("ai_edge_litert").__path__[0]
    size = len(find_model().model_bytes())
    shutil.copytree(real, tmp_path / "runtime" / "ai_edge_litert")
    file = tmp_path / "runtime" / "ai_edge_litert" / "interpreter.py"
    kill = f"import os\ndef _killed(content):\n    if len(content) != {size}:\n        os.kill(os.getpid(), 11)\n"
    file.write_text(
        file.read_text()
        + f"\n{kill}\n_Real = Interpreter\ndef Interpreter(*a, model_content, **k):\n"
        + "    _killed(model_content)\n    return _Real(*a, model_content=model_content, **k)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "runtime")


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_network_that_kills_its_runtime_kills_a_child_alone(tmp_path, deadly, device):
    write(tmp_path / "m", restated_in(MODEL_NAME, network() + bytes(32)))
    with pytest.raises(ModelError, match=r"expected a network that runs, got: the model died of signal 11"):
        open_encoder(tmp_path / "m", device)


def test_golden_windows_of_another_network_are_refused(tmp_path):
    folder = shutil.copytree(find_model().path, tmp_path / "m")
    write(tmp_path / "other", restated_in(MODEL_NAME, network(seed=9)))
    with pytest.raises(ModelError, match="expected the golden windows' codes within 2 steps on reference"):
        open_encoder(tmp_path / "other", "reference")
    with open_encoder(folder, "cpu") as encoder:  # the shipped network, wherever it is
        assert encoder.card.path == folder


def test_a_changed_card_is_said(tmp_path, caplog):
    folder = shutil.copytree(find_model().path, tmp_path / "m")
    open_encoder(folder, "reference").close()
    assert caplog.text == ""
    text = json.loads((folder / CARD_NAME).read_text())
    for key, value in (("hop", 65), ("max_gap_s", 0.06), ("name", "other")):
        (folder / CARD_NAME).write_text(json.dumps(text | {key: value}))
        caplog.clear()
        open_encoder(folder, "reference").close()
        assert "it was changed after the model was made" in caplog.text and load_card(folder).altered
    (folder / CARD_NAME).write_text(json.dumps(text | {"version": 4, "summary": "", "limits": []}))
    assert not load_card(folder).altered


@pytest.mark.parametrize("change", [lambda made: made.replace(b"tensor 0", b"tensor \xba"), lambda _: two_inputs()])
def test_what_a_runtime_takes_and_cannot_describe_is_refused(tmp_path, change):
    write(tmp_path / "m", restated_in(MODEL_NAME, change(network())))
    with pytest.raises(EncoderError, match="cannot run it"):
        LiteRtNetwork(load_card(tmp_path / "m"))
