"""Whose security key signs: what was asked for, what was certified; no other certificate is taken."""

import pytest

from device.vault.security_keys import LONGEST, SecurityKey, SecurityKeys
from device.vault.tickets import Tickets
from protocol.identity import BadIdentity, Role
from tests.device.vault.kit import OFFICER, WORLD
from tests.protocol.certificates import leaf

CHAIN = (leaf(Role.OFFICER_KEY, OFFICER, WORLD.officer_ca).certificate, WORLD.officer_ca.certificate)
KEY = SecurityKey(b"credential", CHAIN)


@pytest.fixture
def held(kit):
    return SecurityKeys(kit.database)


def test_what_was_asked_for_waits_until_the_key_is_certified(kit, held):
    assert (held.of(OFFICER), held.requested(OFFICER)) == (None, None)
    with kit.database.transaction() as tx:
        held.request(tx, OFFICER, "first")
        held.request(tx, OFFICER, "again")
    assert (held.of(OFFICER), held.requested(OFFICER)) == (None, "again")
    with kit.database.transaction() as tx:
        held.write(tx, OFFICER, KEY)
    assert (SecurityKeys(kit.database).of(OFFICER), held.requested(OFFICER)) == (KEY, None)
    with kit.database.transaction() as tx:
        held.drop(tx, OFFICER)
    assert held.of(OFFICER) is None


@pytest.mark.parametrize(
    "key",
    [
        SecurityKey(b"", CHAIN),
        SecurityKey(b"x" * (LONGEST + 1), CHAIN),
        SecurityKey(b"x", (leaf(Role.OFFICER_KEY, "jan.claes", WORLD.officer_ca).certificate,)),
        SecurityKey(b"x", (WORLD.officer.certificate,)),
    ],
    ids=["without a name", "with too long a name", "of another officer", "of a PIN's key"],
)
def test_the_key_of_another_is_not_taken(kit, held, key):
    with pytest.raises((ValueError, BadIdentity)), kit.database.transaction() as tx:
        held.write(tx, OFFICER, key)
    assert held.of(OFFICER) is None


@pytest.mark.parametrize("size", [1, LONGEST])
def test_a_name_may_have_one_byte_or_as_many_as_a_browser_gives(kit, held, size):
    with kit.database.transaction() as tx:
        held.write(tx, OFFICER, SecurityKey(b"x" * size, CHAIN))
    assert held.of(OFFICER).credential == b"x" * size


def test_a_ticket_is_of_one_officer_and_empty_for_who_has_none(kit):
    tickets = Tickets(kit.database)
    before = tickets.all()
    assert tickets.of("jan.claes") == b""
    with kit.database.transaction() as tx:
        tickets.write(tx, "jan.claes", b"one")
        tickets.write(tx, "jan.claes", b"two")
    assert tickets.of("jan.claes") == b"two"
    assert sorted(tickets.all()) == sorted([*before, b"two"])
    with kit.database.transaction() as tx:
        tickets.drop(tx, "jan.claes")
    assert (tickets.of("jan.claes"), tickets.all()) == (b"", before)
