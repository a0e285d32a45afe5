"""Jobs run in other processes or in this one, with the same result."""

import subprocess
import sys
import time
from functools import partial

import pytest
from processes import is_running

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


def test_a_worker_ends_when_the_evaluation_is_killed():
    asked = (
        "import os; from functools import partial; from scripts.evaluate.jobs import spread\n"
        "if __name__ == '__main__':\n"
        "    say = lambda name, pid: print(pid, flush=True)\n"
        "    spread({'pid': os.getpid}, say, workers=2)\n"
        "    import time; spread({'long': partial(time.sleep, 600)}, say, workers=2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", asked], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = process.stdout.readline().strip()
        assert pid and pid != str(process.pid)
        process.kill()
    until = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < until, "the worker went on alone"
        time.sleep(0.05)
