"""Two sets of books held against each other: every pair of states has its finding."""

from dataclasses import replace

import pytest

from competent.ledger import Application
from competent.reconciling import FOR_A_PERSON, Finding, Stated, compare
from protocol.ids import new_ulid
from protocol.lifecycle import ApplicationState

NOW = 1_000.0
ID = new_ulid(1)
MINE = Application(ID, new_ulid(2), "kit-test-01", "a" * 64, "accepted", "", "[]", "a.b.c", NOW - 1)
REJECTED = replace(MINE, verdict="rejected", code="photo-unusable")
ASKED = replace(MINE, verdict="recapture")
LATER = replace(MINE, answer_from=NOW + 60)


@pytest.mark.parametrize(
    ("state", "held", "kind"),
    [
        ("uploaded", None, "under-way"),
        ("forwarded", None, "not-arrived"),
        ("accepted", None, "answer-lost"),
        ("rejected", None, "answer-lost"),
        ("recapture", None, "answer-lost"),
        ("stuck", None, "held-back"),
        ("expired", None, "held-back"),
        ("uploaded", MINE, "answer-unheard"),
        ("forwarded", MINE, "answer-unheard"),
        ("forwarded", LATER, "under-way"),
        ("accepted", MINE, "agreed"),
        ("rejected", MINE, "answers-differ"),
        ("rejected", REJECTED, "agreed"),
        ("accepted", REJECTED, "answers-differ"),
        ("recapture", ASKED, "agreed"),
        ("accepted", ASKED, "agreed"),
        ("recapture", MINE, "answers-differ"),
        ("stuck", MINE, "held-back"),
        ("accepted", replace(MINE, manifest_sha256="b" * 64), "another-packet"),
        ("forwarded", replace(MINE, manifest_sha256="b" * 64), "another-packet"),
    ],
)
def test_each_pair_of_states_has_its_finding(state: str, held: Application | None, kind: str) -> None:
    books = {ID: held} if held else {}
    assert compare([Stated(ID, "a" * 64, state)], books, NOW) == [Finding(ID, kind)]  # type: ignore[arg-type]


def test_a_state_that_is_not_known_here_goes_to_a_person() -> None:
    for held in ({}, {ID: MINE}):
        (finding,) = compare([Stated(ID, "a" * 64, "enchanted")], held, NOW)
        assert finding.kind in FOR_A_PERSON


def test_every_state_of_the_fleet_is_thought_of() -> None:
    for state in ApplicationState:
        assert len(compare([Stated(ID, "a" * 64, state)], {ID: MINE}, NOW)) == 1


def test_what_only_the_service_knows_is_named_and_all_are_in_order() -> None:
    other = replace(MINE, packet_id=new_ulid(9))
    found = compare([Stated(ID, "a" * 64, "accepted")], {other.packet_id: other, ID: MINE}, NOW)
    assert found == [Finding(ID, "agreed"), Finding(other.packet_id, "unknown-there")]
