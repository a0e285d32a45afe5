"""`motionsig models`: what is shipped and installed, and what is known of it; installing, going back, signing.

A model or folder whose name is that of an action is given as ./NAME.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motionsig.cli.models import changing, showing
from motionsig.encoders.signing import KEYS_FOLDER

_ACTIONS = ("show", "install", "rollback", "sign")


def completed(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with the action `show` put in where a model stands in an action's place."""
    places = [place for place, word in enumerate(words) if not word.startswith("-")][:2]
    shown = len(places) == 2 and words[places[0]] == "models" and words[places[1]] not in _ACTIONS
    return [*words[: places[1]], "show", *words[places[1] :]] if shown else list(words)


def add_to(commands: Any) -> None:
    """Declare the command, its actions and their options."""
    parser = commands.add_parser(
        "models", help="models: shipped and installed ones, their cards; installing them", description=__doc__
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON; without NAME, all cards")
    parser.set_defaults(command=lambda options: showing.show_all(as_json=options.json))
    actions = parser.add_subparsers(metavar="NAME|PATH|ACTION")
    _add_show(actions)
    _add_install(actions)
    _add_rollback(actions)
    _add_sign(actions)


def _add_show(actions: Any) -> None:
    parser = actions.add_parser(
        "show",
        help="one model's whole card and network; the word may be left out",
        description="Print one model's whole card and network.",
    )
    parser.add_argument("model", metavar="NAME|PATH", help="its name, its folder or a .tflite file")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="the same as JSON")
    parser.set_defaults(command=lambda options: showing.show(options.model, as_json=options.json))


def _add_install(actions: Any) -> None:
    parser = actions.add_parser(
        "install",
        help="verify a model, try it here, and make it the current one",
        description="Verify a model, try it on this machine, and make it the current one of its name. A running daemon "
        "takes it within seconds, and goes back by itself if it fails. The current model becomes the previous one; "
        "older ones are deleted. While one is installed, the shipped model of its name is not used. A version lower "
        "than the installed or shipped one is refused: the way back is `sudo motionsig models rollback NAME`.",
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="card.json, its files and card.json.sig; or their folder"
    )
    parser.add_argument("--unsigned", action="store_true", help="do not look for a signature: anybody may have made it")
    parser.add_argument(
        "--keys",
        type=Path,
        default=KEYS_FOLDER,
        metavar="DIR",
        help=f"whose signature will do: ed25519 public keys, DIR/*.pem ({KEYS_FOLDER})",
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="DIR",
        help="where models are installed ($MOTIONSIG_MODELS or /var/lib/motionsig-models)",
    )
    parser.set_defaults(command=changing.install)


def _add_rollback(actions: Any) -> None:
    parser = actions.add_parser(
        "rollback",
        help="make the previous model the current one",
        description="Make the previous model the current one, and the current one the previous. Where only one is "
        "installed, the shipped model of that name takes the other place: the first rollback goes back to it, a second "
        "one returns to what was installed. A running daemon takes it within seconds.",
    )
    parser.add_argument("name", metavar="NAME")
    parser.set_defaults(command=changing.rollback)


def _add_sign(actions: Any) -> None:
    parser = actions.add_parser(
        "sign",
        help="sign a model, away from the device",
        description="Write card.json.sig into a model's folder: an ed25519 signature over card.json, which holds the "
        "hashes of the other files. Raise `version` in card.json first: a device takes no lower one, and no two "
        "networks of the same. Keys: openssl genpkey -algorithm ed25519 -out PRIVATE.pem; openssl pkey -in PRIVATE.pem "
        "-pubout -out PUBLIC.pem. Devices have PUBLIC.pem in " + f"{KEYS_FOLDER}.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="PRIVATE.pem", help="a private key that only its owner can read"
    )
    parser.set_defaults(command=changing.sign)
