"""The page that says what waits to be sent and why, and the button that does not wait."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from device.agent.snapshot import Link, ParcelLine
from tests.device.kiosk.conftest import send
from tests.device.kiosk.front import PIN, MemoryDesk
from tests.device.kiosk.today import NOW

PACKET, OTHER = "01J00000000000000000000001", "01J00000000000000000000002"
WAITING = Link(
    False,
    2,
    600,
    None,
    "portal",
    (
        ParcelLine(PACKET, "Maria Vandenbroucke", "queued", "", 10),
        ParcelLine(OTHER, "", "stopped", "kit-signature", 3),
    ),
)


def unlocked(browser: FlaskClient, desk: MemoryDesk) -> None:
    assert send(browser, "/unlock", officer="an.peeters", pin=PIN) == (200, "done")
    desk.show(link=WAITING)


@pytest.mark.parametrize(
    ("language", "why", "state"),
    [
        ("nl", "aanmeldpagina", "Geweigerd"),
        ("fr", "page de connexion", "Refusé"),
        ("de", "Anmeldeseite", "Abgelehnt"),
        ("en", "sign-in page", "Refused"),
    ],
)
def test_it_says_what_waits_and_why_in_the_officers_language(
    browser: FlaskClient, desk: MemoryDesk, language: str, why: str, state: str
) -> None:
    unlocked(browser, desk)
    send(browser, "/language", language=language, who="officer")
    assert 'href="/sending"' in browser.get("/").text
    page = browser.get("/sending").text
    assert why in page
    assert state in page
    assert "Maria Vandenbroucke" in page
    assert OTHER in page


def test_a_reason_without_words_is_told_with_its_code(browser: FlaskClient, desk: MemoryDesk) -> None:
    unlocked(browser, desk)
    line = ParcelLine(PACKET, "", "refused", "never-heard-of", 1)
    desk.show(link=Link(True, 1, 60, None, "status-503", (line,)))
    page = browser.get("/sending").text
    assert "never-heard-of" in page
    assert "storing" in page


def test_a_person_need_not_wait(browser: FlaskClient, desk: MemoryDesk) -> None:
    unlocked(browser, desk)
    assert send(browser, "/sending/now") == (200, "done")
    assert desk.tried == 1


def test_locked_there_is_nothing_to_see_and_nothing_to_do(browser: FlaskClient, desk: MemoryDesk) -> None:
    desk.show(link=WAITING)
    assert browser.get("/sending").status_code == 303
    assert send(browser, "/sending/now")[0] != 200
    assert desk.tried == 0


def test_when_all_is_sent_it_says_so(browser: FlaskClient, desk: MemoryDesk) -> None:
    unlocked(browser, desk)
    desk.show(link=Link(True, 0, 0, None))
    assert "Alles is verzonden" in browser.get("/sending").text


@pytest.mark.parametrize(
    ("language", "words"),
    [("nl", "ligt stil van"), ("fr", "à l’arrêt du"), ("de", "steht still vom"), ("en", "is down from")],
)
def test_it_says_when_the_fleet_means_to_be_away_until_that_is_over(
    browser: FlaskClient, desk: MemoryDesk, language: str, words: str
) -> None:
    assert send(browser, "/unlock", officer="an.peeters", pin=PIN) == (200, "done")
    send(browser, "/language", language=language, who="officer")
    hour = timedelta(hours=1)
    for ends, told in ((NOW + 2 * hour, True), (NOW - hour, False)):
        desk.show(link=replace(WAITING, outage=(NOW - 2 * hour, ends)))
        for page in ("/", "/sending"):
            assert (words in browser.get(page).text) is told


CAUGHT, REFUSED = "Netwerk vraagt aanmelding", "Server weigert deze koffer"
ONLINE, OFFLINE = "Verbonden", "Geen netwerk"


@pytest.mark.parametrize(
    ("online", "problem", "words"),
    [
        (True, "", ONLINE),
        (True, "timed-out", ONLINE),  # it passes, and the session stands
        (True, "portal", CAUGHT),  # the session goes round it, and nothing that is sealed does
        (False, "server-untrusted", CAUGHT),
        (False, "certificate-refused", REFUSED),
        (False, "not-authorized", REFUSED),
        (False, "no-network", OFFLINE),
        (False, "link-lost", OFFLINE),
    ],
)
def test_the_bar_says_what_is_true_of_the_network_on_the_unlock_screen_too(
    browser: FlaskClient, desk: MemoryDesk, online: bool, problem: str, words: str
) -> None:
    desk.show(link=Link(online, 0, 0, None, problem))
    page = browser.get("/").text
    assert [each for each in (CAUGHT, REFUSED, ONLINE, OFFLINE) if each in page] == [words]
