"""One conversation with an SFM module over an open line: ask, wait, read the image, read it again when
damaged.
"""

import time

from device.drivers.fingerprint.sfm.frames import (
    GREY,
    SWITCH_ON,
    Answer,
    BadImage,
    Block,
    Broken,
    Command,
    Decoder,
    Frame,
    Image,
    Packet,
    Parameter,
    encode,
    read_image,
)
from device.drivers.link import SerialLink
from device.errors import Code, KitError, Remedy
from device.ports import Capture

ANSWER_S = 1.0  # a parameter is answered within milliseconds
TRIES = 3
LOOK_S = 0.1  # how often a cancel is looked for
GAP_S = 1.5  # silence inside an answer after which the rest is not coming any more
TRANSFER_S = 120.0  # 87 kB at 9600 bit/s take 91 s


class Talk:
    """KitError peripheral-gone when the line breaks, timed-out when the module is silent."""

    def __init__(self, link: SerialLink) -> None:
        self._link = link
        self._decoder = Decoder()
        self._frames: list[Frame] = []

    def parameter(self, code: Parameter) -> int:
        """The value of a system parameter. KitError peripheral-refused when the module has none such."""
        return self._ask(Packet(Command.SR, flag=code)).size

    def use_grey(self, timeout_s: int) -> None:
        """Grey images, a first answer when the finger is there, and the module's own time-out (1..20 s)."""
        for code, value in (
            (Parameter.IMAGE_FORMAT, GREY),
            (Parameter.SEND_SCAN_SUCCESS, SWITCH_ON),
            (Parameter.TIMEOUT, 0x30 + timeout_s),
        ):
            self._ask(Packet(Command.SW, size=value, flag=code))

    def scan(self, capture: Capture, deadline: float, timeout_s: int) -> Image:
        """The image of the next finger, read again up to twice when the line damaged it."""
        found = self._wait_for_finger(capture, deadline, timeout_s)
        for _ in range(TRIES):
            if found:
                capture.progress(0.1, "reading-finger")
                image = self._receive_image(capture)
                if image is not None:
                    return image
            # An answer cut short goes on arriving: asking again before silence would mix the two.
            self._hush()
            answer = self._answer(Packet(Command.RI), GAP_S + ANSWER_S)
            found = answer is not None and answer.flag == Answer.SUCCESS and answer.size > 0
            if answer is not None and answer.flag in (Answer.BUSY, Answer.NOT_FOUND):
                # What sounded like an answer was noise: the module still waits for the finger, or never
                # scanned.
                self._stop()
                found = self._wait_for_finger(capture, deadline, timeout_s)
        raise KitError(Code.PERIPHERAL_PROTOCOL, Remedy.RETRY, "image damaged on the line")

    def _wait_for_finger(self, capture: Capture, deadline: float, timeout_s: int) -> bool:
        """True when an image begins to arrive, False when something did but was lost on the line."""
        while True:
            self._link.write(encode(Packet(Command.SI)))
            capture.progress(0.0, "place-finger")
            answer = self._scan_answer(capture, deadline, timeout_s)
            if answer is None:
                return False
            if answer.flag == Answer.SUCCESS and answer.size > 0:
                return True
            if answer.flag == Answer.FAKE_DETECTED:
                raise KitError(Code.FINGER_POOR, Remedy.OFFICER, "module reports a fake finger")
            if answer.flag in (Answer.BUSY, Answer.CANCELED):
                self._stop()
            elif answer.flag not in (Answer.TIME_OUT, Answer.SCAN_FAIL, Answer.TRY_AGAIN):
                raise _refused(answer)
            if time.monotonic() >= deadline:
                raise KitError(Code.NO_FINGER, Remedy.RETRY, f"module answered {answer.flag:#04x}")

    def _scan_answer(self, capture: Capture, deadline: float, timeout_s: int) -> Packet | None:
        """The final answer to SI; None when the line carried something that was not one."""
        heard = float("inf")  # when the line last carried anything
        until = time.monotonic() + timeout_s + GAP_S
        while True:
            frame = self._next(LOOK_S)
            now = time.monotonic()
            if self._heard:
                heard = now
            if isinstance(frame, Packet) and frame.command == Command.SI:
                if frame.flag != Answer.SCAN_SUCCESS:
                    return frame
                capture.progress(0.05, "reading-finger")
            elif now - heard > GAP_S:
                return None
            if capture.cancel.is_set():
                self._stop()
                raise KitError(Code.CANCELLED, Remedy.RETRY, "while waiting for the finger")
            if now >= deadline and heard == float("inf"):
                if self._stop():
                    raise KitError(Code.NO_FINGER, Remedy.RETRY, "no finger within the deadline")
                raise KitError(Code.TIMED_OUT, Remedy.OFFICER, "module fell silent")
            if now >= until:
                raise KitError(Code.TIMED_OUT, Remedy.OFFICER, "module fell silent")

    def _receive_image(self, capture: Capture) -> Image | None:
        """The block now arriving as an image; None when it is damaged or stops arriving."""
        until = time.monotonic() + TRANSFER_S
        heard = time.monotonic()
        while time.monotonic() < until:
            frame = self._next(LOOK_S)
            if isinstance(frame, Block):
                try:
                    return read_image(frame.data)
                except BadImage:
                    return None
            if isinstance(frame, Broken):
                return None
            if self._heard:
                heard = time.monotonic()
                capture.progress(0.1 + 0.85 * (self._decoder.share or 0.0), "reading-finger")
            elif time.monotonic() - heard > GAP_S:
                return None
            if capture.cancel.is_set():
                raise KitError(Code.CANCELLED, Remedy.RETRY, "while reading the finger")
        return None

    def _ask(self, request: Packet) -> Packet:
        """One request, one answer, again after silence when it does not come."""
        for _ in range(TRIES):
            answer = self._answer(request, ANSWER_S)
            if answer is None:
                self._hush()
            elif answer.flag == Answer.BUSY:
                self._stop()
            elif answer.flag == Answer.SUCCESS:
                return answer
            else:
                raise _refused(answer)
        raise KitError(Code.TIMED_OUT, Remedy.OFFICER, "module does not answer")

    def _answer(self, request: Packet, seconds: float) -> Packet | None:
        self._link.write(encode(request))
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            frame = self._next(left)
            if isinstance(frame, Packet) and frame.command == request.command:
                return frame
        return None

    def _stop(self) -> bool:
        """Cancel what the module is doing; True when it says something, whatever and in whatever order."""
        answered = self._answer(Packet(Command.CA), ANSWER_S / 2) is not None
        return bool(self._hush()) or answered

    def _hush(self) -> int:
        thrown = self._link.drain()
        self._decoder = Decoder()
        self._frames.clear()
        return thrown

    def _next(self, seconds: float) -> Frame | None:
        """The next frame, waiting at most `seconds` for the next bytes. Sets `_heard` when there were any."""
        self._heard = False
        if not self._frames:
            data = self._link.read(seconds)
            self._heard = bool(data)
            self._frames = self._decoder.feed(data)
        return self._frames.pop(0) if self._frames else None


def _refused(answer: Packet) -> KitError:
    return KitError(
        Code.PERIPHERAL_REFUSED, Remedy.WORKSHOP, f"command {answer.command:#04x}: answer {answer.flag:#04x}"
    )
