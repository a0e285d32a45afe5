"""Work that needs no TensorFlow, spread over the processors, with one thread each.

Numpy's own threads make a probe over many features ten times slower than one thread does: each of its steps is short,
and the threads wait for one another.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from typing import TypeVar

from threadpoolctl import threadpool_limits

from motionsig.workers import end_with_parent

T = TypeVar("T")

MOST_WORKERS = 4
"""More would hold too many vectors in memory at once."""


def spread(
    jobs: Mapping[str, Callable[[], T]], told: Callable[[str, T], None], *, workers: int | None = None
) -> dict[str, T]:
    """Return what each job returned, in the order of `jobs`; `told` hears of each as soon as it is done.

    workers: None for as many as there are processors. With one, nothing is started and the jobs run in their order. The
    jobs and what they return must be picklable. An error of a job is raised, and no other job is begun.
    """
    workers = min(workers or len(os.sched_getaffinity(0)), MOST_WORKERS)
    done: dict[str, T] = {}
    if workers <= 1:
        with threadpool_limits(1):
            for name, job in jobs.items():
                done[name] = job()
                told(name, done[name])
        return done
    running = {_pool(workers).submit(_alone, job): name for name, job in jobs.items()}
    try:
        for future in as_completed(running):
            name = running[future]
            done[name] = future.result()
            told(name, done[name])
    finally:
        for future in running:
            future.cancel()
    return {name: done[name] for name in jobs}


@cache
def _pool(workers: int) -> ProcessPoolExecutor:
    """Return the processes that all jobs share: each imports for seconds, and compiles the kernels of MiniRocket.

    They are spawned, because a fork of a process in which TensorFlow has threads may hang.
    """
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)


def _alone(job: Callable[[], T]) -> T:
    with threadpool_limits(1):
        return job()
