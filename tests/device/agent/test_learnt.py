"""Roots that came with the kit's certificate count beside those it was given; for officers where they may."""

from pathlib import Path

from cryptography import x509

from device.agent.learnt import for_officers, with_learnt
from device.spool.credentials import Credentials, Papers
from protocol import roots
from provisioning import rotation
from tests.pki import Pki

KIT = "kit-test-01"


def test_a_root_of_a_rotation_counts_for_couriers_and_for_officers_of_the_same_authority(
    tmp_path: Path,
) -> None:
    pki = Pki(tmp_path / "pki")
    files = pki.issue("kit-sign", KIT)
    given = tuple(x509.load_pem_x509_certificates(pki.roots.read_bytes()))
    held = Credentials(tmp_path / "signing", Papers(files.certificate, files.key, pki.roots), "agent")
    assert with_learnt(given, held) == given
    rotation.begin(pki.authority)
    rotation.promote(pki.authority)
    renewed = pki.authority.certify("kit-sign", KIT, held.begin(fresh=True).public_key())
    held.grant(renewed.chain_pem, pki.authority.bundle("root"))
    held.promote()
    known = with_learnt(given, held)
    assert known[: len(given)] == given
    assert set(known) == {*given, *roots.read(pki.authority.bundle("root"))}
    assert len(known) == len(given) + 1
    assert for_officers(given, given, held) == known
    other = tuple(x509.load_pem_x509_certificates(Pki(tmp_path / "other").roots.read_bytes()))
    assert for_officers(other, given, held) == other
    assert for_officers((), given, held) == ()


def test_roots_that_cannot_be_read_leave_what_was_given(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    files = pki.issue("kit-sign", KIT)
    given = tuple(x509.load_pem_x509_certificates(pki.roots.read_bytes()))
    for name, data in (("none.pem", None), ("words.pem", b"roots")):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        held = Credentials(tmp_path / "s", Papers(files.certificate, files.key, tmp_path / name), "agent")
        assert with_learnt(given, held) == given
