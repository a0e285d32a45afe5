"""`motionsig models`: what is shipped and installed, and what is known of it; installing, going back, signing.

A model or folder whose name is that of an action is given as ./NAME.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motionsig.cli.models import changing, showing
from motionsig.cli.option import option
from motionsig.encoders.signing import KEYS_FOLDER

_ACTIONS = ("show", "install", "rollback", "sign")


def completed(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with the action `show` put in where a model stands in an action's place."""
    places = [place for place, word in enumerate(words) if not word.startswith("-")][:2]
    shown = len(places) == 2 and words[places[0]] == "models" and words[places[1]] not in _ACTIONS
    return [*words[: places[1]], "show", *words[places[1] :]] if shown else list(words)


def add_to(commands: Any) -> None:
    about = "models: shipped and installed ones, their cards; installing them"
    parser = commands.add_parser("models", help=about, description=__doc__)
    option(parser, "--json", "the same as JSON; without NAME, all cards")
    parser.set_defaults(command=lambda options: showing.show_all(as_json=options.json))
    actions = parser.add_subparsers(metavar="NAME|PATH|ACTION")

    about = "one model's whole card and network; the word may be left out"
    show = actions.add_parser("show", help=about, description="Print one model's whole card and network.")
    show.add_argument("model", metavar="NAME|PATH", help="its name, its folder or a .tflite file")
    option(show, "--json", "the same as JSON", default=argparse.SUPPRESS)
    show.set_defaults(command=lambda options: showing.show(options.model, as_json=options.json))

    install = actions.add_parser(
        "install",
        help="verify a model, try it here, and make it the current one",
        description="Verify a model, try it on this machine, and make it the current one of its name. A running daemon "
        "takes it within seconds, and goes back by itself if it fails. The current model becomes the previous one; "
        "older ones are deleted. While one is installed, the shipped model of its name is not used. A version lower "
        "than any that was ever installed, or that is shipped, is refused without --lower: the way back is "
        "`sudo motionsig models rollback NAME`.",
    )
    files = "card.json, its files and card.json.sig; or their folder"
    install.add_argument("files", nargs="+", type=Path, metavar="FILE", help=files)
    option(install, "--unsigned", "do not look for a signature: anybody may have made it")
    option(install, "--lower", "take a version below one that was installed here before, or is shipped")
    keys = f"whose signature will do: ed25519 public keys, DIR/*.pem ({KEYS_FOLDER})"
    option(install, "--keys DIR", keys, type=Path, default=KEYS_FOLDER)
    where = "where models are installed ($MOTIONSIG_MODELS or /var/lib/motionsig-models)"
    option(install, "--into DIR", where, type=Path)
    install.set_defaults(command=changing.install)

    rollback = actions.add_parser(
        "rollback",
        help="make the previous model the current one",
        description="Make the previous model the current one, and the current one the previous. Where only one is "
        "installed, the shipped model of that name takes the other place: the first rollback goes back to it, a second "
        "one returns to what was installed. A running daemon takes it within seconds.",
    )
    rollback.add_argument("name", metavar="NAME")
    rollback.set_defaults(command=changing.rollback)

    sign = actions.add_parser(
        "sign",
        help="sign a model, away from the device",
        description="Write card.json.sig into a model's folder: an ed25519 signature over card.json, which holds the "
        "hashes of the other files. Raise `version` in card.json first: a device takes no lower one, and no two "
        "networks of the same. Keys: openssl genpkey -algorithm ed25519 -out PRIVATE.pem; openssl pkey -in PRIVATE.pem "
        f"-pubout -out PUBLIC.pem. Devices have PUBLIC.pem in {KEYS_FOLDER}.",
    )
    sign.add_argument("folder", type=Path, metavar="FOLDER")
    option(sign, "--key PRIVATE.pem", "a private key that only its owner can read", type=Path, required=True)
    sign.set_defaults(command=changing.sign)
