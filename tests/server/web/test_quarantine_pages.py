"""What the town hall reads of a visit that a kit did when it was not its own any more: before and after."""

from collections.abc import Callable

import pytest

from server.db.scope import EVERYONE
from server.db.tables import Application
from tests.server.browsing import Browser
from tests.server.fleet.test_quarantine import unassign, upload, waiting
from tests.server.town import KIT, Town


def beneath(browser: Browser, path: str) -> str:
    """A page without the bar on top, which always has the link."""
    return browser.get(path).text.partition("<main")[2]


@pytest.mark.parametrize(
    ("decision", "said"), [("leave", "blijft liggen. Zo beslist"), ("forward", "is alleen doorgestuurd")]
)
def test_the_request_the_list_and_the_dashboard_say_who_must_decide_and_then_what_was_decided(
    town: Town, signed_in: Callable[[str], Browser], decision: str, said: str
) -> None:
    visit = town.plan()
    unassign(town, visit)
    sealed = town.packet(visit)
    upload(town, sealed)
    planner, packet_id = signed_in("planner.brugge"), sealed.manifest.packet_id
    request, one = f"/requests/{visit.request_id}", f"/applications/{packet_id}"
    to_decide = '<a href="/quarantine">Te beslissen</a>'
    assert "Beslis eerst wat er gebeurt" in planner.get(request).text
    for page in ("/", one, "/applications", request):
        assert to_decide in beneath(planner, page)
    stale_button = planner.send(f"{one}/release", {}, page="/applications")
    assert stale_button.headers["Location"] == "/applications"
    with town.database.reading(EVERYONE) as db:
        assert db.get_one(Application, packet_id).reason == "stale-withdrawn"
    (matter,) = waiting(town)
    planner.send(f"/quarantine/{matter.item_id}/decide", {"decision": decision}, page="/quarantine")
    assert f"Wat koffer {KIT} voor dit bezoek deed" in planner.get(request).text
    assert said in planner.get(request).text
    for page in ("/", one, "/applications", request):
        assert to_decide not in beneath(planner, page)
    assert ("heeft beslist het te laten liggen" in planner.get(one).text) == (decision == "leave")
