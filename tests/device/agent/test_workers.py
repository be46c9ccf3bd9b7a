"""A worker and its driver: what a driver does wrong while nobody captures anything."""

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from device.agent.clock import SystemClock
from device.agent.workers import Worker
from device.errors import Code, KitError, Remedy
from device.ports import Condition


class Gadget:
    """`trouble` is raised by whatever is asked next, once."""

    def __init__(self) -> None:
        self.trouble: BaseException | None = None
        self.closed = 0

    def condition(self) -> Condition:
        self._stumble()
        return Condition("ok", "Gadget")

    def look(self) -> bytes:
        self._stumble()
        return b"seen"

    def close(self) -> None:
        self.closed += 1
        raise KitError(Code.PERIPHERAL_GONE, Remedy.OFFICER, "already")

    def _stumble(self) -> None:
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble


class Bed:
    """A worker with an inbox that the test empties."""

    def __init__(self, *failures: KitError) -> None:
        self.gadget = Gadget()
        self.opened = 0
        self._failures = list(failures)
        self.inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.noted: list[Condition] = []
        self.worker: Worker[Gadget] = Worker(
            "gadget",
            self._open,
            self.inbox.put,
            lambda name, condition: self.noted.append(condition),
            SystemClock(),
        )

    def _open(self) -> Gadget:
        self.opened += 1
        if self._failures:
            raise self._failures.pop(0)
        return self.gadget

    def next_condition(self) -> Condition:
        before = len(self.noted)
        while len(self.noted) == before:
            self.inbox.get(timeout=10)()
        return self.noted[-1]


@pytest.fixture
def bed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    monkeypatch.setattr("device.agent.workers.POLL_S", 0.05)
    made = Bed(KitError(Code.PERIPHERAL_ABSENT, Remedy.OFFICER))
    made.worker.start()
    yield made
    made.worker.leave()
    made.worker.join(5)


def test_a_peripheral_that_is_not_there_yet_is_found_when_it_comes(bed: Bed) -> None:
    assert bed.next_condition() == Condition("missing", detail="peripheral-absent")
    assert bed.next_condition() == Condition("ok", "Gadget")
    assert bed.opened == 2


def test_a_bug_while_asking_how_it_is_makes_it_missing_and_opens_it_anew(bed: Bed) -> None:
    bed.next_condition()
    bed.next_condition()
    bed.gadget.trouble = ZeroDivisionError()
    while bed.next_condition().state == "ok":
        pass
    assert bed.noted[-1] == Condition("missing", detail="peripheral-protocol")
    assert bed.next_condition().state == "ok"
    assert (bed.gadget.closed, bed.opened) == (1, 3)


def test_a_quick_question_has_its_answer_or_the_drivers_failure(bed: Bed) -> None:
    bed.next_condition()
    bed.next_condition()
    assert bed.worker.ask(Gadget.look, 5) == b"seen"

    def fail(gadget: Gadget) -> bytes:
        raise KitError(Code.CAMERA_FROZEN, Remedy.RETRY)

    def stumble(gadget: Gadget) -> bytes:
        raise ZeroDivisionError

    for question, code in ((fail, Code.CAMERA_FROZEN), (stumble, Code.PERIPHERAL_PROTOCOL)):
        with pytest.raises(KitError) as problem:
            _ask(bed, question)
        assert problem.value.code is code
    assert bed.worker.ask(Gadget.look, 5) == b"seen"


def _ask(bed: Bed, question: Callable[[Gadget], bytes]) -> bytes:
    """The failure of a question comes through the inbox, which nobody else empties here."""
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                bed.inbox.get(timeout=0.1)()
            except queue.Empty:
                continue

    desk = threading.Thread(target=serve)
    desk.start()
    try:
        return bed.worker.ask(question, 5)
    finally:
        stop.set()
        desk.join()
