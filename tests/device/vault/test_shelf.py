import sqlite3

import pytest

from device.errors import KitError
from device.vault.store import Store
from protocol.ids import new_ulid
from protocol.sealed.manifest import FIRST_PREV
from protocol.sealed.written import Written, named
from tests.device.vault.kit import WORLD, put_packet


def packet(store, **changes):
    seq, prev = store.next_seq()
    return WORLD.packet(**({"seq": seq, "prev": prev} | changes))


def test_packets_are_counted_and_chained(database):
    store = Store(database)
    assert store.next_seq() == (1, FIRST_PREV)
    first = packet(store)
    put_packet(store, first)
    assert store.next_seq() == (2, first.manifest_sha256)
    second = packet(store)
    put_packet(store, second)
    assert store.next_seq() == (3, second.manifest_sha256)
    assert [one.packet_id for one in store.sealed()] == [first.manifest.packet_id, second.manifest.packet_id]
    assert store.sealed()[0].size == len(first.data)
    assert store.sealed()[0].manifest_sha256 == first.manifest_sha256
    assert store.read_sealed(second.manifest.packet_id) == second.data


def test_the_counter_goes_on_after_packets_are_dropped_and_restarts(database):
    store = Store(database)
    first = packet(store)
    put_packet(store, first)
    with database.transaction() as tx:
        store.drop_sealed(tx, first.manifest.packet_id)
        store.drop_sealed(tx, new_ulid())
    assert store.sealed() == []
    assert store.read_sealed(first.manifest.packet_id) is None
    assert Store(database).next_seq() == (2, first.manifest_sha256)


def test_only_the_next_packet_of_that_visit_can_be_put(database):
    store = Store(database)
    first = packet(store)
    for sealed, visit_id in ((packet(store), new_ulid()), (WORLD.packet(seq=2, prev="a" * 64), "")):
        with pytest.raises(ValueError):
            put_packet(store, sealed, visit_id)
    put_packet(store, first)
    with pytest.raises(KitError):  # its file is there
        put_packet(store, first)
    with pytest.raises(ValueError):
        put_packet(store, WORLD.packet(seq=2, prev="b" * 64))
    assert len(store.sealed()) == 1


def test_putting_a_packet_destroys_its_visit_and_no_other(kit):
    vault = kit.unlock()
    sealed, other = packet(vault), new_ulid()
    visit = sealed.manifest.visit_id
    with kit.database.transaction() as tx:
        for one in (visit, other):
            vault.new_visit_key(tx, one)
            vault.put(tx, one, "photo", "photo", b"jpeg")
    put_packet(vault, sealed)
    with pytest.raises(KitError):
        vault.get(visit, "photo")
    assert vault.get(other, "photo").data == b"jpeg"
    kit.database.settle()
    assert kit.database.rows("SELECT visit_id FROM record") == [(other,)]


def put_and_fail(vault, sealed):
    manifest, size = sealed.manifest, len(sealed.data)
    with vault.create(manifest.packet_id) as file:
        file.begin(sealed.data)
        with vault.database.transaction() as tx:
            written = Written(named(manifest), sealed.manifest_sha256, size, file.finish)
            vault.put_sealed(tx, manifest.packet_id, manifest.visit_id, written)
            tx.execute("not SQL")


def test_a_packet_that_could_not_be_stored_leaves_its_visit_whole(kit):
    vault = kit.unlock()
    sealed = packet(vault)
    visit = sealed.manifest.visit_id
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit)
        vault.put(tx, visit, "photo", "photo", b"jpeg")
    with pytest.raises(sqlite3.OperationalError):
        put_and_fail(vault, sealed)
    assert vault.get(visit, "photo").data == b"jpeg"
    assert vault.next_seq() == (1, FIRST_PREV)


def test_an_abandoned_visit_is_destroyed_without_a_packet_and_without_a_key(kit):
    vault = kit.unlock()
    visit = new_ulid()
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit)
        vault.put(tx, visit, "photo", "photo", b"jpeg")
    store = Store(kit.database)
    for _ in range(2):
        with kit.database.transaction() as tx:
            store.destroy_visit(tx, visit)
    assert kit.database.rows("SELECT * FROM record") == []
