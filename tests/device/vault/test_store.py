import hashlib
import os
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.errors import Code, KitError

VISIT, OTHER = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"


@pytest.fixture
def vault(kit):
    opened = kit.unlock()
    with kit.database.transaction() as tx:
        opened.new_visit_key(tx, VISIT)
        opened.put(tx, VISIT, "photo-1", "photo", b"jpeg")
    return opened


def fails(call, *arguments):
    with pytest.raises(KitError) as failure:
        call(*arguments)
    return failure.value.code


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3000))
def test_a_record_comes_back_as_it_was_put(vault, data):
    with vault.database.transaction() as tx:
        vault.put(tx, VISIT, "record", "finger", data)
    held = vault.get(VISIT, "record")
    assert (held.kind, held.data) == ("finger", data)


def test_the_largest_record_is_one_of_sixteen_megabytes(vault):
    with vault.database.transaction() as tx:
        vault.put(tx, VISIT, "big", "photo", bytes(16 * 1024 * 1024))
    assert len(vault.get(VISIT, "big").data) == 16 * 1024 * 1024


def test_a_record_put_again_is_replaced(vault):
    with vault.database.transaction() as tx:
        vault.put(tx, VISIT, "photo-1", "photo", b"better")
    assert vault.get(VISIT, "photo-1").data == b"better"


def test_a_visit_keeps_its_first_key(vault):
    with vault.database.transaction() as tx:
        vault.new_visit_key(tx, VISIT)
    assert vault.get(VISIT, "photo-1").data == b"jpeg"


def put_and_fail(vault):
    with vault.database.transaction() as tx:
        vault.put(tx, VISIT, "photo-2", "photo", b"jpeg")
        tx.execute("not SQL")


def test_a_rolled_back_put_was_never_there(vault):
    with pytest.raises(sqlite3.OperationalError):
        put_and_fail(vault)
    assert fails(vault.get, VISIT, "photo-2") == Code.VAULT_DAMAGED


def test_a_dropped_record_is_gone_and_the_others_stay(vault):
    with vault.database.transaction() as tx:
        vault.put(tx, VISIT, "photo-2", "photo", b"second")
        vault.drop(tx, VISIT, "photo-1")
    assert fails(vault.get, VISIT, "photo-1") == Code.VAULT_DAMAGED
    assert vault.get(VISIT, "photo-2").data == b"second"


def test_a_record_too_large_is_refused(vault):
    with pytest.raises(ValueError), vault.database.transaction() as tx:
        vault.put(tx, VISIT, "big", "photo", bytes(16 * 1024 * 1024 + 1))


def test_a_visit_without_a_key_takes_no_record(vault):
    with vault.database.transaction() as tx:
        assert fails(vault.put, tx, OTHER, "photo-1", "photo", b"") == Code.VAULT_DAMAGED


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE record SET record_id = 'photo-9'",
        "UPDATE record SET kind = 'finger'",
        "UPDATE record SET version = version + 1",
        "UPDATE record SET visit_id = '01BX5ZZKBKACTAV9WEVGEMMVRZ'",
        "UPDATE record SET sealed = x''",
        "UPDATE record SET sealed = zeroblob(40)",
        "UPDATE record SET sealed = substr(sealed, 1, length(sealed) - 1)",
        "UPDATE visit_key SET wrapped = (SELECT wrapped FROM visit_key"
        " WHERE visit_id != '01ARZ3NDEKTSV4RRFFQ69G5FAV')"
        " WHERE visit_id = '01ARZ3NDEKTSV4RRFFQ69G5FAV'",
        "UPDATE visit_key SET wrapped = zeroblob(60)",
        "DELETE FROM visit_key WHERE visit_id = '01ARZ3NDEKTSV4RRFFQ69G5FAV'",
    ],
)
def test_a_record_moved_or_changed_on_disk_does_not_open(vault, change):
    with vault.database.transaction() as tx:
        vault.new_visit_key(tx, OTHER)
        tx.execute(change)
    rows = vault.database.rows("SELECT visit_id, record_id FROM record") or [(VISIT, "photo-1")]
    assert fails(vault.get, *rows[0]) == Code.VAULT_DAMAGED


def test_records_of_equal_content_look_different_on_disk(vault):
    with vault.database.transaction() as tx:
        for name in ("a", "b"):
            vault.put(tx, VISIT, name, "photo", b"same")
    sealed = vault.database.rows("SELECT sealed FROM record")
    assert len({row[0] for row in sealed}) == len(sealed)
    assert len({row[0][:12] for row in sealed}) == len(sealed)


def test_a_locked_vault_gives_and_takes_nothing(kit, vault):
    vault.lock()
    assert vault.locked
    assert fails(vault.get, VISIT, "photo-1") == Code.LOCKED
    assert fails(vault.signer) == Code.LOCKED
    assert fails(vault.store_key) == Code.LOCKED
    with kit.database.transaction() as tx:
        assert fails(vault.put, tx, VISIT, "photo-2", "photo", b"") == Code.LOCKED
        assert fails(vault.new_visit_key, tx, OTHER) == Code.LOCKED
    assert kit.unlock().get(VISIT, "photo-1").data == b"jpeg"


def test_nothing_prints_what_is_kept(vault):
    assert "jpeg" not in repr(vault.get(VISIT, "photo-1"))


def test_a_record_kept_under_a_digest_opens_to_who_names_it_and_to_nobody_else(vault):
    digest, other = hashlib.sha256(b"print").hexdigest(), hashlib.sha256(b"other").hexdigest()
    with vault.database.transaction() as tx:
        vault.put(tx, VISIT, "finger-1", "finger", b"print", digest)
    assert vault.get(VISIT, "finger-1", digest).data == b"print"
    assert fails(vault.get, VISIT, "finger-1", other) == Code.VAULT_DAMAGED
    assert fails(vault.get, VISIT, "finger-1") == Code.VAULT_DAMAGED
    for others in ({"finger-1": other}, {"finger-1": digest, "photo-1": other}):
        assert fails(vault.open_ahead, vault.read_ahead(VISIT, others)) == Code.VAULT_DAMAGED


def test_records_read_ahead_open_when_they_are_needed_and_what_they_opened_to_can_be_wiped(vault):
    contents = {"photo-2": os.urandom(70_000), "finger-1": b"", "ink": b"ink"}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    with vault.database.transaction() as tx:
        for name, data in contents.items():
            vault.put(tx, VISIT, name, "capture", data, digests[name])
    from_before = {"photo-1": hashlib.sha256(b"jpeg").hexdigest()}
    ahead = vault.read_ahead(VISIT, digests | from_before)
    assert not any(ahead.space), "nothing is open yet"
    with vault.database.transaction() as tx:
        tx.execute("UPDATE record SET sealed = zeroblob(length(sealed))")
    for _ in range(2):
        held = vault.open_ahead(ahead)
        assert {name: bytes(data) for name, data in held.items()} == contents | {"photo-1": b"jpeg"}
        ahead.wipe()
        assert not any(ahead.space)
    again = vault.read_ahead(VISIT, digests)
    assert fails(vault.open_ahead, again) == Code.VAULT_DAMAGED, "what lies there was changed"
    assert fails(vault.read_ahead, VISIT, {**digests, "photo-3": digests["ink"]}) == Code.VAULT_DAMAGED
    with vault.database.transaction() as tx:
        vault.destroy_visit(tx, VISIT)
    assert fails(vault.open_ahead, ahead) == Code.VAULT_DAMAGED, "the visit's key is gone"
    vault.lock()
    assert fails(vault.open_ahead, ahead) == Code.LOCKED


def test_a_record_from_before_opens_to_who_names_its_digest(vault):
    assert vault.get(VISIT, "photo-1", hashlib.sha256(b"jpeg").hexdigest()).data == b"jpeg"
