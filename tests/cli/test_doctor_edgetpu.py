"""What `motionsig doctor` says of Edge TPUs: the real child loads the double of the library into the real runtime."""

import json
import os
import sys
import tempfile
from pathlib import Path

import fake_edgetpu
import numpy as np
import pytest
from doctors_trees import check_lines, grow
from edgetpu_trees import ARM, ON_PCI, ON_USB, PACKAGE, PI, PLACE, STICK, examine, said
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.cli.doctor import edgetpu
from motionsig.cli.doctor.edgetpu_devices import USB_RULE, devices, power
from motionsig.cli.doctor.edgetpu_library import fit, library
from motionsig.cli.doctor.findings import Mark
from motionsig.encoders.edgetpu.claim import claim
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.litert import load_runtime
from motionsig.encoders.trial import DEADLINE_S, run_trial
from motionsig.model_card import load_card


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """Folders of the double, one for each way of building it."""
    folders = {flag: tmp_path_factory.mktemp("library") for flag in ("", "-DOLD_ABI", "-DNO_PLUGIN")}
    for flag, folder in folders.items():
        fake_edgetpu.build(folder, *filter(None, [flag]))
    return folders


def test_a_machine_with_nothing_of_an_edge_tpu_has_one_line(tmp_path):
    (finding,) = examine(grow(tmp_path, PI))
    assert finding.mark is Mark.NOTE and finding.found == "no Edge TPU, and no library for one"
    assert finding.advice == f"nothing, unless one is to be used: {PACKAGE}"


def test_a_model_that_was_named_is_looked_at_wherever(tmp_path):
    root = grow(tmp_path / "root", PI)
    assert said(examine(root, model="no such model"))[1][0] == "wrong"
    model = fake_edgetpu.fake_model(tmp_path / "model")
    assert said(examine(root, model=str(model)))[1:] == [
        ("ok", "motion64 is compiled for the Edge TPU, by compiler none, it is a fake")
    ]


def test_an_edge_tpu_without_a_library(tmp_path):
    findings = examine(grow(tmp_path, PI, ON_USB))
    assert said(findings) == [
        ("ok", "Edge TPU on USB 2-1 (18d1:9302): /dev/bus/usb/002/004 can be read and written"),
        ("wrong", "an Edge TPU, but no library for it (libedgetpu.so.1)"),
        ("note", "motion64 is not compiled for the Edge TPU"),
    ]
    assert findings[1].advice == PACKAGE
    assert "motionsig compile motion64 -o FOLDER" in findings[2].advice


def installed(folder, name, **files):
    (folder / f"{name.replace('-', '_')}-1.0.dist-info").mkdir(parents=True)
    (folder / f"{name.replace('-', '_')}-1.0.dist-info/METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    for file in files.values():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


@pytest.mark.parametrize("name", ["pycoral", "pycoral-pi5", "edgecompiler"])
def test_strangers_packages_are_recognised(tmp_path, name):
    installed(tmp_path, name, its="pycoral/pycoral.py")
    (finding,) = edgetpu.packages([str(tmp_path)])
    check_lines([finding])
    assert finding.mark is Mark.WRONG and finding.found.startswith(f"{name} is ")
    assert finding.advice == f"{sys.executable} -m pip uninstall {name}"


def test_googles_own_pycoral_is_told_from_the_strangers(tmp_path):
    installed(tmp_path, "pycoral", its="pycoral/utils/edgetpu.py")
    (finding,) = edgetpu.packages([str(tmp_path)])
    assert finding.mark is Mark.NOTE and finding.found.startswith("Google's pycoral is installed")
    assert list(edgetpu.packages([str(tmp_path / "empty")])) == []


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder with a fake compiled file, and the double's answers to its golden windows."""
    folder = fake_edgetpu.fake_model(tmp_path_factory.mktemp("fake") / "model")
    golden = np.load(folder / "golden.npz")
    return folder, fake_edgetpu.write_answers(folder.parent / "answers", load_card(folder), golden["windows"])


@pytest.fixture
def machine(libraries, model, tmp_path, monkeypatch):
    """A function that examines a machine with a library, by how it was built and what it was reported."""

    def with_library(flag="", *lines, tree=ON_USB, named=model[0], deadline_s=DEADLINE_S):
        control = fake_edgetpu.Control(tmp_path / "control", model[1], fake_edgetpu.QUICK_US)
        control.write(*lines)
        for name, value in control.environment(libraries[flag] / fake_edgetpu.LIBRARY_NAME).items():
            monkeypatch.setenv(name, value)
        return examine(grow(tmp_path / "root", PI, tree), model=str(named), deadline_s=deadline_s)

    return with_library


def test_all_well(machine, libraries):
    findings = machine()
    assert {finding.mark for finding in findings} == {Mark.OK}, said(findings)
    runtime = load_runtime()[0]
    assert [finding.found for finding in findings[:3]] == [
        "Edge TPU on USB 2-1 (18d1:9302): /dev/bus/usb/002/004 can be read and written",
        f"Edge TPU library {libraries['']}/libedgetpu.so.1: libedgetpu1-std 16.0tf2.19.1-1.bookworm, "
        + findings[1].found.rpartition("bookworm, ")[2],
        f"{runtime} opens an Edge TPU and takes the compiled model",
    ]
    assert "RuntimeVersion(14)" in findings[1].found
    assert len(findings) == 4 and "runs motion64, at most " in findings[3].found


@pytest.mark.parametrize(
    ("flag", "lines", "tree", "mark", "found", "advice"),
    [
        ("-DNO_PLUGIN", (), ON_USB, "wrong", "is not the Edge TPU's library: ", PACKAGE),
        ("-DOLD_ABI", (), ON_USB, "wrong", " built for another runtime", PACKAGE),
        ("", ("absent",), {}, "note", "no Edge TPU is plugged in", "1a6e:089a or 18d1:9302"),
        (
            "",
            ("denied",),
            ON_USB,
            "wrong",
            "the Edge TPU library does not open /dev/bus/usb/002/004",
            "sudo fuser -v /dev/bus/usb/002/004",
        ),
        (
            "",
            ("abort create",),
            ON_USB,
            "wrong",
            "died of signal 6 (Aborted) under",
            "unplug the Edge TPU and plug it in; ",
        ),
        ("", ("segfault prepare",), ON_USB, "wrong", "died of signal 11 (Segmentation fault)", f"{PACKAGE}; until"),
        ("", ("hang create",), ON_USB, "wrong", "the Edge TPU library did not finish within 3 s", "unplug"),
        (
            "",
            ("runtime 13",),
            ON_USB,
            "wrong",
            "is compiled for runtime 14, and the Edge TPU library is 13",
            "--min-runtime 13",
        ),
        ("", ("err prepare",), ON_USB, "wrong", "opens an Edge TPU, but: ", "--device cpu"),
    ],
    ids=["no plugin", "old ABI", "absent", "denied", "abort", "segfault", "hang", "too old", "not prepared"],
)
def test_a_library_that_is_not_well(machine, flag, lines, tree, mark, found, advice):
    findings = machine(flag, *lines, tree=tree, deadline_s=3 if "hang create" in lines else DEADLINE_S)
    named = [finding for finding in findings if found in finding.found]
    assert len(named) == 1, said(findings)
    assert named[0].mark == mark and advice in named[0].advice
    assert not any("runs motion64" in finding.found for finding in findings)


@pytest.mark.parametrize(("line", "found"), [("err every 1", "does not run: "), ("wrong every 1", "are off by ")])
def test_an_edge_tpu_that_fails_on_the_golden_windows(machine, line, found):
    finding = machine("", line)[-1]
    assert finding.mark is Mark.WRONG and found in finding.found and "--device cpu" in finding.advice


def test_a_library_alone_and_a_model_that_is_not_compiled(machine):
    findings = machine("", "absent", tree={}, named="motion64")
    assert [finding.mark for finding in findings] == [Mark.OK, Mark.NOTE, Mark.NOTE], said(findings)
    assert findings[-1].found == "motion64 is not compiled for the Edge TPU"


@pytest.fixture
def control(libraries, model, tmp_path, monkeypatch):
    """The double of the library as this process and its children load it, and what it counts."""
    control = fake_edgetpu.Control(tmp_path / "control", model[1], fake_edgetpu.QUICK_US)
    control.write()
    for name, value in control.environment(libraries[""] / fake_edgetpu.LIBRARY_NAME).items():
        monkeypatch.setenv(name, value)
    return control


def test_one_that_may_not_be_used_is_not_opened(control, model, tmp_path):
    root = grow(tmp_path / "root", PI, ON_USB)
    findings = examine(root, model=str(model[0]), allowed=lambda path: False)
    assert [finding.mark for finding in findings] == [Mark.WRONG, Mark.OK, Mark.OK], said(findings)
    assert control.counts().creations == 0


def test_one_that_another_process_uses_is_not_opened(control, model, tmp_path):
    used = {"proc/411/comm": "python3\n", "proc/411/fd/3": Path("/dev/bus/usb/002/004")}
    findings = examine(grow(tmp_path / "root", PI, ON_USB, used), model=str(model[0]))
    assert [finding.mark for finding in findings] == [Mark.OK] * 3, said(findings)
    assert control.counts().creations == 0


def test_one_that_another_owner_has_is_not_opened_and_the_owner_is_named(control, model, tmp_path):
    root = grow(tmp_path / "root", PI, ON_USB)
    with claim(root=root):
        findings = examine(root, model=str(model[0]))
        assert [finding.mark for finding in findings][:1] == [Mark.OK], said(findings)
        assert findings[0].found.endswith("in use by this process, so left alone")
        # One that is taken after the doctor has looked.
        call = f"motionsig.cli.doctor.edgetpu_library.report_library(True, None, {str(root)!r}, [])"
        reported = run_trial("the library", call, sys.path, DEADLINE_S)
    assert "opened" not in reported and f"in use by process {os.getpid()} " in reported["held"]
    (finding,) = fit("install", "", {"place": PLACE} | reported, [], True)
    check_lines([finding])
    assert control.counts().creations == 0
    assert finding.mark is Mark.NOTE and finding.found.startswith(
        "no Edge TPU was opened: the one on USB 2-1 is in use"
    )


def test_a_rule_for_the_first_id_alone_is_seen_through(tmp_path):
    """The first use turns one id into the other; the node that comes with it may belong to root alone."""
    first = {f"{STICK}/idVendor": "1a6e\n", f"{STICK}/idProduct": "089a\n"}
    root, asked = grow(tmp_path, PI, ON_USB | first), []

    def allowed(node):
        if not asked:
            grow(root, {name: ON_USB[name] for name in first}, {f"{STICK}/devnum": "5\n", "dev/bus/usb/002/005": ""})
        asked.append(node.name)
        return node.name == "004"

    finding = examine(root, allowed=allowed)[0]
    assert asked == ["004", "005"]
    assert finding.mark is Mark.WRONG and "18d1:9302): /dev/bus/usb/002/005 may not be" in finding.found
    assert finding.advice == USB_RULE


@pytest.mark.parametrize("damage", ["bytes", "card"])
def test_a_damaged_model_is_a_finding(tmp_path, damage):
    folder = fake_edgetpu.fake_model(tmp_path / "model")
    if damage == "bytes":
        (folder / fake_edgetpu.COMPILED_NAME).write_bytes(b"cut")
    else:
        (folder / "card.json").write_text(json.dumps({"card_version": 1}))
    (finding,) = edgetpu.compiled({}, str(folder), sys.path)
    check_lines([finding])
    assert finding.mark is Mark.WRONG and str(folder) in finding.found


def test_without_a_runtime_the_library_is_still_looked_at(libraries, tmp_path, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libraries[""]))
    for name in ("ai_edge_litert", "tflite_runtime"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('not here')\n")
    call = "motionsig.cli.doctor.edgetpu_library.report_library(True, None)"
    reported = run_trial("the library", call, [str(tmp_path), *sys.path], DEADLINE_S)
    assert sorted(reported) == ["place", "version"]


FILES = sorted(name for name, content in (PI | ON_USB | ON_PCI).items() if not isinstance(content, Path))

JUNK = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [None, Path("."), Path("nowhere"), b"\x1b[2J\r\n\0", b"\xe2\x80\xa8" * 9, b"A" * 200_000, b"$(reboot)\n"]
    ),
)

REPORTED = st.fixed_dictionaries(
    {},
    optional={
        "place": st.just(PLACE),
        "version": st.sampled_from(["RuntimeVersion(14)", "junk"]),
        "runtime": st.just("LiteRT 2.3.0"),
        "wrong": st.just("undefined symbol"),
        "refused": st.sampled_from(["", "for a reason"]),
        "died": st.just("died of signal 11"),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), JUNK, max_size=len(FILES)), REPORTED, st.booleans())
def test_junk_in_any_file_is_at_most_a_finding(junk, reported, may):
    with tempfile.TemporaryDirectory() as folder:
        tree = PI | ON_USB | ON_PCI | junk
        root = grow(Path(folder), {name: value for name, value in tree.items() if value is not None})
        found = edgetpus(root)
        findings = [
            *devices(root, found, lambda path: may),
            *power(root, found),
            *library(root, ARM, {"failed": "failed"} | reported),
            *fit("install", "16.0", {"place": PLACE} | reported, [device.node for device in found], bool(found)),
            *edgetpu.compiled(reported, None, sys.path),
        ]
    check_lines(findings)
    assert len(findings) >= 2 and all(len(finding.found) < 400 for finding in findings)
