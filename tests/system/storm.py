"""Power cuts from a thread of its own: kill -9 and start again, while somebody plays on in another thread."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from provisioning.demo.processes import Programs

PATIENCE_S = 240


class Storm:
    """`strike` kills after `after_s` and starts again `down_s` later, one strike after the other."""

    def __init__(self, programs: Programs, thread: ThreadPoolExecutor) -> None:
        self._programs, self._thread = programs, thread
        self._strikes: list[Future[None]] = []

    @property
    def strikes(self) -> int:
        return len(self._strikes)

    def strike(self, name: str, after_s: float = 0.0, down_s: float = 0.0) -> None:
        self._strikes.append(self._thread.submit(self._cut, name, after_s, down_s))

    def calm(self) -> None:
        """Wait until everything is up again; what went wrong in the storm is raised here."""
        for strike in self._strikes:
            strike.result(PATIENCE_S)

    def _cut(self, name: str, after_s: float, down_s: float) -> None:
        time.sleep(after_s)
        self._programs.kill(name)
        time.sleep(down_s)
        self._programs.again(name)


@contextmanager
def storm(programs: Programs) -> Iterator[Storm]:
    """The one thread lives as long as the block: a program ends with the thread that started it."""
    with ThreadPoolExecutor(1, thread_name_prefix="storm") as thread:
        raging = Storm(programs, thread)
        try:
            yield raging
        finally:
            raging.calm()
