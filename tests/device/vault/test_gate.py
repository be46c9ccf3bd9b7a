import re
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.errors import Code, KitError
from device.vault import keys
from device.vault.gate import Gate, KnownOfficer, WeakPin, check_pin
from device.vault.keysource import FileKeySource
from device.vault.tries import Standing
from protocol.sealed.packet import Signer
from tests.device.vault.kit import OFFICER, PIN, WORLD, HandClock, build_kit, pem_of, second_officer

WIDE = Signer(ec.generate_private_key(ec.SECP384R1()), [])


def fails(call, *arguments):
    with pytest.raises(KitError) as failure:
        call(*arguments)
    return failure.value.code


def test_the_right_pin_opens_the_vault_and_brings_the_officers_key(kit):
    vault = kit.unlock()
    assert (vault.officer_id, vault.name) == (OFFICER, "An Peeters")
    assert vault.signer().chain == tuple(WORLD.officer_signer.chain)
    assert vault.signer().key.private_numbers() == WORLD.officer.key.private_numbers()
    assert kit.gate.officers() == [KnownOfficer(OFFICER, "An Peeters")]


def test_the_pin_costs_what_it_should_on_a_kit(tmp_path, real_cost):
    made = build_kit(tmp_path)
    start = time.perf_counter()
    assert made.unlock().officer_id == OFFICER
    assert time.perf_counter() - start > 0.05
    made.database.close()


@pytest.mark.parametrize("pin", ["482916", "0482915", "4829150", "000000"])
def test_a_wrong_pin_is_refused_and_counted(kit, pin):
    assert fails(kit.unlock, OFFICER, pin) == Code.WRONG_PIN
    assert kit.gate.standing() == Standing(4, 0)
    kit.unlock()
    assert kit.gate.standing() == Standing(5, 0)


@pytest.mark.parametrize(
    "pin", ["", "1", "48291", "48291a", "4829151234567", "４８２９１５", " 482915", "482915\n"]
)
def test_what_cannot_be_a_pin_is_wrong_but_no_try(kit, pin):
    assert fails(kit.unlock, OFFICER, pin) == Code.WRONG_PIN
    assert kit.gate.standing(OFFICER) == Standing(5, 0)


@pytest.mark.parametrize("pin", ["12345", "111111", "654321"])
def test_nobody_is_let_in_with_a_pin_that_is_guessed_first(kit, pin):
    with pytest.raises(WeakPin):
        kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", pin, *pem_of(second_officer()))
    assert [known.officer_id for known in kit.gate.officers()] == [OFFICER]


def test_an_officer_who_is_let_in_again_needs_no_card_of_before(kit):
    jan, card = pem_of(second_officer()), b"c" * 32
    for _ in range(2):
        kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", "730418", *jan)
        assert kit.unlock("jan.claes", "730418").officer_id == "jan.claes"
        kit.gate.need_card("jan.claes", "730418", card)
        assert fails(kit.unlock, "jan.claes", "730418") == Code.CARD_NEEDED
        assert kit.gate.unlock("jan.claes", "730418", card).officer_id == "jan.claes"
        kit.gate.remove_officer(kit.unlock(), "jan.claes")


def test_an_unknown_officer_is_told_so(kit):
    assert fails(kit.unlock, "nobody", PIN) == Code.UNKNOWN_OFFICER


def test_officers_open_the_same_vault_each_with_their_own_pin_and_key(kit):
    jan = second_officer()
    kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", "730418", *pem_of(jan))
    vault = kit.unlock()
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, "visit")
        vault.put(tx, "visit", "record", "photo", b"jpeg")
    theirs = kit.unlock("jan.claes", "730418")
    assert theirs.get("visit", "record").data == b"jpeg"
    assert theirs.signer().key.private_numbers() == jan.key.private_numbers()
    assert fails(kit.unlock, "jan.claes", PIN) == Code.WRONG_PIN
    assert [known.officer_id for known in kit.gate.officers()] == [OFFICER, "jan.claes"]


def test_the_pin_alone_is_not_enough_on_another_device(kit, tmp_path):
    elsewhere = Gate(kit.database, FileKeySource.create(tmp_path / "other"), kit.clock)
    assert fails(elsewhere.unlock, OFFICER, PIN) == Code.OTHER_DEVICE
    assert kit.gate.standing(OFFICER) == Standing(5, 0)


def test_a_swapped_officer_row_does_not_open(kit):
    kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", "730418", *pem_of(second_officer()))
    columns = "salt, identity, signing_key"
    with kit.database.transaction() as tx:
        mine = tx.execute(f"SELECT {columns} FROM officer WHERE officer_id = ?", (OFFICER,)).fetchone()
        tx.execute(
            "UPDATE officer SET salt = ?, identity = ?, signing_key = ? WHERE officer_id = 'jan.claes'", mine
        )
    assert fails(kit.unlock, "jan.claes", PIN) == Code.WRONG_PIN


def test_another_pin_opens_after_a_change_and_the_old_one_does_not(kit):
    kit.gate.change_pin(OFFICER, PIN, "916273")
    assert fails(kit.unlock) == Code.WRONG_PIN
    again = kit.unlock(OFFICER, "916273")
    assert again.signer().key.private_numbers() == WORLD.officer.key.private_numbers()


def test_a_change_needs_the_old_pin_and_a_good_new_one(kit):
    assert fails(kit.gate.change_pin, OFFICER, "482916", "916273") == Code.WRONG_PIN
    with pytest.raises(WeakPin):
        kit.gate.change_pin(OFFICER, PIN, "123456")
    assert kit.gate.standing(OFFICER) == Standing(4, 0)
    kit.unlock()


@pytest.mark.parametrize(
    "pin", ["", "12345", "1234567890123", "abcdef", "000000", "123456", "987654", "12345678", "١٢٣٤٥٦"]
)
def test_a_pin_that_is_guessed_first_cannot_be_chosen(pin):
    with pytest.raises(WeakPin):
        check_pin(pin)


@pytest.mark.parametrize("pin", ["482915", "112233", "246810", "135791357913"])
def test_other_pins_can(pin):
    check_pin(pin)


@pytest.mark.parametrize(
    ("officer", "name", "signer"),
    [
        ("jan.claes", "Jan Claes", WORLD.officer_signer),
        (OFFICER, "An Peeters", WORLD.officer_signer),
        ("Jan", "Jan Claes", WORLD.officer_signer),
        ("jan.claes", "", WORLD.officer_signer),
        ("jan.claes", "Jan\nClaes", WORLD.officer_signer),
        ("kit-brugge-01", "A kit", WORLD.kit_signer),
    ],
)
def test_an_officer_is_let_in_only_with_their_own_certificate_and_once(kit, officer, name, signer):
    with pytest.raises(ValueError):
        kit.gate.add_officer(kit.unlock(), officer, name, "730418", *pem_of(signer))


@pytest.mark.parametrize("name", ["", "Jan\nClaes", "J" * 101])
def test_a_name_that_no_screen_can_show_is_not_taken_whoever_has_it(kit, name):
    with pytest.raises(ValueError, match="id and name"):
        kit.gate.add_officer(kit.unlock(), "jan.claes", name, "730418", *pem_of(second_officer()))


def test_a_long_name_is(kit):
    kit.gate.add_officer(kit.unlock(), "jan.claes", "J" * 100, "730418", *pem_of(second_officer()))
    assert [known.name for known in kit.gate.officers()] == ["An Peeters", "J" * 100]


def test_a_key_that_is_not_the_certificates_is_not_taken(kit):
    key, _ = pem_of(second_officer())
    _, chain = pem_of(second_officer())
    with pytest.raises(ValueError):
        kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", "730418", key, chain)


def test_a_key_on_another_curve_is_not_taken(kit):
    _, chain = pem_of(second_officer())
    with pytest.raises(ValueError, match="P-256"):
        kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", "730418", *pem_of(WIDE)[:1], chain)


def test_only_an_officer_can_let_another_in(kit):
    with pytest.raises(RuntimeError):
        kit.gate.create()
    vault = kit.unlock()
    vault.lock()
    assert (
        fails(kit.gate.add_officer, vault, "jan.claes", "Jan", "730418", *pem_of(second_officer()))
        == Code.LOCKED
    )


def test_a_vault_made_for_nobody_can_be_made_again(database, source):
    gate = Gate(database, source, HandClock())
    gate.create()
    gate.add_officer(gate.create(), OFFICER, "An Peeters", PIN, *pem_of(WORLD.officer_signer))
    assert gate.unlock(OFFICER, PIN).officer_id == OFFICER


def test_neither_pin_nor_keys_lie_readable_on_disk(kit):
    kit.gate.change_pin(OFFICER, PIN, "916273")
    vault = kit.unlock(OFFICER, "916273")
    held = kit.bytes_on_disk()
    number = WORLD.officer.key.private_numbers().private_value.to_bytes(32)
    for secret in (PIN.encode(), b"916273", vault.store_key(), number, kit.source.device_secret()):
        assert secret not in held
    assert not re.search(rb"PRIVATE KEY", held)


def test_who_is_shut_out_leaves_no_way_in_on_the_disk(kit):
    kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", "730418", *pem_of(second_officer()))
    (wrapped,) = kit.database.row("SELECT identity FROM officer WHERE officer_id = 'jan.claes'")
    assert wrapped in kit.bytes_on_disk()
    kit.gate.shut_out(["jan.claes"])
    assert wrapped not in kit.bytes_on_disk()


def test_a_pin_is_stretched_the_same_way_tomorrow(real_cost):
    """RFC 9106, 4: 64 MiB, three passes, four lanes; worked out by another implementation, argon2-cffi's."""
    assert keys.stretch("482915", bytes(range(16))).hex() == (
        "ecbf69ee770b799e369a2da66cf01f85cbc2584a0a22d73595ccf38b0d33feb2"
    )
