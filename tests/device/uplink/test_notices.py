"""The fleet says when it means to be away; the kit says it on, and takes it back when the fleet does."""

from datetime import UTC, datetime

import pytest

from tests.device.uplink.conftest import Site
from tests.mosquitto import until

TOPIC = "tl/v1/all/down/notice"
BEGINS, ENDS = datetime(2026, 11, 23, 22, tzinfo=UTC), datetime(2026, 11, 23, 23, tzinfo=UTC)
AWAY = {"begins": "2026-11-23T22:00:00Z", "ends": "2026-11-23T23:00:00Z"}


def say(site: Site, **outage: object) -> None:
    body = {"kind": "notice", "crl_number": 0, "minimum_version": "0.1.0"}
    site.worker.say(TOPIC, body | outage, retain=True)


def test_an_outage_is_told_to_the_agent_also_after_a_restart_and_is_taken_back(site: Site) -> None:
    site.start()
    site.online()
    assert site.spool.link().outage is None
    say(site, outage=AWAY)
    until(lambda: site.spool.link().outage == (BEGINS, ENDS))
    site.finish()
    site.start()
    until(lambda: site.spool.link().outage == (BEGINS, ENDS))  # the broker has kept it
    say(site)
    until(lambda: site.spool.link().outage is None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"begins": AWAY["ends"], "ends": AWAY["begins"]},
        {"begins": "2026-02-30T22:00:00Z", "ends": AWAY["ends"]},
        {"begins": "soon", "ends": AWAY["ends"]},
        AWAY | {"why": "maintenance"},
    ],
)
def test_an_outage_that_is_none_changes_nothing(site: Site, wrong: dict[str, str]) -> None:
    site.start()
    site.online()
    say(site, outage=AWAY)
    until(lambda: site.spool.link().outage == (BEGINS, ENDS))
    say(site, outage=wrong)
    site.worker.ring(site.settings.kit_id)
    seen = len(site.stand.calls)
    until(lambda: len(site.stand.calls) > seen)  # what came after it has been heard
    assert site.spool.link().outage == (BEGINS, ENDS)
