"""How the times of rows go on: at which rate, one stamp for each row, or packets stamped as they arrive.

A packet's rows have one stamp, or stamps that follow each other much faster than the packets do; so does a clock that
is coarser than the samples. The rate is never that inside a packet.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S

How = Literal["single", "packets", "bursts", "coarse", "unsteady"]

_FEW_REPEATS = 0.02
_MANY_REPEATS = 0.5
_STEADY = 0.7  # so many of the packets are alike
_INSIDE = 0.3  # of the mean step; steps inside a packet are shorter than that
_LONGEST_PACKET_NS = 1_500_000_000
_FAST_HZ = 1000  # inside a longer burst; slower ones are a device that sleeps between
_LEAST_PACKETS = 3
_EVEN = 0.9
_SEVERAL = 8
_LINE = 0.05  # by which rates along a line may differ


class Pace(NamedTuple):
    """What the times of the first rows show.

    * `rate_hz`: of samples. `even`: the part of the steps within a quarter of the period.
    * `how`: "single": each row has its own time; "packets": rows share one; "bursts": they come in bursts; "coarse":
      the clock counts in larger steps than the samples; "unsteady": neither, so that the rate is a mean.
    * `packet`: rows in a packet, the mean. `interval_ns`: between packets. `split_ns`: a longer step is between two.
    * `back`: the part of steps that run back. `repeated`: of those that stand still.
    """

    rate_hz: float
    even: float
    how: How = "single"
    packet: float = 1.0
    interval_ns: float = 0.0
    split_ns: int = 0
    back: float = 0.0
    repeated: float = 0.0


def rate_of(time_ns: NDArray[np.int64]) -> float | None:
    """Return the rate in Hz that times (n,) of samples show; None where they show none."""
    found = pace(time_ns)
    return None if found is None else found.rate_hz


def pace(time_ns: NDArray[np.int64]) -> Pace | None:
    """Return what times (n,) show; None where they do not rise at least twice."""
    steps = np.diff(time_ns)
    rising = steps[steps > 0].astype(np.float64)
    if len(rising) < 2:
        return None
    back, repeated = float((steps < 0).mean()), float((steps == 0).mean())
    if repeated > _FEW_REPEATS:
        if found := _grouped(time_ns, 0):
            return found._replace(back=back, repeated=repeated)
        if repeated > _MANY_REPEATS:
            return None  # too few steps to tell
    if found := _bursts(time_ns, rising):
        return found._replace(back=back, repeated=repeated)
    # The mean of the steps near the median: robust against gaps, unbiased where a coarse clock knows only two steps.
    median = float(np.median(rising))
    near = rising[(rising > 0.5 * median) & (rising < 1.5 * median)]
    if not len(near):
        # The median lies between steps that are far apart.
        return Pace(NS_PER_S / float(rising.mean()), 0.0, "unsteady", back=back, repeated=repeated)
    period = float(near.mean())
    even = float((np.abs(rising - period) <= 0.25 * period).mean())
    if even < _EVEN:
        period = _over_several(time_ns, period)
        starts = np.flatnonzero(steps > 0) + 1
        if repeated > _FEW_REPEATS and (line := _line(time_ns, starts, period)):
            size = len(time_ns) / (len(starts) + 1)
            return Pace(line, even, "packets", size, size * NS_PER_S / line, back=back, repeated=repeated)
    if len(near) < 0.5 * len(rising):
        # No step is like the others: all that is known is how many rows there are in a time without long pauses.
        usual = rising[rising < 20 * rising.mean()]
        return Pace(NS_PER_S / float(usual.mean()), even, "unsteady", back=back, repeated=repeated)
    return Pace(NS_PER_S / period, even, back=back, repeated=repeated)


def _over_several(time_ns: NDArray[np.int64], period: float) -> float:
    """Return the period over several rows, which jitter bends less than one step."""
    spans = (time_ns[_SEVERAL:] - time_ns[:-_SEVERAL]).astype(np.float64)
    if len(spans) < 2 * _SEVERAL:
        return period
    median = float(np.median(spans))
    near = spans[np.abs(spans - median) < 0.75 * median / _SEVERAL]
    found = float(near.mean() if len(near) else median) / _SEVERAL
    return found if found > 0 else period


def _bursts(time_ns: NDArray[np.int64], rising: NDArray[np.float64]) -> Pace | None:
    mean = float(rising[rising <= np.quantile(rising, 0.999) * 3].mean())
    inside, between = rising[rising <= mean], rising[rising > mean]
    if len(between) < _LEAST_PACKETS or np.median(inside) > _INSIDE * mean:
        return None
    split = int(np.sqrt(float(np.median(inside)) * float(np.median(between))))
    found = _grouped(time_ns, split)
    if found is None or found.how == "unsteady":
        return None
    fast = NS_PER_S / float(np.median(inside)) > _FAST_HZ
    return found._replace(how="bursts") if found.interval_ns <= _LONGEST_PACKET_NS or fast else None


def _grouped(time_ns: NDArray[np.int64], split_ns: int) -> Pace | None:
    """Return the pace of packets, whose rows are at most `split_ns` apart; None where there are too few of them."""
    starts = np.flatnonzero(np.abs(np.diff(time_ns)) > split_ns) + 1
    if len(starts) < _LEAST_PACKETS:
        return None
    # From the start of one packet to that of the next: neither the first nor the last is cut.
    sizes, spans = np.diff(starts).astype(np.float64), np.diff(time_ns[starts]).astype(np.float64)
    sizes, spans = sizes[spans > 0], spans[spans > 0]
    if len(spans) < _LEAST_PACKETS - 1:
        return None
    usual = float(np.median(spans))
    whole = (spans > 0.5 * usual) & (spans < 1.5 * usual)
    if not whole.any():
        return None  # the median of two spans lies between them
    size, interval = float(sizes[whole].mean()), float(spans[whole].mean())
    if size < 1 + _FEW_REPEATS:
        return None
    steady = float((np.abs(spans - usual) <= 0.25 * usual).mean()) if split_ns == 0 else float(whole.mean())
    alike = float((np.abs(sizes[whole] - np.median(sizes[whole])) <= max(1.0, 0.1 * size)).mean())
    if np.median(sizes) == 1 and not (_counts(time_ns, usual) and _even(time_ns, starts, interval)):
        return None  # a row now and then with the time of the row before
    how: How = "coarse" if _counts(time_ns, usual) else "packets"
    if steady < _STEADY or alike < _STEADY:
        how = "unsteady"
        if line := _line(time_ns, starts, interval):
            how, size, interval = "packets", line * interval / NS_PER_S, interval
    return Pace(NS_PER_S * size / interval, alike, how, size, interval, split_ns)


def _line(time_ns: NDArray[np.int64], starts: NDArray[np.int64], interval: float) -> float | None:
    """Return the rate in Hz of packets that are not steady but all near one line; None where they are not."""
    ends = starts[1:] - 1  # the last row of a packet
    if len(ends) < 8 or (np.diff(time_ns) < 0).any():
        return None
    times = (time_ns[ends] - time_ns[0]).astype(np.float64)
    half = len(ends) // 2
    slopes = [np.polyfit(ends[part], times[part], 1)[0] for part in (slice(half), slice(half, None), slice(None))]
    period = float(slopes[2])
    off = times - period * ends
    # Lost packets would show as another rate in one half, or as a step.
    steady = period > 0 and abs(slopes[0] - slopes[1]) < 2 * _LINE * period
    near = float(np.ptp(off)) < max(4 * interval, 8 * period) and float(off.std()) < _LINE * float(np.ptp(times))
    return NS_PER_S / period if steady and near else None


def _even(time_ns: NDArray[np.int64], starts: NDArray[np.int64], interval: float) -> bool:
    """Tell whether rows come as evenly as a sensor's do under a coarse clock."""
    off = np.polyfit(starts, time_ns[starts] - time_ns[0], 1)
    return float(np.ptp(time_ns[starts] - time_ns[0] - np.polyval(off, starts))) < 2 * interval


def _counts(time_ns: NDArray[np.int64], step: float) -> bool:
    """Tell whether times are whole multiples of their usual step, as those of a clock that is too coarse are."""
    parts = time_ns / step
    return bool((np.abs(parts - np.rint(parts)) < 0.02).mean() > 0.98)
