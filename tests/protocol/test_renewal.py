"""Requests for a successor, and roots that vouch for each other: what is believed and what is not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import renewal, roots
from protocol.renewal import BadRenewal
from protocol.roots import BadRoots
from provisioning import rotation
from provisioning.ca import Authority, Leaf

KIT = "kit-a"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ca") / "ca", "Testfleet")


def held(authority: Authority) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(authority.bundle("root"))


def chain(leaf: Leaf) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(leaf.chain_pem)


def test_a_request_says_who_asks_for_which_key(authority: Authority) -> None:
    old, new = authority.issue("kit-tls", KIT), ec.generate_private_key(ec.SECP256R1())
    asked = renewal.verify_asked(
        renewal.sign_asked("kit-tls", new, old.key, chain(old)), held(authority), NOW
    )
    assert (asked.kit_id, asked.role, asked.old) == (KIT, "kit-tls", old.certificate)
    assert asked.key == new.public_key()


@pytest.mark.parametrize("days", [0, 29, 31, 209])
def test_an_ended_certificate_asks_for_half_a_year(authority: Authority, days: int) -> None:
    assert renewal.verify_asked(_token(authority), held(authority), NOW + days * DAY).kit_id == KIT


def test_and_not_longer(authority: Authority) -> None:
    with pytest.raises(BadRenewal) as problem:
        renewal.verify_asked(_token(authority), held(authority), NOW + 211 * DAY)
    assert problem.value.code == "renewal-too-old"


def _token(authority: Authority) -> str:
    old, new = authority.issue("kit-tls", KIT), ec.generate_private_key(ec.SECP256R1())
    return renewal.sign_asked("kit-tls", new, old.key, chain(old))


def _other_role(authority: Authority) -> str:
    old = authority.issue("kit-tls", KIT)
    return renewal.sign_asked("kit-sign", ec.generate_private_key(ec.SECP256R1()), old.key, chain(old))


def _no_kit(authority: Authority) -> str:
    old = authority.issue("ingest", "fleet-ingest-1")
    return renewal.sign_done("kit-tls", old.key, chain(old))


def _cut(authority: Authority) -> str:
    old = authority.issue("kit-tls", KIT)
    return renewal.sign_asked("kit-tls", old.key, old.key, chain(old))[:-6] + "AAAAAA"


def _done_for_asked(authority: Authority) -> str:
    old = authority.issue("kit-tls", KIT)
    return renewal.sign_done("kit-tls", old.key, chain(old))


def _large_curve(authority: Authority) -> str:
    old = authority.issue("kit-tls", KIT)
    return renewal.sign_asked("kit-tls", ec.generate_private_key(ec.SECP384R1()), old.key, chain(old))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_other_role, "renewal-untrusted"),
        (_cut, "renewal-untrusted"),
        (_done_for_asked, "renewal-untrusted"),
        (_large_curve, "renewal-key"),
        (lambda _: "x" * 20_000, "renewal-malformed"),
        (lambda _: "a.b.c", "renewal-untrusted"),
    ],
)
def test_what_is_no_request_is_refused(
    authority: Authority, make: Callable[[Authority], str], code: str
) -> None:
    with pytest.raises(BadRenewal) as problem:
        renewal.verify_asked(make(authority), held(authority), NOW)
    assert problem.value.code == code


def test_only_kits_have_successors(authority: Authority) -> None:
    with pytest.raises(ValueError, match=r"kit_id|malformed|untrusted"):
        renewal.verify_done(_no_kit(authority), held(authority), NOW)


def test_a_stranger_gets_nothing(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority.create(tmp_path / "ca", "Elsewhere")
    old = stranger.issue("kit-tls", KIT)
    token = renewal.sign_asked("kit-tls", old.key, old.key, chain(old))
    with pytest.raises(BadRenewal) as problem:
        renewal.verify_asked(token, held(authority), NOW)
    assert problem.value.code == "renewal-untrusted"


def test_a_new_root_is_believed_when_one_that_is_held_vouches_for_it(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca", "Testfleet")
    first = held(authority)
    assert len(first) == 2, "two from the first day"
    rotation.begin(authority)
    rotation.promote(authority)
    offered = roots.read(authority.bundle("root") + rotation.links(authority))
    taken = roots.accept(first, offered)
    assert len(taken) == 3, "the old one, the present one, and the next"
    with pytest.raises(BadRoots, match="nobody vouches"):
        roots.accept(first, [root for root in offered if root in taken])
    with pytest.raises(BadRoots, match="nobody vouches"):
        roots.accept(first[:1], offered)
    stranger = held(Authority.create(tmp_path / "other", "Elsewhere"))
    with pytest.raises(BadRoots, match="nobody vouches"):
        roots.accept(first, [*offered, *stranger])
    with pytest.raises(BadRoots):
        roots.accept(first, [one for one in offered if one not in taken])
    for bad in (b"", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"):
        with pytest.raises(BadRoots):
            roots.read(bad)


def test_a_certificate_does_not_outlive_its_authority(authority: Authority) -> None:
    longest = authority.issue("custodian", "fleet.test", days=730).certificate
    assert longest.not_valid_after_utc <= authority.certificate("server").not_valid_after_utc
