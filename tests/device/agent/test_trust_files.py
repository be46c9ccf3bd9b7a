"""Keys, certificates and lists that will not do are named, and nothing starts or is sealed with them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from device.agent.recipients import read_public_key
from device.agent.sealing import load_signer
from device.errors import Code, KitError
from device.vault.database import Database
from protocol.identity import Role
from tests.device.agent.kit import KIT, OFFICER, PIN, Desktop, Kit, certificate_pem, key_pem
from tests.protocol.certificates import authority, leaf

PEM = serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def test_the_kits_own_certificate_and_key_make_its_signer(tmp_path: Path) -> None:
    holder = leaf(Role.KIT_SIGN, KIT, authority("Kits"))
    (tmp_path / "c").write_bytes(certificate_pem(holder.certificate))
    (tmp_path / "k").write_bytes(key_pem(holder.key))
    signer = load_signer(KIT, tmp_path / "c", tmp_path / "k")
    assert signer.serial == format(holder.certificate.serial_number, "x")
    assert signer.until == holder.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    "case", ["absent", "no-pem", "another-kit", "another-role", "another-key", "key-kind"]
)
def test_a_signer_that_is_not_the_kits_is_refused(tmp_path: Path, case: str) -> None:
    kits = authority("Kits")
    own = leaf(Role.KIT_SIGN, KIT, kits)
    certificate, key = certificate_pem(own.certificate), key_pem(own.key)
    if case == "no-pem":
        certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    elif case == "another-kit":
        other = leaf(Role.KIT_SIGN, "kit-other", kits)
        certificate, key = certificate_pem(other.certificate), key_pem(other.key)
    elif case == "another-role":
        other = leaf(Role.KIT_TLS, KIT, kits)
        certificate, key = certificate_pem(other.certificate), key_pem(other.key)
    elif case == "another-key":
        key = key_pem(ec.generate_private_key(ec.SECP256R1()))
    elif case == "key-kind":
        key = ed25519.Ed25519PrivateKey.generate().private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    (tmp_path / "k").write_bytes(key)
    if case != "absent":
        (tmp_path / "c").write_bytes(certificate)
    with pytest.raises(KitError) as wrong:
        load_signer(KIT, tmp_path / "c", tmp_path / "k")
    assert wrong.value.code is Code.BAD_CONFIG


@pytest.mark.parametrize(
    "write",
    [
        lambda path: None,
        lambda path: path.write_bytes(b"no key"),
        lambda path: path.write_bytes(
            ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(PEM, SPKI)
        ),
        lambda path: path.write_bytes(
            ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(PEM, SPKI)
        ),
    ],
    ids=["absent", "no-key", "p-384", "ed25519"],
)
def test_a_pinned_key_that_is_none_is_refused(tmp_path: Path, write: Callable[[Path], object]) -> None:
    write(tmp_path / "key.pem")
    with pytest.raises(KitError) as wrong:
        read_public_key(tmp_path / "key.pem")
    assert wrong.value.code is Code.BAD_CONFIG


def test_one_damaged_visit_keeps_nobody_from_the_others(kit: Kit) -> None:
    broken, good = kit.visit(), kit.visit()
    kit.bring_bag(broken, good)
    with Desktop(kit) as top:
        top.until_step(broken, "photo")
    database = Database(kit.data / "vault.db")
    with database.transaction() as tx:
        tx.execute("UPDATE visit_key SET wrapped = zeroblob(60) WHERE visit_id = ?", (broken.visit_id,))
    database.close()
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        seen = top.desk.now()
        assert ([line.visit_id for line in seen.visits], seen.lost) == ([good.visit_id], 1)
        top.desk.choose(good.visit_id)
        assert top.capture("card").failure is None


def test_a_list_that_expires_during_the_visit_is_said_at_sealing_and_a_new_one_goes_on(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        good = kit.list_path.read_bytes()
        kit.list_path.write_bytes(b"gone")
        assert top.fails("seal").code is Code.RECIPIENTS_UNTRUSTED
        kit.list_path.write_bytes(good)
        sealed = top.capture("seal").visit
        assert sealed is not None
        assert sealed.sealed == "queued"
