"""What became of the signatures and events that a sink was given."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, repr=False)
class SinkCounts:
    """Numbers of signatures, at a broker of events, too, and bytes of the spool; zero where there is no such thing.

    accepted: taken by `publish`, and at a broker by `publish_events`. delivered: known to have arrived, also those left
    over from an earlier run. pending: accepted, not yet known to have arrived. dropped: given up because the spool was
    full or its disk failed; with full="oldest" after being accepted. duplicates: stored before, counted as delivered.
    unheard: of those delivered to a broker, those that nobody subscribes to, as far as it says so (MQTT 5).
    conflicts: other content than what is stored under the same key. recovered: left over from an earlier run.
    damaged_bytes: of the spool, unreadable. spool_bytes, spool_limit_bytes: what it takes up, and may at present.
    """

    accepted: int = 0
    delivered: int = 0
    pending: int = 0
    dropped: int = 0
    duplicates: int = 0
    conflicts: int = 0
    recovered: int = 0
    damaged_bytes: int = 0
    spool_bytes: int = 0
    spool_limit_bytes: int = 0
    unheard: int = 0

    def __repr__(self) -> str:
        """Show what is not zero."""
        counted = ", ".join(f"{name}={value}" for name, value in asdict(self).items() if value)
        return f"SinkCounts({counted})" if len(counted) < 188 else f"SinkCounts({counted[:185]}...)"
