"""`hello` and `status`: what there is, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from motionsig.conventions import NS_PER_MS, NS_PER_S
from motionsig.errors import MotionsigError
from motionsig.version import VERSION

if TYPE_CHECKING:
    from motionsig.control.shared import Shared


def hello(control: Shared, _: Mapping[str, Any]) -> dict[str, Any]:
    """Return what there is: the device, its store, and the shape of its signatures."""
    loop = control.loop
    if loop is not None:
        card, hop = loop.card, loop.heads_hop
        name: str | None = loop.name
    else:
        from motionsig.encoders import find_model

        # Of a store alone it is the shipped model's; where signatures of another one are stored, `lookback` says so.
        card = find_model(None)
        hop, name = card.hop, None
    spec = card.spec
    return {
        "version": VERSION,
        "name": name,
        "live": loop is not None,
        "store": control.store,
        "why_no_store": control.why_no_store,
        "newest_ms": None if loop is not None else _newest_ms(control.store or ""),
        "hop_ms": round(1000 * hop / card.rate_hz),
        "length_ms": round(1000 * spec.length_ns / NS_PER_S),
        "dim": spec.quantization.dim,
        "motion": [0, spec.motion_dim],
        "posture": [spec.motion_dim, spec.quantization.dim],
    }


def _newest_ms(url: str) -> int | None:
    """Return when the newest signature begins that is stored, for a page that opens there; None where unknown."""
    from motionsig.publishers import split_url
    from motionsig.publishers.reading import store_newest_ns

    # Where the store is damaged, `lookback` says so.
    with suppress(MotionsigError, OSError):
        scheme, location, _ = split_url(url)
        if scheme == "store" and (newest_ns := store_newest_ns(location)) is not None:
            return newest_ns // NS_PER_MS
    return None


def status(control: Shared, _: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what `motionsig status --json` prints; None where no sensor runs."""
    return None if control.loop is None else control.loop.status
