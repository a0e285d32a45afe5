"""Local time to UTC, in the zone that the caller names."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError

_OFFSET = re.compile(r"(?:UTC|GMT)?(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?", re.IGNORECASE)
_QUARTER_NS = 900 * NS_PER_S  # zones change their offset at none but these


@dataclass(frozen=True)
class Zone:
    """A zone by name or offset; "UTC" and None are UTC."""

    name: str | None = None

    def __post_init__(self) -> None:
        """Raise InputError for a name that is no zone's."""
        self._info()

    def _info(self) -> dt.tzinfo:
        if self.name is None or self.name.upper() in ("UTC", "GMT", "Z"):
            return dt.UTC
        if match := _OFFSET.fullmatch(self.name.strip()):
            minutes = int(match["hours"]) * 60 + int(match["minutes"] or 0)
            if minutes < 24 * 60:
                return dt.timezone(dt.timedelta(minutes=minutes if match["sign"] == "+" else -minutes))
        else:
            import zoneinfo

            try:
                return zoneinfo.ZoneInfo(self.name)
            except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
                pass
        raise InputError(f"zone: expected a zone such as 'Europe/Berlin' or '+02:00', got {self.name!r}")

    def to_utc(self, local_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the Unix times of local times (n,), both ns; of an hour that comes twice, the first."""
        info = self._info()
        if info is dt.UTC:
            return local_ns
        quarters = local_ns // _QUARTER_NS
        kinds, which = np.unique(quarters, return_inverse=True)
        east = np.array([_east_ns(info, int(it) * 900) for it in kinds], np.int64)
        return local_ns - east[which.reshape(-1)]


def _east_ns(info: dt.tzinfo, local_s: int) -> int:
    offset = (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=local_s)).replace(tzinfo=info).utcoffset()
    return round(offset.total_seconds()) * NS_PER_S if offset else 0
