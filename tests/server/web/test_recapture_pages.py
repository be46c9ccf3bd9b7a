"""What a service asks again, as planners, citizens and everybody on the dashboard see it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from protocol.bag import READS
from protocol.recapture import Supplements
from server.fleet import visits
from tests.server.browsing import Browser
from tests.server.fleet.test_ingest import birth, say
from tests.server.fleet.test_quarantine import upload
from tests.server.fleet.test_recaptures import UNTIL, Case, ask_anew
from tests.server.town import KIT, Town

WORDS = {
    "nl": ("Alleen de foto, opnieuw", "De foto is niet scherp.", "Het rijksregisternummer"),
    "fr": ("Seulement la photo, à refaire", "La photo n’est pas nette.", "Le numéro de registre national"),
    "de": ("Nur das Foto, noch einmal", "Das Foto ist nicht scharf.", "Die Nationalregisternummer"),
    "en": ("Only the photo, again", "The photo is not sharp.", "The national register number"),
}


@pytest.fixture
def case(town: Town) -> Case:
    made = town.ask()  # without a national number
    visit = town.plan(made.request_id)
    sealed = town.packet(visit)
    upload(town, sealed)
    ask_anew(town, sealed)
    return Case(town, made, visit, sealed)


@pytest.mark.parametrize("language", WORDS)
def test_the_planner_reads_who_asks_what_why_until_when_and_what_is_missing(
    case: Case, signed_in: Callable[[str], Browser], language: str
) -> None:
    planner, (only, why, missing) = signed_in("planner.brugge"), WORDS[language]
    listed = planner.get(f"/requests?lang={language}")
    assert only in listed.text
    page = planner.get(f"/requests/{case.made.request_id}?lang={language}").text
    for words in (only, why, missing, case.sealed.manifest.packet_id, str(UNTIL.astimezone(visits.ZONE).day)):
        assert words in page
    applications = planner.get(f"/applications?lang={language}").text
    both = f"{only}{' ' if language == 'fr' else ''}: {why}"
    assert both in applications
    assert both in planner.get(f"/applications/{case.sealed.manifest.packet_id}").text


def test_the_planner_plans_a_short_visit_and_not_too_late(
    case: Case, signed_in: Callable[[str], Browser]
) -> None:
    planner, path = signed_in("planner.brugge"), f"/requests/{case.made.request_id}"
    form = {"officer": "an.peeters", "kit": KIT, "time": "14:00", "minutes": "15"}
    late = (UNTIL + timedelta(days=1)).date().isoformat()
    refused = planner.send(f"{path}/plan", form | {"day": late}, page=path)
    assert refused.status_code == 409
    assert "Dat is te laat" in refused.text
    tomorrow = visits.local_day(datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert planner.send(f"{path}/plan", form | {"day": tomorrow}, page=path).status_code == 303
    assert planner.get(path).text.count("Alleen de foto, opnieuw") == 2  # the question and the visit


def test_the_citizen_hears_that_a_short_visit_will_be_planned(case: Case, browser: Browser) -> None:
    assert "De gemeente plant een kort bezoek" in browser.send("/status", {"code": case.made.code}).text
    case.short()
    assert "Het korte bezoek is gepland" in browser.send("/status", {"code": case.made.code}).text


def test_the_supplement_names_its_application_in_lists_and_in_the_api(
    case: Case, town: Town, signed_in: Callable[[str], Browser]
) -> None:
    whole = case.sealed.manifest.packet_id
    about = Supplements(packet_id=whole, parts=("photo",))
    visit = case.short(day=0)
    brought = town.packet(visit, 2, supplements=about)
    upload(town, brought)
    planner = signed_in("planner.brugge")
    assert f'Aanvulling bij <a href="/applications/{whole}">' in planner.get("/applications").text
    assert f'href="/applications/{whole}"' in planner.get(f"/applications/{brought.manifest.packet_id}").text
    assert "Alleen de foto, opnieuw" in planner.get("/").text  # today's visits
    listed = planner.get("/api/v1/applications").json
    assert listed is not None
    assert {row["packet_id"]: row["supplements"] for row in listed["applications"]} == {
        whole: None,
        brought.manifest.packet_id: whole,
    }
    assert sum(listed["counts"].values()) == 1
    (today,) = [row for row in planner.get("/api/v1/visits").json["visits"] if row["only"]]
    assert today["only"] == ["photo"]
    (asked,) = [row["again"] for row in planner.get("/api/v1/requests").json["requests"]]
    assert (asked["packet_id"], asked["parts"], asked["code"]) == (whole, ["photo"], "photo-blurred")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("nl", "die moet eerst bijgewerkt worden"),
        ("fr", "elle doit d’abord être mise à jour"),
        ("de", "Er muss zuerst aktualisiert werden"),
        ("en", "it must be updated first"),
    ],
    ids=["nl", "fr", "de", "en"],
)
def test_who_plans_reads_that_the_kit_must_be_updated_first(
    case: Case, town: Town, signed_in: Callable[[str], Browser], language: str, words: str
) -> None:
    planner = signed_in("planner.brugge")
    say(town, birth(READS))
    case.short(hour=16, day=0)
    say(town, birth(1), ses=2)
    for page in ("/", f"/requests/{case.made.request_id}"):
        assert words in planner.get(f"{page}?lang={language}").text
