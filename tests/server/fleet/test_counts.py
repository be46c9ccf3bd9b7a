"""Whatever happens in whatever order: every application is in one state, and none is lost or made twice."""

import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.exc import IntegrityError

from protocol.ids import new_ulid
from protocol.lifecycle import ApplicationState
from protocol.sealed.receipt import Receipt
from server.auth.roles import Actor
from server.db.scope import EVERYONE, only
from server.db.tables import Application, Visit
from server.fleet import applications, quarantine, tally
from server.fleet.applications import Packet
from server.fleet.refused import Refused
from tests.server.town import BRUGGE, DAMME, KIT, SERVICE, Ground, Town

NOW = datetime.now(UTC)
S = ApplicationState


def make_machine(ground: Ground) -> type[RuleBasedStateMachine]:
    class Applications(RuleBasedStateMachine):
        """A model that keeps, for each packet, the state it must be in."""

        packets = Bundle("packets")

        @initialize()
        def open(self) -> None:
            self.folder = tempfile.TemporaryDirectory()
            self.town = Town(Path(self.folder.name) / "town", ground)
            self.visit = self.town.plan()
            self.model: dict[str, ApplicationState] = {}
            self.undecided: set[str] = set()
            self.seq = 0

        @rule(target=packets)
        def seal(self) -> Packet:
            self.seq += 1
            return Packet(
                packet_id=new_ulid(),
                visit_id=self.visit.visit_id,
                tenant=BRUGGE,
                service_id=SERVICE,
                kit_id=KIT,
                kit_cert_serial="1",
                seq=self.seq,
                manifest_sha256=f"{self.seq:064x}",
                size=10,
                blob_sha256=f"{self.seq:064x}",
                sealing="{}",
            )

        @rule(packet=packets, times=st.integers(1, 2))
        def announce(self, packet: Packet, times: int) -> None:
            for _ in range(times):
                with self.town.database.writing(EVERYONE) as db:
                    visit = db.get_one(Visit, packet.visit_id)
                    digest = packet.manifest_sha256
                    applications.announced(db, packet.packet_id, visit, KIT, digest, NOW)
            self.model.setdefault(packet.packet_id, S.SEALED)

        @rule(packet=packets, times=st.integers(1, 2))
        def upload(self, packet: Packet, times: int) -> None:
            for _ in range(times):
                with self.town.database.writing(EVERYONE) as db:
                    applications.arrived(db, packet, NOW)
            if self.model.get(packet.packet_id, S.SEALED) is S.SEALED:
                others = {state for name, state in self.model.items() if name != packet.packet_id}
                # One visit, one application: another of it waits for a person.
                done = others - {S.SEALED, S.EXPIRED, S.REJECTED, S.RECAPTURE}
                self.model[packet.packet_id] = S.STUCK if done else S.UPLOADED
                if done:
                    self.undecided.add(packet.packet_id)

        @rule(packet=packets)
        def offer(self, packet: Packet) -> None:
            self.change(packet, S.FORWARDED, {S.UPLOADED}, lambda db, row: applications.offered(db, row, NOW))

        @rule(packet=packets, verdict=st.sampled_from(["accepted", "rejected"]))
        def answer(self, packet: Packet, verdict: Any) -> None:
            code = "" if verdict == "accepted" else "no"
            receipt = Receipt(
                packet_id=packet.packet_id,
                manifest_sha256=packet.manifest_sha256,
                kit_id=KIT,
                verdict=verdict,
                code=code,
                at="2026-11-23T12:00:00Z",
            )
            self.change(
                packet,
                S(verdict),
                {S.UPLOADED, S.FORWARDED},
                lambda db, row: applications.answered(db, row, receipt, "token", NOW),
            )

        @rule(packet=packets)
        def stick(self, packet: Packet) -> None:
            self.change(
                packet,
                S.STUCK,
                {S.UPLOADED, S.FORWARDED},
                lambda db, row: applications.stuck(row, "service-400", NOW),
            )

        @rule(packet=packets)
        def expire(self, packet: Packet) -> None:
            may = {S.SEALED, S.UPLOADED, S.FORWARDED, S.STUCK}
            self.change(packet, S.EXPIRED, may, lambda db, row: applications.expired(db, row, NOW))

        @rule(packet=packets, tenant=st.sampled_from([BRUGGE, DAMME]))
        def release(self, packet: Packet, tenant: str) -> None:
            state = self.model.get(packet.packet_id)
            if tenant == DAMME or state is None:
                refused = "unknown-application"
            elif packet.packet_id in self.undecided:
                refused = "undecided"
            else:
                refused = "" if state is S.STUCK else "not-stuck"
            actor = Actor("", "", "planner", tenant)
            assert (
                self.told(actor, lambda db: applications.release(db, actor, packet.packet_id, NOW)) == refused
            )
            if not refused:
                self.model[packet.packet_id] = S.UPLOADED

        @rule(tenant=st.sampled_from([BRUGGE, DAMME]), decision=st.sampled_from(["take", "forward", "leave"]))
        def decide(self, tenant: str, decision: Any) -> None:
            """About all at once: they are of one visit and one kit."""
            with self.town.database.reading(EVERYONE) as db:
                matters = quarantine.waiting(db)
            assert {name for matter in matters for name in matter.packets} == self.undecided
            for matter in matters:
                item, actor = matter.item_id, Actor("", "", "planner", tenant)
                told = self.told(actor, lambda db: quarantine.decide(db, actor, item, decision, NOW))  # noqa: B023
                assert told == ("unknown-item" if tenant == DAMME else "")
                if told == "":
                    for name in self.undecided:
                        if decision != "leave" and self.model[name] is S.STUCK:
                            self.model[name] = S.UPLOADED
                    self.undecided.clear()

        @rule(packet=consumes(packets))
        def forget(self, packet: Packet) -> None:
            """The test thinks of it no more; the fleet must."""

        def told(self, actor: Actor, do: Any) -> str:
            """The code of the refusal, or nothing."""
            try:
                with self.town.database.writing(actor.scope) as db:
                    do(db)
            except Refused as refused:
                return refused.code
            return ""

        def change(self, packet: Packet, to: ApplicationState, may: set[ApplicationState], do: Any) -> None:
            held = self.model.get(packet.packet_id)
            if held is None:
                return
            try:
                with self.town.database.writing(EVERYONE) as db:
                    do(db, db.get_one(Application, packet.packet_id))
            except Refused:
                assert held not in may
            else:
                if held in may:
                    self.model[packet.packet_id] = to

        @invariant()
        def everything_is_somewhere_once(self) -> None:
            with self.town.database.reading(EVERYONE) as db:
                counts = applications.counts(db)
            assert counts == {state: Counter(self.model.values())[state] for state in S}
            assert sum(counts.values()) == len(self.model)
            with self.town.database.reading(EVERYONE) as db:
                all_, towns = tally.tally(db)
            assert all_.created == all_.queued + all_.sent + all_.accepted + all_.refused == len(self.model)
            assert all_.queued == counts[S.SEALED]
            assert all_.refused == counts[S.REJECTED] + counts[S.EXPIRED]
            assert towns == ({"Brugge": all_} if self.model else {})
            with self.town.database.reading(only(DAMME)) as db:
                assert sum(applications.counts(db).values()) == 0

        def teardown(self) -> None:
            if hasattr(self, "town"):
                self.town.close()
                self.folder.cleanup()

    return Applications


@pytest.mark.timeout(600)  # what it finds it makes small, which takes minutes
def test_the_counts_are_conserved(ground: Ground) -> None:
    run_state_machine_as_test(
        make_machine(ground),
        settings=settings(
            max_examples=100,
            stateful_step_count=25,
        ),
    )


def test_every_state_is_counted_in_exactly_one_place() -> None:
    places = [*tally.QUEUED, *tally.SENT, *tally.ACCEPTED, *tally.REFUSED]
    assert sorted(places) == sorted(S)


def test_the_database_refuses_a_state_that_is_none(town: Town) -> None:
    visit = town.plan()
    with town.database.writing(EVERYONE) as db:
        row = applications.announced(db, new_ulid(), db.get_one(Visit, visit.visit_id), KIT, "a" * 64, NOW)
        row.state = "lost"
        with pytest.raises(IntegrityError):
            db.flush()
        db.rollback()
