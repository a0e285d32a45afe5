"""`motionsig doctor` on SPI."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctors_trees import PI, check_lines, grow, without

from motionsig.cli.doctor.findings import Mark
from motionsig.cli.doctor.spi import SPI_RULE, spi

ON = {"dev/spidev0.0": "", "dev/spidev0.1": "", "dev/spidev10.0": ""}


def test_each_device_that_may_be_used(tmp_path: Path) -> None:
    findings = spi(grow(tmp_path, PI | ON))
    check_lines(findings)
    assert [finding.mark for finding in findings] == [Mark.OK] * 3
    assert findings[1].found == "/dev/spidev0.1 can be read and written"


def test_a_device_that_this_user_may_not_use(tmp_path: Path) -> None:
    root = grow(tmp_path, PI | {"dev/spidev0.0": ""})
    (root / "dev/spidev0.0").chmod(0o600)
    (finding,) = spi(root, lambda path: False)
    check_lines([finding])
    assert (finding.mark, finding.advice) == (Mark.WRONG, SPI_RULE)
    assert 'SUBSYSTEM=="spidev", GROUP="spi", MODE="0660"' in finding.advice


@pytest.mark.parametrize(
    ("tree", "mark", "found", "advice"),
    [
        (
            without(PI, "usr/bin/raspi-config"),
            Mark.NOTE,
            "SPI is off in /boot/firmware/config.txt",
            "dtparam=spi=on | sudo tee -a /boot/firmware/",
        ),
        (PI, Mark.NOTE, "SPI is off", "wired to it: sudo raspi-config nonint do_spi 0"),
        (PI | {"boot/firmware/config.txt": "dtparam=spi=on\n"}, Mark.WRONG, "SPI is on in", "sudo reboot"),
    ],
)
def test_a_pi_without_a_device(tmp_path: Path, tree: dict[str, object], mark: Mark, found: str, advice: str) -> None:
    (finding,) = spi(grow(tmp_path, tree))
    check_lines([finding])
    assert finding.mark is mark
    assert found in finding.found
    assert advice in finding.advice


def test_where_kernel_drivers_have_all_lines_nothing_is_wrong(tmp_path: Path) -> None:
    held = {"boot/firmware/config.txt": "dtparam=spi=on\n", "sys/bus/spi/devices/spi0.0/modalias": "spi:bmi160\n"}
    assert spi(grow(tmp_path, PI | held)) == []


def test_another_machine_needs_no_spi(tmp_path: Path) -> None:
    assert spi(grow(tmp_path, without(PI, "proc"))) == []
