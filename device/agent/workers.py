"""One thread per peripheral: it opens the driver, runs one job at a time and posts what became of it.

The thread is the only one that ever touches its driver. It answers by posting a callable to the desk's
inbox; a job that was given up (its worker was stuck) posts into a void, because the desk has forgotten its
worker. A stuck thread cannot be killed: it is left behind with its driver, and closes it should it ever
come back.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

import structlog

from device.errors import Code, KitError, Remedy
from device.ports import Clock, Condition

Post = Callable[[Callable[[], None]], None]

POLL_S = 2.0
"""How often an idle peripheral is asked how it is: an unplugged one is seen within this time."""
POLL_LIMIT_S = 15.0
"""Longest that opening a driver or asking its condition may take."""
GRACE_S = 3.0
"""How long after its deadline, or after a cancel, a capture may take to come back."""

_REOPEN = {Code.PERIPHERAL_ABSENT, Code.PERIPHERAL_GONE, Code.PERIPHERAL_PROTOCOL, Code.NO_READER}

log = structlog.get_logger()


class Peripheral(Protocol):
    def condition(self) -> Condition: ...
    def close(self) -> None: ...


P = TypeVar("P", bound=Peripheral)


@dataclass(frozen=True)
class Job(Generic[P]):
    """What to do with the driver, how long it may take, and whom to tell on the desk's thread."""

    run: Callable[[P], Callable[[], None]]  # on the worker's thread; returns what to do on the desk's thread
    failed: Callable[[KitError], None]
    limit_s: float


class Worker(Generic[P]):
    def __init__(
        self,
        name: str,
        open_driver: Callable[[], P],
        post: Post,
        noted: Callable[[str, Condition], None],
        clock: Clock,
    ) -> None:
        """`noted` is posted with the condition whenever the peripheral was asked."""
        self.name = name
        self._open_driver = open_driver
        self._post = post
        self._noted = noted
        self._clock = clock
        self._jobs: queue.SimpleQueue[Job[P] | None] = queue.SimpleQueue()
        self._driver: P | None = None
        self._lock = threading.Lock()
        self._must_end_at: float | None = None  # monotonic; of what runs now
        self._left = False
        self._thread = threading.Thread(target=self._work, name=f"worker-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job[P]) -> None:
        self._jobs.put(job)

    def ask(self, question: Callable[[P], bytes], patience_s: float) -> bytes:
        """Answer of a quick question, from any thread; KitError peripheral-busy when it does not come in
        time."""
        answer: Future[bytes] = Future()

        def run(driver: P) -> Callable[[], None]:
            if answer.set_running_or_notify_cancel():  # otherwise the one who asked has gone
                answer.set_result(question(driver))
            return _nothing

        self.submit(Job(run, partial(_fail, answer), patience_s + POLL_LIMIT_S))
        try:
            return answer.result(patience_s)
        except TimeoutError as late:
            answer.cancel()
            raise KitError(Code.PERIPHERAL_BUSY, Remedy.RETRY, f"{self.name} did not answer") from late

    def hurry(self, seconds: float) -> None:
        """What runs now must come back within this time (it was cancelled)."""
        with self._lock:
            if self._must_end_at is not None:
                self._must_end_at = min(self._must_end_at, self._clock.monotonic() + seconds)

    def is_stuck(self) -> bool:
        with self._lock:
            return self._must_end_at is not None and self._clock.monotonic() > self._must_end_at

    def leave(self) -> None:
        """End after what runs now, whenever that may be, and post nothing more."""
        with self._lock:
            self._left = True
        self._jobs.put(None)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _work(self) -> None:
        self._poll()
        while True:
            try:
                job = self._jobs.get(timeout=POLL_S)
            except queue.Empty:
                self._poll()
                continue
            if job is None:
                break
            self._run(job)
            if self._left:
                break
        self._close()

    def _run(self, job: Job[P]) -> None:
        self._limit(job.limit_s)
        try:
            told = job.run(self._opened())
        except KitError as problem:
            self._forget_after(problem)
            told = partial(job.failed, problem)
        except Exception as bug:  # noqa: BLE001  a driver's bug costs this capture, not the visit
            log.error("driver-bug", worker=self.name, kind=type(bug).__name__, place=_place(bug))
            self._close()
            told = partial(
                job.failed, KitError(Code.PERIPHERAL_PROTOCOL, Remedy.RETRY, f"{type(bug).__name__}")
            )
        self._limit(None)
        self._tell(told)

    def _poll(self) -> None:
        self._limit(POLL_LIMIT_S)
        try:
            condition = self._opened().condition()
        except KitError as problem:
            self._forget_after(problem)
            condition = Condition("missing", detail=str(problem.code))
        except Exception as bug:  # noqa: BLE001  as above
            log.error("driver-bug", worker=self.name, kind=type(bug).__name__, place=_place(bug))
            self._close()
            condition = Condition("missing", detail=str(Code.PERIPHERAL_PROTOCOL))
        self._limit(None)
        self._tell(partial(self._noted, self.name, condition))

    def _opened(self) -> P:
        if self._driver is None:
            self._driver = self._open_driver()
        return self._driver

    def _forget_after(self, problem: KitError) -> None:
        if problem.code in _REOPEN:
            self._close()

    def _close(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            try:
                driver.close()
            except KitError as problem:
                log.warning("driver-close", worker=self.name, code=str(problem.code))

    def _limit(self, seconds: float | None) -> None:
        with self._lock:
            self._must_end_at = None if seconds is None else self._clock.monotonic() + seconds

    def _tell(self, told: Callable[[], None]) -> None:
        with self._lock:
            if not self._left:
                self._post(told)


def _nothing() -> None:
    return


def _fail(answer: "Future[bytes]", problem: KitError) -> None:
    if answer.running() or answer.set_running_or_notify_cancel():
        answer.set_exception(problem)


def _place(bug: BaseException) -> str:
    """File and line of the bug; never its text, which may hold what was being handled."""
    trace = bug.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else ""
