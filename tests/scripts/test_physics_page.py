"""The page of what physics tells is made of the figures beside it, and no unit was ever taken for another."""

import json
from pathlib import Path

from scripts.evaluate.physics import COLUMNS, page

MEASURED = Path(__file__).parents[2] / "scripts" / "evaluate" / "measured"
FIGURES = json.loads((MEASURED / "physics.json").read_text(encoding="utf-8"))


def test_the_page_is_that_of_its_figures():
    assert page(FIGURES) == (MEASURED / "README.md").read_text(encoding="utf-8")


def test_no_right_unit_was_taken_for_another():
    for counts in FIGURES.values():
        assert not [key for key in COLUMNS if key.endswith("wrong") and counts.get(key)]
