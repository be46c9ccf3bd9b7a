"""One schedule played on one kit: sealed, sent its way through the weather, followed until its receipt; and
once more for the part, when the service asks for one again."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from device.agent import courier
from device.spool.stick import Stick
from protocol.ids import new_ulid
from protocol.messages import ApplicationEvent, VisitEvent, encode_body
from protocol.recapture import Supplements
from protocol.sealed.receipt import Receipt, verify_receipt
from protocol.topics import Tail
from server.db.scope import EVERYONE
from server.db.tables import Application, Visit
from tests.custody.draw import Schedule
from tests.custody.history import Given
from tests.custody.stand import KitStand

if TYPE_CHECKING:
    from tests.custody.schedules import Run

DELIVERED_S = 180.0  # the weather lasts seconds, a work lease a minute; the rest is room for a loaded machine
LOOK_S = 0.3
ARRIVED = ("uploaded", "forwarded", "recapture", "accepted")
ANSWERED = ("recapture", "accepted")


class Journey:
    """`complaints` of the run's history ends it early."""

    def __init__(self, run: "Run", kit: KitStand, schedule: Schedule) -> None:
        self._run, self._kit, self._plan = run, kit, schedule
        self._town, self._history = run.stand.town, run.history
        self._end = time.monotonic() + DELIVERED_S

    def play(self, visit: Visit) -> None:
        kit, plan = self._kit, self._plan
        kit.mqtt.expect(plan.mqtt)
        kit.https.expect(plan.https, is_shut=plan.is_shut)
        first = packet_id = self._seal(visit)
        if plan.uplink_killed_after_s is not None:
            time.sleep(plan.uplink_killed_after_s)
            kit.kill()
            kit.start()
        if plan.way == "broker":
            self._until(lambda: self._state(first) in ARRIVED, first, "through the broker")
        elif plan.way != "https":
            self._carry(first)
        kit.https.open()
        while (receipt := self._follow(packet_id)) is not None and receipt.verdict == "recapture":
            visit = self._run.plan_again(kit, visit)
            packet_id = self._seal(visit, first)
            self._end = time.monotonic() + DELIVERED_S

    def _seal(self, visit: Visit, supplements: str = "") -> str:
        """As the agent does it: the packet into the spool, and what is told of it."""
        kit, more = self._kit, {}
        if supplements:
            more = {"supplements": Supplements(packet_id=supplements, parts=("photo",))}
        sealed = self._town.packet(visit, kit.next_seq(), kit.kit_id, **more)
        packet_id, manifest = sealed.manifest.packet_id, sealed.manifest_sha256
        events = new_ulid(), new_ulid()
        self._history.given[packet_id] = Given(
            packet_id, kit.kit_id, visit.visit_id, manifest, events, supplements
        )
        told = ApplicationEvent(packet_id, visit.visit_id, "sealed", manifest)
        kit.spool.offer_packet(packet_id, sealed.data)
        kit.spool.report(Tail.VISIT, encode_body(Tail.VISIT, VisitEvent(visit.visit_id, "sealed")), events[0])
        kit.spool.report(Tail.APPLICATION, encode_body(Tail.APPLICATION, told), events[1])
        return packet_id

    def _follow(self, packet_id: str) -> Receipt | None:
        """The receipt, once it is here and nothing waits; what the kit is told must be true by then."""
        spool, uploaded = self._kit.spool, self._plan.way in ("stick", "relay")
        while self._goes_on(packet_id, "delivered"):
            for refused, code in spool.refused():
                self._complain(f"{refused} refused: {code}")
            if self._kit.fallen:
                self._complain(f"the uplink of {self._kit.kit_id} fell over")
            if not uploaded and packet_id in spool.uploaded():
                uploaded = True
                self._must_be(packet_id, ARRIVED, "the kit: uploaded")
            token = dict(spool.receipts()).get(packet_id)
            if token is not None and uploaded and spool.reports_waiting() == 0:
                self._must_be(packet_id, ANSWERED, "the kit: receipt")
                receipt = verify_receipt(token, self._run.keys)
                self._history.receipted[packet_id] = receipt.manifest_sha256, receipt.verdict
                spool.drop_receipt(packet_id)
                spool.withdraw_packet(packet_id)
                return receipt
            spool.wait_for_agent(LOOK_S)
        return None

    # --- on a stick ------------------------------------------------------------------------------------

    def _carry(self, packet_id: str) -> None:
        """To the fleet, or to another kit that sends it; where the network stays away, its receipt back."""
        folder = self._town.folder / "sticks" / packet_id
        folder.mkdir(parents=True)
        with Stick(folder, make=True) as stick:
            moved = list(courier.export_packets(self._kit.spool, stick))
        if packet_id not in (each.packet_id for each in moved):
            return  # the fleet had it before the stick was in
        if self._plan.way == "relay":
            self._relay(packet_id)
            return
        torn = self._plan.torn_after_s
        while self._goes_on(packet_id, "taken in from the stick") and self._state(packet_id) not in ARRIVED:
            errand = self._run.stand.programs.errand("import", folder)
            errand.wait(DELIVERED_S if torn is None else torn)
            errand.kill()
            torn = None
        if self._plan.is_shut:
            self._until(lambda: self._state(packet_id) in ANSWERED, packet_id, "answered")
            while self._goes_on(packet_id, "back on the stick") and not self._receipt_from(folder, packet_id):
                errand = self._run.stand.programs.errand("export", folder)
                errand.wait(DELIVERED_S)
                errand.kill()

    def _receipt_from(self, folder: Path, packet_id: str) -> bool:
        with Stick(folder, make=False) as stick:
            list(courier.import_receipts(self._kit.spool, stick, self._run.keys, self._kit.kit_id))
        return packet_id in dict(self._kit.spool.receipts())

    def _relay(self, packet_id: str) -> None:
        """Another kit takes it in, sends it when it comes to it, and lets go of it once the fleet has it."""
        kits = self._run.stand.kits
        carrier = kits[(kits.index(self._kit) + 1 + self._plan.seed % (len(kits) - 1)) % len(kits)]
        folder = self._town.folder / "sticks" / packet_id
        roots = x509.load_pem_x509_certificates(self._town.ground.pki.roots.read_bytes())
        with Stick(folder, make=False) as stick:
            moved = list(courier.import_packets(carrier.spool, stick, roots, datetime.now(UTC)))
        for each in moved:
            if each.outcome == "refused":
                self._complain(f"{each.packet_id} from the stick refused: {each.code}")
        # What this kit was carrying for others goes along.
        carried = {
            each.packet_id for each in moved if self._history.given[each.packet_id].kit_id != carrier.kit_id
        }
        self._until(lambda: carried <= set(carrier.spool.uploaded()), packet_id, "sent by another kit")
        for each_id in carried:
            self._must_be(each_id, ARRIVED, "the other kit: uploaded")
            carrier.spool.withdraw_packet(each_id)

    # --- what everybody says ---------------------------------------------------------------------------

    def _until(self, true: Callable[[], bool], packet_id: str, what: str) -> None:
        while self._goes_on(packet_id, what) and not true():
            time.sleep(LOOK_S)

    def _goes_on(self, packet_id: str, what: str) -> bool:
        if self._history.complaints:
            return False
        if time.monotonic() < self._end:
            return True
        self._complain(
            f"{packet_id} not {what} in {DELIVERED_S:.0f} s; {self._state(packet_id)} at the fleet"
        )
        return False

    def _state(self, packet_id: str) -> str:
        with self._town.database.reading(EVERYONE) as db:
            row = db.get(Application, packet_id)
            return "unknown" if row is None else str(row.state)

    def _must_be(self, packet_id: str, states: Sequence[str], said: str) -> None:
        state = self._state(packet_id)
        if state not in states:
            self._complain(f"{packet_id} is {state} at the fleet, {said}")

    def _complain(self, what: str) -> None:
        self._history.complaints.append(f"seed {self._plan.seed}: {what}")
