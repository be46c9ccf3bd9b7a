"""The ceremony with a security key: real desk, real kiosk, Chromium with an authenticator of its own.

The authenticator is Chromium's (WebAuthn domain of its DevTools protocol); it verifies its holder, or not.
"""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import Browser, CDPSession, Page, expect
from werkzeug.serving import make_server

from device.agent import enrolling
from device.agent.clock import SystemClock
from device.kiosk import create_kiosk
from device.vault.database import Database
from device.vault.security_keys import SecurityKey, SecurityKeys
from protocol.identity import Role, role_of
from protocol.sealed import cbor
from protocol.sealed.registration import Registration
from provisioning import security_key
from provisioning.ca import Authority
from tests.browser.kiosk import _Quiet
from tests.device.agent.kit import OFFICER, PIN, WEEK, Desktop, Kit
from tests.protocol.certificates import Holder, leaf

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
CREDENTIAL = bytes(range(32))
PATIENCE_MS = 60_000


@dataclass
class Counter:
    """A kit whose officer has a security key, before its last step."""

    kit: Kit
    top: Desktop
    key: Holder
    port: int
    visit_id: str


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    kit = Kit(tmp_path)
    now = datetime.now(UTC)
    key = leaf(Role.OFFICER_KEY, OFFICER, kit.issuing, start=now - WEEK, end=now + WEEK)
    database = Database(kit.data / "vault.db")
    keys = SecurityKeys(database)
    with database.transaction() as tx:
        keys.write(tx, OFFICER, SecurityKey(CREDENTIAL, (key.certificate, kit.issuing.certificate)))
    database.close()
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top, served(top) as port:
        top.until_step(visit, "seal")
        top.desk.lock()
        yield Counter(kit, top, key, port, visit.visit_id)


@contextmanager
def served(top: Desktop) -> Iterator[int]:
    app = create_kiosk(top.desk, "nl", SystemClock())
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="nl-BE")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def plug_in_authenticator(page: Page, *, verifies: bool = True) -> tuple[CDPSession, str]:
    """An empty security key in this browser, for as long as its session is there; and the key's id."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasUserVerification": True,
        "isUserVerified": verifies,
        "automaticPresenceSimulation": True,
    }
    added = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, added["authenticatorId"]


def plug_in(page: Page, key: Holder, *, verifies: bool = True) -> CDPSession:
    """A security key with the officer's key pair, in this browser."""
    session, authenticator_id = plug_in_authenticator(page, verifies=verifies)
    private = key.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    credential = {
        "credentialId": base64.b64encode(CREDENTIAL).decode(),
        "isResidentCredential": False,
        "rpId": "localhost",
        "privateKey": base64.b64encode(private).decode(),
        "signCount": 0,
    }
    session.send("WebAuthn.addCredential", {"authenticatorId": authenticator_id, "credential": credential})
    return session


def to_the_seal(page: Page, counter: Counter, host: str = "localhost") -> None:
    """Signed in, with the visit open; by the doors, for what is tried here comes after."""
    address = f"http://{host}:{counter.port}"
    send(page, address, "/unlock", officer=OFFICER, pin=PIN)
    send(page, address, f"/visits/{counter.visit_id}/open")
    page.goto(address)
    expect(page.get_by_role("button", name="Verzegelen met uw sleutel")).to_be_visible(timeout=PATIENCE_MS)


def send(page: Page, address: str, path: str, **fields: str) -> None:
    csrf = page.request.get(f"{address}/desk").json()["csrf"]
    answer = page.request.post(f"{address}{path}", form={**fields, "csrf": csrf}, max_redirects=0)
    assert answer.status == 303, (path, answer.status)


def sealed_by(counter: Counter) -> str:
    """How the officer signed what the competent service opens."""
    seen = counter.top.until(lambda now: now.visit and now.visit.sealed, 60).visit
    assert seen is not None
    return counter.kit.service.open(counter.top.packet(seen.packet_id)).outer.manifest.officer_signature


def test_an_application_is_sealed_with_the_officers_security_key(counter: Counter, page: Page) -> None:
    plug_in(page, counter.key)
    to_the_seal(page, counter)
    page.get_by_role("button", name="Verzegelen met uw sleutel").click()
    page.get_by_role("button", name="Nu tekenen").click()
    assert sealed_by(counter) == "webauthn"


def test_a_key_that_cannot_verify_its_holder_signs_nothing_and_the_pin_does(
    counter: Counter, page: Page
) -> None:
    plug_in(page, counter.key, verifies=False)
    to_the_seal(page, counter)
    page.get_by_role("button", name="Verzegelen met uw sleutel").click()
    page.get_by_role("button", name="Nu tekenen").click()
    expect(page.get_by_text("De sleutel heeft niet getekend")).to_be_visible(timeout=90_000)
    page.get_by_role("button", name="Verzegelen zonder sleutel").click()
    assert sealed_by(counter) == "pin-key"


def test_another_key_is_refused_by_the_kit(counter: Counter, page: Page) -> None:
    plug_in(page, leaf(Role.OFFICER_KEY, OFFICER, counter.kit.issuing))
    to_the_seal(page, counter)
    page.get_by_role("button", name="Verzegelen met uw sleutel").click()
    page.get_by_role("button", name="Nu tekenen").click()
    expect(page.get_by_text("De sleutel heeft dit niet getekend")).to_be_visible(timeout=PATIENCE_MS)
    assert counter.top.spool.offered() == []


def test_on_an_address_that_is_no_name_the_page_says_so(counter: Counter, page: Page) -> None:
    to_the_seal(page, counter, "127.0.0.1")
    page.get_by_role("button", name="Verzegelen met uw sleutel").click()
    expect(page.get_by_text("Dit scherm kan geen sleutel gebruiken")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Nu tekenen")).to_be_hidden()
    page.get_by_role("button", name="Verzegelen zonder sleutel").click()
    assert sealed_by(counter) == "pin-key"


def test_a_key_is_registered_attested_and_certified(counter: Counter, page: Page, tmp_path: Path) -> None:
    _session = plug_in_authenticator(page)
    to_the_seal(page, counter)
    page.locator("form[action='/leave'] button").first.click()
    page.get_by_role("link", name="Veiligheidssleutel").click()
    page.get_by_role("button", name="Sleutel aanmelden").click()
    expect(page.get_by_text("Uw sleutel is aangemeld")).to_be_visible(timeout=PATIENCE_MS)
    told = enrolling.requested_key(counter.kit.data / "vault.db", OFFICER)
    registration = msgspec.json.decode(told, type=Registration)
    makers = tmp_path / "makers"
    makers.mkdir()
    (makers / "chromium.der").write_bytes(attested_by(registration))
    request = tmp_path / "request.json"
    request.write_text(told)
    authority = Authority.create(tmp_path / "ca", "Test")
    credential, officer_id = security_key.certify(authority, request, makers, tmp_path / "an")
    assert officer_id == OFFICER
    assert credential
    (leaf_, _) = x509.load_pem_x509_certificates((tmp_path / "an.pem").read_bytes())
    assert role_of(leaf_) == (Role.OFFICER_KEY, OFFICER)


def attested_by(registration: Registration) -> bytes:
    """The certificate of the authenticator that Chromium plays."""
    text = registration.attestation_object
    told = cbor.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert isinstance(told, dict)
    return bytes(told["attStmt"]["x5c"][-1])
