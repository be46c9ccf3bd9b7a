"""Another PIN, and the code for who forgot it: as pages and for programs."""

import pytest
from flask.testing import FlaskClient

from device.kiosk.browser import COOKIE
from tests.device.kiosk.conftest import csrf, send
from tests.device.kiosk.front import CHALLENGE, CODE, PIN, MemoryDesk
from tests.device.kiosk.play import Play

NEW = "916273"


def test_the_officer_who_is_in_changes_the_pin(browser: FlaskClient, play: Play, desk: MemoryDesk) -> None:
    play.unlock()
    assert send(browser, "/pin", old=PIN, pin=NEW, again=NEW) == (200, "done")
    assert desk.pin == NEW


@pytest.mark.parametrize(
    ("old", "pin", "again", "said"),
    [
        (PIN, NEW, "916274", (400, "pins-differ")),
        ("000001", NEW, NEW, (403, "wrong-pin")),
        (PIN, "1111", "1111", (503, "weak-pin")),
        (PIN, "", "", (400, "incomplete")),
        (PIN, "abcdef", "abcdef", (400, "incomplete")),
    ],
)
def test_a_change_that_will_not_do_changes_nothing(
    browser: FlaskClient, play: Play, desk: MemoryDesk, old: str, pin: str, again: str, said: tuple[int, str]
) -> None:
    play.unlock()
    assert send(browser, "/pin", old=old, pin=pin, again=again) == said
    assert desk.pin == PIN


def test_a_page_goes_back_to_the_form_that_was_refused(browser: FlaskClient, play: Play) -> None:
    play.unlock()
    form = {"old": "000001", "pin": NEW, "again": NEW, "csrf": csrf(browser)}
    assert browser.post("/pin", data=form).location == "/pin"
    page = browser.get("/pin").text
    assert "De pincode is fout" in page


def test_nobody_but_the_holder_changes_a_pin(browser: FlaskClient, desk: MemoryDesk) -> None:
    assert send(browser, "/pin", old=PIN, pin=NEW, again=NEW) == (403, "locked")
    assert browser.get("/pin").location == "/"
    assert desk.pin == PIN


def test_who_forgot_it_is_shown_what_to_read_out_and_comes_in_with_the_code(
    browser: FlaskClient, desk: MemoryDesk
) -> None:
    page = browser.get("/forgotten/an.peeters").text
    assert all(group in page for group in CHALLENGE.split("-"))
    spaced = " ".join(CODE[at : at + 4] for at in range(0, 44, 4))
    assert send(browser, "/forgotten", officer="an.peeters", code=spaced, pin=NEW, again=NEW) == (200, "done")
    assert desk.pin == NEW
    assert browser.get_cookie(COOKIE) is not None
    assert browser.get("/").text.count("Ontgrendelen"), "a code is no PIN: the officer still unlocks"


@pytest.mark.parametrize(
    ("code", "again", "said"),
    [
        ("0" * 44, NEW, (503, "wrong-code")),
        (CODE, "916274", (400, "pins-differ")),
        ("x" * 44, NEW, (400, "incomplete")),
        ("1" * 81, NEW, (400, "incomplete")),
    ],
)
def test_a_code_that_will_not_do_changes_nothing(
    browser: FlaskClient, desk: MemoryDesk, code: str, again: str, said: tuple[int, str]
) -> None:
    assert send(browser, "/forgotten", officer="an.peeters", code=code, pin=NEW, again=again) == said
    assert desk.pin == PIN


def test_an_unknown_officer_has_no_such_page(browser: FlaskClient) -> None:
    assert browser.get("/forgotten/nobody.here").status_code == 404


def test_a_kit_that_can_take_no_code_says_whom_to_ask(browser: FlaskClient, desk: MemoryDesk) -> None:
    other = desk.now().gate.officers[1].officer_id
    assert "kan geen code aannemen" in browser.get(f"/forgotten/{other}").text
