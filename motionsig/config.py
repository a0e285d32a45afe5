"""The configuration: TOML files to one checked, frozen `Config`.

config.toml comes first, then conf.d/*.toml beside it by name, then for an instance its NAME.toml; a later file wins key
by key. [sensor] has the options of `open_sensor`, [sink] and [spool] those of the sink whose URL stands there: with the
types and defaults of their signatures, so no list here can go stale. Whatever can be wrong is checked before anything
is opened, by the checks of those who will open it, and all problems are told at once.

No secret stands in these files. They name credentials: files that only root reads, which systemd hands to the service
(LoadCredential=motionsig:FOLDER, systemd.exec(5)) and which lie in `credentials` beside config.toml.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import socket
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from motionsig import wire
from motionsig.encoders import DEFAULT_MODEL, check_device, find_model, model_folders
from motionsig.errors import ConfigError, InputError, ModelError, MotionsigError
from motionsig.model_card import ModelCard, load_card
from motionsig.options import keyword_options
from motionsig.publishers import SCHEMES, sink_opener, split_url
from motionsig.publishers.connection import Broker, check_topic_part, parse_broker, tls_context
from motionsig.publishers.messages import check_max_message_bytes
from motionsig.publishers.mqtt import check_mqtt
from motionsig.resampling import Resampler
from motionsig.sensors import CHIPS, open_sensor
from motionsig.sensors.calibration import choose_calibration, parse_mount
from motionsig.sensors.chips import Chip, settle
from motionsig.windowing import Windower

DEFAULT_PATH = Path("/etc/motionsig/config.toml")
MAX_FILE_BYTES = 64 * 1024
MAX_SECRET_BYTES = 4096
_MOST_KEEPALIVE_S = 65535
"""Two bytes (MQTT 3.1.1, 3.1.2.10)."""

HOME_ASSISTANT = "homeassistant"
"""Home Assistant's own default prefix for discovery."""

_TABLES = ("sensor", "model", "sink", "spool", "status")
_LIVE_KEYS = ("model.name", "model.device", "status.prometheus")
"""What a running daemon takes without a window lost; the rest needs a restart."""

_KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "matrix": "three rows of three numbers",
}

_PLACES = {
    "password": "sink.password_credential",
    "key": "sink.key_credential",
    "spool": "spool.path",
    "max_bytes": "spool.max_bytes",
    "full": "spool.full",
    "strict": "spool.strict",
}
"""Options of a sink whose key is not sink.OPTION."""

_NOT_KEYS = (
    *("device", "epoch", "stage", "availability", "home_assistant"),
    *("full_timeout_s", "close_timeout_s", "close_limit_s"),
)
"""Options of a sink that the daemon sets by itself: who and when, what other keys say, and how long it may wait."""

_PAUSES = ("retry_s", "max_retry_s")

_SECRETS = {
    "sink.password": "password_credential",
    "sink.key": "key_credential",
}
"""Keys that would hold a secret, and those that name a file with it instead."""


@dataclass(frozen=True)
class Key:
    """What a key may hold: `kinds` of value out of bool, int, float, str and matrix."""

    kinds: tuple[str, ...]
    default: Any = None


_KEYS = {
    "name": Key(("str",)),
    "sensor.name": Key(("str",), "auto"),
    "model.name": Key(("str",), DEFAULT_MODEL),
    "model.device": Key(("str",), "auto"),
    "model.hop": Key(("int",)),
    "sink.url": Key(("str",)),
    "status.home_assistant": Key(("bool", "str"), False),
    "status.prometheus": Key(("int",), 0),
}
"""Those that are nobody's options."""


@dataclass(frozen=True)
class Config:
    """A configuration that passed every check.

    files: those read, in their order. name: as which device is published. sensor: keywords of `open_sensor`. model,
    device: arguments of `open_encoder`; hop: grid samples, None for the model's. sink_url, sink_options: arguments of
    `open_sink`, with what the credentials hold. home_assistant: prefix of discovery, None for off. prometheus: port on
    this machine, None for off. values, origins: what the files say, key by key ("sensor.rate_hz"), and which of them.
    """

    files: tuple[Path, ...]
    name: str
    sensor: Mapping[str, Any]
    model: str
    device: str
    hop: int | None
    sink_url: str
    sink_options: Mapping[str, Any] = field(repr=False)
    home_assistant: str | None
    prometheus: int | None
    values: Mapping[str, Any]
    origins: Mapping[str, Path]


class Differences(NamedTuple):
    """Keys that differ: those a running daemon can take, and those that need a restart."""

    live: tuple[str, ...]
    restart: tuple[str, ...]


def known_keys(scheme: str | None = None) -> dict[str, Key]:
    """Return every key there is with a sink of this scheme, by default with any."""
    keys = _KEYS | {f"sensor.{name}": key for name, key in _option_keys(open_sensor).items()}
    for each in SCHEMES if scheme is None else (scheme,):
        for option, key in _option_keys(sink_opener(each)).items():
            if option not in _NOT_KEYS:
                keys[_PLACES.get(option, f"sink.{option}")] = key
    return keys


@cache
def _option_keys(function: Any) -> dict[str, Key]:
    """Return the options of a function that TOML has a type for."""
    parameters = inspect.signature(function).parameters
    keys = {}
    for name, annotation in keyword_options(function).items():
        kinds = [kind for kind in annotation.split(" | ") if kind in _KINDS]
        kinds += ["matrix"] if "Sequence[Sequence[float]]" in annotation else []
        if kinds:
            keys[name] = Key(tuple(kinds), parameters[name].default)
    return keys


def load_config(path: Path = DEFAULT_PATH, *, name: str | None = None) -> Config:
    """Read and check `path`, conf.d/*.toml beside it and, for the instance `name`, NAME.toml beside it.

    Nothing is opened but those files, the credentials and certificates they name, and the model's card.
    Raises ConfigError with all that is wrong.
    """
    draft = _Draft(path)
    for file in _files(draft, name):
        draft.add(file)
    if draft.unread:
        # What stands there is not known, so neither is what is missing.
        raise ConfigError(*draft.problems)
    url = draft.given.get("sink.url")
    scheme = _check_url(draft, url)
    draft.check_keys(scheme)
    device_name = draft.values.get("name")
    if device_name is None:
        device_name = socket.gethostname() + ("" if name is None else f"-{name}")
    with draft.noting("name"):
        wire.check_origin(device_name, 0)
        if scheme in ("mqtt", "mqtts"):
            check_topic_part("name", device_name)
    _check_sensor(draft)
    _check_model(draft)
    options = _check_sink(draft, scheme)
    home_assistant = _check_status(draft, scheme)
    if draft.problems:
        raise ConfigError(*draft.problems)
    return Config(
        files=tuple(draft.files),
        name=device_name,
        sensor=draft.table("sensor"),
        model=draft.value("model.name"),
        device=draft.value("model.device"),
        hop=draft.value("model.hop"),
        sink_url=draft.value("sink.url"),
        sink_options=options,
        home_assistant=home_assistant,
        prometheus=draft.value("status.prometheus") or None,
        values=draft.values,
        origins=draft.origins,
    )


def check_config(config: Config) -> list[str]:
    """Return the whole configuration as lines of TOML that say what is not a default and where it comes from.

    Opens neither sensor nor sink, and writes nothing. Raises ConfigError where a file of the model is not what its card
    says.
    """
    try:
        card = find_model(config.model)
        card.model_bytes()
        card.golden()
        if card.compiled is not None:
            card.compiled_bytes()
    except MotionsigError as error:
        raise ConfigError(f"{config.origins.get('model.name', config.files[0])}: model.name: {error}") from error
    lines = [f"# read: {', '.join(map(str, config.files))}"]
    effective = _effective(config)
    for key, value in effective.items():
        if value is not None:
            origin = config.origins.get(key)
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}" + (f"  # {origin}" if origin else ""))
    lines.append(f"# model: {card.name}, fingerprint {card.fingerprint.hex()}, in {card.path}")
    chip = _chip(effective["sensor.name"])
    if chip is not None:
        setting = settle(chip, **{key: effective[f"sensor.{key}"] for key in _SETTLED})
        lines.append(
            f"# sensor: {chip.title}, {setting.rate_hz:g} Hz, {setting.accel_range_g:g} g, "
            f"{setting.gyro_range_dps:g} deg/s"
        )
    return lines


def _effective(config: Config) -> dict[str, Any]:
    """Return the value of every key, given or not."""
    keys = known_keys(split_url(config.sink_url)[0])
    values = {key: config.values.get(key, known.default) for key, known in keys.items()} | {"name": config.name}
    return dict(sorted(values.items(), key=lambda item: ("name", *_TABLES).index(item[0].partition(".")[0])))


def differences(old: Config, new: Config) -> Differences:
    """Return the keys whose effective values differ, or whose credentials hold something else."""
    before, after = _effective(old), _effective(new)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    changed |= {
        _PLACES[option]
        for option in ("password", "key")
        if old.sink_options.get(option) != new.sink_options.get(option)
    }
    live = changed.intersection(_LIVE_KEYS)
    return Differences(tuple(sorted(live)), tuple(sorted(changed - live)))


class _Draft:
    """What the files say so far, and what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: list[Path] = []
        self.given: dict[str, Any] = {}
        self.origins: dict[str, Path] = {}
        self.values: dict[str, Any] = {}
        self.problems: list[str] = []
        self.unread = False

    def note(self, key: str, problem: object, file: Path | None = None) -> None:
        """Add a problem with a key, which is told with the file it is from."""
        text = " ".join(str(problem).split())
        for part in key.split("."):
            # Whoever else checks an option begins with its name.
            text = text.removeprefix(f"{part}: ")
        self.problems.append(f"{file or self.origins.get(key, self.path)}: {key}: {text}")

    @contextmanager
    def noting(self, key: str) -> Iterator[None]:
        """Make a problem with a key of what others raise about it."""
        try:
            yield
        except OSError as error:
            self.note(key, error if isinstance(error, MotionsigError) else f"{error.filename}: {error.strerror}")
        except ValueError as error:
            self.note(key, error)

    def add(self, file: Path) -> None:
        """Read a file; its keys take the place of those that are there."""
        try:
            document = tomllib.loads(_text(file))
        except OSError as error:
            self.unreadable(f"{file}: expected a file to read, got: {error.strerror}")
            return
        except RecursionError:
            self.unreadable(f"{file}: expected TOML, got brackets in brackets in brackets without end")
            return
        except ConfigError as error:
            self.unreadable(*error.problems)
            return
        except ValueError as error:
            self.unreadable(f"{file}: expected TOML, got: {error}")
            return
        self.files.append(file)
        for name, value in document.items():
            if name in _TABLES and not isinstance(value, dict):
                self.note(name, f"expected one table, [{name}], got {_shown(value)}", file)
            elif name in _TABLES:
                self._take({f"{name}.{_spelt(key)}": one for key, one in value.items()}, file)
            else:
                self._take({_spelt(name): value}, file)

    def unreadable(self, *problems: str) -> None:
        """Add problems that leave open what the files say."""
        self.problems += problems
        self.unread = True

    def _take(self, given: dict[str, Any], file: Path) -> None:
        self.given |= given
        self.origins |= dict.fromkeys(given, file)

    def check_keys(self, scheme: str) -> None:
        """Fill `values` with what has the type that its key wants."""
        known = known_keys(scheme or None)
        every = known_keys()
        for key, value in self.given.items():
            if key in known:
                try:
                    self.values[key] = _typed(value, known[key])
                except InputError as error:
                    self.note(key, error)
            elif key in every and key.startswith("spool."):
                self.note(
                    key, f"expected no [spool] with {scheme}:, which keeps each signature at once and needs no queue"
                )
            elif key in every:
                self.note(key, f"expected one of the options of {scheme}:, got one of another sink")
            elif key in _SECRETS:
                self.note(
                    key,
                    f"expected no secret here; put it into a file of its own in {self.path.parent / 'credentials'} "
                    f'that only root can read, and name that file: {_SECRETS[key]} = "FILE"',
                )
            else:
                self.note(key, _unknown(key, known))

    def value(self, key: str) -> Any:
        """Return the value of one of `_KEYS`, or its default."""
        return self.values.get(key, _KEYS[key].default)

    def table(self, name: str) -> dict[str, Any]:
        """Return what is given in a table."""
        return {key.partition(".")[2]: value for key, value in self.values.items() if key.startswith(f"{name}.")}


def _files(draft: _Draft, name: str | None) -> list[Path]:
    """Return the files to read, in their order."""
    folder = draft.path.parent / "conf.d"
    try:
        parts = sorted(each.name for each in os.scandir(folder) if each.name.endswith(".toml") and each.name[0] != ".")
    except FileNotFoundError:
        parts = []
    except OSError as error:
        draft.unreadable(f"{folder}: expected a folder to read, got: {error.strerror}")
        parts = []
    files = [draft.path, *(folder / part for part in parts)]
    if name is not None:
        if not re.fullmatch(r"[A-Za-z0-9_@:-][A-Za-z0-9_@:.-]{0,99}", name) or f"{name}.toml" == draft.path.name:
            raise ConfigError(
                f"{draft.path}: --name: expected the name of an instance, which has a file NAME.toml, got {name!r}"
            )
        files.append(draft.path.with_name(f"{name}.toml"))
    return files


def _text(file: Path) -> str:
    """Return a file as text. Raises OSError, ConfigError for what is no file, UnicodeDecodeError for other bytes."""
    content, _ = _content(file, MAX_FILE_BYTES)
    # Some editors begin with a byte order mark.
    return content.decode("utf-8-sig")


def _content(file: Path, most_bytes: int) -> tuple[bytes, os.stat_result]:
    # A FIFO without a writer would keep a blocking open waiting.
    with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{file}: expected a file, got a pipe or a device")
        content = opened.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ConfigError(f"{file}: expected at most {most_bytes:,} bytes, got more")
    return content, status


def _spelt(name: str) -> str:
    """Return a key as TOML writes it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _shown(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, bool | str) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _unknown(key: str, known: Mapping[str, Key]) -> str:
    table, _, last = key.rpartition(".")
    near = [each for each in known if each.rpartition(".")[2] == last] or get_close_matches(key, known, n=1)
    if near:
        return f"expected a key that there is; did you mean {near[0]}?"
    there = [each.removeprefix(f"{table}.") for each in known if each.rpartition(".")[0] == table]
    tables = "" if table else f" and the tables {', '.join(_TABLES)}"
    return f"expected one of {', '.join(sorted(there))}{tables}, got another key"


def _typed(value: Any, key: Key) -> Any:
    """Return a value as one of the key's kinds; raise InputError for any other, and for numbers nobody can mean."""
    wanted = " or ".join(_KINDS[kind] for kind in key.kinds)
    for kind in key.kinds:
        if kind == type(value).__name__ or (kind == "float" and type(value) is int):
            if kind in ("int", "float") and not 0 <= value < 1 << 63:
                raise InputError(f"expected {wanted} from 0 up, got {_shown(value)}")
            if kind == "str" and not value.isprintable():
                raise InputError(f"expected {wanted} without control characters, got {_shown(value)}")
            return float(value) if kind == "float" else value
        if kind == "matrix" and isinstance(value, list) and _is_matrix(value):
            return value
    raise InputError(f"expected {wanted}, got {_shown(value)}")


def _is_matrix(rows: list[Any]) -> bool:
    """Return whether these are lists of numbers that fit a float."""
    return all(isinstance(row, list) for row in rows) and all(
        type(number) in (int, float) and abs(number) < 1 << 63 for row in rows for number in row
    )


_SETTLED = ("rate_hz", "accel_range_g", "gyro_range_dps")


def _chip(name: str) -> Chip | None:
    """Return the chip that a sensor's name names, None for those that only show when they are opened."""
    kind, _, simulated = name.partition(":")
    return CHIPS.get(simulated or "lsm6dso") if kind == "simulated" else CHIPS.get(name)


def _check_sensor(draft: _Draft) -> None:
    name = draft.value("sensor.name")
    options = draft.table("sensor")
    kind = name.partition(":")[0]
    chip = _chip(name)
    if chip is None and name != "auto" and kind != "iio":
        near = get_close_matches(name.lower(), CHIPS, n=1)
        draft.note(
            "sensor.name",
            f"expected auto, iio[:NAME], simulated[:NAME] or one of {', '.join(sorted(CHIPS))}, got {_shown(name)}"
            + (f"; did you mean {near[0]}?" if near else ""),
        )
    if chip is not None and not chip.gyro_ranges:
        draft.note("sensor.name", f"expected a sensor with a gyroscope, which every model needs, got {chip.name}")
    for option in ("bus", "address"):
        if option in options and kind in ("iio", "simulated"):
            draft.note(f"sensor.{option}", f"expected none: it is for a chip on I2C, got {options[option]} with {name}")
    if not 0x03 <= options.get("address", 0x68) <= 0x77:
        draft.note("sensor.address", f"expected 0x03 to 0x77, as 7-bit addresses are, got {options['address']:#x}")
    if options.get("bus_clock_hz") == 0:
        draft.note("sensor.bus_clock_hz", "expected a number above 0, got 0")
    rate_hz = None
    for option in _SETTLED:
        asked = known_keys()[f"sensor.{option}"].default if option not in options else options[option]
        if asked == 0:
            draft.note(f"sensor.{option}", "expected a number above 0, got 0")
        elif chip is not None:
            least = {"rate_hz": min(chip.rates), "accel_range_g": min(chip.accel_ranges), "gyro_range_dps": 1.0}
            with draft.noting(f"sensor.{option}"):
                setting = settle(chip, **(least | {option: asked}))
                rate_hz = setting.rate_hz if option == "rate_hz" else rate_hz
        elif option == "rate_hz":
            rate_hz = asked
    if rate_hz is not None:
        with draft.noting("sensor.rate_hz"):
            Resampler(rate_hz)
    with draft.noting("sensor.mount"):
        parse_mount(options.get("mount"))
    if "calibration" in options:
        with draft.noting("sensor.calibration"):
            choose_calibration(options["calibration"], None, "")


def _check_model(draft: _Draft) -> None:
    name, device, hop = (draft.value(f"model.{key}") for key in ("name", "device", "hop"))
    cards: list[ModelCard] = []
    with draft.noting("model.name"):
        if "/" in name and not name.startswith("/"):
            raise InputError(f"expected a model's name, or its folder's path from / on, got {_shown(name)}")
        cards = _cards(name)
    with draft.noting("model.device"):
        check_device(device)
        if device.startswith("edgetpu") and cards and not any(card.compiled for card in cards):
            cards[0].compiled_bytes()
    if cards and hop is not None:
        with draft.noting("model.hop"):
            Windower(length=cards[0].length, hop=hop)


def _cards(name: str) -> list[ModelCard]:
    """Return the cards that a model's name or folder stands for; a damaged one is passed over, as by the daemon."""
    cards, damage = [], None
    for folder in model_folders(name):
        try:
            cards.append(load_card(folder))
        except ModelError as error:
            damage = error
    if damage is not None and not cards:
        raise damage
    return cards or [find_model(name)]


def _check_url(draft: _Draft, url: Any) -> str:
    """Return the scheme of the sink's URL, "" where it has none of ours. No message repeats it: it may hold secrets."""
    if not isinstance(url, str):
        if "sink.url" not in draft.given:
            draft.note("sink.url", "expected where signatures go, such as mqtts://HOST or store:PATH, got nothing")
        return ""
    scheme, _, rest = url.partition(":")
    scheme = scheme.lower()
    broker = scheme in ("mqtt", "mqtts")
    if scheme not in SCHEMES:
        expected = "mqtt://HOST[:PORT], mqtts://HOST[:PORT], store:PATH or file:PATH"
        draft.note("sink.url", f"expected {expected}, got something else")
        return ""
    if broker and "@" in rest:
        draft.note("sink.url", "expected no user in it: username and password_credential are keys of their own")
    elif "?" in rest or (broker and "#" in rest):
        draft.note("sink.url", "expected no options in it: each is a key of its own in [sink] or [spool]")
    elif broker:
        with draft.noting("sink.url"):
            parse_broker(url)
    else:
        with draft.noting("sink.url"):
            if not Path(split_url(url)[1]).is_absolute():
                raise InputError(f"expected {scheme}:PATH with a path from / on, got {_shown(rest)}")
    return scheme


def _check_sink(draft: _Draft, scheme: str) -> dict[str, Any]:
    """Return the options of the sink."""
    options_of = {place: option for option, place in _PLACES.items()}
    options = {}
    for key, value in draft.values.items():
        if key != "sink.url" and key.startswith(("sink.", "spool.")):
            options[options_of.get(key, key.partition(".")[2])] = value
    if scheme not in ("mqtt", "mqtts"):
        if "max_message_bytes" in options:
            with draft.noting("sink.max_message_bytes"):
                check_max_message_bytes(options["max_message_bytes"])
        return options
    for key, secret in (("password", True), ("key", False)):
        if key in options:
            name = options.pop(key)
            with draft.noting(_PLACES[key]):
                options[key] = _credential(draft, name, secret)
    _check_mqtt(draft, options)
    return options


def _check_mqtt(draft: _Draft, options: dict[str, Any]) -> None:
    if "password" in options and not options.get("username"):
        draft.note("sink.password_credential", "expected a username with it, got none")
    for option, value in options.items():
        # One by one, to know which it is; but the two pauses bound each other.
        alone = option not in _PAUSES
        given = {option: value} if alone else {pause: options[pause] for pause in _PAUSES if pause in options}
        with draft.noting(_PLACES.get(option, f"sink.{option}")):
            check_mqtt(device="any", **given)
    if options.get("keepalive_s", 0) > _MOST_KEEPALIVE_S:
        draft.note("sink.keepalive_s", f"expected at most {_MOST_KEEPALIVE_S}, got {options['keepalive_s']}")
    if options.get("full") == "wait":
        draft.note("spool.full", "expected oldest or newest, got wait: a sensor does not wait")
    if not options.get("spool", "/").startswith("/"):
        draft.note("spool.path", f"expected a folder's path from / on, got {_shown(options['spool'])}")
    _check_certificates(draft, options)


def _check_certificates(draft: _Draft, options: dict[str, Any]) -> None:
    url = draft.value("sink.url")
    given: dict[str, Any] = {key: options[key] for key in ("ca", "cert", "key") if key in options}
    if given and url.lower().startswith("mqtt:"):
        draft.note("sink.url", f"expected mqtts:// with {', '.join(given)}, got mqtt://")
        return
    if ("cert" in given) != ("sink.key_credential" in draft.values):
        draft.note("sink.url", "expected cert and key_credential together: a certificate and its key, got one of them")
        return
    broker = Broker("broker", 0, tls=True)
    for keys in (("ca",), ("cert", "key")):
        if all(key in given for key in keys):
            files = {key: given[key] for key in keys}
            with draft.noting(f"sink.{keys[0]}"):
                for path in files.values():
                    if b"ENCRYPTED" in _content(Path(path), MAX_FILE_BYTES * 16)[0]:
                        raise InputError(f"{path}: expected a key without a password, got an encrypted one")
                tls_context(replace(broker, **files))


def _credential(draft: _Draft, name: str, secret: bool) -> str:
    """Return what a credential holds, or its path; raise InputError or OSError where it cannot be used."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", name):
        # It is not repeated: it may be the secret itself.
        raise InputError(f"expected the name of a file in {draft.path.parent / 'credentials'}, got something else")
    source = draft.path.parent / "credentials" / name
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    # What LoadCredential=motionsig:FOLDER makes of FOLDER/NAME. It leaves out links and names that begin with a dot.
    file = Path(given, f"motionsig_{name}") if given else source
    try:
        content, status = _content(file, MAX_SECRET_BYTES * 16)
    except FileNotFoundError as error:
        hint = f"; it is made from {source} when the service starts, and a link there is left out" if given else ""
        raise InputError(f"expected a file {file}, got none{hint}") from error
    # systemd 254 and later gives its copy to the service by an access list, whose mask stat shows as the group's bits.
    if status.st_mode & (0o007 if given else 0o077):
        raise InputError(f"{file}: expected a file that only its owner can read; type chmod 600 {file}")
    if given and _is_open(source):
        raise InputError(f"{source}: expected a file that only its owner can read; type chmod 600 {source}")
    if not secret:
        return str(file)
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content or len(content) > MAX_SECRET_BYTES or b"\0" in content:
        raise InputError(f"{file}: expected 1 to {MAX_SECRET_BYTES} bytes without NUL, got {len(content)}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: expected UTF-8, got byte {error.start} that is not") from error


def _is_open(source: Path) -> bool:
    """Return whether others than its owner can read the file a credential was made from, as far as we can see it."""
    try:
        return bool(source.stat().st_mode & 0o077)
    except OSError:
        # Neither there nor to be seen: in a folder that is root's alone nobody else can read it, either.
        return False


def _check_status(draft: _Draft, scheme: str) -> str | None:
    port = draft.value("status.prometheus")
    if port and not 1024 <= port <= 65535:
        draft.note("status.prometheus", f"expected a port from 1024 to 65535, or 0 for none, got {port}")
    wanted = draft.value("status.home_assistant")
    if wanted is False:
        return None
    if scheme not in ("mqtt", "mqtts"):
        draft.note("status.home_assistant", f"expected a broker to announce it at, got {scheme}:")
    prefix: str = HOME_ASSISTANT if wanted is True else wanted
    with draft.noting("status.home_assistant"):
        check_mqtt(device="any", home_assistant=prefix)
    return prefix
