"""What was checked, and whether it is so."""

from dataclasses import dataclass, field


@dataclass
class Checks:
    rows: list[tuple[bool, str, str]] = field(default_factory=list)

    def __call__(self, what: str, so: bool, figure: object = "") -> None:
        self.rows.append((bool(so), what, str(figure)))
        print(line(self.rows[-1]), flush=True)

    @property
    def well(self) -> bool:
        return bool(self.rows) and all(so for so, *_ in self.rows)


def line(row: tuple[bool, str, str]) -> str:
    so, what, figure = row
    return f"{'true' if so else 'FALSE':6}{what}{': ' if figure else ''}{figure}"
