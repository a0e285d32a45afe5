"""Whatever waits says what for, how long at most, and how it is going: on a terminal, and where none is."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from itertools import repeat

import numpy as np
import pytest

from motionsig import SampleBlock, SourceInfo
from motionsig.cli import main
from motionsig.cli.calibrate.prompts import gather, plan
from motionsig.cli.progress import printers
from motionsig.closing import Closing
from motionsig.errors import SensorError

NOTHING = SampleBlock(np.empty(0, np.int64), np.empty((0, 6), np.float32))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass."""
    now_s = 100.0

    def later(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    return later


def test_without_a_terminal_a_wait_gets_a_line_ever_more_rarely(
    passes: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    say, show = printers()
    say("waiting for a minute")
    for second in range(3600):
        show(f"{second} s")
        show("")
        passes(1)
    said = capsys.readouterr().err.splitlines()
    assert said == ["waiting for a minute", *(f"{at} s" for at in (10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030))]


def test_on_a_terminal_it_is_one_line_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    say, show = printers()
    show("1 of 9 s")
    show("")
    say("done")
    assert shown.getvalue() == "\r\x1b[2K1 of 9 s\r\x1b[2K\r\x1b[2Kdone\n"


def test_with_standard_error_closed_nothing_fails(monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say, show = printers()
    say("a")
    show("b")
    assert capsys.readouterr().out == ""  # type: ignore[attr-defined]


class Silent(Closing):
    """A sensor that gives nothing, an empty block a second."""

    rate_hz, info = 100.0, SourceInfo("silent", "sensor", 1)

    def __init__(self, passes: Callable[[float], None]) -> None:
        self._passes = passes

    def __iter__(self) -> Iterator[SampleBlock]:
        for block in repeat(NOTHING, 10_000):
            self._passes(1.0)
            yield block


def test_a_pose_is_not_waited_for_longer_where_nothing_comes(
    passes: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    began_s = time.monotonic()
    with pytest.raises(SensorError, match=r"expected a new pose within 60 s, got none; .*the sensor is silent"):
        gather(Silent(passes), plan("gyro", skew=False), timeout_s=60)
    assert time.monotonic() - began_s == 61
    said = capsys.readouterr().err
    assert "waiting for 2 s at rest, 10 of 60 s: rest: expected samples, got none: the sensor is silent" in said


def test_a_simulated_sensor_that_walks_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("simulated", "simulated:mpu6050"):
        assert main(["calibrate", "--gyro", "--sensor", name]) == 2
        assert "expected one that comes to rest, got 'simulated" in capsys.readouterr().err
