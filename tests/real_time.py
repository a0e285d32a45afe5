"""Tests in real time, which no machine under load can pass each time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

_TIMES = 10


def undisturbed(test: Callable[..., None]) -> Callable[..., None]:
    """Try a test again where it fails, ten times in all, each time with a `tmp_path` of its own.

    It is for promises about samples that a process reads in real time: a machine that stands still for longer than a
    FIFO holds keeps none of them. What is broken fails each time. The test's other fixtures are made once.
    """

    @functools.wraps(test)
    def tried(**given: Any) -> None:
        for number in range(_TIMES):
            if "tmp_path" in given:
                own = given["tmp_path"] / f"time{number}"
                own.mkdir()
                here = given | {"tmp_path": own}
            else:
                here = given
            if "caplog" in given:
                given["caplog"].clear()
            try:
                return test(**here)
            except (Exception, pytest.fail.Exception):
                if number == _TIMES - 1:
                    raise
        return None

    return tried
