"""`motionsig heads`: which heads there are, and how often they are wrong; removing, sending, taking and signing them.

A head is one of yours, or came with a model. Teaching makes one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from motionsig.cli.heads import changing, showing
from motionsig.cli.option import option
from motionsig.encoders.signing import KEYS_FOLDER


def add_to(commands: Any) -> None:
    about = "heads: which there are, their cards; sending and taking them"
    parser = commands.add_parser("heads", help=about, description=__doc__)
    option(parser, "--json", "the cards of all as JSON")
    parser.set_defaults(command=lambda options: showing.show_all(as_json=options.json))
    actions = parser.add_subparsers(metavar="ACTION")

    show = actions.add_parser("show", help="one head's whole card", description="Print one head's whole card.")
    show.add_argument("head", metavar="NAME|FOLDER")
    option(show, "--json", "the same as JSON", default=argparse.SUPPRESS)
    show.set_defaults(command=lambda options: showing.show(options.head, as_json=options.json))

    about = "Delete one of your heads, with the examples that it was taught with. There is no way back."
    remove = actions.add_parser("remove", help="delete one of your heads, its examples too", description=about)
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(command=changing.remove)

    export = actions.add_parser(
        "export",
        help="write a head into a file or a folder",
        description="Write a head into a new zip file or folder, for another machine. The signatures that it was "
        "taught with go along: they are personal data.",
    )
    export.add_argument("head", metavar="NAME|FOLDER")
    export.add_argument("out", type=Path, metavar="FILE.zip|FOLDER")
    export.set_defaults(command=changing.export)

    take = actions.add_parser(
        "import",
        help="verify a head, and make it one of yours",
        description="Verify the head in a zip file or a folder, and make it one of yours, under its own name. Only "
        "head.json, the file that it names and head.json.sig are read.",
    )
    take.add_argument("given", type=Path, metavar="FILE.zip|FOLDER")
    option(take, "--unsigned", "do not look for a signature: anybody may have made it")
    keys = f"whose signature will do: ed25519 public keys, DIR/*.pem ({KEYS_FOLDER})"
    option(take, "--keys DIR", keys, type=Path, default=KEYS_FOLDER)
    option(take, "--replace", "also in place of your head of that name, whose examples go")
    take.set_defaults(command=changing.take)

    sign = actions.add_parser(
        "sign",
        help="sign a head, away from the device",
        description="Write head.json.sig into a head's folder: an ed25519 signature over head.json, which holds the "
        "hash of the other file. Keys are those of models: `motionsig models sign --help`. A head that is taught again "
        "has to be signed again.",
    )
    sign.add_argument("folder", type=Path, metavar="FOLDER")
    option(sign, "--key PRIVATE.pem", "a private key that only its owner can read", type=Path, required=True)
    sign.set_defaults(command=changing.sign)
