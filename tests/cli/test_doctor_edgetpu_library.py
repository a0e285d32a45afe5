"""What `motionsig doctor` says of the Edge TPU's library."""

from dataclasses import replace

import pytest
from doctors_trees import check_lines, grow
from edgetpu_trees import ARM, ON_USB, PACKAGE, PI, PLACE

from motionsig.cli.doctor.edgetpu_library import BUILDS, fit, library
from motionsig.cli.doctor.findings import Mark


@pytest.mark.parametrize(
    ("codename", "interpreter"), [("bookworm", replace(ARM, bits=32)), ("forky", ARM), ("", ARM), ('"; rm', ARM)]
)
def test_no_package_is_named_that_is_not_known(tmp_path, codename, interpreter):
    root = grow(tmp_path, PI | ON_USB | {"etc/os-release": f"VERSION_CODENAME={codename}\n"})
    (finding, *_) = library(root, interpreter, {"absent": "libedgetpu.so.1: No such file or directory"})
    assert finding.advice == "install libedgetpu1-std for this system from " + BUILDS


@pytest.mark.parametrize(
    ("reported", "mark", "found", "advice"),
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
def test_the_library(tmp_path, reported, mark, found, advice):
    (finding,) = library(grow(tmp_path, PI), ARM, reported)
    check_lines([finding])
    assert finding.mark == mark and found in finding.found and advice in finding.advice


def test_the_package_that_runs_the_stick_hot(tmp_path):
    hot = {"var/lib/dpkg/status": PI["var/lib/dpkg/status"].replace("1-std", "1-max")}
    ok, note = library(grow(tmp_path, PI | hot), ARM, {"place": PLACE})
    check_lines([ok, note])
    assert "libedgetpu1-max 16.0tf2.19.1-1.bookworm" in ok.found
    assert note.mark is Mark.NOTE and "at most 25 °C" in note.found and note.advice == PACKAGE


@pytest.mark.parametrize("state", ["deinstall ok config-files", "install ok half-installed"])
def test_a_package_that_is_not_installed_is_not_named(tmp_path, state):
    gone = PI["var/lib/dpkg/status"].replace(
        "libedgetpu1-std\nStatus: install ok installed", f"libedgetpu1-std\nStatus: {state}"
    )
    (finding,) = library(grow(tmp_path, PI | {"var/lib/dpkg/status": gone}), ARM, {"place": PLACE})
    assert finding.found == f"Edge TPU library {PLACE}: no version"


@pytest.mark.parametrize(
    ("version", "reported", "marks"),
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
def test_googles_own_build_is_recognised_before_it_can_crash(version, reported, marks):
    findings = list(fit("install", version, reported, [], False))
    check_lines(findings)
    assert [finding.mark for finding in findings] == marks
    assert ("Google's build" in "".join(finding.found for finding in findings)) == (len(marks) == 2)
