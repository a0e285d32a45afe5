"""The commands: thin callers of the library."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run one command in this process; return its exit code."""
    import time

    from motionsig.cli.command_line import run

    return run(arguments, time.monotonic())
