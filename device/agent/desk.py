"""The desk: one thread that owns every visit of this kit. Everybody else posts to it and reads snapshots."""

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import TypeVar

from device.agent.events import Wish
from device.agent.front import CaptureKind
from device.agent.holder import Entered
from device.agent.key_sealing import Answer
from device.agent.office import Office
from device.agent.screen import Screen
from device.agent.setup import Setup
from device.agent.snapshot import ErrandKind, Gate, Snapshot
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Finger, Hand

TICK_S = 0.25
"""How often the desk looks at what has no messages: waits, idle time, stuck workers."""

T = TypeVar("T")


class Desk:
    """Implements `Front`; its methods may be called from any thread."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._screen = Screen(Snapshot(0, Gate((), 0, 0), None, (), "", None, None, None))
        self._stopping = threading.Event()
        self._ready: Future[None] = Future()
        self._office: Office | None = None
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._bell = threading.Thread(target=self._listen, name="bell", daemon=True)
        self.ended = threading.Event()
        self.bug: BaseException | None = None
        self.turns = 0  # of the thread that owns the visit: it works as long as they grow

    def open(self) -> None:
        """Open the vault and tell every visit from the journal. KitError vault-damaged, disk-full,
        bad-config."""
        self._thread.start()
        self._ready.result()
        self._bell.start()

    def close(self, seconds: float = 2.0) -> None:
        """End what runs, close the peripherals and the vault; returns within about `seconds`."""
        self._stopping.set()
        self._inbox.put(lambda: None)
        self._thread.join(seconds)
        if self._bell.is_alive():
            self._bell.join(1.0)

    # --- Front ----------------------------------------------------------------------------------------

    def now(self) -> Snapshot:
        return self._screen.now()

    def after(self, version: int, seconds: float) -> Snapshot:
        return self._screen.after(version, seconds)

    def unlock(self, officer_id: str, pin: str) -> None:
        self._ask(lambda office: office.unlock(officer_id, pin))

    def show_card(self, officer_id: str) -> None:
        self._ask(lambda office: office.show_card(officer_id))

    def enter_officer_pin(self, entry: str, pin: bytearray, last_try: bool) -> None:
        entered = Entered(pin)
        try:
            self._ask(lambda office: office.sign_in.enter(entry, entered, last_try))
        except BaseException:
            entered.drop()
            raise

    def hide_card(self) -> None:
        self._ask(lambda office: office.hide_card())

    def lock(self) -> None:
        self._ask(lambda office: office.lock())

    def change_pin(self, old: str, new: str) -> None:
        self._ask(lambda office: office.ways.change_pin(office.counter.session, old, new))

    def challenge(self, officer_id: str) -> str:
        return self._ask(lambda office: office.ways.challenge(officer_id))

    def recover(self, officer_id: str, code: str, pin: str) -> None:
        self._ask(lambda office: office.ways.recover(officer_id, code, pin))

    def enrol(self, officer_id: str, code: str, pin: str) -> None:
        self._ask(lambda office: office.enrol(officer_id, code, pin))

    def choose(self, visit_id: str) -> None:
        self._ask(lambda office: office.choose(visit_id))

    def leave(self) -> None:
        self._ask(lambda office: office.counter.leave())

    def wish(self, wish: Wish) -> None:
        self._ask(lambda office: office.counter.wish(wish))

    def start(self, what: CaptureKind, hand: Hand | None = None, finger: Finger | None = None) -> None:
        self._ask(lambda office: office.begin(what, hand, finger))

    def enter_pin(self, entry: str, pin: bytearray, last_try: bool) -> None:
        entered = Entered(pin)
        try:
            self._ask(lambda office: office.counter.enter_pin(entry, entered, last_try))
        except BaseException:
            entered.drop()
            raise

    def answer_key(self, authenticator_data: str, client_data: str, signature: str) -> None:
        answer = Answer(authenticator_data, client_data, signature)
        self._ask(lambda office: office.counter.answer_key(answer))

    def register_key(self, client_data: str, attestation_object: str) -> None:
        self._ask(lambda office: office.register_key(client_data, attestation_object))

    def finish_ink(self) -> None:
        self._ask(lambda office: office.captures.finish_ink())

    def cancel(self) -> None:
        self._ask(lambda office: office.captures.cancel())

    def try_now(self) -> None:
        self._ask(lambda office: office.try_now())

    def carry(self) -> None:
        self._ask(lambda office: office.carry())

    def run_errand(self, what: ErrandKind, stick: str) -> None:
        self._ask(lambda office: office.errands.start(what, stick))

    def stop_carrying(self) -> None:
        self._ask(lambda office: office.errands.close())

    def dismiss(self) -> None:
        self._ask(lambda office: office.counter.dismiss())

    def preview(self) -> bytes:
        if self._office is None or self.now().visit is None:
            raise Refused(Code.LOCKED)
        return self._office.captures.preview()

    def part(self, record: str) -> tuple[str, bytes]:
        return self._ask(lambda office: office.counter.part(record))

    def summary(self) -> Mapping[str, str]:
        return self._ask(lambda office: office.counter.summary())

    # --- the thread -----------------------------------------------------------------------------------

    def _ask(self, question: Callable[[Office], T]) -> T:
        """The answer of the desk's thread; Refused and KitError are answers too."""
        answer: Future[T] = Future()

        def run() -> None:
            office = self._office
            assert office is not None
            try:
                result = question(office)
            except (Refused, KitError) as no:
                office.asked()
                answer.set_exception(no)
            else:
                office.asked()
                answer.set_result(result)

        if self._office is None or self.ended.is_set():
            raise KitError(Code.LOCKED, Remedy.RETRY, "the desk is closed")
        self._inbox.put(run)
        return self._await(answer)

    def _await(self, answer: "Future[T]") -> T:
        """KitError locked when the desk closes before it has answered."""
        while not self.ended.is_set():
            if wait([answer], 0.5).done:
                return answer.result()
        if answer.done():
            return answer.result()
        raise KitError(Code.LOCKED, Remedy.RETRY, "the desk is closed")

    def _work(self) -> None:
        try:
            self._office = Office(self._setup, self._inbox.put, self._screen)
        except KitError as problem:
            self._ready.set_exception(problem)
            self.ended.set()
            return
        except BaseException as bug:
            # Told to who waits for us as well: it would wait for good, deaf to being stopped.
            self._ready.set_exception(bug)
            self.ended.set()
            raise
        self._ready.set_result(None)
        try:
            self._serve(self._office)
        except BaseException as bug:
            # Not handled, only told: the program ends, and its supervisor starts it again from the journal.
            self.bug = bug
            raise
        finally:
            self.ended.set()
            self._screen.close()

    def _serve(self, office: Office) -> None:
        clock = self._setup.clock
        tick_at = clock.monotonic()
        while not self._stopping.is_set():
            message = self._next()
            if message is not None:
                message()
            if clock.monotonic() >= tick_at:
                tick_at = clock.monotonic() + TICK_S
                office.tick()
            office.show()
            self.turns += 1
        office.close()

    def _next(self) -> Callable[[], None] | None:
        try:
            return self._inbox.get(timeout=TICK_S)
        except queue.Empty:
            return None

    def _listen(self) -> None:
        """The spool's doorbell: the uplink has brought something."""
        while not self._stopping.is_set() and not self.ended.is_set():
            if self._setup.spool.wait_for_agent(0.5):
                self._inbox.put(self._look)

    def _look(self) -> None:
        assert self._office is not None
        self._office.look()
