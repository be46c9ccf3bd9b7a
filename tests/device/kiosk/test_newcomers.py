"""A colleague let in with a code, through the kiosk's doors."""

import pytest
from flask.testing import FlaskClient

from tests.device.kiosk.conftest import csrf, send
from tests.device.kiosk.front import MemoryDesk
from tests.device.kiosk.newcomers import CHOSEN, CODE, ELS, JAN, waiting
from tests.device.kiosk.scenes import Play

FORM = {"officer": ELS.officer_id, "code": CODE, "pin": CHOSEN, "again": CHOSEN}


def test_the_list_of_visits_leads_to_who_may_come(browser: FlaskClient, play: Play) -> None:
    play.unlock()
    assert "/newcomers" not in browser.get("/").text
    assert browser.get("/newcomers").location == "/"
    waiting(ELS, JAN)(play)
    assert "/newcomers" in browser.get("/").text
    assert f"/newcomers/{JAN.officer_id}" in browser.get("/newcomers").text
    assert browser.get("/newcomers/nobody.here").location == "/"


def test_the_code_and_a_pin_let_the_colleague_in(browser: FlaskClient, play: Play, desk: MemoryDesk) -> None:
    waiting(ELS)(play)
    assert browser.get("/newcomers").location == f"/newcomers/{ELS.officer_id}"
    answer = browser.post("/newcomers", data={**FORM, "csrf": csrf(browser)})
    assert answer.location == "/newcomers/added"
    assert desk.enrolled == ((ELS.officer_id, CHOSEN),)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"code": "9" * 20}, (503, "wrong-enrolment")),
        ({"officer": JAN.officer_id}, (503, "no-enrolment")),
        ({"again": "916274"}, (400, "pins-differ")),
        ({"code": "x"}, (400, "incomplete")),
        ({"code": "1" * 41}, (400, "incomplete")),
        ({"pin": "1" * 13, "again": "1" * 13}, (400, "incomplete")),
    ],
)
def test_what_will_not_do_lets_nobody_in(
    browser: FlaskClient, play: Play, desk: MemoryDesk, changed: dict[str, str], said: tuple[int, str]
) -> None:
    waiting(ELS, JAN)(play)
    assert send(browser, "/newcomers", **{**FORM, **changed}) == said
    assert desk.enrolled == ()


def test_nobody_but_the_holder_lets_anybody_in(browser: FlaskClient, desk: MemoryDesk) -> None:
    assert send(browser, "/newcomers", **FORM) == (403, "locked")
    assert browser.get("/newcomers").location == "/"
    assert desk.enrolled == ()
