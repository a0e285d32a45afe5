"""Processes that look back for viewers: one at a time; those that ask for the same share one."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from motionsig.closing import Closing
from motionsig.control.asking import FAILED, AskError
from motionsig.control.child import LIMIT_S
from motionsig.encoders.trial import child_environment

MOST_WAITING = 8
"""Different things that are asked for at once; with more, somebody asks too much."""
_LOOK_S = 0.05  # so often it is looked whether the viewers are still there
_CODE = "from motionsig.control.child import main; main()"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class _Job:
    """Something that is asked for. viewers: who wait for it; without any it ends."""

    def __init__(self, task: bytes) -> None:
        self.task, self.viewers, self.done = task, 0, threading.Event()
        self.answer: dict[str, Any] = {}
        self.error: AskError | None = None


class Children(Closing):
    """Looks back in processes of its own; for any thread. `started` counts the processes."""

    def __init__(self) -> None:
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._jobs = dict[bytes, _Job]()
        self._closed = False
        self.started = 0

    def ask(self, name: str, *arguments: Any, gone: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """Return the answer of a task of `child`; gone: whether nobody waits for it any more.

        Raises AskError where there is none, also where the viewer is gone.
        """
        task = pickle.dumps((name, arguments))
        with self._lock:
            job = self._jobs.get(task)
            if job is None:
                if len(self._jobs) >= MOST_WAITING:
                    raise AskError(FAILED, f"expected at most {MOST_WAITING} to look back at once, got more: try again")
                job = self._jobs[task] = _Job(task)
                threading.Thread(target=self._do, args=(job,), name="motionsig-lookback", daemon=True).start()
            job.viewers += 1
        try:
            while not job.done.wait(_LOOK_S):
                if gone():
                    raise AskError(FAILED, "nobody waits for the answer any more")
        finally:
            with self._lock:
                job.viewers -= 1
        if job.error is not None:
            raise job.error
        return job.answer

    def _do(self, job: _Job) -> None:
        try:
            with self._turn:
                answer = self._run(job)
            if "ok" in answer:
                job.answer = answer["ok"]
            else:
                job.error = AskError(answer["kind"], answer["text"])
        except AskError as error:
            job.error = error
        except Exception as error:
            job.error = AskError(FAILED, f"expected to look back, got: {error}")
        finally:
            with self._lock:
                self._forget(job)
            job.done.set()

    def _forget(self, job: _Job) -> None:
        if self._jobs.get(job.task) is job:
            del self._jobs[job.task]

    def _is_left(self, job: _Job) -> bool:
        with self._lock:
            is_left = self._closed or not job.viewers
            if is_left:
                # Who asks for the same from here on gets another process.
                self._forget(job)
            return is_left

    def _run(self, job: _Job) -> dict[str, Any]:
        if self._is_left(job):
            raise AskError(FAILED, "nobody waits for the answer any more")
        self.started += 1
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _CODE],
            # The child imports what this process would; and its library of linear algebra starts no threads.
            env=child_environment(sys.path) | dict.fromkeys(_THREADS, "1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Of its own, so that Ctrl-C reaches the parent alone.
            start_new_session=True,
        )
        with child:
            until_s, given = time.monotonic() + LIMIT_S, job.task
            while True:
                try:
                    said, complaint = child.communicate(given, timeout=_LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    given = b""  # it is on its way
                    late = time.monotonic() > until_s
                    if late or self._is_left(job):
                        child.kill()
                        child.communicate()
                        raise AskError(
                            FAILED, _too_long() if late else "nobody waits for the answer any more"
                        ) from None
        if not said:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:]
            raise AskError(FAILED, f"expected to look back, got exit status {child.returncode}: {''.join(last)[:200]}")
        answer: dict[str, Any] = json.loads(said)
        return answer

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            self._closed = True


def _too_long() -> str:
    return f"expected an answer within {LIMIT_S:g} s, got none: ask for less time, or while the device does less"
