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
    """One server for all tests; each gets an empty database."""
    with Server() as running:
        yield running


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """What gives the URL of a place of this scheme where nothing is yet."""
    made: list[str] = []

    def make(scheme: str) -> str:
        is_server = scheme == "postgresql"
        place = f"{scheme}:{tmp_path / f'here{len(made)}'}"
        made.append(request.getfixturevalue("postgres").new_database() if is_server else place)
        return made[-1]

    yield make
    for url in made:
        if url.startswith("postgresql:"):
            server: Server = request.getfixturevalue("postgres")
            server.give_back(url)
