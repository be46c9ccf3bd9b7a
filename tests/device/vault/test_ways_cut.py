"""The power goes at every single statement of a PIN change, a code, a lease, an epoch, a new door key, and
of officers who come and go.

Each is done by a child that dies there, as `kill -9` would; what is left opens in exactly one way, and the
record of the open visit is there.
"""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from device.errors import Code, KitError
from device.vault import door, lease, roster
from device.vault.database import Database, Transaction
from device.vault.gate import Gate
from device.vault.lease import Shares
from device.vault.recovery import Administrator
from protocol.unlock_code import agree, read_challenge, write_code
from tests.device.vault.kit import OFFICER, PIN, HandClock, Kit, pem_of, second_officer

NEW = "916273"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ENDS = NOW + timedelta(hours=48)
SHARES = {1: bytes(range(32)), 2: bytes(range(32, 64))}
KEY = X25519PrivateKey.generate()
ADMINISTRATOR = Administrator("kit-test-01", KEY.public_key().public_bytes_raw())
DIED = 9
GONE, NONCE = "jan.claes", "01JDCT8Q9X7WQ2N5B3C4D5E6F7"
NEWCOMER = second_officer("els.claes")

Act = Callable[[Gate, Database, bytes], None]


def change_pin(gate: Gate, database: Database, secret: bytes) -> None:
    gate.change_pin(OFFICER, PIN, NEW)


def take_code(gate: Gate, database: Database, secret: bytes) -> None:
    told = read_challenge(gate.challenge(OFFICER), ADMINISTRATOR.kit_id, OFFICER)
    gate.recover(OFFICER, write_code(agree(KEY, told.point, told), told, ENDS), NEW, NOW)


def keep_lease(gate: Gate, database: Database, secret: bytes) -> None:
    with database.transaction() as tx:
        lease.keep(tx, secret, Shares(1, SHARES[1], SHARES[2]), ENDS, ENDS, 12)


def turn_epoch(gate: Gate, database: Database, secret: bytes) -> None:
    keep_lease(gate, database, secret)
    assert lease.turn_epoch(gate.unlock(OFFICER, PIN), secret)


def close_lease(gate: Gate, database: Database, secret: bytes) -> None:
    with database.transaction() as tx:
        lease.close(tx)


def change_door(gate: Gate, database: Database, secret: bytes) -> None:
    vault = gate.unlock(OFFICER, PIN)
    with database.transaction() as tx:
        lease.change_door(tx, vault, secret)


def shut_out(gate: Gate, database: Database, secret: bytes) -> None:
    """As the list says: while nobody is in, and the door key when somebody is."""
    gate.shut_out([GONE])
    gate.unlock(OFFICER, PIN)


def let_in(gate: Gate, database: Database, secret: bytes) -> None:
    def used(tx: Transaction) -> None:
        roster.use(tx, NONCE)

    key, chain = pem_of(NEWCOMER)
    gate.add_officer(gate.unlock(OFFICER, PIN), "els.claes", "Els Claes", NEW, key, chain, used)


@pytest.mark.parametrize("act", [shut_out, let_in], ids=lambda act: act.__name__)
def test_a_cut_while_officers_come_and_go_leaves_the_others_and_nothing_half(
    leased: Kit, tmp_path: Path, act: Act
) -> None:
    cuts = 0
    while dies(leased, copied(leased, tmp_path / f"cut-{cuts}"), act, cuts):
        ends_as_the_list_says(leased, tmp_path / f"cut-{cuts}", act)
        cuts += 1
    assert cuts > 3, "it was cut somewhere"


def ends_as_the_list_says(kit: Kit, folder: Path, act: Act) -> None:
    """What the agent does at its next look, and what is there then."""
    database = Database(folder / "vault.db")
    gate = Gate(database, kit.source, HandClock(), ADMINISTRATOR)
    ids = {each.officer_id for each in gate.officers()}
    if act is shut_out:
        if GONE in ids:
            gate.shut_out([GONE])
        assert not database.rows("SELECT 1 FROM recovery WHERE officer_id = ?", (GONE,))
        vault = gate.unlock(OFFICER, PIN)
        assert not door.owed(database)
        assert {each.officer_id for each in gate.officers()} == {OFFICER}
    else:
        assert ("els.claes" in ids) == roster.is_used(database, NONCE), "let in and used up, or neither"
        vault = gate.unlock("els.claes", NEW) if "els.claes" in ids else gate.unlock(OFFICER, PIN)
    assert vault.get("visit", "record").data == b"jpeg"
    database.close()


@pytest.fixture
def leased(kit: Kit) -> Kit:
    """In epoch 1, with a record and a way back."""
    secret = kit.source.device_secret()
    gate = Gate(kit.database, kit.source, kit.clock, ADMINISTRATOR)
    vault = gate.unlock(OFFICER, PIN)
    gate.add_officer(vault, GONE, "Jan Claes", PIN, *pem_of(second_officer()))
    kit.database.define(roster.TABLES)
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, "visit")
        vault.put(tx, "visit", "record", "photo", b"jpeg")
        lease.begin(tx, ENDS, ENDS, 12)
    with kit.database.transaction() as tx:
        lease.keep(tx, secret, Shares(0, b"", SHARES[1]), ENDS, ENDS, 12)
    lease.turn_epoch(vault, secret)
    kit.database.close()
    return kit


@pytest.mark.parametrize(
    "act",
    [change_pin, take_code, keep_lease, turn_epoch, close_lease, change_door],
    ids=lambda act: act.__name__,
)
def test_a_cut_at_any_statement_leaves_one_way_in_and_loses_nothing(
    leased: Kit, tmp_path: Path, act: Act
) -> None:
    cuts = 0
    while dies(leased, copied(leased, tmp_path / f"cut-{cuts}"), act, cuts):
        opens_in_one_way(leased, tmp_path / f"cut-{cuts}")
        cuts += 1
    opens_in_one_way(leased, tmp_path / f"cut-{cuts}")
    assert cuts > 3, "it was cut somewhere"


def copied(kit: Kit, folder: Path) -> Path:
    folder.mkdir()
    for path in kit.folder.glob("vault.db*"):
        shutil.copy(path, folder)
    return folder


def dies(kit: Kit, folder: Path, act: Act, statements: int) -> bool:
    """Whether a child that may finish so many statements was still at it."""
    child = os.fork()
    if child == 0:
        left, ended = statements, 1

        def count(statement: str) -> None:
            nonlocal left
            if left == 0:
                os._exit(DIED)
            left -= 1

        try:
            database = Database(folder / "vault.db")
            gate = Gate(database, kit.source, HandClock(), ADMINISTRATOR)
            database._connection.set_trace_callback(count)
            act(gate, database, kit.source.device_secret())
            ended = 0
        finally:
            os._exit(ended)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, DIED)
    return code == DIED


def opens_in_one_way(kit: Kit, folder: Path) -> None:
    database = Database(folder / "vault.db")
    assert database.rows("PRAGMA integrity_check") == [("ok",)]
    gate = Gate(database, kit.source, HandClock(), ADMINISTRATOR)
    held = lease.read(database)
    assert held is not None
    if not held.held:
        with database.transaction() as tx:
            shares = Shares(held.epoch, SHARES[held.epoch], b"")
            lease.keep(tx, kit.source.device_secret(), shares, ENDS, ENDS, 12)
    opened, refused = [], []
    for pin in (PIN, NEW):
        try:
            opened.append(gate.unlock(OFFICER, pin))
        except KitError as problem:
            refused.append(problem.code)
    assert len(opened) == 1
    assert refused == [Code.WRONG_PIN]
    assert opened[0].get("visit", "record").data == b"jpeg"
    assert gate.challenge(OFFICER)
    database.close()
