"""What a program says, read as it comes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

#: Seconds for which the last words of a program that has ended are waited for.
LIMIT = 10.0


class Log:
    """The last lines that a program has said. Whoever goes through them sees those of one moment."""

    def __init__(self, most: int):
        self._lines: deque[str] = deque(maxlen=most)
        self._readers: list[threading.Thread] = []

    def __iter__(self) -> Iterator[str]:
        # in one step: a thread that appends meanwhile would break a loop over the lines themselves
        return iter(list(self._lines))

    def append(self, line: str) -> None:
        self._lines.append(line.rstrip())

    def follow(self, stream) -> None:
        """Reads a stream to its end, in a thread of its own."""
        self.run(self._read, stream)

    def run(self, read, *arguments) -> None:
        """Has `read` take lines, in a thread of its own."""
        self._readers.append(threading.Thread(target=read, args=arguments, daemon=True))
        self._readers[-1].start()

    def _read(self, stream) -> None:
        for line in stream:
            self.append(line)

    def finish(self) -> None:
        """Waits until everything is read; to be called when the program has ended."""
        for reader in self._readers:
            # a child of the program may have its streams still
            reader.join(LIMIT)
