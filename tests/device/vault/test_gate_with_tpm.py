"""The gate over a TPM: who counts, what another TPM says, and a power cut in the middle of a new PIN."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from device.drivers.keys.tpm import shapes
from device.drivers.keys.tpm.marshal import sized, u16, u32
from device.drivers.keys.tpm.source import TpmKeySource
from device.drivers.keys.tpm.talk import Talk
from device.errors import Code, KitError
from device.vault import lease
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.lease import Shares
from device.vault.tries import Standing
from tests.device.drivers.keys.tpm.swtpm import Swtpm
from tests.device.vault.kit import OFFICER, PIN, WORLD, HandClock, pem_of, second_officer
from tests.device.vault.test_recovery import NOW, Office

NEW = "730418"
DIED = 9


@dataclass
class TpmKit:
    tpm: Swtpm
    database: Database
    source: TpmKeySource
    office: Office
    clock: HandClock

    def gate(self, source: TpmKeySource | None = None) -> Gate:
        return Gate(self.database, source or self.source, self.clock, self.office.administrator)

    def indexes(self) -> list[int]:
        """PIN indexes in use."""
        with self.tpm.chip.line() as line:
            talk = Talk(line)
            return [index for index in shapes.INDEXES[:16] if talk.index_name(index) is not None]


@pytest.fixture
def tpm_kit(tmp_path: Path) -> Iterator[TpmKit]:
    tpm = Swtpm(tmp_path / "tpm")
    tpm.start()
    source = tpm.found(tmp_path / "tpm.keys")
    made = TpmKit(tpm, Database(tmp_path / "vault.db"), source, Office(), HandClock())
    gate = made.gate()
    gate.add_officer(gate.create(), OFFICER, "An Peeters", PIN, *pem_of(WORLD.officer_signer))
    yield made
    made.database.close()
    tpm.cut()


def fails(gate: Gate, pin: str, officer: str = OFFICER) -> Code:
    with pytest.raises(KitError) as failure:
        gate.unlock(officer, pin)
    return failure.value.code


def test_the_tpm_counts_and_says_so_at_once(tpm_kit: TpmKit) -> None:
    gate = tpm_kit.gate()
    assert gate.unlock(OFFICER, PIN).officer_id == OFFICER
    assert [fails(gate, NEW) for _ in range(5)] == [Code.WRONG_PIN] * 4 + [Code.PIN_BLOCKED]
    assert fails(gate, PIN) == Code.PIN_BLOCKED, "and not: wait"
    assert gate.standing(OFFICER).wait_s == 0


def test_an_old_copy_of_the_database_brings_no_tries_back(tpm_kit: TpmKit) -> None:
    gate = tpm_kit.gate()
    for _ in range(4):
        fails(gate, NEW)
    with tpm_kit.database.transaction() as tx:
        tx.execute("DELETE FROM tries")  # as in a copy of this morning
    assert fails(gate, NEW) == Code.PIN_BLOCKED


def test_the_administrators_code_gives_a_blocked_officer_a_new_pin(tpm_kit: TpmKit) -> None:
    gate = tpm_kit.gate()
    for _ in range(6):
        fails(gate, NEW)
    gate.recover(OFFICER, tpm_kit.office.code(gate), NEW, NOW)
    assert gate.unlock(OFFICER, NEW).officer_id == OFFICER
    assert fails(gate, PIN) == Code.WRONG_PIN
    assert len(tpm_kit.indexes()) == 1, "the old PIN is gone from the TPM"


def test_a_disk_in_another_kit_opens_nothing_and_costs_no_tries(tpm_kit: TpmKit, tmp_path: Path) -> None:
    other = Swtpm(tmp_path / "other")
    other.start()
    try:
        other.found(tmp_path / "other.keys")
        for path in (tmp_path / "tpm.keys", tmp_path / "other.keys"):
            stranger = tpm_kit.gate(TpmKeySource(other.chip, path))
            assert [fails(stranger, PIN) for _ in range(6)] == [Code.OTHER_DEVICE] * 6
    finally:
        other.cut()
    assert tpm_kit.gate().standing(OFFICER) == Standing(5, 0)
    assert tpm_kit.gate().unlock(OFFICER, PIN).officer_id == OFFICER


def dies_after(tpm_kit: TpmKit, path: Path, statements: int) -> bool:
    """Whether the power went while a child, that may finish so many statements, was changing the PIN."""
    child = os.fork()
    if child == 0:
        left, ended = statements, 1

        def count(statement: str) -> None:
            nonlocal left
            if left == 0:
                os._exit(DIED)
            left -= 1

        try:
            database = Database(path)
            gate = Gate(database, tpm_kit.source, HandClock(), tpm_kit.office.administrator)
            database._connection.set_trace_callback(count)
            gate.change_pin(OFFICER, PIN, NEW)
            ended = 0
        finally:
            os._exit(ended)
    _, status = os.waitpid(child, 0)
    tpm_kit.tpm.cut_and_start()
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, DIED)
    return code == DIED


def test_power_cuts_while_the_pin_changes_leave_one_pin_and_after_a_start_one_index(
    tpm_kit: TpmKit, tmp_path: Path
) -> None:
    left_behind, statements = 0, 0
    while dies_after(tpm_kit, tpm_kit.database.path, statements):
        left_behind += len(tpm_kit.indexes()) - 1
        gate = tpm_kit.gate()
        gate.sweep()
        assert len(tpm_kit.indexes()) == 1
        opened = [pin for pin in (PIN, NEW) if opens(gate, pin)]
        assert len(opened) == 1
        if opened == [NEW]:
            gate.change_pin(OFFICER, NEW, PIN)
        statements += 1
    assert left_behind > 0, "there was something to sweep"
    assert tpm_kit.gate().unlock(OFFICER, NEW).officer_id == OFFICER


def opens(gate: Gate, pin: str) -> bool:
    try:
        return gate.unlock(OFFICER, pin).officer_id == OFFICER
    except KitError as problem:
        if problem.code is not Code.WRONG_PIN:
            raise
        return False


def test_a_sweep_leaves_what_is_not_ours(tpm_kit: TpmKit) -> None:
    with tpm_kit.tpm.chip.line() as line:
        talk = Talk(line)
        theirs = shapes.INDEXES.start + 7
        session = talk.session(shapes.point(talk.storage_key() or b"", shapes.STORAGE_ATTRIBUTES))
        talk.define(session, Ordinary(theirs, b""), bytes(32))
    tpm_kit.gate().sweep()
    assert tpm_kit.indexes() == [shapes.INDEXES.start, theirs]
    assert tpm_kit.gate().unlock(OFFICER, PIN).officer_id == OFFICER


class Ordinary(shapes.PinIndex):
    """Somebody else's index: eight bytes that its password reads and writes."""

    def public(self, *, written: bool) -> bytes:
        owner_and_auth = 0x2 | 0x4 | 0x20000 | 0x40000
        return u32(self.index) + u16(0x0B) + u32(owner_and_auth) + sized(b"") + u16(8)


def test_each_officer_has_an_index_and_a_change_of_pin_leaves_no_other(tpm_kit: TpmKit) -> None:
    gate = tpm_kit.gate()
    gate.add_officer(gate.unlock(OFFICER, PIN), "jan.claes", "Jan Claes", NEW, *pem_of(second_officer()))
    gate.change_pin(OFFICER, PIN, "916273")
    gate.change_pin(OFFICER, "916273", PIN)
    assert len(tpm_kit.indexes()) == 2
    assert gate.unlock("jan.claes", NEW).officer_id == "jan.claes"


def test_a_lease_over_a_tpm_closes_without_costing_a_try_and_opens_again(tpm_kit: TpmKit) -> None:
    gate, secret, ends = tpm_kit.gate(), tpm_kit.source.device_secret(), NOW + timedelta(hours=48)
    share = bytes(range(32))
    with tpm_kit.database.transaction() as tx:
        lease.begin(tx, ends, ends, 12)
    with tpm_kit.database.transaction() as tx:
        lease.keep(tx, secret, Shares(0, b"", share), ends, ends, 12)
    assert lease.turn_epoch(gate.unlock(OFFICER, PIN), secret)
    with tpm_kit.database.transaction() as tx:
        lease.close(tx)
    tpm_kit.tpm.cut_and_start()
    assert [fails(gate, PIN) for _ in range(6)] == [Code.LEASE_ENDED] * 6
    with tpm_kit.database.transaction() as tx:
        lease.keep(tx, secret, Shares(1, share, b""), ends, ends, 12)
    assert gate.unlock(OFFICER, PIN).officer_id == OFFICER
    gate.recover(OFFICER, tpm_kit.office.code(gate), NEW, NOW)
    assert gate.unlock(OFFICER, NEW).officer_id == OFFICER


def test_an_officer_who_is_shut_out_leaves_no_index_in_the_tpm(tpm_kit: TpmKit) -> None:
    gate = tpm_kit.gate()
    gate.add_officer(gate.unlock(OFFICER, PIN), "jan.claes", "Jan Claes", NEW, *pem_of(second_officer()))
    assert len(tpm_kit.indexes()) == 2
    gate.shut_out(["jan.claes"])
    tpm_kit.tpm.cut_and_start()
    gate = tpm_kit.gate()
    gate.sweep()
    assert len(tpm_kit.indexes()) == 1
    assert fails(gate, NEW, "jan.claes") == Code.UNKNOWN_OFFICER
    assert gate.unlock(OFFICER, PIN).officer_id == OFFICER
