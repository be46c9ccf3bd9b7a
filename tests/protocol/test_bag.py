import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import canonical, signed
from protocol.bag import LONGEST, BadBag, BagVisit, Citizen, DayBag, OpenedBag, Place, open_bag, seal_bag
from protocol.ids import new_ulid
from protocol.sealed import age
from protocol.sealed.agekeys import BadKey

IDENTITY, RECIPIENT = age.generate()
COMMAND = ec.generate_private_key(ec.SECP256R1())
KEYS = {"command-1": COMMAND.public_key()}


def visit(**changes):
    members = {
        "visit_id": new_ulid(),
        "service_id": "be.eid.application",
        "tenant": "0207530775",
        "municipality": "Brugge",
        "starts": "2026-11-23T09:00:00Z",
        "ends": "2026-11-23T09:25:00Z",
        "officer_id": "an.peeters",
        "language": "nl",
        "citizen": Citizen(name="Maria Canary", national_number="50010112345"),
        "place": Place(street="Canarystraat 1", postcode="8000", municipality="Brugge", note="bel 3"),
    }
    return BagVisit(**(members | changes))


def bag(*visits, **changes):
    members = {
        "kit_id": "kit-brugge-01",
        "version": 7,
        "issued": "2026-11-23T05:00:00Z",
        "date": "2026-11-23",
        "visits": visits,
    }
    return DayBag(**(members | changes))


def refused(data, identity=IDENTITY, keys=KEYS):
    with pytest.raises(BadBag) as refusal:
        open_bag(data, identity, keys)
    assert "Canary" not in str(refusal.value)
    return refusal.value.code


def test_a_bag_is_opened_by_its_kit_alone():
    made = bag(visit(), visit(language="fr", evidence="doctor's note seen"))
    sealed = seal_bag(made, RECIPIENT, COMMAND, "command-1")
    assert b"Canary" not in sealed
    assert open_bag(sealed, IDENTITY, KEYS) == OpenedBag(made, ())
    assert refused(sealed, identity=age.generate()[0]) == "bag-unreadable"


def test_an_empty_day_is_a_day():
    assert open_bag(seal_bag(bag(), RECIPIENT, COMMAND, "command-1"), IDENTITY, KEYS).bag.visits == ()


def test_nothing_prints_a_citizen_or_a_place():
    assert "Canary" not in repr(bag(visit()))


def test_a_bag_signed_by_somebody_else_is_untrusted():
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert refused(seal_bag(bag(), RECIPIENT, stranger, "command-1")) == "bag-untrusted"
    assert refused(seal_bag(bag(), RECIPIENT, COMMAND, "command-2")) == "bag-untrusted"
    receipt = signed.sign("receipt", b"{}", COMMAND, "command-1")
    assert refused(age.encrypt(receipt.encode(), [RECIPIENT])) == "bag-untrusted"


def test_a_changed_or_cut_bag_is_unreadable():
    sealed = seal_bag(bag(visit()), RECIPIENT, COMMAND, "command-1")
    assert refused(sealed[:-1]) == "bag-unreadable"
    assert refused(sealed[:-1] + bytes([sealed[-1] ^ 1])) == "bag-unreadable"
    assert refused(b"") == "bag-unreadable"
    assert refused(bytes(LONGEST + 1)) == "bag-unreadable"
    assert refused(age.encrypt("é".encode(), [RECIPIENT])) == "bag-unreadable"


def made_of(members):
    """A bag with whatever in it, sealed and signed as a fleet of another version would."""
    token = signed.sign("bag", canonical.dumps(members), COMMAND, "command-1")
    return age.encrypt(token.encode(), [RECIPIENT])


@pytest.mark.parametrize(
    "made",
    [
        bag(kit_id="brugge"),
        bag(version=0),
        bag(date="23/11/2026"),
        bag(issued="today"),
        bag(issued="2026-13-23T05:00:00Z"),
        bag(v=2),
        bag(*[visit(visit_id="01ARZ3NDEKTSV4RRFFQ69G5FAV")] * 2),
        bag(*[visit() for _ in range(201)]),
    ],
    ids=lambda made: str(made)[:60],
)
def test_a_bag_that_breaks_a_rule_is_neither_sealed_nor_opened(made):
    with pytest.raises(BadBag) as refusal:
        seal_bag(made, RECIPIENT, COMMAND, "command-1")
    assert refusal.value.code == "bag-malformed"
    assert refused(made_of(msgspec.to_builtins(made))) == "bag-malformed"


@pytest.mark.parametrize(
    "changes",
    [
        {"visit_id": "x"},
        {"starts": "2026-11-23T10:00:00Z"},
        {"starts": "2026-13-23T10:00:00Z"},
        {"tenant": "Brugge"},
        {"service_id": "eID"},
        {"officer_id": "A"},
        {"language": "es"},
        {"citizen": Citizen(name="Maria Canary", national_number="123")},
        {"citizen": Citizen(name="Maria Canary", birth_date="soon")},
        {"place": Place(street="Canary" * 99, postcode="", municipality="")},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_visit_that_breaks_a_rule_is_not_sealed_and_a_kit_keeps_the_others(changes):
    good, bad = visit(), visit(**changes)
    made = bag(bad, good)
    with pytest.raises(BadBag):
        seal_bag(made, RECIPIENT, COMMAND, "command-1")
    opened = open_bag(made_of(msgspec.to_builtins(made)), IDENTITY, KEYS)
    assert (opened.bag.visits, opened.aside) == (
        (good,),
        (bad.visit_id if bad.visit_id != "x" else "",),
    )


@pytest.mark.parametrize(
    ("strange", "named"),
    [
        ({"visit_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "wheelchair": True}, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ({"visit_id": 7}, ""),
        ({}, ""),
        ("later", ""),
    ],
    ids=["a member of a later version", "a number for an id", "nothing", "a word"],
)
def test_what_only_a_later_version_reads_is_set_aside_by_its_id(strange, named):
    good = visit()
    members = msgspec.to_builtins(bag(good))
    opened = open_bag(made_of(members | {"visits": [strange, *members["visits"]]}), IDENTITY, KEYS)
    assert opened == OpenedBag(bag(good), (named,))


def test_a_bag_is_not_sealed_to_something_that_is_no_recipient():
    with pytest.raises(BadKey):
        seal_bag(bag(), "age1pq1", COMMAND, "command-1")
