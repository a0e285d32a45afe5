"""The FIFO of InvenSense's models, whose records keep the format they were written with."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from motionsig.sensors.simulated.models.invensense import Format, FormatFifo


@given(
    st.sampled_from(["oldest", "oldest-record", "newest"]),
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 12)),
            st.tuples(st.just("pop"), st.integers(0, 60)),
            st.tuples(st.just("size"), st.sampled_from([0, 6, 12, 14])),
        ),
        max_size=30,
    ),
)
def test_fifo_of_many_formats_is_a_queue_of_bytes(full, steps):
    fifo, capacity = FormatFifo(50, full), 50
    fifo.format = layout = Format(size=14)
    queue: deque[tuple[int, int, Format]] = deque()
    serial = 0
    for step, value in steps:
        if step == "size":
            fifo.format = layout = Format(size=value)
        elif step == "push":
            for at in range(serial, serial + value):
                if full != "newest" or len(queue) + layout.size <= capacity:
                    queue.extend((at, byte, layout) for byte in range(layout.size))
            while len(queue) > capacity:
                if full == "oldest":
                    queue.popleft()
                else:
                    gone = queue[0][0]
                    while queue and queue[0][0] == gone:
                        queue.popleft()
            if value:
                fifo.push(serial, value)
            serial += value
        else:
            fifo.pop(value)
            for _ in range(min(value, len(queue))):
                queue.popleft()
        assert fifo.level == len(queue)
        lying = [
            (at, byte, kind)
            for first, n, kind in fifo.peek(fifo.level)
            for at in range(first, first + n)
            for byte in range(kind.size)
        ]
        assert lying[fifo.skip :] == list(queue)
