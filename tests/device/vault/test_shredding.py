"""What the disk still holds: the files are searched byte by byte, the log included."""

import pytest

from tests.device.vault.kit import OFFICER, PIN, WORLD, put_packet

CANARY = b"CANARY-CITIZEN-82051400123" * 40


def with_visit(kit):
    vault = kit.unlock()
    sealed = WORLD.packet()
    visit = sealed.manifest.visit_id
    with kit.database.transaction() as tx:
        vault.new_visit_key(tx, visit)
        vault.put(tx, visit, "photo", "photo", CANARY)
    return vault, sealed, visit


def test_a_record_in_progress_is_unreadable_on_disk(kit):
    with_visit(kit)
    assert b"CANARY" not in kit.bytes_on_disk()


def traces(kit, visit):
    """What would be needed to read the visit: its wrapped key and its ciphertext, as bytes on disk."""
    (wrapped,) = kit.database.row("SELECT wrapped FROM visit_key WHERE visit_id = ?", (visit,))
    (sealed,) = kit.database.row("SELECT sealed FROM record WHERE visit_id = ?", (visit,))
    assert wrapped in kit.bytes_on_disk()
    assert sealed[:200] in kit.bytes_on_disk()
    return wrapped, sealed[:200]


@pytest.mark.parametrize("laid", [False, True], ids=["a new log", "a log laid out"])
def test_after_sealing_neither_key_nor_record_is_in_any_file(kit, laid):
    if laid:
        kit.database.settle()
    vault, sealed, visit = with_visit(kit)
    wrapped, ciphertext = traces(kit, visit)
    put_packet(vault, sealed)
    kit.database.settle()
    held = kit.bytes_on_disk()
    assert wrapped not in held
    assert ciphertext not in held
    assert sealed.data[-500:] in held


def test_after_a_visit_is_abandoned_neither_is_in_any_file(kit):
    vault, _, visit = with_visit(kit)
    wrapped, ciphertext = traces(kit, visit)
    with kit.database.transaction() as tx:
        vault.destroy_visit(tx, visit)
    assert wrapped not in kit.bytes_on_disk()
    assert ciphertext not in kit.bytes_on_disk()


def test_a_replaced_or_dropped_record_leaves_no_ciphertext(kit):
    vault, _, visit = with_visit(kit)
    _, first = traces(kit, visit)
    with kit.database.transaction() as tx:
        vault.put(tx, visit, "photo", "photo", CANARY[::-1])
    assert first not in kit.bytes_on_disk()
    _, second = traces(kit, visit)
    with kit.database.transaction() as tx:
        vault.drop(tx, visit, "photo")
    assert second not in kit.bytes_on_disk()


def test_a_dropped_packet_leaves_nothing_of_itself(kit):
    vault, sealed, _ = with_visit(kit)
    put_packet(vault, sealed)
    with kit.database.transaction() as tx:
        vault.drop_sealed(tx, sealed.manifest.packet_id)
    assert sealed.data[-500:] not in kit.bytes_on_disk()
    assert sealed.data[:500] not in kit.bytes_on_disk()


def test_an_old_pin_leaves_no_wrapped_key(kit):
    (wrapped,) = kit.database.row("SELECT identity FROM officer")
    assert wrapped in kit.bytes_on_disk()
    kit.gate.change_pin(OFFICER, PIN, "916273")
    assert wrapped not in kit.bytes_on_disk()
