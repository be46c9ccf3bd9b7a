"""The page of one application: who had it when, judged anew each time it is looked at."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select
from typer.testing import CliRunner

from protocol.custody import read_chain
from server.command import app
from server.db.scope import EVERYONE
from server.db.tables import Application, CustodyStep
from tests.server.browsing import Browser
from tests.server.fleet.test_custody import whole
from tests.server.fleet.test_quarantine import upload
from tests.server.town import Town

SOUND, BROKEN = "Elke stap is ondertekend en klopt", "Er klopt iets niet"


def test_every_step_is_shown_with_who_signs_for_it(
    town: Town, tmp_path: Path, signed_in: Callable[[str], Browser]
) -> None:
    chain = whole(town)
    place = f"/applications/{chain.packet_id}"
    admin = signed_in("vloot")
    assert f'href="{place}"' in admin.get("/applications").text
    page = admin.get(place).text
    assert SOUND in page
    assert page.count("Ondertekend door") == len(chain.steps) == 7
    assert "Ondertekend door be.eid.application: Aanvaard" in page
    saved = admin.get(f"{place}/chain")
    assert saved.headers["Content-Disposition"] == f'attachment; filename="custody-{chain.packet_id}.json"'
    assert read_chain(saved.data) == chain
    written = tmp_path / "chain.json"
    asked = ["custody", chain.packet_id, "--config", str(town.toml), "--out", str(written)]
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert written.read_bytes() == saved.data


def test_a_step_that_was_changed_or_cut_off_is_shown_as_wrong(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    chain = whole(town)
    with town.database.writing(EVERYONE) as db:
        third = db.scalars(select(CustodyStep).where(CustodyStep.n == 3)).one()
        second = db.scalars(select(CustodyStep).where(CustodyStep.n == 2)).one()
        third.token = second.token
    page = signed_in("vloot").get(f"/applications/{chain.packet_id}").text
    assert BROKEN in page
    assert "out-of-order" in page
    with town.database.writing(EVERYONE) as db:
        for step in db.scalars(select(CustodyStep).where(CustodyStep.n > 3)):
            db.delete(step)
    page = signed_in("vloot").get(f"/applications/{chain.packet_id}").text
    assert "Deze stap ontbreekt" in page


def test_what_is_not_signed_yet_is_told_without_a_judgement(
    town: Town, signed_in: Callable[[str], Browser]
) -> None:
    sealed = town.packet(town.plan())
    upload(town, sealed)
    admin, place = signed_in("vloot"), f"/applications/{sealed.manifest.packet_id}"
    page = admin.get(place).text
    assert "De laatste stap wordt zo meteen ondertekend" in page
    assert SOUND not in page
    assert BROKEN not in page
    assert admin.get(f"{place}/chain").status_code == 404


def test_another_municipality_and_a_stranger_see_nothing(
    town: Town, signed_in: Callable[[str], Browser], browser: Browser
) -> None:
    place = f"/applications/{whole(town).packet_id}"
    assert signed_in("planner.damme").get(place).status_code == 404
    assert signed_in("planner.damme").get(f"{place}/chain").status_code == 404
    assert browser.get(place).status_code == 303
    assert signed_in("vloot").get("/applications/nothing").status_code == 404
    with town.database.reading(EVERYONE) as db:
        assert db.scalars(select(Application)).all()
