"""Jobs run in other processes or in this one, with the same result."""

from functools import partial

import pytest

from scripts.evaluate.jobs import spread

JOBS = {"two": partial(pow, 2, 3), "three": partial(pow, 3, 3), "four": partial(pow, 4, 3)}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_and_told_of(workers):
    told = {}
    done = spread(JOBS, told.__setitem__, workers=workers)
    assert list(done.items()) == [("two", 8), ("three", 27), ("four", 64)] and told == done


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_job_is_raised_and_the_next_jobs_still_run(workers):
    with pytest.raises(ZeroDivisionError):
        spread({"bad": partial(divmod, 1, 0)}, lambda name, result: None, workers=workers)
    assert spread({"two": partial(pow, 2, 3)}, lambda name, result: None, workers=workers) == {"two": 8}
