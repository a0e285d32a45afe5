"""`hello` and `status`: what there is, and how it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from motionsig.conventions import NS_PER_S
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
        "hop_ms": round(1000 * hop / card.rate_hz),
        "length_ms": round(1000 * spec.length_ns / NS_PER_S),
        "dim": spec.quantization.dim,
        "motion": [0, spec.motion_dim],
        "posture": [spec.motion_dim, spec.quantization.dim],
    }


def status(control: Shared, _: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what `motionsig status --json` prints; None where no sensor runs."""
    return None if control.loop is None else control.loop.status
