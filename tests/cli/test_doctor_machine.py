"""What the doctor says of the clock, of the space for what waits to be sent, and of the supply."""

import pytest
from doctors_trees import NOW_S, PI, THROTTLED, check_lines, grow

from motionsig.cli.doctor import machine
from motionsig.cli.doctor.findings import Mark


@pytest.mark.parametrize(
    ("now_s", "synchronized", "tree", "mark", "found"),
    [
        (NOW_S, True, {}, Mark.OK, "the time is synchronised"),
        (NOW_S, False, {}, Mark.NOTE, "the time is not synchronised"),
        (NOW_S, None, {}, Mark.NOTE, "the kernel does not tell"),
        (NOW_S, False, {"run/systemd/timesync/synchronized": ""}, Mark.OK, "since the last start"),
        (0, True, {}, Mark.WRONG, "the clock shows 1970-01-01"),
    ],
)
def test_the_time(tmp_path, now_s, synchronized, tree, mark, found):
    finding, rtc = machine.clock(grow(tmp_path, tree), now_s, synchronized)
    check_lines([finding, rtc])
    assert finding.mark is mark and found in finding.found
    assert rtc.mark is Mark.NOTE and "while this machine is off" in rtc.found


def test_the_kernel_is_asked_without_being_changed():
    assert machine.kernel_says_synchronized() in (True, False)


def test_where_signatures_wait(tmp_path):
    fine = machine.state_directory(tmp_path / "not/yet/there")
    assert fine.mark is Mark.OK and "MiB are free" in fine.found
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    wrong = machine.state_directory(tmp_path / "file/spool")
    assert wrong.mark is Mark.WRONG and "is not a directory" in wrong.found
    check_lines([fine, wrong])


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        ({}, None),
        ({THROTTLED: "0\n"}, "the supply is strong enough"),
        (
            {THROTTLED: "50005\n"},
            "too weak now and the processor is throttled now and the supply has been too weak and",
        ),
        ({THROTTLED: "50000\n"}, "the supply has been too weak and the processor has been throttled"),
        ({THROTTLED: "\n"}, None),
        ({THROTTLED: b"\xff\0zz"}, None),
        (PI | {THROTTLED: "50005\n"}, "the supply is strong enough"),
        (PI | {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, "the supply is too weak now"),
    ],
)
def test_the_supply(tmp_path, tree, found):
    findings = machine.supply(grow(tmp_path, tree))
    check_lines(findings)
    assert len(findings) == (found is not None) and all(found in finding.found for finding in findings)
