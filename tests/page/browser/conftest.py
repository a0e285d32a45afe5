"""One Chromium and one house for all tests of a file."""

from __future__ import annotations

import time

import pytest
from house import House
from visits import Visits
from watched import launched
from week import fill_week


@pytest.fixture(scope="module")
def browser():
    """Of a file's own: playwright's loop would be in the way of other tests in the same process."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def house(tmp_path_factory, request):
    """A device; where the file sets WEEK, with a week behind it, in which somebody turned it at `turns_ns`."""
    house = House(tmp_path_factory.mktemp("house"), extra='[heads]\nnames = ["still", "walking"]\n')
    if getattr(request.module, "WEEK", False):
        house.turns_ns = fill_week(house.store, time.time_ns() - 120 * 10**9, device="hall")
    with house:
        yield house


@pytest.fixture
def visits(browser, house):
    """Contexts of browsers that were let in; at the end none may have asked elsewhere or said an error."""
    with Visits(browser, house) as visits:
        yield visits
