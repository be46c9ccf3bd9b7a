"""A broker that comes back without anything it had kept is told again what the fleet has retained on it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from protocol.messages import Body, Desired, FleetState, Notice, decode
from protocol.topics import kit_listens
from server import trust
from server.auth.roles import Actor
from server.broker.release import sign
from server.db.scope import EVERYONE
from server.fleet import notices, twins
from server.mqtt import Ingest
from tests.mosquitto import Client, until
from tests.server.broker.conftest import Managed
from tests.server.town import KIT

CHIEF = Actor("1", "An Chef", "fleet-admin", None)
RETAINED = {FleetState, Desired, Notice}


@contextmanager
def ingest_of(managed: Managed) -> Iterator[None]:
    town, stop = managed.town, threading.Event()
    one = Ingest(town.database, town.config.mqtt, trust.roots(town.config.trust.roots), town.dock)
    thread = threading.Thread(target=one.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def shown(managed: Managed, kit_id: str = KIT) -> dict[type[Body], Body]:
    """What a kit that comes now finds retained."""
    files = managed.pki.issue("kit-tls", kit_id)
    client = Client(managed.broker.port, managed.pki.roots, files, kit_id, expiry_s=0)
    try:
        client.listen(*kit_listens(kit_id))
        with suppress(AssertionError):
            until(lambda: {type(body) for body in bodies(client)} >= RETAINED, 3.0)
        return {type(body): body for body in bodies(client)}
    finally:
        client.close()


def bodies(client: Client) -> list[Body]:
    return [decode(each.topic, each.payload).body for each in client.heard if each.retain]


def test_what_the_fleet_retains_is_said_anew_to_a_broker_that_lost_its_store(managed: Managed) -> None:
    managed.manager.agree()
    town, now = managed.town, datetime.now(UTC)
    with town.database.writing(EVERYONE) as db:
        twins.wish(db, CHIEF, KIT, {"language": "fr"}, now)
        twins.sign(db, town.sealer, KIT, now)
        notices.announce(db, CHIEF, now + timedelta(hours=1), now + timedelta(hours=2), now)
    with ingest_of(managed):
        before = until(lambda: (found := shown(managed)).keys() >= RETAINED and found, 60, "all of it")
        managed.broker.kill()
        (managed.broker.settings.folder / "mosquitto.db").unlink(missing_ok=True)  # it saves by the clock
        managed.broker.start()
        after = until(lambda: (found := shown(managed)).keys() >= RETAINED and found, 60, "it again")
    for kind in (Desired, Notice):
        assert after[kind] == before[kind]
    assert before[Notice].outage is not None
    assert before[Notice].crl_number > 0


def test_kits_are_told_the_number_of_the_lists_that_the_broker_honours(managed: Managed) -> None:
    def number() -> int:
        with managed.town.database.reading(EVERYONE) as db:
            return notices.said(db, datetime.now(UTC)).crl_number

    assert number() == 0  # nobody has looked yet
    managed.manager.agree()
    first = number()
    assert first > 0
    managed.manager.agree()
    assert number() == first
    newer = sign(managed.pki.folder / "ca", managed.release, "", "unspecified")
    managed.manager.install(newer, listening=False)
    assert number() > first
