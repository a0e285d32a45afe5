"""Fixtures of the tests against a real broker and a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker import PERSISTENT, Broker
from postgres import Server
from receiving import Receiver


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", settings=f"allow_anonymous true\n{PERSISTENT}") as running:
        yield running


@pytest.fixture
def receiver(broker: Broker) -> Iterator[Receiver]:
    with Receiver(broker.url) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for all tests; each takes a database of its own."""
    with Server() as running:
        yield running


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """What gives the URL of a place of this scheme where nothing is yet."""
    count = 0

    def make(scheme: str) -> str:
        nonlocal count
        count += 1
        if scheme == "postgresql":
            server: Server = request.getfixturevalue("postgres")
            return server.new_database()
        return f"{scheme}:{tmp_path / f'here{count}'}"

    return make
