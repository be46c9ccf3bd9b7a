"""A vault that a kit wrote before opens with what is here now: its keys, its captures and its ways in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from device.errors import Code, KitError
from device.vault import lease
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.keysource import FileKeySource
from device.vault.recovery import Administrator
from protocol.unlock_code import agree, read_challenge, write_code
from tests.device.vault.kit import OFFICER, PIN, HandClock
from tests.device.vault.stored import KIT_ID, PHOTO, VISIT, lay

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
Stored = tuple[Database, FileKeySource, X25519PrivateKey]


@pytest.fixture
def stored(tmp_path: Path, real_cost: None) -> Iterator[Stored]:
    made = lay(tmp_path)
    yield made
    made[0].close()


def test_a_vault_from_before_opens_with_its_pin_and_has_what_was_kept(stored: Stored) -> None:
    database, source, _ = stored
    gate = Gate(database, source, HandClock())
    assert [known.name for known in gate.officers()] == ["An Peeters"]
    vault = gate.unlock(OFFICER, PIN)
    held = vault.get(VISIT, "photo")
    assert (held.kind, held.data) == ("photo", PHOTO)
    assert vault.signer().chain[0].public_key() == vault.signer().key.public_key()
    left = lease.read(database)
    assert left == lease.Lease(1, True, False, NOW + timedelta(hours=48), NOW + timedelta(hours=49), 7)


def test_a_code_of_the_administrator_opens_a_way_that_was_offered_before(stored: Stored) -> None:
    database, source, key = stored
    gate = Gate(database, source, HandClock(), Administrator(KIT_ID, key.public_key().public_bytes_raw()))
    told = read_challenge(gate.challenge(OFFICER), KIT_ID, OFFICER)
    code = write_code(agree(key, told.point, told), told, NOW + timedelta(hours=4))
    gate.recover(OFFICER, code, "916273", NOW)
    assert gate.unlock(OFFICER, "916273").get(VISIT, "photo").data == PHOTO


def test_a_vault_from_a_later_version_is_left_alone(stored: Stored, tmp_path: Path) -> None:
    database, _, _ = stored
    (version,) = database.row("PRAGMA user_version") or (0,)
    database.define([f"PRAGMA user_version={version + 1}"])
    database.close()
    before = (tmp_path / "vault.db").read_bytes()
    with pytest.raises(KitError) as later:
        Database(tmp_path / "vault.db")
    assert later.value.code is Code.VAULT_DAMAGED
    assert (tmp_path / "vault.db").read_bytes() == before
