"""The first hour: a vault with all its officers, or none; later ones come on the word of one who is in."""

from pathlib import Path

import msgspec
import pytest

from device.agent.clock import SystemClock
from device.agent.founding import NewOfficer, add, found, remove
from device.errors import Code, KitError, Refused
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.keysource import FileKeySource
from protocol.identity import Role
from protocol.sealed import agekeys
from tests.device.agent.kit import certificate_pem, key_pem
from tests.protocol.certificates import Holder, authority, leaf

CLOCK = SystemClock()
PIN = "482915"


@pytest.fixture(scope="module")
def issuing() -> Holder:
    return authority("Officers")


@pytest.fixture
def source(tmp_path: Path) -> FileKeySource:
    return FileKeySource.create(tmp_path / "secret")


def newcomer(issuing: Holder, officer_id: str, pin: str = PIN) -> NewOfficer:
    holder = leaf(Role.OFFICER, officer_id, issuing)
    return NewOfficer(
        officer_id,
        "An Peeters",
        pin,
        key_pem(holder.key).decode(),
        certificate_pem(holder.certificate).decode(),
    )


def known(path: Path, source: FileKeySource) -> list[str]:
    database = Database(path)
    try:
        return [each.officer_id for each in Gate(database, source, CLOCK).officers()]
    finally:
        database.close()


def test_a_vault_is_made_with_all_its_officers_and_a_bag_key(
    tmp_path: Path, source: FileKeySource, issuing: Holder
) -> None:
    path = tmp_path / "vault.db"
    recipient = found(path, source, CLOCK, [newcomer(issuing, "an.peeters"), newcomer(issuing, "jo.maes")])
    agekeys.read_recipient(recipient)
    assert known(path, source) == ["an.peeters", "jo.maes"]
    with pytest.raises(Refused):
        found(path, source, CLOCK, [newcomer(issuing, "jan.jans")])
    assert add(path, source, CLOCK, newcomer(issuing, "jan.jans"), "jo.maes", PIN) == recipient
    assert known(path, source) == ["an.peeters", "jan.jans", "jo.maes"]
    with pytest.raises(KitError) as wrong:
        add(path, source, CLOCK, newcomer(issuing, "els.els"), "jo.maes", "999111")
    assert wrong.value.code is Code.WRONG_PIN


def test_an_officer_goes_on_the_word_of_another_and_the_fleet_will_hear_of_it(
    tmp_path: Path, source: FileKeySource, issuing: Holder
) -> None:
    path = tmp_path / "vault.db"
    found(path, source, CLOCK, [newcomer(issuing, "an.peeters"), newcomer(issuing, "jo.maes")])
    for officer_id, pin, code in (
        ("an.peeters", PIN, Code.BAD_CONFIG),
        ("jo.maes", "999111", Code.WRONG_PIN),
        ("nobody", PIN, Code.UNKNOWN_OFFICER),
    ):
        with pytest.raises(KitError) as no:
            remove(path, source, CLOCK, officer_id, "an.peeters", pin)
        assert no.value.code is code
    remove(path, source, CLOCK, "jo.maes", "an.peeters", PIN)
    assert known(path, source) == ["an.peeters"]
    database = Database(path)
    assert database.rows("SELECT what, officer_id, told FROM access") == [("officer-removed", "jo.maes", 0)]
    database.close()


def test_one_officer_who_will_not_do_means_no_vault_at_all(
    tmp_path: Path, source: FileKeySource, issuing: Holder
) -> None:
    path = tmp_path / "vault.db"
    good = newcomer(issuing, "an.peeters")
    other = newcomer(issuing, "jo.maes")
    bad = (
        newcomer(issuing, "jo.maes", pin="123456"),
        newcomer(issuing, "jo.maes", pin="77"),
        msgspec.structs.replace(other, officer_id="an.peeters2"),
        msgspec.structs.replace(other, key_pem=good.key_pem),
        msgspec.structs.replace(other, key_pem="no key"),
        msgspec.structs.replace(other, cert_pem="no certificate"),
        msgspec.structs.replace(other, name="An\nPeeters"),
        good,
    )
    for officer in bad:
        with pytest.raises(KitError) as wrong:
            found(path, source, CLOCK, [good, officer])
        assert wrong.value.code is Code.BAD_CONFIG
        assert officer.pin not in str(wrong.value)
        assert not path.exists()
    with pytest.raises(KitError):
        found(path, source, CLOCK, [])
    with pytest.raises(KitError):
        add(path, source, CLOCK, good, "an.peeters", PIN)
