"""One read of one card from connecting to the verdict, on the thread that may be left behind.

Each file is selected and read within one transaction, because another program's SELECT would change the file
under our READ. Whatever disturbs the conversation, the whole read begins anew: parts of two conversations,
and so perhaps of two cards, are never put together; the chip number is read again at the end to be sure.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from hashlib import sha384

from device.drivers.eid import pcsc
from device.drivers.eid.apdu import (
    OK,
    Answer,
    BadAnswer,
    Command,
    get_card_data,
    internal_authenticate,
    right_length,
    whole_answer,
)
from device.drivers.eid.atr import is_belgian_eid
from device.drivers.eid.files import IDENTITY, ORDER, BadStatus, CardFiles, read_file
from device.drivers.eid.genuine import WITH_BASIC_KEY, Proof, applet_version
from device.drivers.eid.judge import judge, rejected
from device.drivers.eid.left_behind import Work
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.drivers.eid.watch import look_again
from device.errors import Code, KitError, Remedy
from device.ports import CardReading

ATTEMPTS = 3  # whole reads, when another program resets the card or the line is disturbed
SETTLE_S = 0.2  # "too fast after SCardConnect some cards/readers return an error" (eid-mw, pcsc.cpp)
GONE_WITHIN_S = 1.0  # pcscd polls every 0.4 s
BUSY_PAUSE_S = 0.1
PROGRESS = {  # share done when the reading of a file begins
    "identity": (0.05, "reading-identity"),
    "photo": (0.45, "reading-photo"),
    "authentication": (0.8, "checking"),
}
CONNECTING = "connecting"  # name of the step in which another program may be what we wait for


class Disturbed(Exception):
    """The conversation broke off while the card may still be there."""


class Foreign(Exception):
    """A card with the right answer to reset and nothing of an eID behind it."""


class Swapped(Exception):
    """Another chip answers than at the beginning."""


class Session:
    """Used for one read. `now` is the wall clock with zone."""

    def __init__(
        self, work: Work[CardReading], settings: Settings, trust: TrustStore, now: Callable[[], datetime]
    ) -> None:
        self._work = work
        self._settings = settings
        self._trust = trust
        self._now = now
        self._chip: bytes | None = None
        self._apdus = 0

    def read(self, slot: pcsc.Slot) -> CardReading:
        """The judged card of `slot`, with its APDUs counted. KitError for what could not be read."""
        if slot.mute:
            return CardReading("not-an-eid", reasons=("card-mute",))
        if not is_belgian_eid(slot.atr):
            return CardReading("not-an-eid")
        try:
            files, proof = self._conversations(slot)
            self._work.progress(0.95, "checking")
            reading = judge(files, self._trust, self._now(), proof)
        except Foreign:
            reading = CardReading("not-an-eid")
        except Swapped:
            reading = rejected("card-swapped")
        except (BadAnswer, BadStatus) as error:
            raise KitError(Code.CARD_MUTE, Remedy.RETRY, str(error)) from error
        return replace(reading, apdus=self._apdus)

    def _conversations(self, slot: pcsc.Slot) -> tuple[CardFiles, Proof | None]:
        trouble = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._work.pause(SETTLE_S)
            try:
                return self._conversation(slot)
            except Disturbed as error:
                trouble = str(error)
                _require_present(slot, trouble)
        raise KitError(Code.CARD_MUTE, Remedy.RETRY, f"{ATTEMPTS} attempts, last {trouble}")

    def _conversation(self, slot: pcsc.Slot) -> tuple[CardFiles, Proof | None]:
        try:
            with pcsc.Context() as context:
                connection = self._connect(context, slot.name)
                try:
                    return self._files(connection)
                finally:
                    connection.disconnect()
        except pcsc.PcscError as error:
            raise Disturbed(str(error)) from error

    def _connect(self, context: pcsc.Context, reader: str) -> pcsc.Connection:
        end = time.monotonic() + self._settings.busy_s
        while True:
            self._work.step(CONNECTING)
            try:
                return context.connect(reader)
            except pcsc.PcscError as error:
                if error.code != pcsc.SHARING_VIOLATION:
                    raise
                if time.monotonic() > end:
                    raise KitError(Code.READER_IN_USE, Remedy.RETRY, str(error)) from error
            self._work.pause(BUSY_PAUSE_S)

    def _files(self, connection: pcsc.Connection) -> tuple[CardFiles, Proof | None]:
        card_data = self._card_data(connection)
        read: dict[str, bytes] = {}
        for file in ORDER:
            if file.name in PROGRESS:
                self._work.progress(*PROGRESS[file.name])
            with self._transaction(connection) as send:
                try:
                    data = read_file(send, file, self._settings.block)
                except BadStatus as error:
                    if file is IDENTITY and error.foreign:
                        raise Foreign from error
                    raise
            if data is None and file is IDENTITY:
                raise Foreign
            read[file.name] = data or b""
        files = CardFiles(card_data, **read)
        proof = None
        if files.basic_key or applet_version(card_data) >= WITH_BASIC_KEY:
            proof = self._prove(connection)
        self._card_data(connection)
        return files, proof

    def _card_data(self, connection: pcsc.Connection) -> bytes:
        """Answer to GET CARD DATA, empty when the card has none. Swapped when another chip answers."""
        with self._transaction(connection) as send:
            answer = send(get_card_data())
        card_data = answer.data if answer.status == OK else b""
        if self._chip is None:
            self._chip = card_data
        if self._chip != card_data:
            raise Swapped
        return card_data

    def _prove(self, connection: pcsc.Connection) -> Proof:
        digest = sha384(secrets.token_bytes(32)).digest()
        with self._transaction(connection) as send:
            answer = send(internal_authenticate(digest))
        return Proof(digest, answer.data if answer.status == OK else b"")

    @contextmanager
    def _transaction(self, connection: pcsc.Connection) -> Iterator[Callable[[Command], Answer]]:
        def send(command: Command) -> Answer:
            self._work.step(f"command {command.ins:02X}")
            self._apdus += 1
            raw = connection.transmit(command.to_bytes())
            if not raw:  # a card pulled during a command: pcscd says success and hands over nothing
                raise Disturbed("empty answer")
            return Answer.from_bytes(raw, command)

        self._work.step(CONNECTING)
        connection.begin()
        try:
            yield whole_answer(right_length(send))
        finally:
            with suppress(pcsc.PcscError):  # the card or pcscd may be gone; the transaction then is as well
                connection.end()


def _require_present(slot: pcsc.Slot, trouble: str) -> None:
    """KitError when the disturbance was the reader or the card going away."""
    now = look_again(slot, GONE_WITHIN_S)
    if now is None:
        raise KitError(Code.NO_READER, Remedy.OFFICER, trouble)
    if not now.present or now.changes != slot.changes:
        raise KitError(Code.CARD_REMOVED, Remedy.RETRY, trouble)
