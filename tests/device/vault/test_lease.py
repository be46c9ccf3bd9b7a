"""The store opens with PIN, device and the fleet's share together, and with nothing less."""

import secrets
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from device.errors import Code, KitError
from device.vault import door, keys, lease
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.lease import Shares
from tests.device.vault.kit import OFFICER, PIN, pem_of, second_officer

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ENDS = NOW + timedelta(hours=48)


def fails(call, *arguments):
    with pytest.raises(KitError) as failure:
        call(*arguments)
    return failure.value.code


def begin(kit):
    with kit.database.transaction() as tx:
        lease.begin(tx, ENDS, ENDS, 12)


def keep(kit, epoch, share=b"", following=b""):
    with kit.database.transaction() as tx:
        lease.keep(tx, kit.source.device_secret(), Shares(epoch, share, following), ENDS, ENDS, 12)


def close(kit):
    with kit.database.transaction() as tx:
        lease.close(tx)


def put_record(kit, visit="visit", data=b"jpeg"):
    vault = kit.unlock()
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit)
        vault.put(tx, visit, "record", "photo", data)
    return vault


@pytest.fixture
def leased(kit):
    """In epoch 1, with a record; and the share of that epoch."""
    begin(kit)
    vault = put_record(kit)
    share = secrets.token_bytes(32)
    keep(kit, 0, following=share)
    assert lease.turn_epoch(vault, kit.source.device_secret())
    return kit, share


def test_a_new_epoch_keeps_everything_and_another_store_key(leased):
    kit, _ = leased
    held = lease.read(kit.database)
    assert held is not None
    assert (held.epoch, held.held, held.coming, held.visits) == (1, True, False, 12)
    vault = kit.unlock()
    assert vault.get("visit", "record").data == b"jpeg"
    before = vault.store_key()
    keep(kit, 1, following=secrets.token_bytes(32))
    assert lease.turn_epoch(vault, kit.source.device_secret())
    assert not lease.turn_epoch(vault, kit.source.device_secret())
    assert vault.store_key() != before
    assert vault.get("visit", "record").data == b"jpeg", "the open vault goes on with the new key"
    assert kit.unlock().get("visit", "record").data == b"jpeg"


def test_without_its_share_nothing_opens_and_with_it_all_is_there(leased):
    kit, share = leased
    close(kit)
    assert fails(kit.unlock) == Code.LEASE_ENDED
    assert kit.gate.standing().tries_left == 5, "it cost no try"
    keep(kit, 1, share)
    assert kit.unlock().get("visit", "record").data == b"jpeg"


def test_a_stolen_disk_with_pin_and_device_but_without_share_opens_nothing(leased, tmp_path):
    """Everything a thief could have after the end, tried by hand: the door key is not enough."""
    kit, _ = leased
    close(kit)
    kit.database.close()
    stolen = tmp_path / "stolen.db"
    shutil.copy(kit.database.path, stolen)
    database = Database(stolen)
    secret = kit.source.device_secret()
    salt, sealed, gate_door = database.row("SELECT salt, identity, door FROM officer")
    stretched = keys.stretch(PIN, salt)
    released = kit.source.release(b"", keys.proof(stretched, OFFICER))
    identity = keys.unlock(
        keys.officer_key(stretched, released, OFFICER), sealed, keys.bind("officer.identity", OFFICER, 1)
    )
    door_key = door.open_door(secret, OFFICER, identity.decode(), gate_door)
    (wrapped,) = database.row("SELECT wrapped FROM visit_key WHERE visit_id = 'visit'")
    for guess in (b"", bytes(32), secret, door_key):
        for epoch in (0, 1, 2):
            records = keys.derive(lease.store_key(door_key, epoch, guess), "records")
            assert fails(keys.unlock, records, wrapped, keys.bind("visit_key", "visit", 1)) == (
                Code.VAULT_DAMAGED
            )
    database.close()


def test_the_destroyed_share_is_in_no_file(leased):
    kit, share = leased
    (held,) = kit.database.row("SELECT share FROM lease")
    assert held in kit.bytes_on_disk()
    assert share not in kit.bytes_on_disk()
    close(kit)
    assert held not in kit.bytes_on_disk()


def test_an_older_copy_of_the_disk_opens_nothing_that_came_after_it(leased, tmp_path):
    kit, _ = leased
    kit.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(kit.database.path, tmp_path / "old.db")
    keep(kit, 1, following=secrets.token_bytes(32))
    vault = kit.unlock()
    lease.turn_epoch(vault, kit.source.device_secret())
    put_record(kit, "later", b"later")
    (wrapped,) = kit.database.row("SELECT wrapped FROM visit_key WHERE visit_id = 'later'")
    old = Database(tmp_path / "old.db")
    opened = Gate(old, kit.source, kit.clock).unlock(OFFICER, PIN)
    records = keys.derive(opened.store_key(), "records")
    assert fails(keys.unlock, records, wrapped, keys.bind("visit_key", "later", 1)) == Code.VAULT_DAMAGED
    old.close()


@pytest.mark.parametrize(
    ("epoch", "share", "following"),
    [(0, b"", b""), (2, bytes(32), b""), (1, bytes(31), b""), (1, bytes(32), bytes(33))],
)
def test_a_lease_for_another_epoch_or_of_another_length_changes_nothing(leased, epoch, share, following):
    kit, _ = leased
    before = kit.database.row("SELECT * FROM lease")
    with pytest.raises(ValueError, match="epoch"):
        keep(kit, epoch, share, following)
    assert kit.database.row("SELECT * FROM lease") == before


def test_a_share_that_did_not_come_stays(leased):
    kit, _ = leased
    keep(kit, 1)
    kit.unlock()


def test_a_new_door_key_shuts_out_who_only_knows_the_old_one(leased):
    kit, _ = leased
    kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan", "730418", *pem_of(second_officer()))
    vault = kit.unlock()
    old_key, old_store = vault.door_key(), vault.store_key()
    with kit.database.transaction() as tx:
        fresh = lease.change_door(tx, vault, kit.source.device_secret())
    vault.turn(*fresh)
    assert vault.door_key() != old_key
    assert vault.store_key() != old_store
    for opened in (vault, kit.unlock(), kit.unlock("jan.claes", "730418")):
        assert opened.get("visit", "record").data == b"jpeg"


def test_an_officer_who_was_removed_is_shut_out_with_every_old_key(leased):
    kit, _ = leased
    kit.gate.add_officer(kit.unlock(), "jan.claes", "Jan", "730418", *pem_of(second_officer()))
    (theirs,) = kit.database.row("SELECT identity FROM officer WHERE officer_id = 'jan.claes'")
    old = kit.unlock("jan.claes", "730418").door_key()
    vault = kit.unlock()
    with pytest.raises(ValueError, match="another"):
        kit.gate.remove_officer(vault, OFFICER)
    told = []
    kit.gate.remove_officer(vault, "jan.claes", told.append)
    assert len(told) == 1
    assert fails(kit.unlock, "jan.claes", "730418") == Code.UNKNOWN_OFFICER
    assert theirs not in kit.bytes_on_disk()
    assert vault.door_key() != old
    for opened in (vault, kit.unlock()):
        assert opened.get("visit", "record").data == b"jpeg"
    assert fails(kit.gate.remove_officer, vault, "jan.claes") == Code.UNKNOWN_OFFICER


def test_a_door_key_put_there_by_somebody_else_is_refused(leased):
    kit, _ = leased
    (recipient,) = kit.database.row("SELECT recipient FROM officer")
    secret = kit.source.device_secret()
    told = keys.unlock(keys.derive(secret, "door"), recipient, keys.bind("officer.recipient", OFFICER, 1))
    forged = door.seal_door(bytes(32), OFFICER, told.decode(), keys.new_key())
    with kit.database.transaction() as tx:
        tx.execute("UPDATE officer SET door = ?", (forged,))
    assert fails(kit.unlock) == Code.VAULT_DAMAGED


def test_visits_are_counted_down_and_never_below_nothing(kit):
    begin(kit)
    for _ in range(14):
        with kit.database.transaction() as tx:
            lease.spend(tx)
    held = lease.read(kit.database)
    assert held is not None
    assert held.visits == 0


def test_a_door_is_not_changed_without_the_share_by_who_was_let_in_before(leased):
    kit, _ = leased
    vault = kit.unlock()
    close(kit)
    with kit.database.transaction() as tx:
        assert fails(lease.change_door, tx, vault, kit.source.device_secret()) == Code.LEASE_ENDED
