"""One read of one card from connecting to the verdict, on the thread that may be left behind.

Whatever disturbs the conversation, the whole read begins anew: parts of two conversations, and so perhaps of
two cards, are never put together; the chip number is read again at the end to be sure. When it broke off at a
READ of a length that has not worked yet, the next try reads in smaller blocks: some readers cannot do 252.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from hashlib import sha384

from device.drivers.eid import pcsc
from device.drivers.eid.apdu import OK, Answer, BadAnswer, Command, Send, get_card_data, internal_authenticate
from device.drivers.eid.atr import is_belgian_eid
from device.drivers.eid.channel import Channel, Disturbed, require_present
from device.drivers.eid.files import IDENTITY, ORDER, BadStatus, CardFile, CardFiles, read_file
from device.drivers.eid.genuine import WITH_BASIC_KEY, Proof, applet_version
from device.drivers.eid.judge import judge, rejected
from device.drivers.eid.left_behind import Work
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.errors import Code, KitError, Remedy
from device.ports import CardReading

ATTEMPTS = 3  # whole reads, when another program resets the card or the line is disturbed
SETTLE_S = 0.2  # "too fast after SCardConnect some cards/readers return an error" (eid-mw, pcsc.cpp)
SMALLER = (248, 128)  # bytes a READ, when more does not work; eid-mw knows readers that cannot do 252
READ_BINARY = 0xB0
WRONG_LENGTH = 0x6700  # to a READ: the reader or card takes no such length
NO_CURRENT_FILE = 0x6986  # to a READ behind a SELECT: the card was reset in between
PROGRESS = {  # share done when the reading of a file begins
    "identity": (0.05, "reading-identity"),
    "photo": (0.45, "reading-photo"),
    "authentication": (0.8, "checking"),
}


class Anew(Exception):
    """The card is there and answers, but this read cannot go on: it was reset, or the block is too large."""


class Foreign(Exception):
    """A card with the right answer to reset and nothing of an eID behind it."""


class Swapped(Exception):
    """Another chip answers than at the beginning."""


class Session:
    """Used for one read. `now` is the wall clock with zone, `block` the bytes a READ to begin with.

    Afterwards `block` is what worked with this reader.
    """

    def __init__(
        self,
        work: Work[CardReading],
        settings: Settings,
        trust: TrustStore,
        now: Callable[[], datetime],
        block: int,
    ) -> None:
        self._work = work
        self._channel = Channel(work, settings.busy_s)
        self._trust = trust
        self._now = now
        self._chip: bytes | None = None
        self.block = block
        self._asked = 0  # bytes of the READ under way
        self._managed = 0  # bytes of the longest READ that came back

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
        return replace(reading, apdus=self._channel.apdus)

    def _conversations(self, slot: pcsc.Slot) -> tuple[CardFiles, Proof | None]:
        trouble = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._work.pause(SETTLE_S)
            try:
                with self._channel.connected(slot.name) as connection:
                    return self._files(connection)
            except (Disturbed, Anew) as error:
                trouble = str(error)
                if isinstance(error, Disturbed):
                    require_present(self._work, slot, trouble)
                if self._asked > self._managed:
                    self.block = next((smaller for smaller in SMALLER if smaller < self.block), self.block)
        raise KitError(Code.CARD_MUTE, Remedy.RETRY, f"{ATTEMPTS} attempts, last {trouble}")

    def _files(self, connection: pcsc.Connection) -> tuple[CardFiles, Proof | None]:
        card_data = self._card_data(connection)
        read: dict[str, bytes] = {}
        for file in ORDER:
            if file.name in PROGRESS:
                self._work.progress(*PROGRESS[file.name])
            with self._channel.transaction(connection) as send:
                data = self._file(self._measured(send), file)
            if data is None and file is IDENTITY:
                raise Foreign
            read[file.name] = data or b""
        files = CardFiles(card_data, **read)
        proof = None
        if files.basic_key or applet_version(card_data) >= WITH_BASIC_KEY:
            proof = self._prove(connection)
        self._card_data(connection)
        return files, proof

    def _file(self, send: Send, file: CardFile) -> bytes | None:
        try:
            return read_file(send, file, self.block)
        except BadAnswer as error:
            raise Anew(str(error)) from error
        except BadStatus as error:
            if error.status in (WRONG_LENGTH, NO_CURRENT_FILE):
                raise Anew(str(error)) from error
            if file is IDENTITY and error.foreign:
                raise Foreign from error
            raise

    def _measured(self, send: Send) -> Send:
        """The layer that knows which length of READ came back and which did not."""

        def layer(command: Command) -> Answer:
            self._asked = command.le or 0 if command.ins == READ_BINARY else 0
            answer = send(command)
            if self._asked and answer.status != WRONG_LENGTH:
                self._managed = max(self._managed, self._asked)
            return answer

        return layer

    def _card_data(self, connection: pcsc.Connection) -> bytes:
        """Answer to GET CARD DATA, empty when the card has none. Swapped when another chip answers."""
        with self._channel.transaction(connection) as send:
            answer = send(get_card_data())
        card_data = answer.data if answer.status == OK else b""
        if self._chip is None:
            self._chip = card_data
        if self._chip != card_data:
            raise Swapped
        return card_data

    def _prove(self, connection: pcsc.Connection) -> Proof:
        digest = sha384(secrets.token_bytes(32)).digest()
        with self._channel.transaction(connection) as send:
            answer = send(internal_authenticate(digest))
        return Proof(digest, answer.data if answer.status == OK else b"")
