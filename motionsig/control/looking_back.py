"""Looking back: what heads find in the signatures that are stored, and what is to be learned from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from motionsig.control.asking import FAILED, AskError

if TYPE_CHECKING:
    from motionsig.control.room import Control


def look_back(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what moved and what heads find in a span of time."""
    raise AskError(FAILED, "expected to look back, got nothing yet")


def alike(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the windows that are most like one."""
    raise AskError(FAILED, "expected to look back, got nothing yet")


def not_this(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add a counter-example to a head; return the head."""
    raise AskError(FAILED, "expected to look back, got nothing yet")


def this_too(control: Control, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add an example to a head; return the head."""
    raise AskError(FAILED, "expected to look back, got nothing yet")
