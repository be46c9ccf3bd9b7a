"""Recipient lists on their way to kits: the newest of the key that is asked for, none that a kit refuses."""

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec

from server.fleet import lists
from tests.server.town import SERVICE, Town

NOW = datetime.now(UTC)


def test_a_kit_is_given_the_list_of_its_key_until_it_holds_it(town: Town) -> None:
    services = town.config.services
    (held,) = lists.look(services, NOW)
    assert held.about is not None
    assert (held.line, held.about.service_id, held.code) == (SERVICE, SERVICE, "")
    assert lists.for_kit(services, held.kid, "", NOW) == held.token
    assert lists.for_kit(services, held.kid, hashlib.sha256(held.token.encode()).hexdigest(), NOW) is None
    assert lists.for_kit(services, "key-of-nobody", "", NOW) is None


def test_a_list_that_has_ended_or_cannot_be_read_is_not_handed_on_and_said(town: Town) -> None:
    services = town.config.services
    (held,) = lists.look(services, NOW)
    later = NOW + timedelta(days=31)
    assert [each.code for each in lists.look(services, later)] == ["recipients-expired"]
    assert lists.for_kit(services, held.kid, "", later) is None
    path = town.folder / "other.jws"
    others = {SERVICE: msgspec.structs.replace(services[SERVICE], recipients=path)}
    assert [each.code for each in lists.look(others, NOW)] == ["recipients-unreadable"]
    path.write_text("no list")
    assert [each.code for each in lists.look(others, NOW)] == ["recipients-untrusted"]
