"""The journal: every kind of fact goes in and comes out the same; a damaged row is seen, not skipped."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from device.agent import events as facts
from device.agent.events import Event
from device.agent.journal import MESSAGES, Journal
from device.agent.visit import fold
from device.errors import Code, KitError
from device.vault.database import Database
from tests.device.agent.wishes import VISIT, digest

AT = datetime(2026, 11, 23, 9, 30, 0, 123000, tzinfo=UTC)
OPENED = facts.Opened(VISIT, "be.eid.application", digest("catalogue"), "an.peeters", "0207500123")
EVERY: tuple[Event, ...] = (
    OPENED,
    facts.CardKept("r1", digest("r1"), "weak", ("card-expired",), "unproven", False),
    facts.CardWaived("loss", "annex12"),
    facts.Informed("eid-info", "nl", True),
    facts.ProcedureChosen("urgent-central"),
    facts.PossessionProven("r1b", digest("r1b"), False, True),
    facts.PossessionExcepted("pin-blocked"),
    facts.PhotoKept("r2", digest("r2")),
    facts.FingerKept("left", "ring", "r3", digest("r3")),
    facts.FingersExcepted("right", ("index", "middle"), "bandage", "temporary", True),
    facts.SignatureKept("r4", digest("r4")),
    facts.SignatureExcepted("cannot"),
    facts.Reviewed("de"),
    facts.Redone("fingers", "left"),
    facts.Redone("photo"),
    facts.Sealed("01KA0000000000000000000002", digest("manifest"), 412_345),
    facts.Uploaded("01KA0000000000000000000002"),
    facts.Answered("01KA0000000000000000000002", "rejected", "photo-refused"),
    facts.Abandoned("mistake"),
    facts.Expired("hard-limit"),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "vault.db")
    yield made
    made.close()


def test_every_kind_of_fact_comes_back_as_it_was_noted(database: Database) -> None:
    assert {type(event) for event in EVERY} == set(facts.Fact.__subclasses__())
    journal = Journal(database)
    for event in EVERY:
        with database.transaction() as tx:
            journal.append(tx, VISIT, AT, (event,))
    read = Journal(database).read()[VISIT]
    assert tuple(entry.event for entry in read) == EVERY
    assert [entry.n for entry in read] == list(range(1, len(EVERY) + 1))
    assert {entry.at for entry in read} == {AT}
    assert fold(entry.event for entry in read) == fold(EVERY)


def test_a_transaction_that_fails_leaves_no_fact(database: Database) -> None:
    journal = Journal(database)

    def fail() -> None:
        with database.transaction() as tx:
            journal.append(tx, VISIT, AT, (OPENED,))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert journal.read() == {}


def test_what_the_fleet_hears_is_told_once_and_under_the_same_ids(database: Database) -> None:
    journal = Journal(database)
    with database.transaction() as tx:
        journal.append(tx, VISIT, AT, EVERY)
    untold = journal.untold()
    assert [type(entry.event) for entry in untold] == [event for event in MESSAGES if event is not None]
    assert journal.untold() == untold
    with database.transaction() as tx:
        journal.mark_told(tx, untold[0])
    assert journal.untold() == untold[1:]


def test_a_journal_from_before_there_were_certificates_is_whole(database: Database) -> None:
    journal = Journal(database)
    with database.transaction() as tx:
        journal.append(tx, VISIT, AT, (OPENED, facts.Abandoned("mistake")))
        tx.execute("UPDATE journal SET messages = substr(messages, 1, 26) WHERE n = 2")
    assert len(journal.read()[VISIT][1].messages) == 1


@pytest.mark.parametrize(
    "damage",
    [
        'UPDATE journal SET event = \'{"kind":"PhotoKept"}\' WHERE n = 2',
        "UPDATE journal SET event = replace(event, 'kind', 'kinds') WHERE n = 2",
        "UPDATE journal SET event = substr(event, 1, 20) WHERE n = 2",
        "UPDATE journal SET event = replace(event, '}', ',\"more\":1}') WHERE n = 2",
        "UPDATE journal SET at = 'yesterday' WHERE n = 2",
        "UPDATE journal SET messages = 'x' WHERE n = 1",
        "UPDATE journal SET messages = '' WHERE n = 1",
        "UPDATE journal SET visit_id = 'Roos Vandekanarie'",
        "DELETE FROM journal WHERE n = 2",
        "DELETE FROM journal WHERE n = 1",
    ],
)
def test_a_damaged_row_is_a_damaged_vault(database: Database, damage: str) -> None:
    journal = Journal(database)
    with database.transaction() as tx:
        journal.append(tx, VISIT, AT, EVERY[:4])
        tx.execute(damage)
    with pytest.raises(KitError) as damaged:
        journal.read()
    assert damaged.value.code is Code.VAULT_DAMAGED
    assert "Kanarie" not in str(damaged.value)
