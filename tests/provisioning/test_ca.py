"""The authority, judged by OpenSSL and by a real TLS handshake."""

import socket
import ssl
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from protocol.chain import check_chain
from protocol.identity import Role, check_use, role_of
from provisioning.ca import Authority
from provisioning.generations import AuthorityError

HOSTS = ["localhost", "127.0.0.1"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ca") / "ca", "Testfleet")


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("role", list(Role))
def test_every_role_gets_a_certificate_that_our_own_rules_accept(authority: Authority, role: Role) -> None:
    name = {"kit-tls": "kit-brugge-01", "kit-sign": "kit-brugge-01", "officer": "an.peeters"}.get(
        role, "brugge.example"
    )
    hosts = HOSTS if role in (Role.SERVER, Role.BROKER, Role.SERVICE) else []
    leaf = authority.issue(role, name, hosts)
    assert role_of(leaf.certificate) == (role, name)
    check_use(leaf.certificate, role)
    chain = x509.load_pem_x509_certificates(leaf.chain_pem)
    check_chain(chain, [authority.certificate("root")], datetime.now(UTC))


def test_openssl_accepts_the_chain_and_refuses_it_once_revoked(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.issue("kit-tls", "kit-gone-01")
    leaf.write(tmp_path, "kit")
    roots = tmp_path / "roots.pem"

    def verdict() -> str:
        roots.write_bytes(authority.bundle("root", "kit") + authority.crls("kit"))
        ran = openssl("verify", "-crl_check", "-purpose", "sslclient", "-CAfile", roots, tmp_path / "kit.pem")
        return ran.stdout + ran.stderr

    assert "kit.pem: OK" in verdict()
    serial = f"{leaf.certificate.serial_number:X}"
    assert authority.revoke(serial, "key-compromise").name == "kit-gone-01"
    assert "certificate revoked" in verdict()
    assert {entry.serial: gone for entry, gone in authority.issued()}[serial.lower()]


def test_a_revocation_list_says_until_when_and_counts_up(authority: Authority) -> None:
    def number_and_life() -> tuple[int, timedelta]:
        crl = x509.load_pem_x509_crl(authority.crls("officer"))
        assert crl.next_update_utc is not None
        return (
            crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number,
            crl.next_update_utc - datetime.now(UTC),
        )

    before, _ = number_and_life()
    authority.write_crl("officer")
    after, life = number_and_life()
    assert after == before + 1
    assert timedelta(days=29) < life <= timedelta(days=30)


def test_keys_and_registers_are_for_the_owner_alone(authority: Authority, tmp_path: Path) -> None:
    authority.issue("kit-sign", "kit-a").write(tmp_path, "sign")
    secrets = [*authority.folder.rglob("*.key"), *authority.folder.rglob("key.pem"), tmp_path / "sign.key"]
    secrets += authority.folder.rglob("register.json")
    assert len(secrets) == 9
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_a_client_and_a_server_of_the_fleet_meet_over_tls13(authority: Authority, tmp_path: Path) -> None:
    authority.issue("server", "fleet.example", HOSTS).write(tmp_path, "server")
    authority.issue("kit-tls", "kit-b").write(tmp_path, "kit")
    (tmp_path / "root.pem").write_bytes(authority.bundle("root"))
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    listening.load_verify_locations(tmp_path / "root.pem")
    listening.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    calling.load_cert_chain(tmp_path / "kit.pem", tmp_path / "kit.key")
    calling.load_verify_locations(tmp_path / "root.pem")
    seen: list[object] = []

    def serve(listener: socket.socket) -> None:
        raw, _ = listener.accept()
        with raw, listening.wrap_socket(raw, server_side=True) as connection:
            seen.append(connection.getpeercert())
            connection.sendall(b"ok")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with (
            socket.create_connection(listener.getsockname()) as raw,
            calling.wrap_socket(raw, server_hostname="localhost") as connection,
        ):
            assert connection.version() == "TLSv1.3"
            assert connection.recv(2) == b"ok"
        thread.join()
    assert "kit-b" in str(seen)


@pytest.mark.parametrize(
    ("role", "name", "hosts", "days", "complaint"),
    [
        ("king", "kit-a", (), None, "unknown role"),
        ("kit-tls", "brugge", (), None, "not a name for kit-tls"),
        ("kit-tls", "kit-A", (), None, "not a name for kit-tls"),
        ("officer", "An Peeters", (), None, "not a name for officer"),
        ("server", "fleet.example", (), None, "needs host names"),
        ("kit-sign", "kit-a", ("localhost",), None, "takes no host names"),
        ("kit-tls", "kit-a", (), 0, "lives between"),
        ("kit-tls", "kit-a", (), 10_000, "lives between"),
    ],
)
def test_what_the_authority_does_not_issue(
    authority: Authority, role: str, name: str, hosts: tuple[str, ...], days: int | None, complaint: str
) -> None:
    before = list(authority.issued())
    with pytest.raises(AuthorityError, match=complaint):
        authority.issue(role, name, hosts, days)
    assert list(authority.issued()) == before


def test_a_second_init_in_the_same_folder_is_refused_and_changes_nothing(authority: Authority) -> None:
    before = authority.bundle("root")
    with pytest.raises(AuthorityError, match="already"):
        Authority.create(authority.folder, "Other")
    assert authority.bundle("root") == before


def test_a_serial_that_was_never_issued_cannot_be_revoked(authority: Authority) -> None:
    with pytest.raises(AuthorityError, match="no certificate with serial"):
        authority.revoke("abc123")


def test_the_authority_goes_on_without_the_root_key(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca", "Testfleet")
    (tmp_path / "ca" / "root" / "key.pem").unlink()
    leaf = authority.issue("kit-tls", "kit-c")
    authority.revoke(f"{leaf.certificate.serial_number:x}")
