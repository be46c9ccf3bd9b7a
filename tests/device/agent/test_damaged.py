"""A block of the disk that goes bad costs one capture: not the visit, nor the day; and the fleet is told."""

import json
import sqlite3
from contextlib import closing

import pytest

from device.agent.office import Office
from device.errors import Code
from device.vault.security_keys import SecurityKey, SecurityKeys
from protocol.bag import BagVisit
from protocol.identity import Role
from tests.device.agent.kit import OFFICER, PIN, Desktop, Kit
from tests.device.agent.peripherals import PHOTO
from tests.device.vault.kit import small_files
from tests.protocol.certificates import leaf

BEFORE = {"card": "inform", "photo": "fingers", "finger": "signature", "signature": "review"}
"""The step that is due when this kind was kept last."""
AGAIN = {"card": "card", "photo": "photo", "finger": "fingers", "signature": "signature"}


def goes_bad(kit: Kit, kind: str) -> None:
    """One bit of every record of this kind."""
    with closing(sqlite3.connect(kit.data / "vault.db")) as vault, vault:
        where = "WHERE kind = ? AND visit_id <> 'kit'"
        for row, sealed in vault.execute(f"SELECT rowid, sealed FROM record {where}", (kind,)).fetchall():
            bad = bytearray(sealed)
            bad[len(bad) // 2] ^= 1
            vault.execute("UPDATE record SET sealed = ? WHERE rowid = ?", (bytes(bad), row))


def begun(kit: Kit, step: str) -> BagVisit:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, step)
    return visit


@pytest.mark.parametrize("kind", AGAIN)
def test_what_is_damaged_is_asked_again_and_the_visit_is_sealed(kit: Kit, kind: str) -> None:
    visit = begun(kit, BEFORE[kind])
    goes_bad(kit, kind)
    with Desktop(kit) as top:
        top.begin(visit)
        seen = top.desk.now()
        assert seen.failure is not None
        assert seen.visit is not None
        assert (seen.failure.code, seen.visit.step) == (Code.CAPTURE_DAMAGED, AGAIN[kind])
        top.desk.dismiss()
        due = ("card", "inform", "procedure", "photo", "fingers", "fingers", "signature", "review", "seal")
        for step, do in zip(due, top.steps(), strict=True):
            now = top.desk.now().visit
            assert now is not None
            if step == now.step:
                do()
                assert top.desk.now().failure is None
        sealed = top.until(lambda seen: seen.visit and seen.visit.sealed).visit
        assert sealed is not None
        kit.service.open(top.packet(sealed.packet_id))


def give_key(kit: Kit, top: Desktop) -> None:
    """The officer has a security key as well."""
    chain = (leaf(Role.OFFICER_KEY, OFFICER, kit.issuing).certificate, kit.issuing.certificate)

    def write(office: Office) -> None:
        keys = SecurityKeys(office._database)
        with office._database.transaction() as tx:
            keys.write(tx, OFFICER, SecurityKey(b"credential", chain))

    top.desk._ask(write)


@pytest.mark.parametrize("press", ["seal", "seal-key"])
def test_damaged_under_the_officers_hands_it_is_asked_again_instead_of_sealed(kit: Kit, press: str) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        give_key(kit, top)
        top.until_step(visit, "seal")
        top.tidied()
        goes_bad(kit, "photo")
        top.desk._ask(lambda office: office.counter._sealer.forget())  # what was read before it went bad
        failure = top.fails(press)
        seen = top.desk.now().visit
        assert seen is not None
        assert (failure.code, seen.step, seen.sealed) == (Code.CAPTURE_DAMAGED, "photo", "")
        assert top.desk.now().visits[0].state == "open"
        assert top.spool.offered() == []


def test_a_disk_that_does_not_even_take_it_back_is_told_and_the_desk_works_on(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        top.tidied()
        goes_bad(kit, "photo")
        top.desk._ask(lambda office: office.counter._sealer.forget())
        with small_files(4096):
            assert top.fails("seal").code is Code.VAULT_DAMAGED
        assert top.fails("seal").code is Code.CAPTURE_DAMAGED


def test_damaged_after_it_was_read_it_is_sealed_as_it_was_kept(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        top.tidied()
        goes_bad(kit, "photo")
        sealed = top.capture("seal").visit
        assert sealed is not None
        parts = {part.name: part.data for part in kit.service.open(top.packet(sealed.packet_id)).parts}
    assert parts["photo.jpg"] == PHOTO.jpeg


def test_a_visit_whose_request_is_damaged_is_told_to_officer_and_fleet(kit: Kit) -> None:
    visit = begun(kit, "photo")
    goes_bad(kit, "request")
    kit.bring_bag()  # of another day: it does not bring the request again
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        seen = top.until(lambda seen: seen.lost)
        assert (seen.lost, [line.visit_id for line in seen.visits]) == (1, [])
        top.desk.lock()
        assert unread(top) == [visit.visit_id]
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.begin(visit)
        now = top.desk.now()
        assert (now.lost, now.visit and now.visit.step) == (0, "photo")
        assert unread(top) == []


def test_what_only_newer_software_reads_is_told_to_the_fleet(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_later_bag(visit)
    with Desktop(kit) as top:
        top.desk.unlock(OFFICER, PIN)
        top.until(lambda seen: seen.aside)
        (told,) = unread(top)
        assert told != visit.visit_id


def unread(top: Desktop) -> list[str]:
    """What the next health report says."""

    def tell(office: object) -> None:
        office._pulse.hurry()  # type: ignore[attr-defined]
        office.look()  # type: ignore[attr-defined]

    top.desk._ask(tell)
    hatch = top.kit.hatch()
    try:
        shown = hatch.shown("health")
    finally:
        hatch.close()
    assert shown is not None
    return list(json.loads(shown).get("unread", []))
