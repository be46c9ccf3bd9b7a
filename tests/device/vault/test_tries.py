import os
from datetime import timedelta

import pytest

from device.errors import Code, KitError, Remedy
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.keysource import FileKeySource
from device.vault.tries import FREE_TRIES, WAITS, Standing
from tests.device.vault.kit import OFFICER, PIN, HandClock, pem_of, second_officer

DIED = 9
WRONG = "111112"


def attempt(kit, pin=WRONG, officer=OFFICER):
    with pytest.raises(KitError) as failure:
        kit.unlock(officer, pin)
    return failure.value.code


def test_five_tries_and_then_waits_that_grow(kit):
    for left in (4, 3, 2, 1):
        assert attempt(kit) == Code.WRONG_PIN
        assert kit.gate.standing(OFFICER) == Standing(left, 0)
    for wait in (*WAITS, WAITS[-1]):
        assert attempt(kit) == Code.WRONG_PIN
        assert kit.gate.standing(OFFICER) == Standing(0, wait)
        assert attempt(kit, pin=PIN) == Code.TOO_MANY_TRIES
        kit.clock.seconds += wait - 1
        assert kit.gate.standing(OFFICER) == Standing(0, 1)
        assert attempt(kit, pin=PIN) == Code.TOO_MANY_TRIES
        kit.clock.seconds += 1.5
        assert kit.gate.standing(OFFICER) == Standing(0, 0)
    kit.unlock()
    assert kit.gate.standing(OFFICER) == Standing(5, 0)


def test_the_waits_are_those_that_officers_are_told():
    assert (FREE_TRIES, WAITS) == (5, (30, 60, 120, 300, 900, 3600))


def lock_out(kit):
    for _ in range(5):
        attempt(kit)
    assert kit.gate.standing(OFFICER) == Standing(0, 30)


def test_tries_and_wait_survive_a_restart(kit):
    attempt(kit)
    again = kit.reopen()
    assert again.gate.standing(OFFICER) == Standing(4, 0)
    for _ in range(4):
        attempt(again)
    once_more = again.reopen()
    assert once_more.gate.standing(OFFICER) == Standing(0, 30)
    assert attempt(once_more, PIN) == Code.TOO_MANY_TRIES
    once_more.database.close()


def test_a_restart_never_shortens_a_wait_and_costs_ten_seconds_of_it_at_most(kit):
    lock_out(kit)
    for _ in range(18):
        kit.clock.seconds += 1
        kit.gate.standing(OFFICER)
    assert kit.gate.standing(OFFICER) == Standing(0, 12)
    again = kit.reopen()
    assert 12 <= again.gate.standing(OFFICER).wait_s <= 22
    again.database.close()


def test_time_while_the_kit_is_off_does_not_count(kit):
    lock_out(kit)
    again = kit.reopen()
    again.clock.wall += timedelta(days=1)
    assert again.gate.standing(OFFICER) == Standing(0, 30)
    again.database.close()


@pytest.mark.parametrize("jump", [timedelta(days=3650), -timedelta(days=20_000)])
def test_setting_the_wall_clock_changes_nothing(kit, jump):
    lock_out(kit)
    kit.clock.wall += jump
    assert kit.gate.standing(OFFICER) == Standing(0, 30)
    assert attempt(kit, PIN) == Code.TOO_MANY_TRIES


class PowerCut(FileKeySource):
    """A key source at which the power goes when it is shown what the PIN gives."""

    def release(self, ticket, proof):
        os._exit(DIED)


def dies_at_the_key_source(kit):
    """A program that tries a PIN, and is gone before it knows whether it was right."""
    child = os.fork()
    if child == 0:
        try:
            Gate(Database(kit.database.path), PowerCut(kit.folder / "device-secret"), HandClock()).unlock(
                OFFICER, PIN
            )
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == DIED


def test_a_try_is_on_disk_before_the_pin_is_looked_at(kit):
    kit.database.close()
    for left in (4, 3, 2, 1, 0):
        dies_at_the_key_source(kit)
        kit = kit.reopen()
        assert kit.gate.standing(OFFICER).tries_left == left
        kit.database.close()
    kit = kit.reopen()
    assert kit.gate.standing(OFFICER).wait_s == 30
    kit.database.close()


def test_one_officers_right_pin_does_not_clear_anothers_count(kit):
    kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", "730418", *pem_of(second_officer()))
    for _ in range(4):
        attempt(kit, officer="jan.claes")
        kit.unlock()
    assert kit.gate.standing("jan.claes") == Standing(1, 0)
    attempt(kit, officer="jan.claes")
    assert kit.gate.standing("jan.claes") == Standing(0, 30)
    assert kit.gate.standing(OFFICER) == Standing(5, 0)
    kit.unlock()


def test_the_screen_sees_the_standing_of_who_tried_last(kit):
    assert kit.gate.standing() == Standing(5, 0)
    kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan Claes", "730418", *pem_of(second_officer()))
    attempt(kit)
    attempt(kit)
    attempt(kit, officer="jan.claes")
    assert kit.gate.standing() == Standing(4, 0)
    kit.unlock("jan.claes", "730418")
    assert kit.gate.standing() == Standing(3, 0)


def test_asking_inside_a_transaction_is_fine(kit):
    lock_out(kit)
    kit.clock.seconds += 20
    with kit.database.transaction():
        assert kit.gate.standing(OFFICER) == Standing(0, 10)
    assert kit.gate.standing(OFFICER) == Standing(0, 10)


class Blocked(FileKeySource):
    """A key source that has had enough of this officer's PIN, or is not there."""

    code = Code.PIN_BLOCKED

    def release(self, ticket, proof):
        raise KitError(self.code, Remedy.WORKSHOP)


@pytest.mark.parametrize(
    ("code", "left"), [(Code.PIN_BLOCKED, FREE_TRIES), (Code.KEY_SOURCE_GONE, FREE_TRIES - 1)]
)
def test_a_source_that_looks_at_no_pin_any_more_costs_no_try_and_one_that_is_gone_does(kit, code, left):
    source = Blocked(kit.folder / "device-secret")
    source.code = code
    gate = Gate(kit.database, source, kit.clock)
    with pytest.raises(KitError) as failure:
        gate.unlock(OFFICER, PIN)
    assert failure.value.code is code
    assert gate.standing(OFFICER).tries_left == left
