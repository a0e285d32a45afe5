"""The page of the recipes' figures is made of the figures beside it."""

import json
from pathlib import Path

from scripts.evaluate.recipes.page import page

MEASURED = Path(__file__).parents[2] / "systemd" / "recipes" / "measured"


def test_the_page_is_that_of_its_figures():
    figures = json.loads((MEASURED / "figures.json").read_text(encoding="utf-8"))
    assert page(figures) == (MEASURED / "README.md").read_text(encoding="utf-8")
