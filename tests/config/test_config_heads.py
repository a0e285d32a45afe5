"""[heads] and [exec]: what loads, what is wrong, what the check says, what a reload applies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from configurations import STORE, Write, problems
from made_heads import by_rest

from motionsig.config import check_config, differences, load_config
from motionsig.encoders import find_model
from motionsig.errors import ConfigError
from motionsig.heads.card import Timing
from motionsig.heads.places import write_head

ENCODER = find_model("motion64").fingerprint
Put = Callable[..., None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Put heads where they are found by name."""
    folder = tmp_path / "heads"
    monkeypatch.setenv("MOTIONSIG_HEADS", str(folder))

    def put(name: str, **more: Any) -> None:
        write_head(by_rest(name, **{"encoder": ENCODER} | more), folder / name)

    return put


def _text(names: str, more: str = "") -> str:
    return f"{STORE}[heads]\nnames = {names}\n{more}"


def test_without_names_there_are_no_heads(write: Write, put: Put) -> None:
    for text in (STORE, _text("[]"), f"{STORE}[heads]\nhop = 8\n[model]\nhop = 60"):
        config = load_config(write(text))
        assert (config.heads, config.head_names, config.programs) == ((), (), {})


def test_heads_come_with_those_that_they_need(write: Write, put: Put, tmp_path: Path) -> None:
    put("walking")
    put("stop", is_state=False, moves=False, while_head="walking")
    write_head(by_rest("mine", encoder=ENCODER), tmp_path / "folder")
    config = load_config(write(_text(f'["stop", "{tmp_path}/folder"]', "hop = 16\nexec_limit_s = 2.5")))
    assert [card.name for card in config.heads] == ["walking", "stop", "mine"]
    assert config.head_names == ("stop", "mine")
    assert (config.heads_hop, config.exec_limit_s) == (16, 2.5)
    assert any(line.startswith("# head: stop, events, fingerprint ") for line in check_config(config))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_text('["walking", "walking"]'), ["heads.names: expected each head once, got walking twice"]),
        (_text('["./walking"]'), ["heads.names: expected a head's name, or its folder's path from / on"]),
        (_text('["ring"]'), ["heads.names: expected none that waits for itself, got ring for gnir for ring"]),
        (_text("walking"), ["expected TOML"]),
        (_text('"walking"'), ["heads.names: expected a list of texts in quotes"]),
        (_text("[1]"), ["heads.names: expected a list of texts in quotes, got [1]"]),
        (_text('["walking"]', "hop = 7"), ["heads.hop: expected a part of the hop of 64 samples, at most 128, got 7"]),
        (_text('["walking"]', "hop = 0"), ["heads.hop: "]),
        (_text('["walking"]', "[model]\nhop = 60"), ["heads.hop: expected a part of the hop of 60 samples"]),
        (_text('["walking"]', "exec_limit_s = 0"), ["heads.exec_limit_s: expected more than 0"]),
        (_text('["walking"]', "[exec]\nknock = ['/bin/true']"), ["exec.knock: expected a head of heads.names (w"]),
        (_text("[]", "[exec]\nknock = ['/bin/true']"), ["exec.knock: expected a head of heads.names (none"]),
        (_text('["walking"]', "[exec]\nwalking = ['/bin/true']"), ["exec.walking: ", "expected walking.began or"]),
        (_text('["walking"]', "[exec]\nwalking.begun = ['/bin/true']"), ["exec.walking.begun: ", "expected walking."]),
        (_text('["stop"]', "[exec]\nstop.began = ['/bin/true']"), ["exec.stop.began: stop gives events: expected"]),
        (_text('["stop"]', "[exec]\nstop = ['true']"), ["exec.stop: expected a program, with its path from / on"]),
        (_text('["stop"]', "[exec]\nstop = []"), ["exec.stop: expected a program, with its path from / on"]),
        (_text('["stop"]', "[exec]\nstop = '/bin/true'"), ["exec.stop: expected a list of texts in quotes"]),
        (_text('["stop"]', '[exec]\nstop = ["/bin/true", "a\\u0000"]'), ["exec.stop: expected a list of texts in "]),
        (_text('["stop"]', "[exec]\nstop.x.y = ['/bin/true']"), ["exec.stop.x: expected a list"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(write: Write, put: Put, tmp_path: Path, text: str, said: list[str]) -> None:
    put("walking")
    put("stop", is_state=False)
    put("ring", while_head="gnir")
    put("gnir", while_head="ring")
    (found,) = problems(write(text))
    assert found.startswith("config.toml: ")
    assert all(part in found for part in said), found


def test_a_head_that_cannot_be_opened_keeps_no_daemon_from_starting_and_is_told_by_the_check(
    write: Write, put: Put, tmp_path: Path
) -> None:
    put("walking")
    put("needy", while_head="absent")
    put("damaged")
    card = tmp_path / "heads" / "damaged" / "head.json"
    card.write_text(card.read_text().replace('"hold_s": 0.0', '"hold_s": 1.0'))
    more = "[exec]\nkock = ['/bin/true']\nwalking.began = ['/bin/true']\n"
    path = write(_text('["kock", "walking", "needy", "damaged"]', more))
    config = load_config(path)
    assert ([card.name for card in config.heads], config.head_names) == (["walking"], ("walking",))
    assert list(config.missing_heads) == ["kock", "needy", "damaged"]
    assert list(config.programs) == [("walking", "began")]
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    told = caught.value.problems
    assert all(line.startswith(f"{path}: heads.names: ") for line in told)
    assert ["'kock'" in told[0], "'absent'" in told[1], "it is damaged" in told[2]] == [True] * 3


def test_a_head_of_another_encoder_is_told_by_the_check_and_keeps_no_daemon_from_starting(
    write: Write, put: Put
) -> None:
    put("walking", encoder=bytes(8))
    path = write(_text('["walking"]'))
    config = load_config(path)
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    (problem,) = caught.value.problems
    assert problem.startswith(
        f"{path}: heads.names: head walking: expected signatures of encoder {bytes(8).hex()}, got"
    )
    assert "teach the head again" in problem


def test_programs_are_by_head_and_phase(write: Write, put: Put, tmp_path: Path) -> None:
    put("walking")
    put("stop", is_state=False)
    program = tmp_path / "lamp"
    more = f"[exec]\nstop = ['{program}']\nwalking = {{began = ['{program}', 'on']}}\n"
    path = write(_text('["walking", "stop"]', more), **{"conf.d__a": f"exec.walking.ended = ['{program}', 'off']"})
    config = load_config(path)
    assert config.programs == {
        ("stop", "once"): (str(program),),
        ("walking", "began"): (str(program), "on"),
        ("walking", "ended"): (str(program), "off"),
    }
    for make in (lambda: None, lambda: program.write_text("#!/bin/sh\n"), lambda: program.chmod(0o644)):
        make()
        with pytest.raises(ConfigError, match="expected a program that can be run") as caught:
            check_config(config)
        assert len(caught.value.problems) == 3
    program.chmod(0o755)
    again = load_config(write("\n".join(check_config(config))))
    assert again.programs == config.programs
    assert differences(config, again) == ((), ())


def test_a_reload_applies_other_heads_and_programs(write: Write, put: Put) -> None:
    put("walking")
    before = load_config(write(_text('["walking"]')))
    put("walking", timing=Timing(1.0, 1.0, hold_s=2.0))
    taught = load_config(write(_text('["walking"]')))
    assert differences(before, taught) == (("heads.names",), ())
    more = "hop = 16\nexec_limit_s = 5\n[exec]\nwalking.began = ['/bin/true']"
    other = load_config(write(_text('["walking"]', more)))
    assert differences(taught, other) == (("exec.walking.began", "heads.exec_limit_s"), ("heads.hop",))


def test_what_the_service_may_not_read_or_run_is_told(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.umask(0o022)
    monkeypatch.setenv("MOTIONSIG_HEADS", str(etc / "heads"))
    write_head(by_rest("stop", encoder=ENCODER, is_state=False), etc / "heads" / "stop")
    program, path = etc / "lamp", etc / "config.toml"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path.write_text(_text('["stop"]', f"[exec]\nstop = ['{program}']"))
    path.chmod(0o644)
    for folder, _, files in os.walk(etc):
        Path(folder).chmod(0o755)
        for file in files:
            if file != "lamp":
                (Path(folder) / file).chmod(0o644)
    assert check_config(load_config(path))
    for file, mode, key, right in (
        (program, 0o744, "exec.stop", "x"), (etc / "heads" / "stop" / "head.json", 0o600, "heads.names", "r"),
    ):  # fmt: skip
        before = file.stat().st_mode
        file.chmod(mode)
        with pytest.raises(ConfigError) as caught:
            check_config(load_config(path))
        expected = f"{path}: {key}: {file}: the service cannot read it; sudo chmod a+{right} {file}"
        assert caught.value.problems == (expected,)
        file.chmod(before)
