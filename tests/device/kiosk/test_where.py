"""The line that says where an application is now: never behind what the same screen says in its title."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from device.agent.events import NoteUploaded
from device.agent.snapshot import Where
from tests.device.kiosk.front import MemoryDesk
from tests.device.kiosk.play import Play
from tests.device.kiosk.today import NOW

TOLD = {step: Where(step, NOW - timedelta(minutes=5)) for step in ("committed", "forwarded", "answered")}


@pytest.mark.parametrize(
    ("known", "told", "line"),
    [
        ("sealed", "", "Nu: verzegeld op deze koffer."),
        ("uploaded", "", "Nu: bij de gemeente."),
        ("uploaded", "committed", "Nu: bij de gemeente, sinds"),
        ("uploaded", "forwarded", "Nu: bij de bevoegde dienst, sinds"),
        ("accepted", "", "Nu: beantwoord door de bevoegde dienst."),
        ("accepted", "committed", "Nu: beantwoord door de bevoegde dienst."),
        ("accepted", "answered", "Nu: beantwoord door de bevoegde dienst, "),
        ("recapture", "forwarded", "Nu: beantwoord door de bevoegde dienst."),
    ],
)
def test_the_line_knows_what_the_kit_itself_has_learnt_since_the_fleet_told(
    browser: FlaskClient, desk: MemoryDesk, play: Play, known: str, told: str, line: str
) -> None:
    desk.where = TOLD.get(told)
    play.sealed()
    if known == "uploaded":
        desk.wish(NoteUploaded(browser.get("/desk").get_json()["packet_id"]))
    elif known == "recapture":
        desk.answer(known, "photo-blurred", "photo")
    elif known == "accepted":
        desk.answer(known)
    page = browser.get("/").text
    assert line in page
    assert page.count("Nu: ") == 1
