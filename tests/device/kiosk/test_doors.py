"""The kiosk's doors: a whole visit through them, and what each says to a wrong form or a wrong moment."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from device.agent.snapshot import Gate
from device.errors import Code, Remedy
from tests.device.kiosk.conftest import csrf, send
from tests.device.kiosk.front import PIN, MemoryDesk
from tests.device.kiosk.play import Play
from tests.device.kiosk.today import CARD


def told(browser: FlaskClient) -> dict[str, object]:
    answer = browser.get("/desk").json
    assert isinstance(answer, dict)
    return answer


def test_a_program_plays_a_whole_visit(browser: FlaskClient, desk: MemoryDesk) -> None:
    def door(path: str, **fields: str) -> None:
        assert send(browser, path, **fields) == (200, "done"), path

    places = [told(browser)["place"]]

    def note() -> None:
        places.append(told(browser)["place"])

    door("/unlock", officer="an.peeters", pin=PIN)
    note()
    door(f"/visits/{desk.first}/open")
    note()
    door("/step/card/read")
    note()
    desk.finish()
    note()
    door("/step/inform")  # a program need not look at the person
    note()
    door("/step/procedure", procedure="normal")
    note()
    door("/step/photo/take")
    desk.finish()
    note()
    for hand in ("right", "left"):
        door("/step/fingers/take", hand=hand, finger="index")
        desk.finish()
    note()
    door("/step/signature/start")
    note()
    door("/step/signature/done")
    note()
    door("/step/review/confirm")
    note()
    door("/step/seal")
    desk.finish()
    note()
    door("/leave")
    note()
    assert places == [
        *("unlock", "visits", "card", "busy", "inform-who", "procedure", "photo", "fingers-kept"),
        *("signature", "busy-ink", "review", "seal", "state", "visits"),
    ]
    assert told(browser)["visits"] == [
        {"visit_id": line.visit_id, "state": line.state} for line in desk.now().visits
    ]


def test_the_desk_is_told_without_names(browser: FlaskClient, play: Play) -> None:
    for scene in (play.review, play.desk.lock):
        scene()
        said = browser.get("/desk").text
        for name in ("Vandenbroucke", "Maria", "45073012385", "Brugge", "Peeters"):
            assert name not in said


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/unlock", {}),
        ("/unlock", {"officer": "an.peeters"}),
        ("/unlock", {"officer": "an.peeters", "pin": "12a4"}),
        ("/unlock", {"officer": "An Peeters", "pin": PIN}),
        ("/unlock", {"officer": "an.peeters", "pin": PIN, "more": "1"}),
        ("/language", {"language": "es"}),
        ("/step/card/waive", {"reason": "loss"}),
        ("/step/card/waive", {"reason": "loss", "document": "passport"}),
        ("/step/inform", {"aloud": "no"}),
        ("/step/procedure", {"procedure": "tomorrow"}),
        ("/step/fingers/take", {"hand": "third", "finger": "index"}),
        ("/step/fingers/except", {"hand": "right", "fingers": "one", "reason": "missing"}),
        ("/step/signature/except", {"reason": "tired"}),
        ("/redo/photo", {"hand": "right", "why": "so"}),
        ("/abandon", {"reason": "bored"}),
        ("/lock", {"now": "1"}),
    ],
)
def test_a_form_that_is_not_complete_is_refused(
    browser: FlaskClient, play: Play, path: str, fields: dict[str, str]
) -> None:
    play.open()
    before = play.desk.now().version
    assert send(browser, path, **fields) == (400, "incomplete")
    assert play.desk.now().version == before


def test_a_field_that_comes_twice_is_refused(browser: FlaskClient, play: Play) -> None:
    play.photo()
    body = f"csrf={csrf(browser)}&reason=unwell&reason=mistake"
    answer = browser.post("/abandon", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 303
    assert answer.location == "/abandon"
    assert "nog niet alles ingevuld" in browser.get("/abandon").text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/step/inform", {}),
        ("/step/procedure", {"procedure": "normal"}),
        ("/step/photo/take", {}),
        ("/step/signature/start", {}),
        ("/step/review/confirm", {}),
        ("/step/seal", {}),
        ("/redo/photo", {}),
        ("/abandon", {"reason": "mistake"}),
        ("/step/card/seen", {}),
        ("/step/photo/keep", {}),
        (
            "/step/fingers/except",
            {"hand": "left", "fingers": "all", "reason": "worn", "lasting": "permanent"},
        ),
    ],
)
def test_without_an_open_visit_a_step_is_refused(
    browser: FlaskClient, play: Play, path: str, fields: dict[str, str]
) -> None:
    play.unlock()
    assert send(browser, path, **fields) == (409, "not-now")


def test_what_does_not_fit_the_step_is_said_on_the_screen(browser: FlaskClient, play: Play) -> None:
    play.open()
    play.post("/step/procedure", procedure="normal")
    assert "Dat kan nu niet" in browser.get("/").text
    play.post("/step/card/read")
    assert "Dat kan nu niet" not in browser.get("/").text


def test_a_wrong_pin_is_said_with_the_tries_that_are_left(browser: FlaskClient, play: Play) -> None:
    assert send(browser, "/unlock", officer="an.peeters", pin="000000") == (403, "wrong-pin")
    play.post("/unlock", officer="an.peeters", pin="000000")
    page = browser.get("/").text
    assert "De pincode is fout" in page
    assert "Pogingen over: 3" in page
    assert "000000" not in page


def test_while_the_gate_waits_the_pin_cannot_be_given(
    browser: FlaskClient, play: Play, desk: MemoryDesk
) -> None:
    officers = desk.now().gate.officers
    desk.show(gate=Gate(officers[:1], 0, 30))
    page = browser.get("/").text
    assert 'data-countdown="30"' in page
    assert "disabled" in page
    desk.show(gate=Gate(officers, 0, 30))
    assert len(officers) > 1
    assert "disabled" not in browser.get("/").text, "a colleague need not wait"


@pytest.mark.parametrize("visit_id", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FA0"])
def test_an_unknown_visit_is_refused(browser: FlaskClient, play: Play, visit_id: str) -> None:
    play.unlock()
    assert send(browser, f"/visits/{visit_id}/open") == (409, "unknown-visit")


def test_a_visit_id_that_is_none_is_not_a_door(browser: FlaskClient, play: Play) -> None:
    play.unlock()
    assert send(browser, "/visits/short/open")[0] == 404


def test_a_rejected_card_shows_reasons_and_no_person(browser: FlaskClient, play: Play) -> None:
    play.card_busy()
    play.desk.fail(Code.CARD_REJECTED, Remedy.OFFICER, "photo-hash", "of-a-later-driver")
    page = browser.get("/").text
    assert "De foto op de kaart is niet de juiste." in page
    assert "of-a-later-driver" in page
    assert "Godelieve" not in page
    assert 'href="/step/card/waive"' in page


def test_what_is_on_the_card_is_said_with_its_remarks(browser: FlaskClient, play: Play) -> None:
    play.card_busy()
    play.desk.finish(replace(CARD, flags=("card-expired",), genuine="unproven"))
    page = browser.get("/").text
    assert "Vandenbroucke" in page
    assert "De kaart is vervallen" in page
    assert "kon niet worden nagekeken" in page
    assert "45073012385" not in page


def test_a_cancelled_capture_is_no_failure(browser: FlaskClient, play: Play) -> None:
    play.photo_busy()
    play.post("/cancel")
    state = told(browser)
    assert state["screen"] == "photo"


def test_the_citizen_reads_and_confirms_in_the_language_chosen(browser: FlaskClient, play: Play) -> None:
    play.inform()
    play.post("/language", language="de", who="citizen")
    page = browser.get("/").text
    assert '<html lang="de">' in page
    play.post("/step/inform")
    assert '<html lang="nl">' in browser.get("/").text
    informed = play.desk.known().informed
    assert informed is not None
    assert informed.language == "de"
    assert not informed.aloud


def test_the_officers_language_does_not_change_the_citizens(browser: FlaskClient, play: Play) -> None:
    play.inform()
    play.post("/language", language="fr")
    assert '<html lang="nl">' in browser.get("/").text
    play.post("/step/inform", aloud="yes")
    assert '<html lang="fr">' in browser.get("/").text


def test_an_exception_says_what_it_means_before_it_is_made(browser: FlaskClient, play: Play) -> None:
    play.second_finger()
    fields = {"hand": "left", "fingers": "all", "reason": "bandage", "lasting": "temporary"}
    page = browser.post("/step/fingers/except", data={**fields, "csrf": csrf(browser)})
    assert page.status_code == 200
    assert "Van deze hand komt geen vingerafdruk" in page.text
    assert told(browser)["step"] == "fingers"
    play.post("/step/fingers/except", **fields, confirm="yes")
    assert told(browser)["step"] == "signature"


def test_twelve_months_are_said_before_they_are_true(browser: FlaskClient, play: Play) -> None:
    play.fingers()
    fields = {"fingers": "all", "reason": "tremor", "lasting": "temporary"}
    play.post("/step/fingers/except", **fields, hand="right", confirm="yes")
    data = {**fields, "hand": "left", "csrf": csrf(browser)}
    assert "maar 12 maanden geldig" in browser.post("/step/fingers/except", data=data).text


def test_an_unlawful_exception_is_refused(browser: FlaskClient, play: Play) -> None:
    play.fingers()
    fields = {"hand": "right", "fingers": "one", "reason": "missing", "lasting": "temporary"}
    assert send(browser, "/step/fingers/except", **fields) == (409, "combination")


def test_pictures_are_of_the_open_visit_only(browser: FlaskClient, play: Play) -> None:
    play.review()
    visit = play.desk.now().visit
    assert visit is not None
    assert browser.get(f"/part/{visit.photo_record}").mimetype == "image/jpeg"
    assert browser.get(f"/part/{visit.signature_record}").mimetype == "image/svg+xml"
    assert browser.get(f"/part/{visit.card_record}").status_code == 200
    for hand in visit.hands:
        assert browser.get(f"/part/{hand.kept_record}").status_code == 404
    assert browser.get("/part/finger-1").status_code == 404
    assert browser.get("/preview.jpg").status_code == 404
    assert browser.get("/ink.svg").status_code == 404


def test_a_camera_without_a_picture_is_asked_again(browser: FlaskClient, play: Play) -> None:
    play.photo()
    assert browser.get("/preview.jpg").mimetype == "image/jpeg"
    play.desk.preview_works = False
    assert browser.get("/preview.jpg").status_code == 503


def test_the_ink_is_shown_while_it_is_written(browser: FlaskClient, play: Play) -> None:
    play.signing()
    assert browser.get("/ink.svg").mimetype == "image/svg+xml"


@pytest.mark.parametrize("after", ["-1", "x", "1e9", "9" * 40, "١"])
def test_a_follower_that_asks_nonsense_is_refused(browser: FlaskClient, after: str) -> None:
    assert browser.get("/desk", query_string={"after": after}).status_code == 400


def test_a_follower_hears_of_what_is_new_at_once(browser: FlaskClient, desk: MemoryDesk) -> None:
    version = desk.now().version
    desk.show()
    answer = browser.get("/desk", query_string={"after": str(version)}).json
    assert answer is not None
    assert answer["version"] == version + 1


def test_a_form_page_out_of_place_leads_back(browser: FlaskClient, play: Play) -> None:
    play.photo()
    for path in ("/step/card/waive", "/step/fingers/except", "/step/signature/except"):
        assert browser.get(path).status_code == 303
    assert browser.get("/abandon").status_code == 200
    play.post("/leave")
    assert browser.get("/abandon").status_code == 303


def test_no_page_is_not_a_stack_trace(browser: FlaskClient, play: Play) -> None:
    play.unlock()
    page = browser.get("/nowhere")
    assert page.status_code == 404
    assert "Ga terug naar het begin" in page.text
    assert browser.get("/redo/photo").status_code == 405
    assert send(browser, "/redo/nothing")[0] == 404


@pytest.mark.parametrize("reduced", [True, False])
def test_a_kit_whose_keys_are_in_no_chip_says_so_before_and_after_the_pin(
    browser: FlaskClient, desk: MemoryDesk, reduced: bool
) -> None:
    desk.show(reduced_protection=reduced)
    assert ("MINDER BEVEILIGD" in browser.get("/").text) == reduced
    assert send(browser, "/unlock", officer="an.peeters", pin=PIN) == (200, "done")
    assert ("MINDER BEVEILIGD" in browser.get("/").text) == reduced
