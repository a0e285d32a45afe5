"""How a command declares an option."""

from __future__ import annotations

from typing import Any


def option(parser: Any, names: str, text: str, **how: Any) -> None:
    """Declare an option. names: as in "-o --out FILE", or "--json" for one that takes no value. text: its help."""
    flags = [name for name in names.split() if name.startswith("-")]
    *_, last = names.split()
    takes = {"action": "store_true"} if last in flags else {"metavar": last}
    parser.add_argument(*flags, help=text, **takes | how)
