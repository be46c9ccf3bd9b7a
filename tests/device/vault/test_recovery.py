"""A forgotten PIN: one code of the administrator, once, in its time, on this kit, for this officer."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from device.errors import Code, KitError
from device.vault import recovery
from device.vault.gate import Gate, WeakPin
from device.vault.keysource import FileKeySource
from device.vault.recovery import Administrator
from device.vault.tries import Standing
from protocol.unlock_code import agree, read_challenge, write_code
from tests.device.vault.kit import OFFICER, PIN, pem_of, second_officer

KIT = "kit-test-01"
NEW = "916273"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Office:
    """The administrator's, with the key."""

    def __init__(self):
        self.key = X25519PrivateKey.generate()
        self.administrator = Administrator(KIT, self.key.public_key().public_bytes_raw())

    def code(self, gate, officer=OFFICER, until=NOW + timedelta(hours=4)):
        told = read_challenge(gate.challenge(officer), KIT, officer)
        return write_code(agree(self.key, told.point, told), told, until)


@pytest.fixture
def office():
    return Office()


@pytest.fixture
def gate(kit, office):
    """A kit that knows the administrator, where the officer has been in once since."""
    made = Gate(kit.database, kit.source, kit.clock, office.administrator)
    made.unlock(OFFICER, PIN)
    return made


def fails(call, *arguments):
    with pytest.raises(KitError) as failure:
        call(*arguments)
    return failure.value.code


def with_record(gate):
    vault = gate.unlock(OFFICER, PIN)
    with vault.database.transaction() as tx:
        vault.new_visit_key(tx, "visit")
        vault.put(tx, "visit", "record", "photo", b"jpeg")


def test_a_code_lets_the_officer_in_again_with_all_that_was_there(kit, gate, office):
    with_record(gate)
    told = []
    gate.recover(OFFICER, office.code(gate), NEW, NOW, told.append)
    vault = gate.unlock(OFFICER, NEW)
    assert vault.get("visit", "record").data == b"jpeg"
    assert vault.signer().key.private_numbers() == kit.world.officer.key.private_numbers()
    assert len(told) == 1
    assert fails(gate.unlock, OFFICER, PIN) == Code.WRONG_PIN


def test_a_code_works_once(gate, office):
    code = office.code(gate)
    gate.recover(OFFICER, code, NEW, NOW)
    assert fails(gate.recover, OFFICER, code, "730418", NOW) == Code.WRONG_CODE
    gate.recover(OFFICER, office.code(gate), "730418", NOW)
    gate.unlock(OFFICER, "730418")


def test_a_code_ends_when_it_says(gate, office):
    code = office.code(gate, until=NOW)
    assert fails(gate.recover, OFFICER, code, NEW, NOW) == Code.CODE_EXPIRED
    gate.recover(OFFICER, code, NEW, NOW - timedelta(seconds=1))


def test_a_later_hour_cannot_be_written_into_a_code(gate, office):
    digits = int(office.code(gate, until=NOW).replace(" ", ""))
    later = f"{digits + (100 << 28):044d}"
    assert fails(gate.recover, OFFICER, later, NEW, NOW) == Code.WRONG_CODE


@pytest.mark.parametrize("code", ["", "12", "0" * 44, "9" * 44, "words"])
def test_what_is_no_code_is_counted_as_a_try(gate, code):
    assert fails(gate.recover, OFFICER, code, NEW, NOW) == Code.WRONG_CODE
    assert gate.standing(f"code:{OFFICER}") == Standing(4, 0)
    assert gate.standing() == Standing(5, 0), "the PIN's tries are not touched"


def test_five_wrong_codes_mean_a_wait_and_the_pin_still_works(gate, office):
    good = office.code(gate)
    for _ in range(5):
        fails(gate.recover, OFFICER, "0" * 44, NEW, NOW)
    assert fails(gate.recover, OFFICER, good, NEW, NOW) == Code.TOO_MANY_TRIES
    gate.unlock(OFFICER, PIN)


def test_a_code_gets_past_the_wait_that_wrong_pins_brought(gate, office):
    for _ in range(5):
        fails(gate.unlock, OFFICER, "482916")
    assert fails(gate.unlock, OFFICER, PIN) == Code.TOO_MANY_TRIES
    gate.recover(OFFICER, office.code(gate), NEW, NOW)
    gate.unlock(OFFICER, NEW)


def test_a_code_of_somebody_else_fits_nothing(kit, gate, office):
    gate.add_officer(gate.unlock(OFFICER, PIN), "jan.claes", "Jan", "730418", *pem_of(second_officer()))
    jans = office.code(gate, "jan.claes")
    assert fails(gate.recover, OFFICER, jans, NEW, NOW) == Code.WRONG_CODE
    stranger = Office()
    assert fails(gate.recover, OFFICER, stranger.code(gate), NEW, NOW) == Code.WRONG_CODE
    gate.recover("jan.claes", jans, NEW, NOW)


def test_a_code_without_the_device_opens_nothing(kit, gate, office, tmp_path):
    """What the administrator could do with a copy of the disk."""
    code = office.code(gate)
    other = FileKeySource.create(tmp_path / "other")
    elsewhere = Gate(kit.database, other, kit.clock, office.administrator)
    assert fails(elsewhere.recover, OFFICER, code, NEW, NOW) == Code.OTHER_DEVICE
    refused = fails(recovery.open_with, kit.database, KIT, OFFICER, code, other.device_secret(), NOW)
    assert refused == Code.WRONG_CODE


def test_the_device_and_its_disk_without_a_code_hold_no_identity(kit, gate):
    """The ephemeral secret is gone: of the way back only the public point and what it locked is here."""
    identity = gate.unlock(OFFICER, PIN).identity()
    assert identity.encode() not in kit.bytes_on_disk()


def test_a_weak_new_pin_costs_neither_the_code_nor_a_try(gate, office):
    code = office.code(gate)
    with pytest.raises(WeakPin):
        gate.recover(OFFICER, code, "123456", NOW)
    assert gate.standing(f"code:{OFFICER}") == Standing(5, 0)
    gate.recover(OFFICER, code, NEW, NOW)


def test_a_kit_that_knows_no_administrator_says_so(kit):
    assert fails(kit.gate.challenge, OFFICER) == Code.NO_WAY_BACK
    assert fails(kit.gate.recover, OFFICER, "0" * 44, NEW, NOW) == Code.NO_WAY_BACK
    assert fails(kit.gate.recover, "nobody", "0" * 44, NEW, NOW) == Code.UNKNOWN_OFFICER


def test_another_administrator_takes_over_when_the_officer_is_in(kit, gate, office):
    successor = Office()
    after = Gate(kit.database, kit.source, kit.clock, successor.administrator)
    assert fails(after.recover, OFFICER, successor.code(after), NEW, NOW) == Code.WRONG_CODE
    after.unlock(OFFICER, PIN)
    after.recover(OFFICER, successor.code(after), NEW, NOW)


def test_a_pin_changed_leaves_the_way_back_as_it_is(gate, office):
    code = office.code(gate)
    gate.change_pin(OFFICER, PIN, "730418")
    gate.recover(OFFICER, code, NEW, NOW)
    assert gate.unlock(OFFICER, NEW).officer_id == OFFICER


def test_of_a_way_that_was_replaced_nothing_is_left_on_disk(kit, gate, office):
    (old,) = kit.database.row("SELECT sealed FROM recovery")
    assert old in kit.bytes_on_disk()
    with kit.database.transaction() as tx:
        recovery.offer(tx, office.administrator, OFFICER, "another", kit.source.device_secret())
    assert kit.database.row("SELECT sealed FROM recovery") != (old,)
    assert old not in kit.bytes_on_disk()


def test_a_right_code_takes_the_wrong_ones_before_it_off_the_count(kit, gate, office):
    code = office.code(gate)
    for _ in range(4):
        assert fails(gate.recover, OFFICER, "0" * 44, NEW, NOW) == Code.WRONG_CODE
    assert gate.standing(f"code:{OFFICER}") == Standing(1, 0)
    gate.recover(OFFICER, code, NEW, NOW)
    assert gate.standing(f"code:{OFFICER}") == Standing(5, 0)
