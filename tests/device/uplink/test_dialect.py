"""The same kit at a broker that speaks only MQTT 3.1.1: it finds out by itself, and comes back to 5."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from device.uplink.dialect import HANG_UPS, Dialect
from tests.device.uplink.conftest import KIT, Site
from tests.device.uplink.old_broker import OldBroker
from tests.mosquitto import until

SESSION_KEPT = b"\x20\x02\x01\x00"  # CONNACK of 3.1.1: session present, accepted


@contextmanager
def old(site: Site, *, hangs_up: bool = False) -> Iterator[OldBroker]:
    own, kit = site.pki.issue("broker", "broker.test"), site.pki.issue("kit-tls", KIT)
    made = OldBroker(site.broker.port, site.pki.roots, own, kit, hangs_up=hangs_up)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("hangs_up", [False, True])
def test_everything_goes_at_a_broker_of_3_1_1_alone(site: Site, hangs_up: bool) -> None:
    worker = site.worker
    with old(site, hangs_up=hangs_up) as broker:
        ids = [site.report() for _ in range(12)]
        site.start(mqtt_port=broker.port)
        until(lambda: site.spool.reports_waiting() == 0, 40, "an empty outbox")
        assert list(worker.committed) == ids
        assert broker.levels[0] == 5
        assert broker.levels[-1] == 4
        until(lambda: ("online", 2 if not hangs_up else HANG_UPS + 1) in worker.presences())
        worker.ring(KIT)
        until(lambda: any(call.path.startswith("/kit/v1/inbox") for call in site.stand.calls))
        site.finish()
        until(lambda: worker.presences()[-1][0] == "off", what="a goodbye")
        # What is said while the kit is away waits at the broker, in the session of 3.1.1.
        sessions = len(broker.said)
        worker.ring(KIT)
        site.start(mqtt_port=broker.port, mqtt_version="3.1.1")
        site.online()
        assert broker.levels[-1] == 4
        until(lambda: b"down/job" in broker.said[-1], what="the doorbell that waited")
        assert len(broker.said) == sessions + 1
        assert broker.said[-1].startswith(SESSION_KEPT)
        site.finish()


def test_it_comes_back_to_5_by_itself(site: Site) -> None:
    with old(site) as broker:
        site.start(mqtt_port=broker.port, older_s=1.0)
        site.online()
        assert broker.levels == [5, 4]
        broker.takes = {5}
        site.broker.kill()  # the connection ends, as with a broker that is replaced by a newer one
        site.broker.start()
        until(lambda: broker.levels[-1] == 5 and site.spool.link().online, 40, "a session of MQTT 5")
        site.finish()


def test_who_is_told_to_speak_5_speaks_nothing_else(site: Site) -> None:
    with old(site) as broker:
        site.start(mqtt_port=broker.port, mqtt_version="5")
        until(lambda: len(broker.levels) > 3)
        assert set(broker.levels) == {5}
        assert site.spool.link().problem == "unsupported-protocol-version"
        site.finish()


def test_a_network_that_is_down_makes_nobody_speak_an_old_language() -> None:
    dialect = Dialect("auto", 60.0)
    for code in ("timed-out", "no-network", "server-down", "link-lost", "not-admitted") * 9:
        assert dialect.now() == "5"
        dialect.failed(code)
    for _ in range(HANG_UPS):
        assert dialect.now() == "5"
        dialect.failed("refused")
    assert dialect.now() == "3.1.1"  # tried once
    dialect.failed("refused")
    assert dialect.now() == "5"
