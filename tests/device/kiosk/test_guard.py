"""Only this machine's browser with the PIN is served, and only forms from its own page."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from device.kiosk.browser import MOST, Browsers
from tests.device.kiosk.conftest import HERE, JSON, csrf, new_browser, send
from tests.device.kiosk.front import PIN, MemoryDesk
from tests.device.kiosk.play import Play

OPEN = (
    *("screens.index", "screens.desk", "officer.unlock", "officer.language"),
    *("officer.show_card", "officer.enter_pin", "officer.hide_card"),  # the desk refuses them while unlocked
)


@pytest.mark.parametrize(
    "host",
    ["thuisloket.example", "127.0.0.1.example:8740", "10.0.0.1:8740", "localhost@evil", "", "127.0.0.2"],
)
def test_a_name_that_is_not_loopback_is_refused(browser: FlaskClient, host: str) -> None:
    assert browser.get("/", headers={"Host": host}).status_code in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1:8740", "localhost:8740", "[::1]:8740", "localhost"])
def test_loopback_is_served(browser: FlaskClient, host: str) -> None:
    assert browser.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_from_another_page_is_refused(browser: FlaskClient, headers: dict[str, str]) -> None:
    data = {"officer": "an.peeters", "pin": PIN, "csrf": csrf(browser)}
    assert browser.post("/unlock", data=data, headers=headers).status_code == 403


def test_a_form_from_the_own_page_is_taken(browser: FlaskClient) -> None:
    data = {"officer": "an.peeters", "pin": PIN, "csrf": csrf(browser)}
    headers = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    assert browser.post("/unlock", data=data, headers=headers).status_code == 303


@pytest.mark.parametrize("secret", ["", "wrong", "é"])
def test_a_form_without_the_secret_is_refused(browser: FlaskClient, secret: str) -> None:
    csrf(browser)
    data = {"officer": "an.peeters", "pin": PIN, "csrf": secret}
    assert browser.post("/unlock", data=data).status_code == 403


def test_the_secret_of_one_browser_is_of_no_use_to_another(app: Flask) -> None:
    one, other = new_browser(app), new_browser(app)
    csrf(other)
    data = {"officer": "an.peeters", "pin": PIN, "csrf": csrf(one)}
    assert other.post("/unlock", data=data).status_code == 403


def test_a_form_of_another_kind_is_refused(browser: FlaskClient) -> None:
    assert browser.post("/unlock", json={"csrf": csrf(browser)}).status_code == 415
    data = {"csrf": csrf(browser)}
    assert browser.post("/unlock", data=data, content_type="multipart/form-data").status_code == 415


def test_a_form_that_is_too_large_is_refused(browser: FlaskClient) -> None:
    data = {"csrf": csrf(browser), "pin": "1" * 20_000}
    assert browser.post("/unlock", data=data).status_code == 413


def test_every_other_door_is_shut_to_a_browser_without_the_pin(app: Flask, play: Play) -> None:
    play.photo()  # the kit is unlocked and a visit is open, in another browser
    stranger = new_browser(app)
    doors = 0
    for rule in app.url_map.iter_rules():
        if rule.endpoint in OPEN or rule.endpoint in ("static", "look.static"):
            continue
        if rule.endpoint in ("ways.forgotten", "ways.forgotten_of", "ways.recover", "ways.changed"):
            continue  # who forgot the PIN has no other way in
        path = rule.rule.replace("<visit_id>", play.desk.first).replace("<step>", "photo")
        path = path.replace("<record>", "photo-1")
        for method in rule.methods or ():
            if method in ("GET", "POST"):
                doors += 1
                answer = stranger.open(
                    path,
                    method=method,
                    data={"csrf": csrf(stranger)} if method == "POST" else None,
                    headers=JSON,
                )
                assert answer.status_code in (303, 403), (method, path)
    assert doors > 25
    assert play.desk.now().visit is not None
    assert play.desk.now().visit.step == "photo"  # type: ignore[union-attr]


def test_a_second_browser_sees_the_unlock_screen_and_no_name(app: Flask, play: Play) -> None:
    play.open()
    stranger = new_browser(app)
    page = stranger.get("/").text
    assert "Vandenbroucke" not in page
    assert 'action="/unlock"' in page
    told = stranger.get("/desk").json
    assert told is not None
    assert told["screen"] == "unlock"
    assert "visit_id" not in told


def test_the_cookie_changes_at_unlock_and_the_old_one_is_nobody(app: Flask, browser: FlaskClient) -> None:
    csrf(browser)
    before = browser.get_cookie("kiosk")
    assert before is not None
    assert send(browser, "/unlock", officer="an.peeters", pin=PIN) == (200, "done")
    after = browser.get_cookie("kiosk")
    assert after is not None
    assert after.value != before.value
    old = new_browser(app)
    old.set_cookie("kiosk", before.value)
    assert 'action="/unlock"' in old.get("/").text


def test_the_cookie_stays_with_this_browser_and_out_of_scripts(browser: FlaskClient) -> None:
    header = browser.get("/").headers["Set-Cookie"]
    assert "HttpOnly" in header
    assert "SameSite=Strict" in header


def test_a_new_officer_takes_the_kit_over_from_the_browser_before(app: Flask, play: Play) -> None:
    play.open()
    other = new_browser(app)
    assert send(other, "/unlock", officer="bart.desmet", pin=PIN) == (200, "done")
    assert 'action="/lock"' in other.get("/").text


def test_pages_refuse_what_is_foreign_and_are_not_kept(browser: FlaskClient) -> None:
    headers = browser.get("/").headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_browser_that_holds_the_kit_is_never_the_one_forgotten() -> None:
    browsers = Browsers()
    holder = browsers.hand_over(browsers.new())
    for _ in range(3 * MOST):
        browsers.new()
    assert browsers.known(holder.token) is holder
    assert browsers.holds(holder)


def test_a_locked_kit_has_no_holder(desk: MemoryDesk, browser: FlaskClient, play: Play) -> None:
    play.open()
    assert send(browser, "/lock") == (200, "done")
    assert desk.now().officer is None
    assert send(browser, "/leave") == (403, "locked")
