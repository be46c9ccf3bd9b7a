"""The four peripherals and the one capture that runs: started, followed, cancelled, and given up when stuck.

All methods on the desk's thread, but `preview`. What a capture brought is handed on as it came; whether it is
kept is decided elsewhere.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import structlog

from device.agent.records import KeptFinger, KeptSignature, finger_of, signature_of
from device.agent.snapshot import Busy
from device.agent.workers import GRACE_S, Job, Post, Worker
from device.errors import Code, KitError, Remedy
from device.ports import (
    Camera,
    Capture,
    CardReading,
    Clock,
    Condition,
    EidReader,
    Finger,
    FingerprintScanner,
    Hand,
    HolderProof,
    Photo,
    PinState,
    SignatureInk,
    SignaturePad,
)
from device.rendering import ink as rendered

log = structlog.get_logger()

What = Literal[
    "card", "pin-state", "possession", "officer-state", "officer-card", "photo", "finger", "signature"
]
Taken = CardReading | PinState | HolderProof | Photo | KeptFinger | KeptSignature
Work = Callable[[Any, Capture], Taken]
"""What a worker does with its driver."""

_CARD_S = 40
DEADLINE_S: Mapping[What, float] = MappingProxyType(
    {
        "card": _CARD_S,
        "pin-state": _CARD_S,
        "possession": _CARD_S,
        "officer-state": _CARD_S,
        "officer-card": _CARD_S,
        "photo": 15,
        "finger": 30,
        "signature": 180,
    }
)
PREVIEW_S = 1.5


@dataclass(frozen=True)
class Openers:
    """How to open each peripheral; called on its worker's thread, again after it was gone."""

    card: Callable[[], EidReader]
    camera: Callable[[], Camera]
    fingerprint: Callable[[], FingerprintScanner]
    signature: Callable[[], SignaturePad]


_PERIPHERAL: Mapping[What, str] = {
    "card": "card",
    "pin-state": "card",
    "possession": "card",
    "officer-state": "card",
    "officer-card": "card",
    "photo": "camera",
    "finger": "fingerprint",
    "signature": "signature",
}


@dataclass
class Running:
    """The capture that runs. `busy` is what the screen is told of it."""

    what: What
    hand: Hand | None
    finger: Finger | None
    busy: Busy
    cancel: threading.Event
    done: threading.Event
    work: Work | None = None  # instead of the usual one
    over: Callable[[], None] = lambda: None  # called when it has ended, however that was


class Captures:
    def __init__(
        self,
        openers: Openers,
        post: Post,
        clock: Clock,
        taken: Callable[[Running, Taken], None],
        failed: Callable[[Running, KitError], None],
        deadlines: Mapping[What, float] = DEADLINE_S,
    ) -> None:
        """`taken` and `failed` are called on the desk's thread, when nothing runs any more."""
        self._openers: Mapping[str, Callable[[], Any]] = {
            "card": openers.card,
            "camera": openers.camera,
            "fingerprint": openers.fingerprint,
            "signature": openers.signature,
        }
        self._post = post
        self._clock = clock
        self._taken = taken
        self._failed = failed
        self._deadlines = deadlines
        self._workers: dict[str, Worker[Any]] = {}
        self.running: Running | None = None
        self.conditions: dict[str, Condition] = {}

    @property
    def shows_example(self) -> bool:
        """Whether the camera's pictures are of nobody."""
        camera = self.conditions.get("camera")
        return camera is not None and camera.example

    def begin(self) -> None:
        for name in self._openers:
            self._hire(name)

    def start(
        self,
        what: What,
        hand: Hand | None = None,
        finger: Finger | None = None,
        work: Work | None = None,
        over: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin; nothing may run. `over` is called once nobody waits for it any more."""
        assert self.running is None
        running = Running(
            what,
            hand,
            finger,
            Busy(what, 0.0, "starting", hand, finger),
            threading.Event(),
            threading.Event(),
            work,
            over,
        )
        self.running = running
        deadline = self._deadlines[what]
        capture = Capture(deadline, partial(self._report, running), running.cancel)

        def run(driver: Any) -> Callable[[], None]:
            return partial(self._end, running, self._take(running, driver, capture))

        job: Job[Any] = Job(run, partial(self._end_badly, running), deadline + GRACE_S)
        self._workers[_PERIPHERAL[what]].submit(job)

    def cancel(self) -> None:
        """Ask what runs to stop; it ends as KitError cancelled, or is given up after a moment."""
        if self.running is not None:
            self.running.cancel.set()
            self._workers[_PERIPHERAL[self.running.what]].hurry(GRACE_S)

    def finish_ink(self) -> None:
        if self.running is not None:
            self.running.done.set()

    def abandon(self) -> None:
        """Stop what runs and forget it: what it brings, now or later, goes nowhere."""
        self.cancel()
        if self.running is not None:
            self.running.over()
        self.running = None

    def preview(self) -> bytes:
        """From any thread: the camera's newest frame."""
        return self._workers["camera"].ask(_preview, PREVIEW_S)

    def watch(self) -> None:
        """Replace the workers that are stuck; called now and then."""
        for name, worker in list(self._workers.items()):
            if not worker.is_stuck():
                continue
            log.error("worker-stuck", worker=name)
            worker.leave()
            self._hire(name)
            running = self.running
            if running is not None and _PERIPHERAL[running.what] == name:
                code = Code.CANCELLED if running.cancel.is_set() else Code.TIMED_OUT
                self._end_badly(running, KitError(code, Remedy.RETRY, f"{name} was stuck"))

    def end(self, seconds: float) -> None:
        """Stop everything; drivers get `seconds` altogether to close."""
        self.abandon()
        until = self._clock.monotonic() + seconds
        for worker in self._workers.values():
            worker.leave()
        for worker in self._workers.values():
            worker.join(max(0.0, until - self._clock.monotonic()))

    def _hire(self, name: str) -> None:
        worker: Worker[Any] = Worker(name, self._openers[name], self._post, self._note, self._clock)
        self._workers[name] = worker
        worker.start()

    def _note(self, name: str, condition: Condition) -> None:
        self.conditions[name] = condition

    def _take(self, running: Running, driver: Any, capture: Capture) -> Taken:
        """On the worker's thread: capture, and make files of what came."""
        if running.work is not None:
            return running.work(driver, capture)
        if running.what == "card":
            reading: CardReading = driver.read(capture)
            return reading
        if running.what in ("pin-state", "officer-state"):
            state: PinState = driver.pin_state(capture)
            return state
        if running.what == "photo":
            photo: Photo = driver.capture(capture)
            return photo
        if running.what == "finger":
            return finger_of(driver.capture(capture))
        return signature_of(driver.capture(capture, partial(self._ink, running), running.done))

    def _report(self, running: Running, share: float, code: str) -> None:
        """On the driver's thread."""
        self._post(partial(_change, running, {"share": min(1.0, max(0.0, share)), "code": code}))

    def _ink(self, running: Running, ink: SignatureInk) -> None:
        """On the driver's thread."""
        self._post(partial(_change, running, {"ink_svg": rendered.so_far(ink)}))

    def _end(self, running: Running, taken: Taken) -> None:
        if self.running is running:
            self.running = None
            running.over()
            self._taken(running, taken)

    def _end_badly(self, running: Running, problem: KitError) -> None:
        if self.running is running:
            self.running = None
            running.over()
            self._failed(running, problem)


def _preview(camera: Camera) -> bytes:
    return camera.preview()


def _change(running: Running, changes: Mapping[str, Any]) -> None:
    running.busy = replace(running.busy, **changes)
