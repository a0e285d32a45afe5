"""A chip whose clock is off and drifts, and a reader that polls its FIFO late, slowly and now and then stalls.

What the time base is tested and measured against; every time is in ns of a monotonic clock of its own.
"""

from dataclasses import dataclass, field

import numpy as np

from motionsig.timebase import SETTLED_NS, TimeBase

STALL_NS = 200_000_000
RECORD_NS = 270_000  # twelve bytes at 400 kHz, nine clocks each


@dataclass
class Chip:
    """Samples whenever the phase passes an integer: skew, a slow swing over ten minutes, and warming up."""

    rate_hz: float
    skew: float = 0.0
    swing: float = 0.0
    warm: float = 0.0
    begin_ns: int = 1_000_000_000
    swing_at: float = 0.0
    swing_s: float = 600.0
    warm_s: float = 60.0
    losses_ns: tuple[int, ...] = ()
    made_up_ns: tuple[int, ...] = ()

    def rate_at(self, time_ns):
        s = (time_ns - self.begin_ns) / 1e9
        swing = self.swing * np.sin(2 * np.pi * s / self.swing_s + self.swing_at)
        return self.rate_hz * (1 + self.skew + swing + self.warm * np.exp(-s / self.warm_s))

    def phase(self, time_ns):
        """Return the samples taken, as a real number; the integer part is what a perfect FIFO counted."""
        s = (time_ns - self.begin_ns) / 1e9
        angle = 2 * np.pi / self.swing_s
        swing = self.swing / angle * (np.cos(self.swing_at) - np.cos(angle * s + self.swing_at))
        warm = self.warm * self.warm_s * (1 - np.exp(-s / self.warm_s))
        return self.rate_hz * ((1 + self.skew) * s + swing + warm) + 0.3

    def times_ns(self, n, first=0):
        """Return when samples first to first + n - 1 were taken, lost ones included (Newton's method)."""
        index = np.arange(first, first + n) + 1.0
        time_ns = self.begin_ns + index / self.rate_hz * 1e9
        for _ in range(6):
            time_ns = time_ns - (self.phase(time_ns) - index) / self.rate_at(time_ns) * 1e9
        return time_ns

    def count(self, time_ns):
        """Return the samples that reached the FIFO."""
        lost, made_up = (sum(time_ns > when for when in times) for times in (self.losses_ns, self.made_up_ns))
        return int(self.phase(time_ns)) - lost + made_up


@dataclass
class Reader:
    """Polls on its own clock. lateness_ns: least and most oversleeping. reading_ns: what a level reading takes.

    latch: place within a reading at which the level is latched. stalls: the chance that a sleep or a reading takes
    200 ms more.
    """

    chip: Chip
    base: TimeBase
    seed: int = 0
    lateness_ns: tuple[int, int] = (50_000, 2_000_000)
    reading_ns: tuple[int, int] = (150_000, 250_000)
    latch: float = 0.6
    stalls: float = 0.01
    drain_ns: int = 100_000_000
    hold_ns: int = 5_000_000_000
    aimed: bool = True
    readings: list = field(default_factory=list)
    stamps: list = field(default_factory=list)
    rates: list = field(default_factory=list)

    def __post_init__(self):
        self.random = np.random.default_rng(self.seed)
        self.now_ns = self.chip.begin_ns
        self.flushed = 0
        self.stamped = 0

    def _pass(self, least_ns, most_ns):
        self.now_ns += int(self.random.integers(least_ns, most_ns + 1))
        if self.random.random() < self.stalls:
            self.now_ns += STALL_NS

    def read(self):
        before_ns = self.now_ns
        took = int(self.random.integers(self.reading_ns[0], self.reading_ns[1] + 1))
        early, late = (self.random.random(2) < self.stalls / 2) * STALL_NS
        latched_ns = before_ns + early + int(took * self.latch)
        self.now_ns = int(before_ns + early + took + late)
        count = self.chip.count(latched_ns) - self.flushed
        self.base.observe(count, before_ns, self.now_ns)
        self.readings.append((count, before_ns, self.now_ns))
        return count

    def run(self, seconds):
        """Poll, and every drain_ns read and stamp what is there, the first samples once their times are settled."""
        end_ns, give_up_ns = (self.now_ns + round(seconds * 1e9), self.now_ns + self.hold_ns)
        due_ns = self.now_ns
        while self.now_ns < end_ns:
            count = self.read()
            if self.base.slipped:
                break
            if self.now_ns >= due_ns:
                new = count - self.stamped
                if new and (self.base.uncertainty_ns(self.stamped, new) <= SETTLED_NS or self.now_ns >= give_up_ns):
                    self.drain(new)
                due_ns += self.drain_ns * (1 + (self.now_ns - due_ns) // self.drain_ns)
            target_ns = self.base.next_poll_ns(due_ns) if self.aimed else due_ns
            self.now_ns = max(self.now_ns, target_ns)
            self._pass(*self.lateness_ns)
        return self

    def drain(self, n):
        """Take n samples and stamp them."""
        self.now_ns += n * RECORD_NS
        if not self.stamped:
            self.missed_at_first = self.base.missed(0)
        stamps = self.base.stamp(self.stamped, n, self.now_ns)
        assert stamps[-1] <= self.now_ns
        self.stamps.append(stamps)
        self.stamped += n
        self.rates.append((self.now_ns, self.base.rate_hz))

    def flush(self, after_s=0.0):
        """Empty the FIFO unread after a while and begin a new segment."""
        self.now_ns += round(after_s * 1e9)
        self.flushed = self.chip.count(self.now_ns)
        self.base.restart()
        self.stamped = 0
        self.stamps, self.rates, self.readings = [], [], []

    def errors_ns(self):
        """Return how far the stamps since the last flush are from the truth, in order."""
        stamps = np.concatenate(self.stamps)
        return stamps - self.chip.times_ns(len(stamps), self.flushed)

    def rate_errors(self, after_s):
        """Return how far the rate was from the true one of that instant, at each drain after so long."""
        time_ns, rate_hz = np.array(self.rates).T
        return (rate_hz / self.chip.rate_at(time_ns) - 1)[time_ns >= self.chip.begin_ns + after_s * 1e9]
