"""What motionsig/encoders/README.md and firmware_models/README.md say: devices, deadlines, trials, a model's files."""

import configparser
import re
from pathlib import Path

import pytest

from motionsig.daemon.switching import TRIAL_WINDOWS
from motionsig.encoders import find_model, open_encoder, shipped_models
from motionsig.encoders.edgetpu.worker import Limits
from motionsig.encoders.models import check_device
from motionsig.errors import InputError

ROOT = Path(__file__).parents[2]
ENCODERS = (ROOT / "motionsig" / "encoders" / "README.md").read_text(encoding="utf-8")
MODELS = (ROOT / "firmware_models" / "README.md").read_text(encoding="utf-8")


def names_in_table(text, heading):
    """Return the names in the first column of the table whose first heading is given."""
    below = text.split(f"| {heading} |", 1)[1].splitlines()[2:]
    return [name for row in below[: below.index("")] for name in re.findall("`(.+?)`", row.split(" | ")[0])]


def test_the_devices_are_those_that_open_encoder_takes():
    devices = names_in_table(ENCODERS, "`device`")
    assert {device.partition(":")[0] for device in devices} == {"auto", "cpu", "edgetpu", "reference"}
    for device in devices:
        check_device(device)
    with pytest.raises(InputError):
        check_device("tpu")


def test_the_deadlines_are_those_of_the_code():
    limits = Limits()
    plain = " ".join(ENCODERS.split())
    assert f"takes more than {limits.call_s:g} s," in plain
    assert f"after {limits.starts} starts within {limits.per_s / 60:g} minutes there is an error" in plain
    assert f"tries it for {TRIAL_WINDOWS} windows" in plain


def test_the_example_gives_the_shapes_it_states(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", ENCODERS, re.S)
    exec(block, {})
    assert capsys.readouterr().out.endswith("(22, 48) (22, 16)\n")
    assert "# (22, 48) and (22, 16)" in block


def test_the_files_of_a_model_are_those_that_are_listed():
    listed = {name.partition("/")[0] for name in names_in_table(MODELS, "file")}
    for folder in shipped_models().values():
        assert {path.name for path in folder.iterdir()} <= listed
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    packaged = re.findall(r"\*/(\S+)", settings["options.package_data"]["motionsig.firmware_models"])
    rows = [row for row in MODELS.splitlines() if row.startswith("| `") and row.endswith("| yes |")]
    named = {name.partition("/")[0] for row in rows for name in re.findall("`(.+?)`", row.split(" | ")[0])}
    assert named == {name.partition("/")[0] for name in packaged}


def test_the_golden_windows_are_as_many_as_stated():
    count = int(re.search(r"windows \((\d+) in motion64\), the codes", MODELS)[1])
    assert len(open_encoder(device="reference").card.golden().windows) == count


@pytest.mark.parametrize("name", shipped_models())
def test_a_models_folder_has_the_name_in_its_card(name):
    assert find_model(name).name == name
