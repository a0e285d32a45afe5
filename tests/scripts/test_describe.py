"""A model's README says what its card.json says, and nothing else."""

import json
import shutil

import pytest

from motionsig.encoders import shipped_models
from scripts.train import describe

MODELS = shipped_models()


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_models_readme_is_what_describe_makes_of_its_card(name):
    folder = MODELS[name]
    assert describe.readme(folder) == (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("quality", "hapt", "signature", "probe"), [0.123, 0.1, 0.2], "| 64 | .123 [.100, .200] |"),
        (("quality", "privacy", "the signature", "recognised"), [0.456, 0.4, 0.5], ".456 [.400, .500]"),
        (("training", "parameters"), 12345, "12,345 parameters"),
        (("limits",), ["not for anything"], "* Not for anything."),
    ],
)
def test_a_figure_that_changes_in_the_card_changes_in_the_readme(tmp_path, keys, value, said):
    folder = shutil.copytree(MODELS["motion64"], tmp_path / "motion64")
    card = json.loads((folder / "card.json").read_text("utf-8"))
    place = card
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    assert said not in describe.readme(folder)
    (folder / "card.json").write_text(json.dumps(card), "utf-8")
    assert said in describe.readme(folder)
