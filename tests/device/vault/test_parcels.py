"""Packets as files beside the database: counted once a row names them, cleared away when none does."""

import os

import pytest

from device.errors import Code, KitError
from device.vault.database import Database
from device.vault.parcels import STEP, Parcels
from device.vault.shelf import Store
from protocol.ids import new_ulid
from protocol.sealed.outer import read_outer
from protocol.sealed.packet import Part, contents_of, open_packet, write
from tests.device.vault.kit import WORLD, put_packet, small_files
from tests.protocol.certificates import NOW

SIZES = (0, 1, 65_536, STEP, 5 * STEP + 7)


def parts(size):
    return (
        Part("photo.jpg", "image/jpeg", os.urandom(size)),
        Part("application.json", "application/json", b"{}"),
    )


def put(file, data):
    file.begin(data)
    file.finish()


def written(store, content, **changes):
    seq, prev = store.next_seq()
    core = WORLD.core(content, contents=contents_of(content), seq=seq, prev=prev, **changes)
    with store.create(core.packet_id) as file:
        made = write(file, content, core, WORLD.recipients, WORLD.kit_signer, WORLD.officer_signer)
        with store.database.transaction() as tx:
            store.put_sealed(tx, core.packet_id, core.visit_id, made)
    return made


@pytest.mark.parametrize("size", SIZES)
def test_a_packet_written_as_it_is_made_is_the_packet(database, size):
    store, content = Store(database), parts(size)
    made = written(store, content)
    data = store.read_sealed(made.packet[0])
    assert len(data) == made.size == store.sealed()[0].size
    opened = open_packet(data, WORLD.identities, WORLD.roots, WORLD.roots, NOW)
    assert opened.parts == content
    assert opened.outer.manifest_sha256 == made.manifest_sha256


def test_only_its_owner_may_read_a_packet_and_no_other_file_is_taken_for_one(tmp_path, database):
    made = written(Store(database), parts(10))
    assert database.parcels.path(made.packet[0]).stat().st_mode & 0o777 == 0o600
    (tmp_path / "vault.db-something.sealed").write_bytes(b"")
    assert database.parcels.ids() == {made.packet[0]}
    with pytest.raises(ValueError):
        database.parcels.path("../elsewhere")


def test_what_no_row_names_goes_when_the_vault_is_opened_and_what_one_names_stays(database):
    store = Store(database)
    kept = written(store, parts(10)).packet[0]
    left = new_ulid()
    with store.create(left) as file:
        put(file, b"finished, and then the power went")
    assert database.parcels.ids() == {kept, left}
    Database(database.path).close()
    assert database.parcels.ids() == {kept}


def test_a_file_that_somebody_is_writing_is_let_be(database):
    with Store(database).create(new_ulid()) as file:
        Database(database.path).close()
        put(file, b"all of it")
        assert len(database.parcels.ids()) == 1


def test_a_file_taken_away_while_it_was_written_is_no_packet(database):
    packet_id = new_ulid()
    with Store(database).create(packet_id) as file:
        database.parcels.remove(packet_id)
        with pytest.raises(KitError) as failed:
            put(file, b"all of it")
    assert failed.value.code == Code.VAULT_DAMAGED


def test_a_packet_that_had_room_made_for_it_is_the_packet_whatever_its_size(database):
    store = Store(database)
    small = [(STEP, size) for size in (10, STEP + 1, 5 * STEP)]
    large = [(8 * STEP, 6 * STEP), *((8 * STEP, 8 * STEP - less) for less in range(0, 32_000, 4_000))]
    for room, size in small + large:  # of the last some fit but for their end
        database.parcels.make_room(room)
        packet_id = store.next_id()
        assert store.next_id() == packet_id
        path = database.parcels.path(packet_id)
        assert path.read_bytes() == bytes(room)
        made = written(store, parts(size), packet_id=packet_id, visit_id=new_ulid())
        data = store.read_sealed(packet_id)
        assert len(data) == made.size
        assert path.stat().st_size == max(room, made.size), "what is left of the room goes later"
        assert read_outer(data).manifest_sha256 == made.manifest_sha256
        assert store.next_id() != packet_id
        database.settle()
        assert path.read_bytes() == data


def test_room_grows_with_what_there_is_to_be_sealed_and_never_shrinks(kit):
    vault, visit = kit.unlock(), new_ulid()
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit)
    sizes = []
    for data in (b"", bytes(300_000), b"less"):
        with kit.database.transaction() as tx:
            vault.put(tx, visit, "photo", "photo", data)
        vault.make_room(visit)
        sizes.append(kit.database.parcels.path(vault.next_id()).stat().st_size)
    assert sizes == [STEP, 3 * STEP, 3 * STEP]


def test_room_that_was_not_needed_goes_when_the_vault_is_closed_or_opened_again(tmp_path, database):
    database.parcels.make_room(1)
    (left,) = database.parcels.ids()
    Database(database.path).close()
    assert database.parcels.ids() == {left}, "somebody holds it"
    database.close()
    assert database.parcels.ids() == set()
    database.parcels.path(left).write_bytes(bytes(STEP))  # a cut of the power
    Database(database.path).close()
    assert database.parcels.ids() == set()


def test_a_packet_of_another_id_leaves_the_room_for_the_next(database):
    store = Store(database)
    database.parcels.make_room(1)
    room = store.next_id()
    made = written(store, parts(10))
    assert made.packet[0] != room
    assert store.next_id() == room
    assert database.parcels.ids() == {room, made.packet[0]}


def test_a_disk_that_refuses_in_the_middle_leaves_no_file_and_the_visit_whole(kit):
    vault = kit.unlock()
    content = parts(5 * STEP)
    core = WORLD.core(content, contents=contents_of(content))
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, core.visit_id)
        vault.put(tx, core.visit_id, "photo", "photo", b"jpeg")
    with small_files(50_000), pytest.raises(KitError) as failed:
        written(vault, content, packet_id=core.packet_id, visit_id=core.visit_id)
    assert failed.value.code == Code.VAULT_DAMAGED
    assert kit.database.parcels.ids() == set()
    assert vault.get(core.visit_id, "photo").data == b"jpeg"


def test_room_that_the_disk_refuses_takes_nothing_of_what_is_left(database):
    database.parcels.make_room(1)
    with small_files(3 * STEP), pytest.raises(KitError):
        database.parcels.make_room(5 * STEP)
    path = database.parcels.path(database.parcels.next_id())
    assert path.read_bytes() == bytes(STEP)


def test_a_vault_opens_on_a_disk_that_is_full_of_room_that_a_cut_left(tmp_path, database):
    database.settle()
    with database.transaction() as tx:
        tx.execute("INSERT INTO visit_key VALUES ('v', zeroblob(80000))")  # in the log, not in the database
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in tmp_path.glob("vault.db*"):
        (cut / path.name).write_bytes(path.read_bytes())
    left = Parcels(cut / "vault.db").path(new_ulid())
    left.write_bytes(bytes(STEP))
    with small_files(140_000):
        opened = Database(cut / "vault.db")
        assert opened.rows("SELECT visit_id FROM visit_key") == [("v",)]
    assert not left.exists()
    opened.settle()
    opened.close()


def test_a_packet_that_the_disk_cannot_read_any_more_is_told_as_such(database):
    store = Store(database)
    packet_id = written(store, parts(10)).packet[0]
    path = database.parcels.path(packet_id)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # whose first bytes are an I/O error
    with pytest.raises(KitError) as damaged:
        store.read_sealed(packet_id)
    assert damaged.value.code is Code.VAULT_DAMAGED


def test_a_packet_that_is_let_go_has_no_file_any_more(database):
    store = Store(database)
    packet_id = written(store, parts(10)).packet[0]
    with database.transaction() as tx:
        store.drop_sealed(tx, packet_id)
        assert database.parcels.ids() == {packet_id}, "it goes with the commit, not before"
    assert database.parcels.ids() == set()


def test_after_sealing_the_records_go_in_a_quiet_moment_or_at_the_next_start(kit):
    for at_start in (False, True):
        vault = kit.unlock()
        sealed = WORLD.packet(**dict(zip(("seq", "prev"), vault.next_seq(), strict=True)))
        with kit.database.transaction() as tx:
            vault.new_visit_key(tx, sealed.manifest.visit_id)
            vault.put(tx, sealed.manifest.visit_id, "photo", "photo", b"jpeg" * 50_000)
        put_packet(vault, sealed)
        with pytest.raises(KitError) as gone:
            vault.get(sealed.manifest.visit_id, "photo")
        assert gone.value.code == Code.VAULT_DAMAGED
        if at_start:
            kit = kit.reopen()
        else:
            kit.database.settle()
        assert kit.database.rows("SELECT * FROM record") == kit.database.rows("SELECT * FROM visit_key") == []
    kit.database.close()


def test_a_visit_that_has_ended_may_begin_anew_before_its_records_are_gone(kit):
    vault = kit.unlock()
    sealed = WORLD.packet()
    visit = sealed.manifest.visit_id
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit)
        vault.put(tx, visit, "photo", "photo", b"old")
    put_packet(vault, sealed)
    with kit.database.transaction() as tx:
        vault.rewrap(tx, b"s" * 32)  # an ended visit has nothing to wrap
    log = kit.database.path.with_name("vault.db-wal")
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, new_ulid())
    assert log.stat().st_size > 0
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit)
    assert log.stat().st_size == 0, "it held what the visit had been"
    assert kit.database.rows("SELECT * FROM record") == []
    with kit.database.transaction() as tx:
        vault.put(tx, visit, "photo", "photo", b"new")
    kit.database.settle()
    assert vault.get(visit, "photo").data == b"new"


FORMER = (
    "DROP TABLE packet",
    "CREATE TABLE packet (packet_id TEXT PRIMARY KEY, visit_id TEXT NOT NULL,"
    " manifest_sha256 TEXT NOT NULL, data BLOB NOT NULL) STRICT",
    "PRAGMA user_version=2",
)


def test_a_vault_from_before_gives_each_packet_a_file(database):
    sealed = [WORLD.packet() for _ in range(3)]
    with database.transaction() as tx:
        for statement in FORMER:
            tx.execute(statement)
        for one in sealed:
            row = (one.manifest.packet_id, one.manifest.visit_id, one.manifest_sha256, one.data)
            tx.execute("INSERT INTO packet VALUES (?, ?, ?, ?)", row)
    torn = sealed[1].manifest.packet_id
    Parcels(database.path).path(torn).write_bytes(b"as a cut of the power left it")
    for _ in range(2):
        again = Database(database.path)
        store = Store(again)
        assert [one.packet_id for one in store.sealed()] == [one.manifest.packet_id for one in sealed]
        assert [store.read_sealed(one.manifest.packet_id) for one in sealed] == [one.data for one in sealed]
        assert again.rows("PRAGMA user_version") == [(3,)]
        again.close()
    assert sealed[0].data[-500:] not in database.path.read_bytes()
