"""However often a service asks for parts again, and whoever is late: one application is counted once."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.lifecycle import ApplicationState as S
from protocol.recapture import PARTS, Part
from protocol.sealed.receipt import Receipt
from server.db.scope import EVERYONE
from server.db.tables import Application, Visit
from server.fleet import applications, recaptures, supplements, tally, visits
from server.fleet.applications import Packet
from tests.server.town import BRUGGE, KIT, SERVICE, Ground, Town

NOW = datetime.now(UTC).replace(microsecond=0)
UNTIL = NOW + timedelta(days=90)
ASKED = st.lists(st.sampled_from(PARTS), min_size=1, unique=True).map(
    lambda parts: tuple(part for part in PARTS if part in parts)
)


@dataclass(eq=False)
class Whole:
    """An application as it must be counted, and what is under way for it."""

    packet_id: str
    request_id: str
    counted: str = "sent"
    final: bool = False  # the service has said its last word
    asked: tuple[Part, ...] = ()  # by the newest question, still open
    planned: Visit | None = None
    stray: Visit | None = None  # taken back, and the kit may not know
    waiting: str = ""  # the packet with the service
    brought: list[str] = field(default_factory=list)


def make_machine(ground: Ground) -> type[RuleBasedStateMachine]:
    class Asking(RuleBasedStateMachine):
        wholes = Bundle("wholes")

        @initialize()
        def open(self) -> None:
            self.folder = tempfile.TemporaryDirectory()
            self.town = Town(Path(self.folder.name) / "town", ground)
            self.all: list[Whole] = []
            self.seq = self.visits = 0

        @rule(target=wholes)
        def apply(self) -> Whole:
            made = self.town.ask(name=f"Persoon {new_ulid()}")
            packet_id = self.arrive(self.plan(made.request_id), "")
            whole = Whole(packet_id, made.request_id, waiting=packet_id, brought=[packet_id])
            self.all.append(whole)
            return whole

        @rule(whole=wholes, parts=ASKED)
        def ask_anew(self, whole: Whole, parts: tuple[Part, ...]) -> None:
            if whole.waiting and not whole.final:
                self.answer(whole, "recapture", "photo-blurred", parts=parts, until=write_instant(UNTIL))
                whole.counted, whole.asked = "sent", parts

        @rule(whole=wholes, verdict=st.sampled_from(["accepted", "rejected"]))
        def answer_for_good(self, whole: Whole, verdict: str) -> None:
            if whole.waiting and not whole.final:
                self.answer(whole, verdict, "" if verdict == "accepted" else "no")
                whole.counted = "accepted" if verdict == "accepted" else "refused"
                whole.final, whole.asked = True, ()

        @rule(whole=wholes)
        def say_that_it_is_no_supplement(self, whole: Whole) -> None:
            if whole.waiting and whole.waiting != whole.packet_id:
                self.answer(whole, "rejected", "supplement-not-asked")

        @rule(whole=wholes)
        def plan_short(self, whole: Whole) -> None:
            if whole.asked and not whole.waiting and whole.planned is None:
                whole.planned = self.plan(whole.request_id)
                assert whole.planned.recapture is not None

        @rule(whole=wholes)
        def take_back(self, whole: Whole) -> None:
            if whole.planned is not None:
                planner, planned = self.town.actor(), whole.planned
                with self.town.database.writing(planner.scope) as db:
                    visits.unassign(db, planner, planned.visit_id, NOW)
                whole.planned, whole.stray = None, planned

        @rule(whole=wholes, twice=st.booleans())
        def bring(self, whole: Whole, twice: bool) -> None:
            if whole.planned is not None and not whole.waiting:
                whole.waiting = self.arrive(whole.planned, whole.packet_id, twice)
                whole.planned = None
                whole.brought.append(whole.waiting)

        @rule(whole=wholes)
        def bring_what_was_taken_back(self, whole: Whole) -> None:
            if whole.stray is not None and not whole.waiting and whole.planned is None:
                whole.waiting, whole.stray = self.arrive(whole.stray, whole.packet_id), None
                whole.brought.append(whole.waiting)
                self.with_row(whole.waiting, lambda db, row: applications.send(db, row, NOW))

        @rule()
        def give_up(self) -> None:
            """The day has come until which services wait; what is planned or on its way is left alone."""
            with self.town.database.writing(EVERYONE) as db:
                given_up = supplements.expire(db, UNTIL)
            due = [one for one in self.all if one.asked and one.planned is None and not one.waiting]
            assert sorted(given_up) == sorted(one.packet_id for one in due)
            for one in due:
                one.counted, one.asked = "refused", ()

        def plan(self, request_id: str) -> Visit:
            self.visits += 1
            return self.town.plan(request_id, hour=8 + self.visits % 10, day=1 + self.visits // 10)

        def arrive(self, visit: Visit, supplements_: str, twice: bool = False) -> str:
            self.seq += 1
            with self.town.database.reading(EVERYONE) as db:
                asked = recaptures.of_visit(db, db.get_one(Visit, visit.visit_id))
            packet = Packet(
                packet_id=new_ulid(),
                visit_id=visit.visit_id,
                tenant=BRUGGE,
                service_id=SERVICE,
                kit_id=KIT,
                kit_cert_serial="1",
                seq=self.seq,
                manifest_sha256=f"{self.seq:064x}",
                size=10,
                blob_sha256=f"{self.seq:064x}",
                sealing="{}",
                supplements=supplements_,
                parts=tuple(asked.parts) if asked else (),
            )
            for _ in range(1 + twice):
                with self.town.database.writing(EVERYONE) as db:
                    applications.arrived(db, packet, NOW)
            return packet.packet_id

        def answer(self, whole: Whole, verdict: Any, code: str, **more: Any) -> None:
            def take(db: Any, row: Application) -> None:
                receipt = Receipt(
                    packet_id=row.packet_id,
                    manifest_sha256=row.manifest_sha256 or "",
                    kit_id=KIT,
                    verdict=verdict,
                    code=code,
                    at=write_instant(NOW),
                    **more,
                )
                applications.answered(db, row, receipt, "token", NOW)

            self.with_row(whole.waiting, take)
            whole.waiting = ""

        def with_row(self, packet_id: str, do: Callable[[Any, Application], None]) -> None:
            with self.town.database.writing(EVERYONE) as db:
                do(db, db.get_one(Application, packet_id))

        @invariant()
        def each_is_counted_once(self) -> None:
            with self.town.database.reading(EVERYONE) as db:
                counted, _ = tally.tally(db)
                states = {one.packet_id: S(db.get_one(Application, one.packet_id).state) for one in self.all}
            wanted = Counter(one.counted for one in self.all)
            assert (counted.created, counted.queued) == (len(self.all), 0)
            assert (counted.sent, counted.accepted, counted.refused) == (
                wanted["sent"],
                wanted["accepted"],
                wanted["refused"],
            )
            for one in self.all:
                place = {"sent": tally.SENT, "accepted": tally.ACCEPTED, "refused": tally.REFUSED}
                assert states[one.packet_id] in place[one.counted]

        def teardown(self) -> None:
            if hasattr(self, "town"):
                self.town.close()
                self.folder.cleanup()

    return Asking


@pytest.mark.timeout(600)  # what it finds it makes small, which takes minutes
def test_the_counts_are_conserved_however_often_parts_are_asked_again(ground: Ground) -> None:
    run_state_machine_as_test(
        make_machine(ground),
        settings=settings(
            max_examples=120 if "THUISLOKET_LONG" in os.environ else 20,
            stateful_step_count=30,
        ),
    )
