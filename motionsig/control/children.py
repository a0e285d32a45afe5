"""Who looks back for viewers: one process, one thing after the other; those that ask for the same get one answer.

The process stays for a minute after what it did last, so that the next week, or a head that was made better, does not
wait for Python to start.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from motionsig.closing import Closing
from motionsig.control.asking import FAILED, AskError
from motionsig.control.child import LIMIT_S
from motionsig.encoders.trial import child_environment

MOST_WAITING = 8
"""Different things that are asked for at once; with more, somebody asks too much."""
STAY_S = 60.0
"""The process stays for so long after its last answer."""
_LOOK_S = 0.05  # so often it is looked whether the viewers are still there
_CLOSE_S = 2.0
_CODE = "from motionsig.control.child import main; main()"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class _Job:
    """Something that is asked for. viewers: who wait for it; without any it ends."""

    def __init__(self, task: bytes) -> None:
        self.task, self.viewers, self.done = task, 0, threading.Event()
        self.answer: dict[str, Any] = {}
        self.error: AskError | None = None


class Children(Closing):
    """Looks back in a process of its own; for any thread. `started` counts the processes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs = dict[bytes, _Job]()
        self._waiting = deque[_Job]()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None  # the thread's
        self._closed = False
        self.started = 0

    def ask(self, name: str, *arguments: Any, gone: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """Return the answer of a task of `child`; gone: whether nobody waits for it any more.

        Raises AskError where there is none, also where the viewer is gone.
        """
        task = pickle.dumps((name, arguments))
        with self._changed:
            job = self._jobs.get(task)
            if job is None:
                if len(self._jobs) >= MOST_WAITING:
                    raise AskError(FAILED, f"expected at most {MOST_WAITING} to look back at once, got more: try again")
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="motionsig-lookback", daemon=True)
                    self._thread.start()
                job = self._jobs[task] = _Job(task)
                self._waiting.append(job)
                self._changed.notify_all()
            job.viewers += 1
        try:
            while not job.done.wait(_LOOK_S):
                if gone():
                    raise AskError(FAILED, _NOBODY)
        finally:
            with self._changed:
                job.viewers -= 1
        if job.error is not None:
            raise job.error
        return job.answer

    def _work(self) -> None:
        """Do what is asked for, until nothing is for a minute."""
        while (job := self._next()) is not None:
            try:
                answer = self._answer(job)
                if "ok" in answer:
                    job.answer = answer["ok"]
                else:
                    job.error = AskError(answer["kind"], answer["text"])
            except AskError as error:
                job.error = error
            except Exception as error:
                job.error = AskError(FAILED, f"expected to look back, got: {error}")
            finally:
                with self._changed:
                    self._forget(job)
                job.done.set()

    def _next(self) -> _Job | None:
        """Return the next job; None where there is none for too long, and then this thread ends, and the process."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, STAY_S)
            if self._waiting:
                return self._waiting.popleft()
            # With the lock, so that who asks from here on gets another thread.
            self._thread = None
            self._end_child()
            return None

    def _forget(self, job: _Job) -> None:
        if self._jobs.get(job.task) is job:
            del self._jobs[job.task]

    def _is_left(self, job: _Job) -> bool:
        with self._changed:
            is_left = self._closed or not job.viewers
            if is_left:
                # Who asks for the same from here on gets another answer.
                self._forget(job)
            return is_left

    def _answer(self, job: _Job) -> dict[str, Any]:
        if self._is_left(job):
            raise AskError(FAILED, _NOBODY)
        stayed = self._child
        said = b"" if stayed is None else self._said(stayed, job)
        if not said:
            # One that stayed may have ended meanwhile: where memory is short, it goes first.
            self._child = self._start()
            said = self._said(self._child, job)
        if not said:
            raise AskError(FAILED, f"expected to look back, got {self._end_child()}")
        answer: dict[str, Any] = json.loads(said)
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        self._end_child()
        self.started += 1
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _CODE],
            # The child imports what this process would; and its library of linear algebra starts no threads.
            env=child_environment(sys.path) | dict.fromkeys(_THREADS, "1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Of its own, so that Ctrl-C reaches the parent alone.
            start_new_session=True,
        )

    def _said(self, child: subprocess.Popen[bytes], job: _Job) -> bytes:
        """Return the line with which the process answers; an empty one where it ends before that.

        Raises AskError where it takes too long, or nobody waits for it.
        """
        assert child.stdin is not None and child.stdout is not None
        given, taken = child.stdin.fileno(), child.stdout.fileno()
        os.set_blocking(given, False)
        poll = select.poll()
        poll.register(given, select.POLLOUT)
        poll.register(taken, select.POLLIN)
        left, said, until_s = memoryview(job.task), bytearray(), time.monotonic() + LIMIT_S
        while not said.endswith(b"\n"):
            late = time.monotonic() > until_s
            if late or self._is_left(job):
                self._end_child(0.0)
                raise AskError(FAILED, _too_long() if late else _NOBODY)
            for file, _ in poll.poll(1000 * _LOOK_S):
                if file == taken:
                    part = os.read(taken, 1 << 16)
                    if not part:
                        return b""
                    said += part
                    continue
                try:
                    left = left[os.write(given, left) :]
                except BrokenPipeError:
                    left = left[:0]  # what it said before comes yet
                if not left:
                    poll.unregister(given)
        return bytes(said)

    def _end_child(self, wait_s: float = 0.2) -> str:
        """Let the process end, or have it end after wait_s; return how it ended."""
        child, self._child = self._child, None
        if child is None:
            return "none"
        try:
            _, complaint = child.communicate(timeout=wait_s)  # this closes its input, with which it ends
        except subprocess.TimeoutExpired:
            child.kill()
            _, complaint = child.communicate()
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        return f"exit status {child.returncode}: {''.join(last)[:200]}"

    def close(self) -> None:
        """End what runs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(_CLOSE_S)


_NOBODY = "nobody waits for the answer any more"


def _too_long() -> str:
    return f"expected an answer within {LIMIT_S:g} s, got none: ask for less time, or while the device does less"
