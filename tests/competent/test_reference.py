"""The reference service as a process of its own, over TLS, with each way it can be told to behave."""

import json
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509 import DNSName, SubjectAlternativeName

from competent.settings import read_settings
from protocol.identity import USE, Role, subject
from protocol.ids import new_ulid
from protocol.sealed.outer import LARGEST
from protocol.sealed.receipt import verify_receipt
from protocol.sealed.recipients import verify_list
from tests.competent.place import Desk, build_desk, write_holder
from tests.protocol.certificates import authority, issue, key_usage, leaf
from tests.protocol.sealed.application import build_world

pytestmark = pytest.mark.system
TOKEN = "a-control-token-of-this-test"
PATIENCE_S = 120.0  # on a machine that does ten other things
REFUSED = (httpx.NetworkError, httpx.RemoteProtocolError)  # and no timeout
TLS_ROOT = authority("TLS root")


def server_certificate():
    extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (key_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([USE[Role.SERVICE]]), False),
        (SubjectAlternativeName([DNSName("localhost")]), False),
    ]
    return issue(subject(Role.SERVICE, "localhost"), TLS_ROOT, extensions)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Service:
    desk: Desk
    config: Path
    process: subprocess.Popen[bytes]
    client: httpx.Client

    def post(self, sealed, key=None, data=None):
        headers = {"Idempotency-Key": key or sealed.manifest.packet_id}
        return self.client.post("/v1/applications", content=data or sealed.data, headers=headers)

    def ask(self, packet_id):
        return self.client.get(f"/v1/applications/{packet_id}")

    def count(self):
        return self.client.get("/v1/count").json()

    def order(self, behaviour, times=1, token=TOKEN):
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.post("/control", json={"behaviour": behaviour, "times": times}, headers=headers)

    def receipt(self, response):
        keys = self.desk.keys
        pinned = load_pem_public_key((keys / "list-key.pem").read_bytes())
        recipients = verify_list((keys / "recipients.jws").read_text(), pinned, datetime.now(UTC))
        return verify_receipt(response.json()["receipt"], recipients.public_receipt_keys())

    def stop(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(timeout=20)


def start(desk: Desk, *, client_ca: str = "", client: tuple[str, str] | None = None) -> Service:
    folder, port = desk.folder, free_port()
    write_holder(server_certificate(), folder / "service.pem", folder / "service.key")
    (folder / "tls-root.pem").write_bytes(TLS_ROOT.certificate.public_bytes(Encoding.PEM))
    config = folder / "service.toml"
    config.write_text(
        f'port = {port}\ncertificate = "service.pem"\nkey = "service.key"\nclient_ca = "{client_ca}"\n'
        f'trust = "trust"\nkeys = "keys"\ndata = "data"\ncontrol_token = "{TOKEN}"\n'
    )
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "competent.reference", "--config", str(config)], stdout=log, stderr=log
        )
    context = ssl.create_default_context(cafile=str(folder / "tls-root.pem"))
    if client:
        context.load_cert_chain(*client)
    made = httpx.Client(base_url=f"https://localhost:{port}", verify=context, timeout=PATIENCE_S)
    deadline = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return Service(desk, config, process, made)
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = start(build_desk(tmp_path_factory.mktemp("service")))
    yield made
    made.stop()


def test_an_application_is_accepted_once_and_answered_the_same_each_time(service):
    before = service.count()
    sealed = service.desk.packet()
    first, second = service.post(sealed), service.post(sealed)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json() == service.ask(sealed.manifest.packet_id).json()
    receipt = service.receipt(first)
    assert (receipt.verdict, receipt.code) == ("accepted", "")
    assert receipt.packet_id == sealed.manifest.packet_id
    assert receipt.manifest_sha256 == sealed.manifest_sha256
    after = service.count()
    assert after["accepted"] == before["accepted"] + 1
    assert after["distinct"] == before["distinct"] + 1
    assert after["deliveries"] == before["deliveries"] + 2


def test_it_rejects_with_a_code_when_told_to(service):
    assert service.order("reject:photo-quality").status_code == 204
    receipt = service.receipt(service.post(service.desk.packet()))
    assert (receipt.verdict, receipt.code) == ("rejected", "photo-quality")
    assert service.receipt(service.post(service.desk.packet())).verdict == "accepted"


def test_it_answers_later_when_told_to(service):
    service.order("delay:1")
    sealed = service.desk.packet()
    now = service.post(sealed)
    assert (now.status_code, now.headers["Retry-After"]) == (202, "1")
    assert service.ask(sealed.manifest.packet_id).status_code == 202
    assert service.post(sealed).status_code == 202
    time.sleep(1.1)
    later = service.ask(sealed.manifest.packet_id)
    assert later.status_code == 200
    assert service.receipt(later).verdict == "accepted"


def test_it_loses_its_answer_and_not_the_application_when_told_to(service):
    before = service.count()["accepted"]
    service.order("lose")
    sealed = service.desk.packet()
    with pytest.raises(httpx.TransportError):
        service.post(sealed)
    assert service.count()["accepted"] == before + 1
    assert service.receipt(service.post(sealed)).verdict == "accepted"
    assert service.count()["accepted"] == before + 1


def test_it_counts_a_delivery_twice_when_told_to(service):
    before = service.count()
    service.order("duplicate")
    service.post(service.desk.packet())
    after = service.count()
    assert after["deliveries"] == before["deliveries"] + 2
    assert after["accepted"] == before["accepted"] + 1


def test_orders_are_followed_one_after_the_other(service):
    service.order("reject:first", times=2)
    service.order("reject:second")
    codes = [service.receipt(service.post(service.desk.packet())).code for _ in range(4)]
    assert codes == ["first", "first", "second", ""]


def test_a_signed_application_that_cannot_be_opened_is_rejected_with_the_reason(service):
    stranger = build_world()
    desk = service.desk
    world = replace(desk.world, recipients=stranger.recipients, identities=stranger.identities)
    for_others = world.packet(created_utc=desk.packet().manifest.created_utc)
    receipt = service.receipt(service.post(for_others))
    assert (receipt.verdict, receipt.code) == ("rejected", "wrong-recipient")


def test_what_nobody_trusted_signed_gets_no_receipt(service):
    sealed = service.desk.packet()
    before = service.count()
    cases = {
        "truncated": service.post(sealed, data=sealed.data[:100]),
        "not-a-packet": service.post(sealed, data=b"hello"),
        "idempotency-key": service.post(sealed, key=new_ulid()),
    }
    cases["certificate-untrusted"] = service.post(
        build_world().packet(created_utc=sealed.manifest.created_utc)
    )
    for code, response in cases.items():
        assert (response.status_code, response.json()) == (422, {"error": code})
    assert service.post(sealed, key="x").json() == {"error": "idempotency-key"}
    assert service.count() == before


def test_another_packet_under_a_known_id_is_refused(service):
    sealed = service.desk.packet()
    service.post(sealed)
    twin = service.desk.packet(packet_id=sealed.manifest.packet_id)
    assert service.post(twin).json() == {"error": "idempotency-key"}


def test_unknown_applications_and_pages_are_404(service):
    assert service.ask(new_ulid()).status_code == 404
    assert service.ask("x").status_code == 404
    assert service.client.get("/").status_code == 404
    assert service.client.get("/v1/applications").status_code == 405


def test_a_body_beyond_the_bound_is_refused(service):
    with socket.create_connection((service.client.base_url.host, service.client.base_url.port)) as plain:
        context = ssl.create_default_context(cafile=str(service.desk.folder / "tls-root.pem"))
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(
                b"POST /v1/applications HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: "
                + new_ulid().encode()
                + f"\r\nContent-Length: {LARGEST + 1}\r\n\r\n".encode()
            )
            assert tls.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [
        (b'{"behaviour":"lose"}', "wrong", 403),
        (b'{"behaviour":"lose"}', "another-token-of-the-same-length", 403),
        (b'{"behaviour":"explode"}', TOKEN, 422),
        (b'{"behaviour":"reject:Bad Code"}', TOKEN, 422),
        (b'{"behaviour":"accept","times":0}', TOKEN, 422),
        (b'{"behaviour":"accept","extra":1}', TOKEN, 422),
        (b"[", TOKEN, 422),
    ],
)
def test_an_order_needs_the_token_and_sense(service, body, token, status):
    answer = service.client.post("/control", content=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status


def test_orders_and_counts_also_go_through_the_command(service):
    command = [sys.executable, "-m", "competent.reference", "--config", str(service.config)]
    subprocess.run([*command, "--order", "reject:by-command"], check=True, timeout=60)
    assert service.receipt(service.post(service.desk.packet())).code == "by-command"
    counted = subprocess.run([*command, "--count"], check=True, capture_output=True, timeout=60)
    assert json.loads(counted.stdout) == service.count()
    assert (
        subprocess.run(
            [*command, "--order", "explode"], capture_output=True, timeout=60, check=False
        ).returncode
        == 2
    )


def test_only_tls_1_3_is_spoken(service):
    context = ssl.create_default_context(cafile=str(service.desk.folder / "tls-root.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(REFUSED):
        httpx.get(f"{service.client.base_url}/v1/count", verify=context, timeout=PATIENCE_S)


def test_nothing_of_the_citizen_is_kept(service):
    service.post(service.desk.packet())
    held = b"".join(path.read_bytes() for path in (service.desk.folder / "data").iterdir())
    assert b"photo.jpg" in held
    assert b"Peeters" not in held
    assert b"Peeters" not in (service.desk.folder / "log").read_bytes()


def test_a_receipt_survives_kill_9(tmp_path):
    first = start(build_desk(tmp_path))
    sealed = first.desk.packet()
    answered = first.post(sealed).json()
    first.client.close()
    first.process.kill()
    first.process.wait()
    second = start(first.desk)
    try:
        assert second.ask(sealed.manifest.packet_id).json() == answered
        assert second.post(sealed).json() == answered
        assert second.count()["accepted"] == 1
    finally:
        second.stop()


def test_with_mutual_tls_only_an_ingest_is_served(tmp_path):
    ingest, kit = leaf(Role.INGEST, "fleet-ingest-1", TLS_ROOT), leaf(Role.KIT_TLS, "kit-brugge-01", TLS_ROOT)
    stranger = leaf(Role.INGEST, "fleet-ingest-1", authority("stranger"))
    pairs = {}
    for name, holder in (("ingest", ingest), ("kit", kit), ("stranger", stranger)):
        pairs[name] = (str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}.key"))
        write_holder(holder, Path(pairs[name][0]), Path(pairs[name][1]))
    service = start(build_desk(tmp_path), client_ca="tls-root.pem", client=pairs["ingest"])
    try:
        assert service.post(service.desk.packet()).status_code == 200
        url = f"{service.client.base_url}/v1/count"
        for name, expected in (("kit", 403), ("stranger", None), (None, None)):
            context = ssl.create_default_context(cafile=str(tmp_path / "tls-root.pem"))
            if name:
                context.load_cert_chain(*pairs[name])
            if expected:
                assert httpx.get(url, verify=context, timeout=PATIENCE_S).status_code == expected
            else:
                with pytest.raises(REFUSED):
                    httpx.get(url, verify=context, timeout=PATIENCE_S)
    finally:
        service.stop()


@pytest.mark.parametrize(
    "content",
    ["", "port = 1", "not toml", 'port = 70000\ncertificate = "a"', "unknown = 1", "\x00"],
)
def test_a_configuration_that_is_not_whole_is_refused(tmp_path, content):
    path = tmp_path / "service.toml"
    path.write_text(content)
    command = [sys.executable, "-m", "competent.reference", "--config", str(path), "--count"]
    if content:
        with pytest.raises(Exception, match="bad-config"):
            read_settings(path)
        return
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "bad-config" in done.stderr
