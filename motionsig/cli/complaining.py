"""How a command says what went wrong: on standard error, in one line; the questions of a log have a line each."""

from __future__ import annotations

import sys

from motionsig.escaping import escaped


def complain(error: object, more: str = "") -> None:
    """Print an error; more: what stands behind it."""
    # Not by the class, UndecidedError, whose module takes a tenth of a second to import.
    asks = getattr(error, "understanding", None) is not None
    lines = str(error).split("\n") if asks else [" ".join(str(error).split()) + more]
    print("motionsig:", "\n".join(map(escaped, lines)), file=sys.stderr)
