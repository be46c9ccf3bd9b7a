"""New certificates through the kits' listener: asked for, signed by a real authority, told, shown."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from protocol import renewal
from protocol.renewal import RoleName
from server.authority.clerk import Clerk
from server.db.scope import EVERYONE
from server.db.tables import KitCertificate
from server.fleet import incidents, kits, outbox, renewals
from server.work import utc_now
from tests.pki import Files
from tests.server.browsing import Browser
from tests.server.town import KIT, OTHER_KIT, Town
from tests.server.web.caller import Kit, PeerSocket

DAY = timedelta(days=1)


@dataclass
class Holder:
    """A kit's certificate and key, and the listener as that kit meets it."""

    door: Kit
    files: Files

    @property
    def chain(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.files.certificate.read_bytes())

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        from device.spool.credentials import read_key

        return read_key(self.files.key)

    def ask(self, new: ec.EllipticCurvePrivateKey, role: RoleName = "kit-tls") -> tuple[int, Any]:
        request = renewal.sign_asked(role, new, self.key, self.chain)
        answer = self.door.call("POST", "/kit/v1/renew", json={"request": request})
        return answer.status_code, answer.get_json()


@pytest.fixture
def holder(town: Town, kit: Callable[..., Kit]) -> Callable[..., Holder]:
    def with_life(begins: int, ends: int, role: str = "kit-tls") -> Holder:
        files = town.ground.pki.issue_aged(role, KIT, begins * DAY, ends * DAY)
        leaf = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]
        door = kit()
        if role == "kit-tls":
            door.environ["gunicorn.socket"] = PeerSocket(leaf.public_bytes(Encoding.DER))
        return Holder(door, files)

    return with_life


def fresh() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def clerk(town: Town) -> Clerk:
    return Clerk(town.database, town.dock.roots, town.ground.pki.folder / "ca", utc_now)


def told(town: Town) -> list[str]:
    with town.database.reading(EVERYONE) as db:
        return [row.code for row in incidents.listed(db)]


@pytest.mark.parametrize("role", ["kit-tls", "kit-sign"])
def test_a_successor_is_asked_for_signed_fetched_and_told(
    town: Town, holder: Callable[..., Holder], signed_in: Callable[[str], Browser], role: RoleName
) -> None:
    one, new = holder(-24, 6, role), fresh()
    assert one.ask(new, role) == (202, {"state": "pending"})
    assert one.ask(new, role)[0] == 202, "the same request"
    assert clerk(town).work()
    assert not clerk(town).work()
    status, answer = one.ask(new, role)
    chain = x509.load_pem_x509_certificates(answer["chain"].encode())
    assert (status, answer["state"], chain[0].public_key()) == (200, "issued", new.public_key())
    done = renewal.sign_done(role, new, chain)
    assert one.door.call("POST", "/kit/v1/renew/done", json={"done": done}).status_code == 204
    assert one.door.call("POST", "/kit/v1/renew/done", json={"done": done}).status_code == 204
    with town.database.reading(EVERYONE) as db:
        (row,) = renewals.known(db)
        assert (row.role, row.state, row.request, row.serial) == (
            role, "", "", format(chain[0].serial_number, "x"),
        )  # fmt: skip
        assert "doorbell" in outbox.waiting(db), "the kit is rung"
    page = signed_in("beheer.brugge").get(f"/kits/{KIT}").text
    assert "Nog 29 dagen" in page
    assert "Vernieuwd op" in page
    assert one.ask(fresh(), role) == (422, {"error": "renewal-superseded"})
    assert told(town) == ["certificate-superseded"]


def test_one_request_waits_and_the_newest_key_counts(town: Town, holder: Callable[..., Holder]) -> None:
    one, lost, new = holder(-24, 6), fresh(), fresh()
    one.ask(lost)
    one.ask(new)
    assert clerk(town).work()
    assert one.ask(new)[0] == 200
    with town.database.reading(EVERYONE) as db:
        assert len(renewals.known(db)) == 1


def test_no_kit_asks_without_end(town: Town, holder: Callable[..., Holder]) -> None:
    one = holder(-24, 6)
    assert {one.ask(fresh())[0] for _ in range(renewals.MOST_TRIES)} == {202}
    assert one.ask(fresh()) == (422, {"error": "renewal-limit"})


def test_an_ended_certificate_opens_one_door_and_learns_the_time(
    town: Town, holder: Callable[..., Holder]
) -> None:
    one = holder(-60, -30)
    for method, path in (("GET", "/kit/v1/inbox"), ("POST", "/kit/v1/lease"), ("POST", "/kit/v1/uploads/x")):
        answer = one.door.call(method, path, json={} if method == "POST" else None)
        assert answer.status_code == 403
        assert answer.get_json()["error"] == "certificate-expired"
        assert datetime.fromisoformat(answer.get_json()["now"]) > datetime.now(UTC) - DAY
    assert one.ask(fresh())[0] == 202
    assert holder(-300, -200).ask(fresh()) == (422, {"error": "renewal-too-old"})
    ahead = holder(1, 31)
    assert ahead.door.call("GET", "/kit/v1/renew").status_code == 403, "not yet"


@pytest.mark.parametrize("state", ["lost", "retired"])
def test_who_is_lost_or_retired_gets_none(town: Town, holder: Callable[..., Holder], state: str) -> None:
    one = holder(-24, 6)
    with town.database.writing(EVERYONE) as db:
        (kits.missing if state == "lost" else kits.retire)(db, KIT, utc_now())
    assert one.ask(fresh())[0] == (422 if state == "lost" else 403)


def test_another_kits_request_is_not_taken(town: Town, kit: Callable[..., Kit]) -> None:
    folder = town.ground.pki.folder
    other = Holder(kit(), Files(folder / f"kit-tls-{OTHER_KIT}.pem", folder / f"kit-tls-{OTHER_KIT}.key"))
    assert other.ask(fresh()) == (422, {"error": "wrong-kit"})


@pytest.mark.parametrize("body", [b"", b"{}", b'{"request": 1}', b'{"request": "a", "more": 1}'])
def test_what_is_no_request_is_refused(holder: Callable[..., Holder], body: bytes) -> None:
    assert holder(-24, 6).door.call("POST", "/kit/v1/renew", data=body).status_code == 400


def test_what_the_authority_refuses_is_told_and_stays_told_for_an_hour(
    town: Town, holder: Callable[..., Holder], signed_in: Callable[[str], Browser]
) -> None:
    one, new = holder(-24, 6), fresh()
    assert one.door.call("GET", "/kit/v1/inbox").status_code == 200  # from this the fleet knows its end
    one.ask(new)
    town.ground.pki.authority.revoke(format(one.chain[0].serial_number, "x"))
    assert clerk(town).work()
    assert one.ask(new) == (422, {"error": "renewal-revoked"})
    page = signed_in("beheer.brugge").get(f"/kits/{KIT}").text
    assert "Niet vernieuwd" in page
    assert "renewal-revoked" in page


def test_an_answer_for_another_key_or_of_another_authority_is_let_go(
    town: Town, holder: Callable[..., Holder]
) -> None:
    from server.authority.clerk import take_in
    from server.authority.signing import Answer, Answers

    one, new = holder(-24, 6), fresh()
    one.ask(new)
    with town.database.reading(EVERYONE) as db:
        (row,) = renewals.waiting(db)
    for certified in (fresh().public_key(), new.public_key()):
        chain = town.ground.pki.authority.certify("kit-sign", KIT, certified).chain_pem.decode()
        answers = Answers((Answer(row.key_id, chain),), town.ground.pki.roots.read_text())
        assert take_in(town.database, town.dock.roots, answers, utc_now()) == ["renewal-untrusted"]
    assert one.ask(new)[0] == 202, "it still waits"


def test_a_certificate_that_ends_within_a_week_is_an_incident_once(
    town: Town, holder: Callable[..., Holder], signed_in: Callable[[str], Browser]
) -> None:
    one = holder(-24, 6)
    one.door.call("GET", "/kit/v1/inbox")
    for _ in range(2):
        with town.database.writing(EVERYONE) as db:
            renewals.watch(db, utc_now())
    assert told(town) == ["certificate-ending"]
    assert "Nog 5 dagen en niet vernieuwd" in signed_in("beheer.brugge").get(f"/kits/{KIT}").text
    with town.database.reading(EVERYONE) as db:
        row = db.get(KitCertificate, (KIT, "kit-tls"))
        assert row is not None
        assert not renewals.lines(db, OTHER_KIT, utc_now())
        assert renewals.lines(db, KIT, utc_now() + 7 * DAY)[0].state == "ended"
