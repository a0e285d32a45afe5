"""What `motionsig doctor` says of Edge TPUs: on trees of files as machines have them, and of a library's fake_edgetpu.

The real child loads the double into the real runtime.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import fake_edgetpu
import numpy as np
import pytest
from doctors_trees import check_lines, grow, without
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.cli.doctor import edgetpu
from motionsig.cli.doctor.buses import read_write
from motionsig.cli.doctor.findings import Mark
from motionsig.cli.doctor.software import Interpreter
from motionsig.cli.doctor.trying import DEADLINE_S, tried
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.litert import load_runtime
from motionsig.model_card import load_card

ARM = Interpreter("aarch64", 64, "cp311", "3.11.2", (2, 36))
USB = "sys/bus/usb/devices"
STICK, PCI, APEX = f"{USB}/2-1", "sys/bus/pci/devices/0000:01:00.0", "sys/class/apex/apex_0"

PI = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n',
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/chosen/power/usb_max_current_enable": (1).to_bytes(4, "big"),
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "var/lib/dpkg/status": (
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n\n"
        "Package: libedgetpu1-std\nStatus: install ok installed\nPriority: optional\nArchitecture: arm64\n"
        "Version: 16.0tf2.19.1-1.bookworm\nDescription: Support library for Edge TPU\n more of it\n\n"
        "Package: zlib1g\nStatus: install ok installed\nVersion: 1:1.2.13\n"
    ),
}
ON_USB = {
    f"{STICK}/idVendor": "18d1\n",
    f"{STICK}/idProduct": "9302\n",
    f"{STICK}/busnum": "2\n",
    f"{STICK}/devnum": "4\n",
    f"{STICK}/speed": "5000\n",
    "dev/bus/usb/002/004": "",
}
ON_PCI = {
    f"{PCI}/vendor": "0x1ac1\n",
    f"{PCI}/device": "0x089a\n",
    f"{PCI}/driver": Path("../../../../bus/pci/drivers/apex"),
    f"{APEX}/device": Path("../../../0000:01:00.0"),
    f"{APEX}/temp": "45300\n",
    f"{APEX}/trip_point0_temp": "85050\n",
    "dev/apex_0": "",
}
PACKAGE = (
    "wget https://github.com/feranick/libedgetpu/releases/download/16.0TF2.19.1-1/"
    "libedgetpu1-std_16.0tf2.19.1-1.bookworm_arm64.deb && sudo apt install ./libedgetpu1-std_16.0tf2.19.1-1"
    ".bookworm_arm64.deb"
)


def examine(root, **options):
    findings = list(edgetpu.edgetpu(root, ARM, sys.path, **options))
    check_lines(findings)
    return findings


def look(root, allowed=read_write):
    findings = list(edgetpu.devices(root, edgetpus(root), allowed))
    check_lines(findings)
    return findings


def said(findings):
    return [(str(finding.mark), finding.found) for finding in findings]


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


@pytest.mark.parametrize(
    ("codename", "interpreter"), [("bookworm", replace(ARM, bits=32)), ("forky", ARM), ("", ARM), ('"; rm', ARM)]
)
def test_no_package_is_named_that_is_not_known(tmp_path, codename, interpreter):
    root = grow(tmp_path, PI | ON_USB | {"etc/os-release": f"VERSION_CODENAME={codename}\n"})
    (finding, *_) = edgetpu.library(root, interpreter, {"absent": "libedgetpu.so.1: No such file or directory"})
    assert finding.advice == "install libedgetpu1-std for this system from " + edgetpu.BUILDS


DEVICES = [
    (ON_USB, False, "wrong", "/dev/bus/usb/002/004 may not be read and written by this user", "60-motionsig-edgetpu"),
    (
        without(ON_USB, "dev"),
        True,
        "wrong",
        "Edge TPU on USB 2-1 (18d1:9302), but no /dev/bus/usb/002/004",
        "in a container, give it /dev/bus/usb",
    ),
    (without(ON_USB, f"{STICK}/devnum"), True, "wrong", "but no /dev/bus/usb", "unplug the"),
    (
        ON_USB | {f"{STICK}/idVendor": "1a6e", f"{STICK}/idProduct": "089a"},
        True,
        "ok",
        "(1a6e:089a, not used since it was plugged in): /dev/bus/usb/002/004 can be",
        "",
    ),
    (
        ON_USB | {f"{STICK}/speed": "480\n"},
        True,
        "note",
        "the link to the Edge TPU on USB 2-1 runs at 480 Mbit/s, slower than USB 3",
        "blue",
    ),
    (ON_PCI, True, "ok", "Edge TPU on PCIe 0000:01:00.0: /dev/apex_0 can be read and written", ""),
    (ON_PCI, True, "ok", "the Edge TPU on PCIe 0000:01:00.0 has 45.3 °C", ""),
    (ON_PCI, False, "wrong", "/dev/apex_0 may not be read and written by this user", 'SUBSYSTEM=="apex", GROUP="apex"'),
    (without(ON_PCI, f"{PCI}/driver", APEX, "dev"), True, "wrong", "but no driver has it", "sudo modprobe apex; "),
    (without(ON_PCI, "dev"), True, "wrong", "0000:01:00.0, but no /dev/apex_0", "sudo dmesg | grep -i apex"),
    (without(ON_PCI, APEX), True, "wrong", "0000:01:00.0, but no /dev/apex_*", "sudo dmesg | grep -i apex"),
    (
        ON_PCI | {f"{APEX}/temp": "85050\n"},
        True,
        "note",
        "the Edge TPU on PCIe 0000:01:00.0 has 85.0 °C and is slowed from 85.0 °C on",
        "cool it",
    ),
    (ON_PCI | {f"{APEX}/temp": "-89700\n"}, True, "wrong", "has stopped answering: it reads as -89.7 °C", "off and on"),
    (without(ON_PCI | {f"{APEX}/temp": "90000\n"}, f"{APEX}/trip"), True, "ok", "has 90.0 °C", ""),
]


@pytest.mark.parametrize(("tree", "may", "mark", "found", "advice"), DEVICES)
def test_devices(tmp_path, tree, may, mark, found, advice):
    findings = look(grow(tmp_path, PI, tree), lambda path: may)
    (finding,) = (finding for finding in findings if found in finding.found)
    assert finding.mark == mark and advice in finding.advice


@pytest.mark.parametrize("tree", [without(ON_PCI, f"{APEX}/temp"), ON_PCI | {f"{APEX}/temp": "\n"}])
def test_a_driver_that_tells_no_temperature(tmp_path, tree):
    assert [finding.mark for finding in look(grow(tmp_path, tree))] == [Mark.OK]


def test_the_udev_rule_matches_both_ids():
    for vendor, product in (("1a6e", "089a"), ("18d1", "9302")):
        assert f'ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}", GROUP="plugdev"' in edgetpu.USB_RULE
    rules = edgetpu.USB_RULE.split("printf ")[1].split(" | ")[0]
    written = subprocess.check_output(["bash", "-c", f"printf {rules}"], text=True).splitlines()
    assert len(written) == 2 and all(line.startswith('SUBSYSTEM=="usb", ') for line in written)


def test_an_edge_tpu_that_another_process_uses_is_left_alone(tmp_path):
    used = {
        "proc/411/comm": "python3\n",
        "proc/411/fd/3": Path("/dev/bus/usb/002/004"),
        "proc/412/fd/3": Path("/dev/bus/usb/002/005"),
        "proc/self": Path("411"),
    }
    finding = look(grow(tmp_path, PI, ON_USB, used))[0]
    assert finding.mark is Mark.OK and finding.found.endswith("in use by process 411 (python3), so left alone")


def test_processes_that_open_and_close_files_meanwhile_are_no_error(tmp_path):
    (device,) = edgetpus(grow(tmp_path, ON_USB))
    busy = "import os\nwhile True:\n    os.close(os.open('/dev/null', os.O_RDONLY))"
    with subprocess.Popen([sys.executable, "-c", busy]) as other:
        try:
            assert all(edgetpu._users(Path("/"), device) == [] for _ in range(50))
        finally:
            other.kill()


HUB = {name.replace("2-1", "2-1.3"): content for name, content in ON_USB.items()}


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        (ON_USB, None),
        (ON_PCI, None),
        (ON_USB | {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, "and the supply is too weak now"),
        (ON_PCI | {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, None),
        (
            ON_USB | {"proc/device-tree/chosen/power/usb_max_current_enable": bytes(4)},
            "and this board gives its USB ports 600 mA together",
        ),
        (without(HUB, "none") | {f"{USB}/2-1/bmAttributes": "e0\n"}, None),
        (HUB | {f"{USB}/2-1/bmAttributes": "80\n"}, "and hub 2-1 has no supply of its own"),
        (HUB | {f"{USB}/2-1/bmAttributes": "junk\n"}, None),
        (HUB, None),
    ],
)
def test_power(tmp_path, tree, found):
    root = grow(tmp_path, PI | tree)
    findings = list(edgetpu.power(root, edgetpus(root)))
    check_lines(findings)
    assert [finding.mark for finding in findings] == [Mark.NOTE] * (found is not None)
    assert all(finding.found.startswith("an Edge TPU on USB takes up to 900 mA") for finding in findings)
    assert all(finding.found.endswith(found) for finding in findings)


PLACE = "/usr/lib/aarch64-linux-gnu/libedgetpu.so.1.0"


@pytest.mark.parametrize(
    ("told", "mark", "found", "advice"),
    [
        (
            {"place": PLACE, "version": "BuildLabel(N/A), RuntimeVersion(14)"},
            "ok",
            f"Edge TPU library {PLACE}: libedgetpu1-std 16.0tf2.19.1-1.bookworm, BuildLabel(N/A), RuntimeVersion(14)",
            "",
        ),
        ({"place": PLACE}, "ok", "libedgetpu1-std 16.0tf2.19.1-1.bookworm, no version", ""),
        (
            {"absent": "libusb-1.0.so.0: cannot open shared object file: No such file or directory"},
            "wrong",
            "libedgetpu.so.1 needs libusb-1.0.so.0, which is not here",
            "sudo apt install libusb-1.0-0",
        ),
        ({"absent": "libedgetpu.so.1: wrong ELF class: ELFCLASS32"}, "wrong", "does not load: libedgetpu", PACKAGE),
        ({"absent": "libc++.so.1: cannot open shared object file: No such file"}, "wrong", "does not load", PACKAGE),
        ({"died": "the Edge TPU library died of signal 4"}, "wrong", "died of signal 4", f"{PACKAGE}; until then"),
        ({"failed": "the Edge TPU library failed: no"}, "wrong", "failed: no", f"{PACKAGE}; until then"),
    ],
)
def test_the_library(tmp_path, told, mark, found, advice):
    (finding,) = edgetpu.library(grow(tmp_path, PI), ARM, told)
    check_lines([finding])
    assert finding.mark == mark and found in finding.found and advice in finding.advice


def test_the_package_that_runs_the_stick_hot(tmp_path):
    hot = {"var/lib/dpkg/status": PI["var/lib/dpkg/status"].replace("1-std", "1-max")}
    ok, note = edgetpu.library(grow(tmp_path, PI | hot), ARM, {"place": PLACE})
    check_lines([ok, note])
    assert "libedgetpu1-max 16.0tf2.19.1-1.bookworm" in ok.found
    assert note.mark is Mark.NOTE and "at most 25 °C" in note.found and note.advice == PACKAGE


@pytest.mark.parametrize("state", ["deinstall ok config-files", "install ok half-installed"])
def test_a_package_that_is_not_installed_is_not_named(tmp_path, state):
    gone = PI["var/lib/dpkg/status"].replace(
        "libedgetpu1-std\nStatus: install ok installed", f"libedgetpu1-std\nStatus: {state}"
    )
    (finding,) = edgetpu.library(grow(tmp_path, PI | {"var/lib/dpkg/status": gone}), ARM, {"place": PLACE})
    assert finding.found == f"Edge TPU library {PLACE}: no version"


@pytest.mark.parametrize(
    ("version", "told", "marks"),
    [
        ("16.0", {"refused": ""}, ["note", "note"]),
        ("16.0-1", {"refused": ""}, ["note", "note"]),
        ("16.0tf2.19.1-1.bookworm", {"refused": ""}, ["note"]),
        ("16.0", {"died": "the Edge TPU library died of signal 11"}, ["wrong"]),
        ("16.0", {"opened": True, "runtime": "LiteRT 2.3.0"}, ["ok"]),
        ("16.0", {"opened": True, "fits": True, "runtime": "LiteRT 2.3.0", "died": "died at its end"}, ["ok"]),
        ("", {}, []),
    ],
)
def test_googles_own_build_is_recognised_before_it_can_crash(version, told, marks):
    findings = list(edgetpu.fit("install", version, told, [], False))
    check_lines(findings)
    assert [finding.mark for finding in findings] == marks
    assert ("Google's build" in "".join(finding.found for finding in findings)) == (len(marks) == 2)


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
def libraries(tmp_path_factory):
    """Folders of the double, one for each way of building it."""
    folders = {flag: tmp_path_factory.mktemp("library") for flag in ("", "-DOLD_ABI", "-DNO_PLUGIN")}
    for flag, folder in folders.items():
        fake_edgetpu.build(folder, *filter(None, [flag]))
    return folders


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder with a fake compiled file, and the double's answers to its golden windows."""
    folder = fake_edgetpu.fake_model(tmp_path_factory.mktemp("fake") / "model")
    golden = np.load(folder / "golden.npz")
    return folder, fake_edgetpu.write_answers(folder.parent / "answers", load_card(folder), golden["windows"])


@pytest.fixture
def machine(libraries, model, tmp_path, monkeypatch):
    """A function that examines a machine with a library, by how it was built and what it was told."""

    def with_library(flag="", *lines, tree=ON_USB, named=model[0], deadline_s=DEADLINE_S):
        control = fake_edgetpu.Control(tmp_path / "control", model[1])
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
            ("busy",),
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
    ids=["no plugin", "old ABI", "absent", "busy", "abort", "segfault", "hang", "too old", "not prepared"],
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


def test_one_that_may_not_be_used_is_not_opened(libraries, model, tmp_path, monkeypatch):
    control = fake_edgetpu.Control(tmp_path / "control", model[1])
    control.write()
    for name, value in control.environment(libraries[""] / fake_edgetpu.LIBRARY_NAME).items():
        monkeypatch.setenv(name, value)
    root = grow(tmp_path / "root", PI, ON_USB)
    findings = examine(root, model=str(model[0]), allowed=lambda path: False)
    assert [finding.mark for finding in findings] == [Mark.WRONG, Mark.OK, Mark.OK], said(findings)
    assert control.counts().creations == 0


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
    assert finding.advice == edgetpu.USB_RULE


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
    told = tried("the library", "edgetpu.tell_library(True, None)", [str(tmp_path), *sys.path], DEADLINE_S)
    assert sorted(told) == ["place", "version"]


FILES = sorted(name for name, content in (PI | ON_USB | ON_PCI).items() if not isinstance(content, Path))
JUNK = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [None, Path("."), Path("nowhere"), b"\x1b[2J\r\n\0", b"\xe2\x80\xa8" * 9, b"A" * 200_000, b"$(reboot)\n"]
    ),
)
TOLD = st.fixed_dictionaries(
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
@given(st.dictionaries(st.sampled_from(FILES), JUNK, max_size=len(FILES)), TOLD, st.booleans())
def test_junk_in_any_file_is_at_most_a_finding(junk, told, may):
    with tempfile.TemporaryDirectory() as folder:
        tree = PI | ON_USB | ON_PCI | junk
        root = grow(Path(folder), {name: value for name, value in tree.items() if value is not None})
        found = edgetpus(root)
        findings = [
            *edgetpu.devices(root, found, lambda path: may),
            *edgetpu.power(root, found),
            *edgetpu.library(root, ARM, {"failed": "failed"} | told),
            *edgetpu.fit("install", "16.0", {"place": PLACE} | told, [device.node for device in found], bool(found)),
            *edgetpu.compiled(told, None, sys.path),
        ]
    check_lines(findings)
    assert len(findings) >= 2 and all(len(finding.found) < 400 for finding in findings)
