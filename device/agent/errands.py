"""Carrying by hand, as an officer asks for it on the screen: which sticks are in, and an errand to one.

A stick may be slow, full, broken or gone at any moment, so a thread of its own touches it, never the desk's;
what it finds is posted there. What an errand has written is whole at every moment, so one that ends early is
simply done again.
"""

import errno
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain

import structlog

from device.agent import courier
from device.agent.courier import Moved
from device.agent.learnt import with_learnt
from device.agent.setup import Setup
from device.agent.snapshot import Courier, Errand, ErrandKind, ErrandProblem, StickLine
from device.agent.workers import Post
from device.errors import Code, KitError, Refused
from device.spool.stick import NoStick, Stick
from device.spool.sticks import Found

LOOK_S = 2.0
"""How often the sticks are looked at while the screen is open."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

log = structlog.get_logger()


class Errands:
    """Its methods are for the desk's thread; `view` is None while nobody looks."""

    def __init__(self, setup: Setup, post: Post) -> None:
        self._setup, self._spool, self._clock = setup, setup.spool, setup.clock
        self._post = post
        self.view: Courier | None = None
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._halt = threading.Event()
        self._looks_at = 0.0
        self._looking = False
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self.view is not None and self.view.errand is not None and self.view.errand.state == "running"

    def open(self) -> None:
        if self.view is None:
            self.view, self._looks_at = Courier(None, None), 0.0
            self._tick()

    def close(self) -> None:
        """Nobody looks any more. An errand under way ends after the file at hand."""
        self._halt.set()
        self.view = None

    def start(self, what: ErrandKind, name: str) -> None:
        """Refused not-now while the screen is closed, one is under way, or that stick is not in."""
        if self.view is None or self.is_running or name not in {line.name for line in self.view.sticks or ()}:
            raise Refused(Code.NOT_NOW)
        log.info("errand", what=what)
        halt = self._halt = threading.Event()
        self._show(Errand(what, name, "running"))
        self._do(partial(self._run, what, name, halt))

    def tick(self) -> None:
        if self.view is not None and self._clock.monotonic() >= self._looks_at:
            self._tick()

    def end(self, seconds: float) -> None:
        self.close()
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(seconds)

    # --- the desk's thread, told by ours --------------------------------------------------------------

    def _tick(self) -> None:
        self._looks_at = self._clock.monotonic() + LOOK_S
        if not self.is_running and not self._looking:
            self._looking = True
            self._do(self._look)

    def _found(self, found: list[Found]) -> None:
        self._looking = False
        if self.view is not None:
            lines = tuple(
                StickLine(each.name, each.packets, each.receipts, each.free_mb, each.state) for each in found
            )
            waiting = len(courier.to_carry(self._spool))
            self.view = replace(self.view, sticks=lines, waiting=waiting)

    def _told(self, halt: threading.Event, errand: Errand) -> None:
        if halt is self._halt and self.view is not None:
            self._show(errand)
            if errand.state != "running":
                self._looks_at = 0.0  # what lies on it now

    def _show(self, errand: Errand) -> None:
        assert self.view is not None
        self.view = replace(self.view, errand=errand)

    def _do(self, work: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="errands", daemon=True)
            self._thread.start()
        self._asked.put(work)

    # --- our own thread -------------------------------------------------------------------------------

    def _work(self) -> None:
        while (work := self._asked.get()) is not None:
            try:
                work()
            except BaseException as bug:
                self._post(partial(_raise, bug))  # a bug ends the program, on the desk's thread as any other
                raise

    def _look(self) -> None:
        self._post(partial(self._found, self._setup.sticks.found()))

    def _run(self, what: ErrandKind, name: str, halt: threading.Event) -> None:
        errand = Errand(what, name, "running")
        try:
            path = self._setup.sticks.path_of(name)
            if path is None:
                raise NoStick(errno.ENODEV, "gone")
            with Stick(path, make=what == "export") as stick:
                for count, moved in self._walk(what, stick):
                    errand = _after(errand, count, moved)
                    self._post(partial(self._told, halt, errand))
                    if halt.is_set():
                        break
            errand = replace(errand, state="done")
        except KitError as problem:
            word: ErrandProblem = "kit-full" if problem.code == Code.DISK_FULL else "no-keys"
            errand = replace(errand, state="failed", problem=word)
        except NoStick as problem:
            other: ErrandProblem = "full" if what == "export" else "nothing"  # too many files, or no folder
            errand = replace(errand, state="failed", problem="gone" if problem.errno else other)
        except OSError as problem:
            errand = replace(errand, state="failed", problem=_word(problem))
        log.info("errand-ended", what=what, state=errand.state, problem=errand.problem, files=errand.done)
        self._post(partial(self._told, halt, errand))

    def _walk(self, what: ErrandKind, stick: Stick) -> Iterator[tuple[int, Moved | None]]:
        """How many files there are in all, with each that was dealt with; first with none yet."""
        now = self._clock.now()
        if what == "export":
            count = len(courier.to_carry(self._spool))
            walk = courier.export_packets(self._spool, stick)
        else:
            receipts = stick.receipts()
            count = len(stick.packets()) + len(receipts)
            roots = courier.read_roots(self._setup.roots)
            if self._setup.signing is not None:
                roots = with_learnt(roots, self._setup.signing.held)
            walk = courier.import_packets(self._spool, stick, roots, now)
            if receipts:
                keys = self._setup.recipients.receipt_keys(now)
                walk = chain(walk, courier.import_receipts(self._spool, stick, keys, self._setup.kit.kit_id))
        yield count, None
        for moved in walk:
            yield count, moved


def _after(errand: Errand, count: int, moved: Moved | None) -> Errand:
    if moved is None:
        return replace(errand, of=count)
    done, is_taken = errand.done + 1, moved.outcome == "taken"
    return replace(
        errand,
        done=done,
        of=max(count, done),
        packets=errand.packets + (is_taken and moved.what == "packet"),
        receipts=errand.receipts + (is_taken and moved.what == "receipt"),
        there=errand.there + (moved.outcome == "there"),
        others=errand.others + (moved.outcome == "not-ours"),
        refused=(*errand.refused, courier.why(moved.code)) if moved.outcome == "refused" else errand.refused,
    )


def _raise(bug: BaseException) -> None:
    raise bug


def _word(problem: OSError) -> ErrandProblem:
    if problem.errno in _FULL:
        return "full"
    return "read-only" if problem.errno == errno.EROFS else "gone"
