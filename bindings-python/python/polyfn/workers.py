"""Threads in which the functions of a blocking program run when peers call them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Job = Callable[[], object]
#: Seconds after which a thread without work ends.
_IDLE = 10.0


class Workers:
    """Starts a thread when none is free; they end when nothing is to do, and never keep a program alive.

    >>> done = threading.Event()
    >>> Workers("example").submit(done.set)
    >>> done.wait(5)
    True
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0

    def submit(self, job: Job) -> None:
        """Run a job; it must not raise."""
        with self._lock:
            starts = self._free == 0
            if not starts:
                self._free -= 1
        self._jobs.put(job)
        if starts:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE)
            except queue.Empty:
                with self._lock:
                    # Without a free one left, somebody counts on this thread: its job is on the way.
                    if self._free > 0:
                        self._free -= 1
                        return
                continue
            job()
            del job
            with self._lock:
                self._free += 1
