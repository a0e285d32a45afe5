"""`motionsig sensors --prove`: prompts, findings, the verdict's exit code, and the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chips.planted import PLANTS, AlteringBus

from motionsig.cli import main
from motionsig.cli.prove import prove_chip
from motionsig.sensors import CHIPS
from motionsig.sensors.bus import bus_numbers
from motionsig.sensors.simulated import VirtualClock, simulated_chip
from motionsig.sensors.simulated.hand import Hand


@pytest.mark.parametrize(("what", "code"), [("acc y dead", 1), (None, 0)])
def test_the_verdict_and_the_report(
    what: str | None, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    chip, clock = CHIPS["icm42688p"], VirtualClock()
    hand = Hand(clock)
    model = simulated_chip(chip.name, clock=clock, signal=hand.signal)
    bus = AlteringBus(model, chip, PLANTS[what or "clock fast"], hand)
    assert prove_chip(bus, chip, model.address, clock=clock, out=None, guide=hand.guide) == code
    out, err = capsys.readouterr()
    assert [line[0] for line in err.splitlines() if line[1:2] == "."] == ["1", "2", "3", "4", "5"]
    assert "the arrow y printed on the board points up" in err
    assert ("WRONG   dead axis: acc_y does not move, whatever points up" in out) == bool(code)
    assert ("proved: this chip does what the table of icm42688p says" in out) == (not code)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("motionsig-prove-icm42688p-20") and path.name in out
    content = path.read_bytes()
    report = json.loads(content)
    assert (report["chip"], report["proved"], report["rehearsal"]) == (chip.name, not code, False)
    assert report["verdict"] in out
    assert {it["kind"] for it in report["findings"]} >= {"bus", "FIFO size", "clock", "self-test"}
    assert [it["step"] for it in report["poses"]] == ["flat", "y up", "x up", "flat again", "turn"]
    # Small enough to mail, and no more motion than it says.
    assert len(content) < 40_000
    assert max(len(it["records"]) for it in report["poses"]) == 4


def test_a_rehearsal_proves_no_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # The two minutes pass at once.
    monkeypatch.setattr("motionsig.cli.prove.SystemClock", VirtualClock)
    assert main(["sensors", "--prove", "--sensor", "simulated:mpu6050"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("REHEARSAL: a simulated chip does by itself what each step asks for; no board is seen\n")
    assert "5. leave it flat, and turn it by a quarter, counter-clockwise seen from above (within 15 s)" in err
    says = "REHEARSAL, no board was seen, so nothing is proved: this chip does what the table of mpu6050 says"
    assert f"\n{says}" in out and "attach it" not in out
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("motionsig-rehearsal-mpu6050-20")
    report = json.loads(path.read_bytes())
    assert (report["rehearsal"], report["proved"], report["verdict"]) == (True, False, says)
    assert [it["seen"] for it in report["poses"]] == [True] * 5


def test_a_report_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.json").write_text("mine")
    assert main(["sensors", "--prove", "--bus", "77", "--out", str(tmp_path / "mine.json")]) == 2
    assert "mine.json: expected a new file" in capsys.readouterr().err
    assert (tmp_path / "mine.json").read_text() == "mine"


def test_on_spi_there_is_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sensors", "--prove", "--bus", "spi0.7", "--address", "0x6a"]) == 2
    assert "--address: expected none on SPI, got 0x6a with /dev/spidev0.7" in capsys.readouterr().err
    assert main(["sensors", "--prove", "--bus", "spi0.7"]) == 1
    assert "/dev/spidev0.7: expected to open it, got: No such file or directory" in capsys.readouterr().err


def test_without_a_chip_it_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sensors", "--prove", "--bus", "77"]) == 1
    err = capsys.readouterr().err
    assert "--prove: expected one chip, got /dev/i2c-77: expected to open it" in err
    # That line says what to do, and no --chip would help.
    assert err.endswith("; see `motionsig doctor`\n") and "--chip" not in err
    if not bus_numbers():
        assert main(["sensors", "--prove"]) == 1
        assert "I2C: expected a bus such as /dev/i2c-1, got none; on a Raspberry Pi: sudo raspi-config" in (
            capsys.readouterr().err
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--address", "0x6a", "--chip", "mpu6050"], "--address, --chip: expected --prove beside it, got none"),
        (["--bus-clock-hz", "400000", "--self-test"], "--bus-clock-hz: expected --prove beside it, got none"),
        (["--chips", "--prove"], "expected one of --chips, --prove at a time, got 2"),
        (["--self-test", "--prove", "--out", "a.json"], "expected one of --self-test, --prove at a time, got 2"),
        (
            ["--prove", "--out", "a.csv"],
            "--out: expected a name that does not end as another format, got 'a.csv'",
        ),
        (["--sensor", "simulated"], "--sensor: expected --prove beside it, got none"),
        (["--prove", "--sensor", "mpu6050"], "--sensor: expected simulated or simulated:CHIP, got 'mpu6050'"),
        (["--prove", "--sensor", "simulated:lesson"], "--sensor: expected simulated or simulated:CHIP, got"),
        (["--prove", "--sensor", "simulated", "--bus", "1"], "expected it without what finds a real chip, got --bus"),
        (["--prove", "--json"], "--json: expected it without --prove"),
        (["--prove", "--chip", "simulated"], "--chip: expected the name of a chip, got 'simulated'; "),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sensors", *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err and "did you mean simulated" not in err
