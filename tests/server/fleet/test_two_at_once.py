"""Two transactions at the same moment: what one has not committed yet, the other neither overlooks for ever
nor undoes.

On SQLite the second waits until the first is over; on PostgreSQL both go on. The first is always one that
holds on until the second has done what it could.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from protocol.bag import open_bag
from protocol.deletion import Deletion, sign_deletion
from protocol.instant import write_instant
from protocol.lifecycle import ApplicationState, VisitState
from protocol.sealed.packet import Part, Sealed
from protocol.sealed.receipt import verify_receipt
from server.db.scope import EVERYONE
from server.db.tables import Application, Kit, Request, Upload, Visit
from server.fleet import applications, bags, deletions, outbox, retention, supplements, visits
from server.fleet.holdings import HARD_LIMIT
from server.fleet.refused import Refused
from server.fleet.uploads import OutOfStep, Standing
from tests.mosquitto import until
from tests.server.fleet.test_quarantine import upload
from tests.server.fleet.test_recaptures import Case, ask_anew
from tests.server.fleet.test_uploads import begin, held, send, write
from tests.server.town import KIT, Town

NOW = datetime.now(UTC)
A_MOMENT_S = 0.5  # for the second to come as far as it can


@contextmanager
def before_it_ends(town: Town, *others: Callable[[], object]) -> Iterator[Session]:
    """A transaction of ours; the others run after the block and before our commit, as far as they can."""
    threads = [threading.Thread(target=other) for other in others]
    with town.database.writing(EVERYONE) as db:
        yield db
        db.flush()
        for thread in threads:
            thread.start()
            thread.join(A_MOMENT_S)
    for thread in threads:
        thread.join()


def arrived(town: Town) -> Sealed:
    sealed = town.packet(town.plan())
    upload(town, sealed)
    return sealed


def answer(town: Town, db: Session, sealed: Sealed) -> None:
    token = town.receipt(sealed)
    receipt = verify_receipt(token, town.recipients.public_receipt_keys())
    row = db.get_one(Application, sealed.manifest.packet_id, with_for_update=True)
    applications.answered(db, row, receipt, token, NOW)


def test_a_bag_that_is_built_while_its_visit_is_taken_back_is_built_again(town: Town) -> None:
    visit = town.plan()

    def build() -> None:
        with town.database.writing(EVERYONE) as db:
            claims = outbox.claim(db, ["bag"], 10, datetime.now(UTC) + timedelta(minutes=1))
        for claim in claims:
            with town.database.writing(EVERYONE) as db:
                outbox.done(db, claim)
                bags.build(db, town.fields, town.sealer, town.dock.blobs, claim.subject, NOW)

    with before_it_ends(town, build) as db:
        visits.unassign(db, town.actor(), visit.visit_id, NOW)
    build()
    with town.database.reading(EVERYONE) as db:
        digest = db.get_one(Kit, KIT).bag_sha256
    assert digest is not None
    bag = open_bag(town.dock.blobs.read(digest), town.ground.bag[0], town.command_keys).bag
    assert bag.visits == ()


def test_what_is_answered_on_its_last_day_stays_answered(town: Town) -> None:
    sealed = arrived(town)

    def purge() -> None:
        retention.purge(town.database, town.dock.blobs, NOW + HARD_LIMIT + timedelta(hours=1))

    with before_it_ends(town, purge) as db:
        answer(town, db, sealed)
    assert held(town, sealed.manifest.packet_id).state == ApplicationState.ACCEPTED


def test_what_arrives_while_its_kit_gives_it_up_stays_arrived(town: Town) -> None:
    visit = town.plan()
    sealed = town.packet(visit)
    packet_id = sealed.manifest.packet_id
    with town.database.writing(EVERYONE) as db:
        applications.announced(db, packet_id, db.get_one(Visit, visit.visit_id), KIT, "a" * 64, NOW)
    signer = town.signer("kit-sign", KIT)
    gone = Deletion(
        kit_id=KIT,
        visit_id=visit.visit_id,
        packet_id=packet_id,
        what="packet",
        why="hard-limit",
        at=write_instant(NOW),
    )
    token = sign_deletion(gone, signer.key, signer.chain)

    def give_up() -> None:
        with town.database.writing(EVERYONE) as db:
            deletions.take(db, KIT, token, town.dock.roots, NOW)

    with before_it_ends(town, give_up) as db:
        row = db.get_one(Application, packet_id, with_for_update=True)
        row.state = ApplicationState.UPLOADED
    assert held(town, packet_id).state == ApplicationState.UPLOADED


def test_parts_that_are_planned_in_the_last_minute_are_not_given_up(town: Town) -> None:
    made = town.ask()
    visit = town.plan(made.request_id)
    case = Case(town, made, visit, town.packet(visit))
    upload(town, case.sealed)
    ask_anew(town, case.sealed)

    def expire() -> None:
        with town.database.writing(EVERYONE) as db:
            supplements.expire(db, NOW + timedelta(days=15))

    with before_it_ends(town, expire) as db:
        db.get_one(Request, case.made.request_id, with_for_update=True).state = VisitState.PLANNED
    assert case.request().state == VisitState.PLANNED
    assert case.state() == ApplicationState.RECAPTURE


def test_what_is_committed_is_what_was_judged(town: Town) -> None:
    """Its visit is locked, so that it waits between the two; then other bytes come under its name."""
    visit = town.plan()
    sealed = town.packet(visit)
    packet_id, data, others = sealed.manifest.packet_id, sealed.data, b"x" * (len(sealed.data) - 1)
    begun = begin(town, packet_id, data)
    write(town, packet_id, 0, begun.generation, data[:-9])

    def finish() -> None:
        with suppress(OutOfStep):  # fenced off: then nothing is committed
            write(town, packet_id, len(data) - 9, begun.generation, data[-9:])

    def begin_anew() -> None:
        with suppress(Refused):  # it was committed before
            anew = begin(town, packet_id, others)
            write(town, packet_id, 0, anew.generation, others[:500])

    with before_it_ends(town, finish, begin_anew) as db:
        db.get_one(Visit, visit.visit_id, with_for_update=True)
    assert send(town, packet_id, data).state == "complete"
    digest = held(town, packet_id).blob_sha256
    assert digest is not None
    assert town.dock.blobs.read(digest) == data


def test_a_part_that_is_gone_by_the_time_it_was_judged_is_asked_for_again(town: Town) -> None:
    """Gone, because somebody else finished the upload meanwhile, or because the disk lost it."""
    sealed = town.packet(town.plan(), parts=(Part("photo.jpg", "image/jpeg", bytes(15_000_000)),))
    packet_id, data = sealed.manifest.packet_id, sealed.data
    begun = begin(town, packet_id, data)
    write(town, packet_id, 0, begun.generation, data[:9])
    (town.dock.parts / packet_id).write_bytes(data)
    with town.database.writing(EVERYONE) as db:  # as who is killed before it was judged leaves it
        db.get_one(Upload, packet_id).written = len(data)

    def finish() -> Standing:
        try:
            return begin(town, packet_id, data)
        except OutOfStep as late:
            return Standing(late.offset, late.generation, "open")

    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(finish)
        until(lambda: generation(town, packet_id) > begun.generation, what="the upload to be begun anew")
        time.sleep(0.01)  # it is looked at, which takes a while
        (town.dock.parts / packet_id).unlink(missing_ok=True)
        assert future.result().offset in (0, len(data))  # the second: this thread was late


def generation(town: Town, packet_id: str) -> int:
    with town.database.reading(EVERYONE) as db:
        return db.get_one(Upload, packet_id).generation
