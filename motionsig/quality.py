"""What is flagged of a signature: how it came to be."""

from __future__ import annotations

from enum import IntFlag


class Quality(IntFlag):
    """Flags that say how a signature came to be.

    >>> data[250] = np.nan  # a lost sample
    >>> signatures = motionsig.extract(data, rate_hz=100)
    >>> [bool(flags & motionsig.Quality.BRIDGED) for flags in signatures.quality]
    [True, True, False, False, False, False]
    """

    CLEAR = 0
    BRIDGED = 1
    """Lost samples were filled in by a straight line: a loss that the model's card allows (`max_gap_s`)."""
    EDGE_TPU = 2
    """An Edge TPU ran the network; without this flag a CPU did. Their codes may differ in the last bits."""
