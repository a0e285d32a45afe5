"""Teaching at the page: one lesson at a time, whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from motionsig.control.asking import FAILED, AskError

if TYPE_CHECKING:
    from motionsig.control.room import Control


def begin(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Begin a lesson; return it."""
    raise AskError(FAILED, "expected lessons, got none yet")


def keep(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Keep a performance."""
    raise AskError(FAILED, "expected lessons, got none yet")


def drop(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Drop a performance."""
    raise AskError(FAILED, "expected lessons, got none yet")


def end(control: Control, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """End the lesson; return the head that it made, or None where it is forgotten."""
    raise AskError(FAILED, "expected lessons, got none yet")
