"""Whether a kit that comes back from a power cut kept its word: judged with the product's own code.

The story is the journal of the whole run; a kit that was cut off may have told a beginning of it only, no
shorter than what had been acknowledged, and everything else on it must fit that beginning exactly.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from device.agent.events import Sealed
from device.agent.journal import Entry, Journal
from device.agent.records import REQUEST, digest, unpack
from device.agent.session import OWN, is_open
from device.agent.visit import Visit, fold, records
from device.errors import KitError
from device.ports import KeySource
from device.spool.spool import Spool
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.store import OpenVault
from protocol.bag import BagVisit
from protocol.sealed.manifest import FIRST_PREV
from protocol.sealed.outer import read_outer
from tests.device.agent.kit import OFFICER, PIN
from tests.device.vault.kit import HandClock

Told = dict[str, tuple[Entry, ...]]


@dataclass
class Story:
    """`keys` gathers the wrapped key of each visit as it is seen, to look for it after it is destroyed."""

    entries: list[Entry] | None = None
    keys: dict[str, bytes] = field(default_factory=dict)


def entries_of(told: Told) -> list[Entry]:
    """In the order in which they were noted: one at a time, so the clock tells."""
    return sorted((entry for entries in told.values() for entry in entries), key=lambda one: (one.at, one.n))


def read_story(vault: Path) -> Story:
    database = Database(vault)
    try:
        return Story(entries_of(Journal(database).read()))
    finally:
        database.close()


def judge(
    vault: Path, source: KeySource, story: Story, said: Mapping[str, int], spool: Path | None = None
) -> list[str]:
    """What is wrong with it, in sentences; nothing when all is well."""
    try:
        database = Database(vault)
    except KitError as problem:
        return [f"does not open: {problem}"]
    try:
        return [*_judge_open(database, source, story, said, spool)]
    except KitError as problem:
        return [f"cannot be read: {problem}"]
    finally:
        database.close()


def _judge_open(
    database: Database, source: KeySource, story: Story, said: Mapping[str, int], spool: Path | None
) -> list[str]:
    if database.rows("PRAGMA integrity_check") != [("ok",)] or database.rows("PRAGMA foreign_key_check"):
        return ["integrity"]
    told = Journal(database).read()
    entries = entries_of(told)
    wrong = []
    acknowledged = said.get("noted:after", 0)
    if len(entries) < acknowledged:
        wrong.append(f"{len(entries)} facts of {acknowledged} acknowledged")
    if len(entries) > said.get("noted:before", 0):
        wrong.append("more facts than were decided")
    if story.entries is not None and [_fact(one) for one in entries] != [
        _fact(one) for one in story.entries[: len(entries)]
    ]:
        wrong.append("another story than was told")
    vault = Gate(database, source, HandClock()).unlock(OFFICER, PIN)
    visits = {visit_id: fold(entry.event for entry in one) for visit_id, one in told.items()}
    wrong += _judge_records(vault, visits)
    wrong += _judge_shelf(vault, [entry for entry in entries if isinstance(entry.event, Sealed)], visits)
    wrong += _judge_shredding(database, visits, story)
    if spool is not None:
        wrong += _judge_spool(database, Spool(spool), entries, visits, said)
    return wrong


def _fact(entry: Entry) -> tuple[object, ...]:
    return entry.visit_id, entry.n, entry.at, entry.event, entry.messages


def _judge_records(vault: OpenVault, visits: Mapping[str, Visit]) -> list[str]:
    """Records and keys are those of the open visits, all of them, readable, and no others."""
    named = {
        (visit_id, record)
        for visit_id, visit in visits.items()
        if is_open(visit)
        for record in (REQUEST, *records(visit))
    }
    held = {(row[0], row[1]) for row in vault.database.rows("SELECT visit_id, record_id FROM record")}
    keys = {row[0] for row in vault.database.rows("SELECT visit_id FROM visit_key")}
    wrong = []
    if held - {(OWN, "bag-identity")} != named:
        wrong.append("records without fact, or facts without record")
    if keys != {OWN, *(visit_id for visit_id, visit in visits.items() if is_open(visit))}:
        wrong.append("keys of other visits than the open ones")
    if wrong:
        return wrong
    vault.get(OWN, "bag-identity")
    for visit_id, visit in visits.items():
        if not is_open(visit):
            continue
        if unpack(vault.get(visit_id, REQUEST).data, BagVisit).visit_id != visit_id:
            wrong.append("the request of another visit")
        facts = (visit.card, visit.photo, visit.signature, *(hand.kept for hand in visit.hands.values()))
        for fact in facts:
            if fact is not None and hasattr(fact, "record"):
                assert digest(vault.get(visit_id, fact.record, fact.digest).data) == fact.digest
    return wrong


def _judge_shelf(vault: OpenVault, sealings: list[Entry], visits: Mapping[str, Visit]) -> list[str]:
    """A packet for each sealed visit without answer, the one the fact names; the counter says how many."""
    wrong = []
    waiting = [entry.event for entry in sealings if visits[entry.visit_id].answered is None]
    shelf = vault.sealed()
    if [(one.packet_id, one.manifest_sha256) for one in shelf] != [
        (one.packet_id, one.manifest_sha256) for one in waiting if isinstance(one, Sealed)
    ]:
        return ["another shelf than the facts say"]
    for packet in shelf:
        data = vault.read_sealed(packet.packet_id)
        if data is None or read_outer(data).manifest_sha256 != packet.manifest_sha256:
            wrong.append("a packet that is not what was sealed")
    last = sealings[-1].event if sealings else None
    if vault.next_seq() != (
        len(sealings) + 1,
        last.manifest_sha256 if isinstance(last, Sealed) else FIRST_PREV,
    ):
        wrong.append("another packet counter than the facts say")
    return wrong


def _judge_shredding(database: Database, visits: Mapping[str, Visit], story: Story) -> list[str]:
    """Once the vault has been opened again, no destroyed key is in any of its files."""
    for visit_id, wrapped in database.rows("SELECT visit_id, wrapped FROM visit_key"):
        story.keys[visit_id] = wrapped
    files = b"".join(path.read_bytes() for path in database.path.parent.glob("vault.db*"))
    gone = [visit_id for visit_id, visit in visits.items() if not is_open(visit)]
    return [
        "a destroyed key is still there" for visit_id in gone if story.keys.get(visit_id, b"\0none") in files
    ]


def _judge_spool(
    database: Database,
    spool: Spool,
    entries: list[Entry],
    visits: Mapping[str, Visit],
    said: Mapping[str, int],
) -> list[str]:
    """Offered packets lie there until their answer, and whatever is marked as told is in the outbox."""
    try:
        wrong = []
        events = [entry.event for entry in entries]
        packets = [event.packet_id for event in events if isinstance(event, Sealed)]
        answered = {visit.answered.packet_id for visit in visits.values() if visit.answered is not None}
        offered = set(spool.offered())
        for packet_id in packets[: said.get("offered:after", 0)]:
            if packet_id not in offered | answered:
                wrong.append("an offered packet is gone")
        if not offered <= set(packets):
            wrong.append("a packet is offered that was never sealed")
        outbox = Counter(path.stem.partition("-")[2] for path in (spool_events(spool)))
        told = {(row[0], row[1]) for row in database.rows("SELECT visit_id, n FROM journal WHERE told = 1")}
        for entry in entries:
            if (entry.visit_id, entry.n) in told and any(outbox[one] != 1 for one in entry.messages):
                wrong.append("a fact counts as told and is not in the outbox")
        return wrong
    finally:
        spool.close()


def spool_events(spool: Spool) -> list[Path]:
    return sorted(spool._at.events.glob("*.json"))
