"""What the evaluation needs beyond the model and the data: the peers' packages, and TensorFlow for what is taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.evaluate.transform import Peer, Teach
from scripts.train.clock import Say


@dataclass(frozen=True)
class Rivals:
    """peers: by name, each fitted on windows. untaught: the network with random weights, its norms set on windows.

    teacher: folder of the sets, and who is told how far it is, to what trains a network without some of them.
    """

    peers: Mapping[str, Peer]
    untaught: Peer
    teacher: Callable[[Path, Say], Teach]


def all_rivals() -> Rivals:
    """Return them all. Raises ModuleNotFoundError where a package is missing; importing takes seconds."""
    from scripts.evaluate import taught
    from scripts.evaluate.peers import PEERS

    return Rivals(PEERS, taught.untaught, taught.teacher)
