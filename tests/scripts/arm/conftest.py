"""Debian for ARM under QEMU, or why it cannot be had here."""

from __future__ import annotations

import pytest

from scripts.arm import roots


@pytest.fixture(scope="session")
def arm():
    """Skip where there is no ARM; the last part of scripts/test says so, too."""
    if hindrance := roots.hindrance(*roots.ROOTS):
        pytest.skip(f"ARM under QEMU: {hindrance}")
