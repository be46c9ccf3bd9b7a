"""The half of a visit's key that is overwritten where it lies."""

import pytest

from device.errors import Code, KitError
from device.vault.database import Database
from device.vault.slots import SLOT, Slots
from protocol.ids import new_ulid
from tests.device.vault.kit import WORLD, put_packet


def begun(kit, visit_id):
    vault = kit.unlock()
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit_id)
        vault.put(tx, visit_id, "photo", "photo", b"jpeg")
    return vault


def secrets_of(kit):
    data = (kit.folder / "vault.db-slots").read_bytes()
    return [data[at : at + 32] for at in range(0, len(data), SLOT) if any(data[at : at + SLOT])]


def test_each_open_visit_has_a_slot_of_its_own_and_nobody_else_may_read_the_file(kit):
    begun(kit, new_ulid())
    begun(kit, new_ulid())
    assert len(set(secrets_of(kit))) == 2
    assert (kit.folder / "vault.db-slots").stat().st_mode & 0o777 == 0o600


def test_the_slot_of_a_sealed_visit_is_overwritten_with_the_commit_and_used_again(kit):
    sealed = WORLD.packet()
    vault = begun(kit, sealed.manifest.visit_id)
    assert len(secrets_of(kit)) == 1
    put_packet(vault, sealed)
    assert secrets_of(kit) == []
    kit.database.settle()
    begun(kit, new_ulid())
    assert len(secrets_of(kit)) == 1
    assert (kit.folder / "vault.db-slots").stat().st_size == SLOT


def test_no_block_of_the_file_system_holds_something_of_two_visits(kit):
    """A write that is torn by a cut of the power then spoils no neighbour."""
    for _ in range(3):
        begun(kit, new_ulid())
    path = kit.folder / "vault.db-slots"
    block = 4096  # of ext4, and of flash; a larger one is a multiple of it
    data = path.read_bytes()
    held = [data[at : at + block] for at in range(0, len(data), block)]
    assert [sum(bool(each) for each in one[:32]) > 8 and not any(one[32:]) for one in held] == [True] * 3
    assert len({one[:32] for one in held}) == 3


def destroy_and_fail(kit, vault, visit_id):
    with kit.database.transaction() as tx:
        vault.destroy_visit(tx, visit_id)
        raise KeyboardInterrupt


def test_a_visit_that_was_not_destroyed_after_all_keeps_its_secret(kit):
    visit_id = new_ulid()
    vault = begun(kit, visit_id)
    with pytest.raises(KeyboardInterrupt):
        destroy_and_fail(kit, vault, visit_id)
    assert vault.get(visit_id, "photo").data == b"jpeg"


def test_whoever_brings_back_the_rows_of_a_destroyed_visit_opens_nothing(kit):
    """What a thief may find in free blocks of the disk: row, record, and even the PIN."""
    visit_id = new_ulid()
    vault = begun(kit, visit_id)
    tables = ("visit_key", "record", "visit_slot")
    held = {name: kit.database.rows(f"SELECT * FROM {name} WHERE visit_id = '{visit_id}'") for name in tables}
    with kit.database.transaction() as tx:
        vault.destroy_visit(tx, visit_id)
    with kit.database.transaction() as tx:
        for name, rows in held.items():
            for row in rows:
                tx.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)
    with pytest.raises(KitError) as failed:
        vault.get(visit_id, "photo")
    assert failed.value.code == Code.VAULT_DAMAGED


def test_a_secret_left_by_a_cut_between_commit_and_overwriting_goes_at_the_next_start(kit):
    kept, gone = new_ulid(), new_ulid()
    begun(kit, kept)
    begun(kit, gone)
    kit.database.close()
    path = kit.folder / "vault.db"
    before = (kit.folder / "vault.db-slots").read_bytes()
    database = Database(path)
    with database.transaction() as tx:
        tx.execute("DELETE FROM visit_key WHERE visit_id = ?", (gone,))  # and no word of its slot
    database.close()
    assert (kit.folder / "vault.db-slots").read_bytes() == before
    again = kit.reopen()
    assert len(secrets_of(kit)) == 1
    assert again.unlock().get(kept, "photo").data == b"jpeg"
    again.database.close()


def test_a_slot_that_the_disk_cannot_read_is_the_loss_of_one_visit(kit):
    visit = new_ulid()
    vault = kit.unlock()
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit)
    path = kit.folder / "vault.db-slots"
    path.unlink()
    path.symlink_to("/proc/self/mem")  # no file that can be read
    assert not vault.opens(visit)


def test_a_slot_that_still_holds_a_secret_is_not_given_away(tmp_path):
    slots = Slots(tmp_path / "slots")
    first, secret = slots.take([])
    second, other = slots.take([])  # the first is in no row any more, but not overwritten yet
    assert (first, second) == (0, 1)
    assert slots.left_over([second]) == [first]
    slots.overwrite([first])
    assert slots.read(first) is None
    assert slots.read(second) == other != secret
    assert slots.left_over([second]) == []
    assert slots.take([second])[0] == 0


def test_without_its_secret_a_visit_is_damaged_and_says_so(kit):
    visit_id = new_ulid()
    begun(kit, visit_id)
    (kit.folder / "vault.db-slots").unlink()
    vault = kit.unlock()  # the officer who began it has its key at hand until the vault is locked
    with pytest.raises(KitError) as failed:
        vault.get(visit_id, "photo")
    assert failed.value.code == Code.VAULT_DAMAGED
    assert Slots(kit.folder / "vault.db-slots").left_over([]) == []


def test_a_slot_is_no_way_to_another_file(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / "slots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        Slots(tmp_path / "slots").take([])
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


def test_a_disk_that_refuses_the_slot_refuses_the_visit(kit):
    vault = kit.unlock()
    (kit.folder / "vault.db-slots").mkdir()
    with pytest.raises(KitError) as failed, kit.database.transaction() as tx:
        vault.new_visit_key(tx, new_ulid())
    assert failed.value.code == Code.DISK_FULL
    assert kit.database.rows("SELECT * FROM visit_slot") == []


def test_a_slot_that_the_disk_would_not_overwrite_is_tried_again_and_complained_of(kit):
    visit_id = new_ulid()
    vault = begun(kit, visit_id)
    slots, away = kit.folder / "vault.db-slots", kit.folder / "away"
    slots.rename(away)
    with kit.database.transaction() as tx:
        vault.destroy_visit(tx, visit_id)
    with pytest.raises(KitError) as failed:
        kit.database.settle()
    assert failed.value.code == Code.VAULT_DAMAGED
    away.rename(slots)
    assert len(secrets_of(kit)) == 1
    kit.database.settle()
    assert secrets_of(kit) == []
