"""The judge of a run finds what is lost, doubled, altered, invented, miscounted or left behind."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.custody.history import Given, History, Known, Look, Taken

GIVEN = [Given(f"p{n}", "kit-a", f"v{n}", f"m{n}", (f"e{n}a", f"e{n}b")) for n in (1, 2)]


LOOKS = [
    Look(0, 0, 0, 0, 0, 0, (0, 0, 0, 0, 0)),
    Look(0, 0, 0, 1, 1, 2, (1, 0, 1, 0, 0)),
    Look(0, 1, 1, 2, 2, 2, (2, 0, 1, 1, 0)),
    Look(2, 2, 2, 2, 2, 2, (2, 0, 0, 2, 0)),
]


def good() -> History:
    return History(
        given={given.packet_id: given for given in GIVEN},
        receipted={given.packet_id: (given.manifest_sha256, "accepted") for given in GIVEN},
        looks=list(LOOKS),
        taken=[Taken(given.packet_id, given.visit_id, given.manifest_sha256, "accepted") for given in GIVEN],
        known=[Known(given.packet_id, "accepted", given.manifest_sha256) for given in GIVEN],
        heard=Counter(event for given in GIVEN for event in given.events),
    )


def test_a_run_in_which_all_went_well_has_no_violations() -> None:
    assert good().violations() == []


def test_what_was_seen_on_the_way_counts() -> None:
    assert History(complaints=["the worker fell over"]).violations() == ["the worker fell over"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda h: h.taken.pop(), "p2: never reached the service"),
        (lambda h: h.taken.append(h.taken[0]), "p1: 2 lines at the service"),
        (lambda h: h.taken.append(Taken("p9", "v1", "m1", "accepted")), "visit v1: 2 applications"),
        (lambda h: h.taken.append(Taken("p9", "v9", "m9", "accepted")), "no kit gave it"),
        (lambda h: h.taken.__setitem__(0, replace(h.taken[0], verdict="rejected")), "p1: rejected"),
        (
            lambda h: h.taken.__setitem__(0, replace(h.taken[0], manifest_sha256="x")),
            "altered at the service",
        ),
        (lambda h: h.known.pop(), "p2: unknown to the fleet"),
        (lambda h: h.known.append(h.known[0]), "p1: 2 rows at the fleet"),
        (lambda h: h.known.append(Known("p9", "sealed", "m9")), "p9: the fleet has it, no kit gave it"),
        (lambda h: h.known.__setitem__(0, replace(h.known[0], state="stuck")), "p1: stuck"),
        (lambda h: h.receipted.pop("p1"), "p1: no receipt on the kit"),
        (lambda h: h.receipted.update(p1=("m2", "accepted")), "p1: the receipt is of something else"),
        (lambda h: h.receipted.update(p1=("m1", "recapture")), "p1: the receipt is of something else"),
        (
            lambda h: h.taken.__setitem__(0, replace(h.taken[0], verdict="recapture")),
            "asked 1 times, brought 0",
        ),
        (lambda h: h.given.update(p2=replace(GIVEN[1], supplements="p1")), "asked 0 times, brought 1"),
        (lambda h: h.heard.pop("e2b"), "event e2b: never heard"),
        (lambda h: h.heard.update(["e1a"]), "event e1a: heard 2 times"),
        (lambda h: h.looks.insert(2, replace(LOOKS[2], tally=(2, 0, 1, 0, 0))), "look 2: 2 created"),
        (lambda h: h.looks.append(LOOKS[2]), "a count went back"),
        (lambda h: h.looks.insert(2, replace(LOOKS[2], taken=0)), "more than there can be"),
        (lambda h: h.looks.insert(1, replace(LOOKS[1], given=0)), "more than there can be"),
        (lambda h: h.left.append("kit-a: p1"), "left behind: kit-a: p1"),
    ],
)
def test_each_kind_of_harm_is_found_and_named(spoil, says) -> None:
    history = good()
    spoil(history)
    found = history.violations()
    assert found
    assert any(says in line for line in found), found
