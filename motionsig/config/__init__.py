"""The configuration: TOML files to one checked, frozen `Config`.

Everything is checked before anything is opened (`tables`, `sink`), by the same code that opens it later. All problems
are reported at once, each with its file and its key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from motionsig.config.draft import Draft
from motionsig.config.files import DEFAULT_PATH, MAX_FILE_BYTES, read_files
from motionsig.config.heads import check_heads, check_programs, folders_of, program_key, unfit_heads, unfit_programs
from motionsig.config.keys import TABLES, known_keys
from motionsig.config.sink import check_name, check_sink, check_status, check_url
from motionsig.config.tables import SETTLED, check_model, check_sensor, named_chip
from motionsig.encoders import find_model
from motionsig.errors import ConfigError, MotionsigError
from motionsig.model_card import CARD_NAME, GOLDEN_NAME, MODEL_NAME, ModelCard
from motionsig.publishers import split_url
from motionsig.sensors.chips import settle
from motionsig.state import state_folder

if TYPE_CHECKING:
    from motionsig.heads import HeadCard

__all__ = [
    "DEFAULT_PATH", "MAX_FILE_BYTES", "Config", "check_config", "config_of", "differences", "known_keys", "load_config",
]  # fmt: skip

_FILES = ("store", "file")  # sinks with a path
_LIVE_KEYS = {"model.name", "model.device", "heads.names", "heads.exec_limit_s", "status.prometheus"}
"""Keys that a running daemon applies without losing a window, with those of [exec]; the others need a restart."""

_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))
"""What motionsig.service does not see: it has ProtectHome= and PrivateTmp=."""


@dataclass(frozen=True)
class Config:
    """A configuration that passed every check.

    files: in the order they were read. instance: NAME of motionsig@NAME. name: of the device. sensor: keywords of
    `open_sensor`. model, device: arguments of `open_encoder`; hop: grid samples, None for the model's. heads: those
    named, head_names, and those that they need; missing_heads: the others that are named, each with why it cannot be
    opened; a daemon that starts goes without them; heads_hop: grid samples. programs: the command for each head and
    phase; exec_limit_s: how long one may run. sink_url, sink_options: arguments of `open_sink`, with the content of the
    credentials; a relative path is one in the state folder. home_assistant: prefix, prometheus: port on this machine,
    None for off. history_days: of the store beside the sink, 0 for none. values, origins: by key ("sensor.rate_hz"),
    and the file of each. digests: SHA-256 of what keys name: the certificates, the key, the heads.
    """

    files: tuple[Path, ...]
    instance: str | None
    name: str
    sensor: Mapping[str, Any]
    model: str
    device: str
    hop: int | None
    heads: tuple[HeadCard, ...]
    head_names: tuple[str, ...]
    missing_heads: Mapping[str, str]
    heads_hop: int
    programs: Mapping[tuple[str, str], tuple[str, ...]]
    exec_limit_s: float
    sink_url: str
    sink_options: Mapping[str, Any] = field(repr=False)
    home_assistant: str | None
    prometheus: int | None
    history_days: float
    values: Mapping[str, Any]
    origins: Mapping[str, Path]
    digests: Mapping[str, bytes] = field(repr=False)


class Differences(NamedTuple):
    """Keys that differ: those that a running daemon can apply, and those that need a restart."""

    live: tuple[str, ...]
    restart: tuple[str, ...]


def load_config(path: Path = DEFAULT_PATH, *, name: str | None = None) -> Config:
    """Read and check `path`, conf.d/*.toml beside it and, for the instance `name`, NAME.toml beside it.

    Opens only those files, the credentials and certificates they name, the model's card and the heads.
    Raises ConfigError with all that is wrong.
    """
    return _checked(path, read_files(path, name), name)


def config_of(settings: Mapping[str, Any], *, where: str) -> Config:
    """Return the configuration that a file with these tables would give; no file is read but the model's and heads'.

    where: what stands in the place of the file's name in errors. Raises ConfigError with all that is wrong.
    """
    return _checked(Path(where), {Path(where): settings}, None)


def _checked(path: Path, documents: Mapping[Path, Mapping[str, Any]], name: str | None) -> Config:
    draft = Draft(path, documents)
    # Which other keys exist depends on the sink.
    scheme = check_url(draft)
    draft.check_keys(scheme)
    device_name = check_name(draft, scheme, name)
    check_sensor(draft)
    cards = check_model(draft)
    chosen = check_heads(draft, cards[0] if cards else None)
    programs = check_programs(draft, chosen)
    options = check_sink(draft, scheme)
    home_assistant = check_status(draft, scheme)
    if draft.problems:
        raise ConfigError(*draft.problems)
    return Config(
        files=tuple(documents),
        instance=name,
        name=device_name,
        sensor=draft.table("sensor"),
        model=draft.value("model.name"),
        device=draft.value("model.device"),
        hop=draft.value("model.hop"),
        heads=chosen.heads,
        head_names=chosen.names,
        missing_heads=chosen.missing,
        heads_hop=draft.value("heads.hop"),
        programs=programs,
        exec_limit_s=draft.value("heads.exec_limit_s"),
        sink_url=draft.value("sink.url"),
        sink_options=options,
        home_assistant=home_assistant,
        prometheus=draft.value("status.prometheus") or None,
        history_days=draft.value("page.history_days"),
        values=draft.values,
        origins=draft.origins,
        digests=draft.digests,
    )


def check_config(config: Config) -> list[str]:
    """Return the whole configuration as lines of TOML, with the file of each value that is not a default.

    Opens neither sensor nor sink, and writes nothing. Raises ConfigError where a file of the model differs from its
    card, where a head is not there or not of this model (the daemon goes on without it), where a program is not there,
    and, for the
    service's own configuration, where the service may not read or write what it names.
    """
    from motionsig.encoders.tflite import read_graph  # a running service needs no more of it

    try:
        card = find_model(config.model)
        card.check_files()
        read_graph(card.model_bytes(), card.path / MODEL_NAME)
    except MotionsigError as error:
        raise ConfigError(f"{config.origins.get('model.name', config.files[0])}: model.name: {error}") from error
    is_services = config.files[0].absolute().parent == DEFAULT_PATH.parent
    unfit = [("heads.names", text) for text in (*config.missing_heads.values(), *unfit_heads(config.heads, card))]
    unfit += unfit_programs(config.programs)
    problems = [f"{config.origins[key]}: {key}: {text}" for key, text in unfit]
    if is_services:
        problems += _refused(config, card)
    if problems:
        raise ConfigError(*problems)
    lines = [f"# read: {', '.join(map(str, config.files))}"]
    effective = _effective(config)
    for key, value in effective.items():
        if value is not None:
            origin = f"  # {config.origins[key]}" if key in config.origins else ""
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}{origin}")
    lines.append(f"# model: {card.name}, fingerprint {card.fingerprint.hex()}, in {card.path}")
    lines += [
        f"# head: {head.name}, {'a state' if head.is_state else 'events'}, fingerprint {head.fingerprint.hex()}"
        for head in config.heads
    ]
    scheme, location, _ = split_url(config.sink_url)
    if scheme in _FILES and not Path(location).is_absolute():
        lines.append(f"# sink: {location} in {_service_state(config) if is_services else state_folder()}")
    if (chip := named_chip(effective["sensor.name"])) is not None:
        setting = settle(chip, **{option: effective[f"sensor.{option}"] for option in SETTLED})
        lines.append(
            f"# sensor: {chip.title}, {setting.rate_hz:g} Hz, {setting.accel_range_g:g} g, "
            f"{setting.gyro_range_dps:g} deg/s"
        )
    return lines


def differences(old: Config, new: Config) -> Differences:
    """Return the keys whose effective values differ, or whose heads have another content.

    Passwords, certificates and their keys are not compared: each connection reads them again.
    """
    changed = {
        key
        for before, after in ((_effective(old), _effective(new)), (old.digests, new.digests))
        for key in {*before, *after}
        if before.get(key) != after.get(key)
    }
    if old.sink_options.get("proxy") != new.sink_options.get("proxy"):
        # A credential has it where it holds a password.
        changed.add("sink.proxy_credential" if "sink.proxy_credential" in new.values else "sink.proxy")
    live = {key for key in changed if key in _LIVE_KEYS or key.startswith("exec.")}
    return Differences(tuple(sorted(live)), tuple(sorted(changed - live)))


def _refused(config: Config, card: ModelCard) -> Iterator[str]:
    """Yield a line for each path that the service, a user of its own, may not read or write; root may do more."""
    folder = config.files[0].with_name("conf.d")
    for path in (*config.files, *([folder] if folder.exists() else [])):
        if problem := _unreadable(path):
            yield problem
    named = [(key, Path(config.values[key])) for key in ("sink.ca", "sink.cert") if key in config.values]
    if "/" in config.model:
        names = (CARD_NAME, MODEL_NAME, GOLDEN_NAME, *([card.compiled.file] if card.compiled else []))
        named += [("model.name", card.path / name) for name in names]
    for folder in folders_of(config.values.get("heads.names", ())):
        named += [("heads.names", path) for path in sorted(folder.iterdir()) if path.name.startswith("head")]
    for key, path in named:
        if problem := _unreadable(path):
            yield f"{config.origins[key]}: {key}: {problem}"
    for (head, phase), (program, *_) in config.programs.items():
        if problem := _unreadable(Path(program), 0o001, "x"):
            key = program_key(head, phase)
            yield f"{config.origins[key]}: {key}: {problem}"
    scheme, location, _ = split_url(config.sink_url)
    state = _service_state(config)
    written = {"spool.path": config.values.get("spool.path", ""), "sink.url": location if scheme in _FILES else ""}
    for key, place in written.items():
        if os.path.isabs(place) and state not in Path(os.path.normpath(place)).parents:
            yield f"{config.origins[key]}: {key}: the service can write below {state} alone, got {place}"


def _service_state(config: Config) -> Path:
    return Path("/var/lib", "motionsig" if config.instance is None else f"motionsig-{config.instance}")


def _unreadable(path: Path, bits_of_file: int = 0o004, rights_to_file: str = "r") -> str:
    """Return why the service cannot read (or run) a file, or list a folder, and what to do; empty if it can."""
    path = path.resolve()
    for hidden in _HIDDEN:
        if path.is_relative_to(hidden):
            return f"{path}: the service sees nothing of {hidden}; move it to /etc/motionsig"
    needed = [(folder, 0o001, "x") for folder in reversed(path.parents)]
    for each, bits, rights in (*needed, (path, 0o005, "rx") if path.is_dir() else (path, bits_of_file, rights_to_file)):
        if each.stat().st_mode & bits != bits:
            return f"{path}: the service cannot read it; sudo chmod a+{rights} {each}"
    return ""


def _effective(config: Config) -> dict[str, Any]:
    """Return the value of every key, given or not, table by table."""
    keys = known_keys(split_url(config.sink_url)[0])
    values = {key: config.values.get(key, known.default) for key, known in keys.items()} | {"name": config.name}
    values |= {key: value for key, value in config.values.items() if key.startswith("exec.")}
    return dict(sorted(values.items(), key=lambda item: ("name", *TABLES).index(item[0].partition(".")[0])))
