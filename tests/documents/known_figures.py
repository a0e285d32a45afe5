"""The figures that documents may name without a link: what the product's code and files set, and facts from outside."""

from __future__ import annotations

import os
import re

from checked_figures import FIGURE, Fact, Setting
from documents import ROOT

SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and os.access(path, os.X_OK))


def head_of(script: str) -> str:
    """Return what a script says of itself with --help, in one line."""
    text = (ROOT / "scripts" / script).read_text(encoding="utf-8")
    shell = re.match(r"#!/usr/bin/env bash\n((?:#.*\n)+)", text)
    return " ".join(re.sub(r"^# ?", "", shell[1], flags=re.M).split() if shell else text.split('"""')[1].split())


def _scripts_own() -> list[Setting]:
    """Return what each script says of how long it takes."""
    heads = {script: head_of(script) for script in SCRIPTS}
    heads |= {f"-m scripts.{name}": head_of(f"{name}/__main__.py") for name in ("train", "evaluate")}
    return [
        Setting(rf"(?:scripts/|(?=-)){script}\b", lambda figure=found[0]: figure.lower())
        for script, head in heads.items()
        for found in FIGURE.finditer(head)
    ]


SETTINGS: tuple[Setting, ...] = (*_scripts_own(),)

FACTS: tuple[Fact, ...] = ()
