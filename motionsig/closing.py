"""What is opened and has to be closed: `with` closes it at the end of its block."""

from __future__ import annotations

from typing import Protocol, Self


class Closing(Protocol):
    """A context manager that ends with `close`, whatever happened in the block."""

    def close(self) -> None:
        """Let go of what was opened; closing again is harmless. Here there is nothing to let go of."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
