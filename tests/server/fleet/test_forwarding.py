"""A packet on its way to the service: answered, delayed, refused, lost, lied about; settled once."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import select

from protocol.lifecycle import ApplicationState, VisitState
from protocol.sealed.packet import Sealed
from server.db.scope import EVERYONE
from server.db.tables import Application, OutboxRow, Request, Visit
from server.fleet import applications, inbox, kits, outbox, uploads
from server.fleet.forwarding.breaker import FAILURES, Breaker
from server.fleet.forwarding.connectors import Connectors
from server.fleet.forwarding.forwarder import Forwarder
from server.fleet.outbox import Claim
from server.fleet.refused import Refused
from server.settings import Service as ServiceSettings
from tests.server.fleet.service_stand import Asked, Reply, Stand, stand
from tests.server.town import KIT, SERVICE, Town

LATER = datetime.now(UTC) + timedelta(hours=1)


class Way:
    """A packet that was uploaded, and what happens to it from here."""

    def __init__(self, town: Town, service: Stand, forwarder: Forwarder) -> None:
        self.town, self.service, self.forwarder = town, service, forwarder
        self.visit = town.plan()
        self.sealed: Sealed = town.packet(self.visit)
        self.packet_id = self.sealed.manifest.packet_id
        data, now = self.sealed.data, datetime.now(UTC)
        standing = uploads.begin(
            town.database, town.dock, KIT, self.packet_id, len(data), sha256(data).hexdigest(), now
        )
        uploads.write(town.database, town.dock, KIT, self.packet_id, 0, standing.generation, data, now)

    def go(self) -> str:
        """Work on it once, as the job worker would when it is due."""
        return self.forwarder.forward(self.claim())

    def claim(self) -> Claim:
        with self.town.database.writing(EVERYONE) as db:
            (claim,) = outbox.claim(db, ["forward"], 5, LATER)
        return claim

    @property
    def row(self) -> Application:
        with self.town.database.reading(EVERYONE) as db:
            return db.get_one(Application, self.packet_id)

    @property
    def waits(self) -> OutboxRow | None:
        with self.town.database.reading(EVERYONE) as db:
            return db.scalar(select(OutboxRow).where(OutboxRow.queue == "forward"))

    def receipt(self, *about: str, **changes: str) -> Reply:
        token = self.town.receipt(self.sealed, *about, **changes)
        return Reply(200, json.dumps({"receipt": token}).encode())


def forwarder(town: Town, connectors: Connectors, breaker: Breaker | None = None) -> Forwarder:
    breaker = breaker or Breaker(time.monotonic)
    return Forwarder(town.database, town.dock.blobs, connectors, breaker, lambda: datetime.now(UTC))


@pytest.fixture
def way(town: Town) -> Iterator[Way]:
    with stand(town) as service:
        connectors = Connectors(town.config.services)
        yield Way(town, service, forwarder(town, connectors))
        connectors.close()


def test_an_accepted_packet_brings_its_receipt_to_the_kit(way: Way) -> None:
    way.service.replies = [way.receipt()]
    assert way.go() == "accepted"
    assert way.service.asked == [Asked("POST", "/v1/applications", way.packet_id, way.sealed.data)]
    assert (way.row.state, way.waits) == (ApplicationState.ACCEPTED, None)
    with way.town.database.reading(EVERYONE) as db:
        assert db.get_one(Visit, way.visit.visit_id).state == VisitState.CLOSED
        assert db.scalar(select(OutboxRow).where(OutboxRow.queue == "doorbell")) is not None
        kit = kits.active(db, KIT)
        assert kit is not None
        assert inbox.waiting(db, way.town.dock.blobs, kit, 0).receipts == (way.row.receipt,)
    with way.town.database.writing(EVERYONE) as db:
        inbox.confirm(db, "kit-damme-01", [way.packet_id], LATER)  # not its packet: nothing
        assert inbox.waiting(db, way.town.dock.blobs, kit, 0).receipts
        inbox.confirm(db, KIT, [way.packet_id], LATER)
        assert inbox.waiting(db, way.town.dock.blobs, kit, 0).receipts == ()


def test_a_rejected_packet_keeps_its_reason_and_its_request_can_be_planned_again(way: Way) -> None:
    way.service.replies = [way.receipt("rejected", "photo-too-old")]
    assert way.go() == "rejected"
    assert (way.row.state, way.row.reason) == (ApplicationState.REJECTED, "photo-too-old")
    with way.town.database.reading(EVERYONE) as db:
        assert db.get_one(Request, way.visit.request_id).state == VisitState.ABANDONED
    way.town.plan(way.visit.request_id, hour=16)


def test_a_service_that_answers_later_is_asked_for_the_answer(way: Way) -> None:
    way.service.replies = [Reply(202, headers=(("Retry-After", "3"),)), Reply(202), way.receipt()]
    assert way.go() == "offered"
    assert way.row.state == ApplicationState.FORWARDED
    assert way.waits is not None
    assert way.waits.run_after < LATER
    assert way.go() == "offered"
    assert way.go() == "accepted"
    assert [(asked.method, asked.path) for asked in way.service.asked] == [
        ("POST", "/v1/applications"),
        ("GET", f"/v1/applications/{way.packet_id}"),
        ("GET", f"/v1/applications/{way.packet_id}"),
    ]


def test_a_service_that_forgot_the_packet_is_offered_it_again(way: Way) -> None:
    way.service.replies = [Reply(202), Reply(404), way.receipt()]
    assert [way.go(), way.go()] == ["offered", "accepted"]
    assert [asked.method for asked in way.service.asked] == ["POST", "GET", "POST"]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (None, "service-unreachable"),
        (Reply(500), "service-500"),
        (Reply(503), "service-503"),
        (Reply(429), "service-429"),
        (Reply(302), "service-302"),
        (Reply(404), "service-404"),
        (Reply(200, b"not json"), "answer-malformed"),
        (Reply(200, b'{"receipt": 5}'), "answer-malformed"),
        (Reply(200, b"x" * 70_000), "answer-too-long"),
    ],
)
def test_an_answer_that_is_none_is_asked_for_again(way: Way, reply: Reply | None, code: str) -> None:
    way.service.replies = [reply, way.receipt()]
    assert way.go() == code
    assert way.row.state == ApplicationState.UPLOADED
    assert way.waits is not None
    assert (way.waits.error, way.waits.attempts) == (code, 1)
    assert way.go() == "accepted"


def test_a_lost_answer_ends_in_one_application(way: Way) -> None:
    way.service.replies = [None, way.receipt()]
    way.go()
    way.go()
    assert {asked.key for asked in way.service.asked} == {way.packet_id}


@pytest.mark.parametrize("status", [400, 403, 410, 413, 422])
def test_a_service_that_declines_leaves_the_packet_to_a_person(way: Way, status: int) -> None:
    way.service.replies = [Reply(status), way.receipt()]
    assert way.go() == f"service-{status}"
    assert (way.row.state, way.row.reason, way.waits) == (ApplicationState.STUCK, f"service-{status}", None)
    planner, stranger = way.town.actor(), way.town.actor(tenant="0207458223")
    with pytest.raises(Refused, match="unknown-application"), way.town.database.writing(stranger.scope) as db:
        applications.release(db, stranger, way.packet_id, LATER)
    with way.town.database.writing(planner.scope) as db:
        applications.release(db, planner, way.packet_id, datetime.now(UTC))
    with pytest.raises(Refused, match="not-stuck"), way.town.database.writing(planner.scope) as db:
        applications.release(db, planner, way.packet_id, LATER)
    assert way.go() == "accepted"


@pytest.mark.parametrize(
    "changes",
    [{"packet_id": "01J00000000000000000000000"}, {"manifest_sha256": "b" * 64}, {"kit_id": "kit-other"}],
)
def test_a_receipt_for_something_else_is_not_believed(way: Way, changes: dict[str, str]) -> None:
    way.service.replies = [way.receipt(**changes)]
    assert way.go() == "receipt-of-another"
    assert (way.row.state, way.row.receipt) == (ApplicationState.STUCK, None)


def test_a_receipt_signed_by_somebody_else_is_not_believed(way: Way) -> None:
    token = way.town.receipt(way.sealed)
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    way.service.replies = [Reply(200, json.dumps({"receipt": forged}).encode())]
    assert way.go() == "receipt-untrusted"
    assert (way.row.state, way.row.receipt) == (ApplicationState.STUCK, None)


def test_without_a_valid_recipient_list_the_packet_waits(way: Way, tmp_path: Path) -> None:
    held = way.town.config.services[SERVICE]
    listing = tmp_path / "recipients.jws"
    settings = ServiceSettings(
        url=held.url,
        ca=held.ca,
        recipients=listing,
        list_key=held.list_key,
        certificate=held.certificate,
        key=held.key,
    )
    service = Connectors({SERVICE: settings})
    way.forwarder = forwarder(way.town, service)
    way.service.replies = [way.receipt()]
    assert way.go() == "recipients-unreadable"
    listing.write_text("x")
    assert way.go() == "recipients-untrusted"
    listing.write_bytes(held.recipients.read_bytes())
    assert way.go() == "accepted"
    service.close()


def test_a_service_with_another_certificate_gets_nothing(way: Way) -> None:
    held = way.town.config.services[SERVICE]
    foreign = ServiceSettings(
        url=held.url,
        ca=Path("/etc/ssl/certs/ca-certificates.crt"),
        recipients=held.recipients,
        list_key=held.list_key,
    )
    service = Connectors({SERVICE: foreign})
    way.forwarder = forwarder(way.town, service)
    assert way.go() == "service-certificate"  # and not that it is silent: somebody must mend it
    assert way.service.asked == []
    service.close()


def test_a_service_that_is_not_configured_leaves_the_packet_to_a_person(way: Way) -> None:
    way.forwarder = forwarder(way.town, Connectors({}))
    assert way.go() == "no-service"
    assert way.row.state == ApplicationState.STUCK


def test_a_worker_whose_lease_ran_out_settles_nothing(way: Way) -> None:
    way.service.replies = [way.receipt()]
    late = way.claim()
    with way.town.database.writing(EVERYONE) as db:
        (now,) = outbox.claim(db, ["forward"], 1, LATER + outbox.LEASE * 2)
    assert way.forwarder.forward(late) == "lease-lost"
    assert way.row.state == ApplicationState.UPLOADED
    assert way.forwarder.forward(now) == "accepted"


def test_a_service_that_does_not_answer_is_left_alone_and_asked_again_once(way: Way) -> None:
    now = [0.0]
    connectors = Connectors(way.town.config.services)
    way.forwarder = forwarder(way.town, connectors, Breaker(lambda: now[0]))
    way.service.replies = [Reply(503)] * FAILURES + [Reply(503), way.receipt()]
    assert [way.go() for _ in range(FAILURES)] == ["service-503"] * FAILURES
    assert [way.go(), way.go()] == ["service-resting"] * 2
    assert len(way.service.asked) == FAILURES
    assert way.waits is not None
    assert way.waits.error == "service-503"  # what a person reads is why, and not that we wait
    now[0] += 16
    assert way.go() == "service-503"  # the one that may look
    assert way.go() == "service-resting"
    now[0] += 31  # twice the first rest
    assert way.go() == "accepted"
    connectors.close()
