"""A kit's counter as far as sealing goes: the agent's own rules, records, journal, vault and sealer.

Left out are the threads, peripherals and screens around it. Keys, certificates and recipient list are those
of the tests' kit, with two post-quantum recipients.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from device.agent.cases import Cases
from device.agent.events import (
    ChooseProcedure,
    Inform,
    KeepCard,
    KeepFinger,
    KeepPhoto,
    KeepSignature,
    Open,
    Review,
    Seal,
    Wish,
)
from device.agent.landmarks import nothing
from device.agent.recipients import Recipients
from device.agent.records import REQUEST, KeptFinger, KeptSignature, digest, pack
from device.agent.sealing import Sealer
from device.agent.visit import HANDS
from device.ports import Photo
from device.vault.database import Database, Transaction
from device.vault.gate import Gate
from protocol.bag import BagVisit
from protocol.catalogue import shipped
from protocol.ids import new_ulid
from tests.device.agent import kit as tests
from tests.device.agent.peripherals import READING

PHOTO, FINGER, INK, TEXT = 0.56, 0.2, 0.03, 0.01  # shares of the bytes of an application, two fingers


class Kit:
    """A kit of its own in the new `folder`, with an officer signed in."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._made = made = tests.Kit(folder)
        self.database = Database(made.data / "vault.db")
        self._gate = Gate(self.database, made.key_source, made.clock)
        self.vault = self._gate.unlock(tests.OFFICER, tests.PIN)
        self._cases = Cases(self.database, made.clock, shipped(), nothing)
        self._requests: dict[str, BagVisit] = {}
        self._sealer = self._new_sealer()

    def forget(self) -> None:
        """What the agent had in memory is gone, as after a restart at the end of the visit."""
        self._sealer = self._new_sealer()
        self.vault = self._gate.unlock(tests.OFFICER, tests.PIN)

    def take_up(self, visit_id: str) -> None:
        """The officer chooses the visit, and the kit's next quiet moment comes."""
        self.settle()
        self.vault.make_room(visit_id)
        self._rehearse(visit_id)

    def _new_sealer(self) -> Sealer:
        recipients = Recipients(self._made.list_path, self._made.service.list_key.public_key())
        return Sealer(self._made.signer, recipients, self._made.data, self._made.clock)

    def capture(self, size: int, content: Callable[[int], bytes] = os.urandom) -> str:
        """A visit of so many bytes, from its opening to the citizen's review, each fact followed by the quiet
        moment that the kit has then; ready to be sealed."""
        request = self._made.visit()
        visit_id = request.visit_id
        entry = self._cases.entry(request.service_id)
        self._sealer.dry_run(request, entry, self.vault)

        def begin(tx: Transaction) -> None:
            self.vault.new_visit_key(tx, visit_id)
            self.vault.put(tx, visit_id, REQUEST, "request", pack(request))

        opened = Open(
            visit_id, request.service_id, entry.digest, tests.OFFICER, request.tenant, request.epoch
        )
        self._note(visit_id, opened, begin)
        assert READING.photo is not None
        chip = replace(READING.photo, jpeg=content(int(size * TEXT)))
        card = replace(READING, photo=chip)
        self._keep(
            visit_id, "card", pack(card), lambda *at: KeepCard(*at, "verified", (), "proven", True, True)
        )
        self._note(visit_id, Inform("eid-info", "nl", aloud=False))
        self._note(visit_id, ChooseProcedure("normal"))
        photo = Photo(content(int(size * PHOTO)), 826, 1062, {"sharpness": 41.5})
        self._keep(visit_id, "photo", pack(photo), KeepPhoto)
        for hand in HANDS:  # no two prints may be the same
            png = hand.encode() + content(int(size * FINGER))
            print_ = KeptFinger(png, 320, 480, 500, {"area": 0.8}, (), "bench")
            self._keep(visit_id, "finger", pack(print_), partial(KeepFinger, hand, "index"))
        ink = KeptSignature(b"<svg/>", content(int(size * INK)), 2, 90, "bench")
        self._keep(visit_id, "signature", pack(ink), KeepSignature)
        self._requests[visit_id] = request
        self._note(visit_id, Review("nl"))
        self._rehearse(visit_id)
        return visit_id

    def seal(self, visit_id: str) -> None:
        """From the moment the officer presses the button until the application is kept (counter.py)."""
        request = self._requests.pop(visit_id)
        packet_id, entry = self.vault.next_id(), self._cases.entry_of(visit_id)
        with self.vault.create(packet_id) as file:
            written = self._sealer.write(
                file, packet_id, self._cases.visits[visit_id], request, entry, self.vault, False
            )

            def put(tx: Transaction) -> None:
                self.vault.put_sealed(tx, packet_id, visit_id, written)

            self._cases.note(visit_id, Seal(packet_id, written.manifest_sha256, written.size), put)

    def settle(self) -> None:
        self.database.settle()

    def _rehearse(self, visit_id: str) -> None:
        visit, entry = self._cases.visits[visit_id], self._cases.entry_of(visit_id)
        self._sealer.rehearse(visit, self._requests[visit_id], entry, self.vault, False)

    def _keep(self, visit_id: str, kind: str, data: bytes, wish: Callable[[str, str], Wish]) -> None:
        record, named = new_ulid(), digest(data)

        def put(tx: Transaction) -> None:
            self.vault.put(tx, visit_id, record, kind, data, named)

        self._note(visit_id, wish(record, named), put)

    def _note(
        self, visit_id: str, wish: Wish, alongside: Callable[[Transaction], None] = lambda tx: None
    ) -> None:
        self._cases.note(visit_id, wish, alongside)
        self.settle()
        self.vault.make_room(visit_id)
