"""A service that fetches its packets: list, packet, receipt; and everybody else outside."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from flask.testing import FlaskClient
from sqlalchemy import delete

from protocol.instant import write_instant
from protocol.sealed.packet import Sealed
from server.db.scope import EVERYONE
from server.db.tables import Application, OutboxRow, Visit
from server.fleet import collecting, quarantine, reconciling, uploads, visits
from server.work import utc_now
from tests.server.town import BRUGGE, DAMME, KIT, OTHER_KIT, SERVICE, Town
from tests.server.web.caller import Kit

COLLECTOR, OTHER = "haal.service.test", "haal.damme.test"


def uploaded(town: Town, seq: int = 1, visit: Visit | None = None) -> Sealed:
    sealed = town.packet(visit or town.plan(hour=8 + seq), seq)
    data, packet_id, now = sealed.data, sealed.manifest.packet_id, utc_now()
    begun = uploads.begin(town.database, town.dock, KIT, packet_id, len(data), sha256(data).hexdigest(), now)
    uploads.write(town.database, town.dock, KIT, packet_id, 0, begun.generation, data, now)
    return sealed


def state(town: Town, sealed: Sealed) -> str:
    with town.database.reading(EVERYONE) as db:
        return str(db.get_one(Application, sealed.manifest.packet_id).state)


@pytest.fixture
def fetched(town: Town) -> Iterator[None]:
    """The service of the town fetches; Damme's own is another."""
    for name in (COLLECTOR, OTHER):
        town.ground.pki.issue("collector", name)
    service = town.ground.service
    lists = f'recipients = "{service}/recipients.jws"\nlist_key = "{service}/list-key.pem"\n'
    text = town.toml.read_text()
    head = text[: text.index(f'[services."{SERVICE}"]')]
    town.toml.write_text(
        f'{head}[services."{SERVICE}"]\n{lists}pickup = {{ collector = "{COLLECTOR}" }}\n'
        f'[services."{SERVICE}".municipalities."{DAMME}"]\n{lists}pickup = {{ collector = "{OTHER}" }}\n'
    )
    yield
    town.write_toml()


@pytest.fixture
def caller(town: Town, fetched: None, kit_door: FlaskClient) -> Callable[..., Kit]:
    def with_certificate(role: str = "collector", name: str = COLLECTOR) -> Kit:
        path = town.ground.pki.folder / f"{role}-{name}.pem"
        leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
        return Kit(kit_door, leaf.public_bytes(Encoding.DER))

    return with_certificate


def test_a_packet_is_listed_fetched_and_settled_by_its_receipt(
    town: Town, caller: Callable[..., Kit]
) -> None:
    sealed = uploaded(town)
    packet_id, service = sealed.manifest.packet_id, caller()
    listed = service.call("GET", "/service/v1/applications").get_json()["applications"]
    assert listed == [
        {
            "packet_id": packet_id,
            "service_id": SERVICE,
            "tenant": BRUGGE,
            "size": len(sealed.data),
            "sha256": sha256(sealed.data).hexdigest(),
        }
    ]
    packet = service.call("GET", f"/service/v1/applications/{packet_id}")
    assert (packet.status_code, packet.data) == (200, sealed.data)
    assert state(town, sealed) == "forwarded"
    body = {"receipt": town.receipt(sealed)}
    for _ in range(2):  # its first answer may have got lost
        answer = service.call("POST", f"/service/v1/applications/{packet_id}/receipt", json=body)
        assert (answer.status_code, answer.get_json()) == (200, {"state": "accepted"})
    assert state(town, sealed) == "accepted"
    assert service.call("GET", "/service/v1/applications").get_json() == {"applications": []}
    rejected = {"receipt": town.receipt(sealed, "rejected", "photo-unusable")}
    again = service.call("POST", f"/service/v1/applications/{packet_id}/receipt", json=rejected)
    assert (again.status_code, again.get_json()) == (422, {"error": "already-answered"})


def test_a_service_that_fetches_may_ask_for_a_part_again_and_its_question_comes_once(
    town: Town, caller: Callable[..., Kit]
) -> None:
    sealed, service = uploaded(town), caller()
    place = f"/service/v1/applications/{sealed.manifest.packet_id}/receipt"
    until = write_instant(utc_now() + timedelta(days=14))

    def ask(*parts: str) -> dict[str, str]:
        return {"receipt": town.receipt(sealed, "recapture", "photo-blurred", parts=parts, until=until)}

    for _ in range(2):
        answer = service.call("POST", place, json=ask("photo"))
        assert (answer.status_code, answer.get_json()) == (200, {"state": "recapture"})
    for other in (ask("photo", "signature"), {"receipt": town.receipt(sealed)}):
        again = service.call("POST", place, json=other)
        assert (again.status_code, again.get_json()) == (422, {"error": "already-answered"})
    assert state(town, sealed) == "recapture"


def test_what_waits_for_a_decision_is_not_fetched_before_it(town: Town, caller: Callable[..., Kit]) -> None:
    visit = town.plan()
    clerk = town.actor()
    with town.database.writing(clerk.scope) as db:
        visits.unassign(db, clerk, visit.visit_id, utc_now())
    sealed = uploaded(town, visit=visit)
    assert state(town, sealed) == "stuck"
    (told,) = caller().call("GET", "/service/v1/statement").get_json()["applications"]
    assert (told["packet_id"], told["state"]) == (sealed.manifest.packet_id, "stuck")
    place = f"/service/v1/applications/{sealed.manifest.packet_id}"
    assert caller().call("GET", place).status_code == 404
    with town.database.writing(EVERYONE) as db:
        (matter,) = quarantine.waiting(db)
        quarantine.decide(db, town.actor(), matter.item_id, "take", utc_now())
    assert caller().call("GET", place).data == sealed.data


def test_a_receipt_of_another_packet_or_of_nobody_settles_nothing(
    town: Town, caller: Callable[..., Kit]
) -> None:
    first, second = uploaded(town), uploaded(town, 2)
    place = f"/service/v1/applications/{first.manifest.packet_id}/receipt"
    for token, code in ((town.receipt(second), "receipt-of-another"), ("a.b.c", "receipt-untrusted")):
        answer = caller().call("POST", place, json={"receipt": token})
        assert (answer.status_code, answer.get_json()) == (422, {"error": code})
    assert state(town, first) == "uploaded"
    for body in (b"{", b'{"receipt": 1}', b'{"receipt": "x", "more": 1}', b"\xff"):
        assert caller().call("POST", place, data=body).status_code == 400


@pytest.mark.parametrize(
    ("role", "name", "status"),
    [("collector", OTHER, 404), ("ingest", "fleet-ingest-1", 403), ("kit-tls", KIT, 403)],
)
def test_only_the_line_of_the_municipality_sees_a_packet(
    town: Town, caller: Callable[..., Kit], role: str, name: str, status: int
) -> None:
    sealed = uploaded(town)
    stranger, place = caller(role, name), f"/service/v1/applications/{sealed.manifest.packet_id}"
    assert stranger.call("GET", place).status_code == status
    receipt = {"receipt": town.receipt(sealed)}
    assert stranger.call("POST", f"{place}/receipt", json=receipt).status_code == status
    assert state(town, sealed) == "uploaded"
    listed = stranger.call("GET", "/service/v1/applications")
    assert listed.status_code == (200 if status == 404 else 403)
    if status == 404:
        assert listed.get_json() == {"applications": []}


def test_a_collector_is_no_kit_and_without_a_certificate_nobody_enters(caller: Callable[..., Kit]) -> None:
    assert caller().call("GET", "/kit/v1/inbox").status_code == 403
    nobody = Kit(caller().client, None)
    assert nobody.call("GET", "/service/v1/applications").status_code == 403
    assert caller("kit-tls", OTHER_KIT).call("GET", "/service/v1/applications/x").status_code == 403
    assert caller().call("GET", "/service/v1/applications/x").status_code == 404


def test_forwarding_that_fell_out_of_the_queue_is_put_back(town: Town) -> None:
    sealed, now = uploaded(town), utc_now()
    with town.database.writing(EVERYONE) as db:
        assert reconciling.reconcile(db, now + 2 * reconciling.QUIET) == []
        db.execute(delete(OutboxRow).where(OutboxRow.queue == "forward"))
        assert reconciling.reconcile(db, now) == []  # it may just be on its way
        assert reconciling.reconcile(db, now + 2 * reconciling.QUIET) == [sealed.manifest.packet_id]
        assert reconciling.reconcile(db, now + 2 * reconciling.QUIET) == []


def test_the_statement_names_what_has_arrived_of_the_own_lines_page_by_page(
    town: Town, caller: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "LONGEST_STATEMENT", 2)
    arrived = sorted((uploaded(town, seq) for seq in (1, 2, 3)), key=lambda each: each.manifest.packet_id)
    town.packet(town.plan(hour=17), 4)  # sealed, and still on its way
    lines = [
        {"packet_id": each.manifest.packet_id, "manifest_sha256": each.manifest_sha256, "state": "uploaded"}
        for each in arrived
    ]
    service, place = caller(), "/service/v1/statement"
    assert service.call("GET", place).get_json() == {"applications": lines[:2], "more": True}
    rest = service.call("GET", f"{place}?after={lines[1]['packet_id']}").get_json()
    assert rest == {"applications": lines[2:], "more": False}
    assert caller(name=OTHER).call("GET", place).get_json() == {"applications": [], "more": False}
    assert caller("kit-tls", KIT).call("GET", place).status_code == 403
    for after in ("x", "0", "01KA0000000000000000000009'"):
        assert service.call("GET", f"{place}?after={after}").status_code == 404
