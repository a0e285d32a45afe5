"""Debian for ARM under QEMU, or why it cannot be had here."""

from __future__ import annotations

import os

import pytest

from scripts.arm import roots


@pytest.fixture(scope="session")
def arm():
    """Skip where there is no ARM; under scripts/test that is a failure, so that nothing is left out unnoticed."""
    if hindrance := roots.hindrance():
        assert "MOTIONSIG_TEST_MACHINES" not in os.environ, hindrance
        pytest.skip(f"ARM under QEMU: {hindrance}")
