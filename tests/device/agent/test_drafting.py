"""What of a packet is made ready before the officer presses the button, and what never is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from device.agent.drafting import Draft, draft
from device.agent.events import Redo, Review
from device.agent.office import Office
from device.agent.records import digest
from device.agent.visit import named
from device.errors import Code
from protocol.sealed.packet import contents_of
from tests.device.agent.kit import WEEK, Desktop, Kit


def prepared(top: Desktop) -> Draft | None:
    top.tidied()
    return top.desk._ask(lambda office: office.counter._sealer._draft)


def sealed_contents(top: Desktop) -> list[tuple[str, int, str]]:
    seen = top.capture("seal").visit
    assert seen is not None
    assert top.desk.now().failure is None
    packet = top.kit.service.open(top.packet(seen.packet_id))
    assert contents_of(packet.parts) == packet.outer.manifest.contents
    return [(one.name, one.size, one.sha256) for one in packet.outer.manifest.contents]


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after a restart"])
def test_what_was_made_ready_is_what_is_sealed(kit: Kit, again: bool) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    top = Desktop(kit)
    with top:
        top.until_step(visit, "seal")
        ready = prepared(top)
        assert ready is not None
        if not again:
            sealed = sealed_contents(top)
            assert prepared(top) is None, "nothing is left of it"
    if again:
        with Desktop(kit) as top:
            top.begin(visit)
            ready = prepared(top)
            assert ready is not None
            sealed = sealed_contents(top)
    assert sealed == [(one.name, one.size, one.sha256) for one in ready.contents]


def test_no_capture_is_in_it_and_it_reads_them_where_they_lie(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        top.tidied()

        def look(office: Office) -> None:
            session, state = office.counter.session, office._cases.visits[visit.visit_id]
            assert session is not None
            ahead = session.vault.read_ahead(visit.visit_id, named(state))
            held = session.vault.open_ahead(ahead)
            asked = (state, session.requests[visit.visit_id], office._cases.entry_of(visit.visit_id), False)
            made = draft(*asked, ahead, held)
            assert made.is_of(*asked)
            assert not made.is_of(office._cases.visits[visit.visit_id].__class__(), *asked[1:])
            assert not made.is_of(*asked[:3], True)
            texts = {piece.name for piece in made.pieces if not piece.record}
            assert texts == {"identity.json", "application.json"}
            assert contents_of(made.pieces) == made.contents
            assert all(digest(piece.data) == piece.sha256 for piece in made.pieces)
            ready = office.counter._sealer._draft
            assert ready is not None
            assert not any(ready.ahead.space), "its records are not open"
            assert all(
                bytes(piece.data) in bytes(held[piece.record]) for piece in made.pieces if piece.record
            )
            ahead.wipe()
            assert {piece.name for piece in made.pieces if any(piece.data)} == texts

        top.desk._ask(look)


def test_another_fact_makes_it_anew_and_leaving_forgets_it(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        before = prepared(top)
        top.desk.wish(Redo("photo"))
        assert prepared(top) is None, "it cannot be sealed now"
        top.capture("photo")
        top.desk.wish(Review("nl"))
        after = prepared(top)
        assert before is not None
        assert after is not None
        assert after is not before
        top.desk.leave()
        assert prepared(top) is None
        top.desk.choose(visit.visit_id)
        assert prepared(top) is not None
        top.desk.lock()
        assert prepared(top) is None


def test_a_list_that_came_or_ran_out_since_counts_at_the_press(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        assert prepared(top) is not None
        good = kit.list_path.read_text()
        kit.list_path.write_text("not a list")
        assert top.fails("seal").code is Code.RECIPIENTS_UNTRUSTED
        kit.list_path.write_text(good)
        kit.write_list(kit.clock.now() + WEEK + timedelta(hours=1))
        assert {name for name, _, _ in sealed_contents(top)} >= {"photo.jpg", "identity.json"}


def test_a_capture_that_is_not_the_one_of_its_fact_is_not_sealed(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)

    def swap(office: Office) -> None:
        """On the disk, and what was read from there before."""
        with office._database.transaction() as tx:
            tx.execute("UPDATE record SET sealed = zeroblob(length(sealed)) WHERE kind = 'photo'")
        ready = office.counter._sealer._draft
        assert ready is not None
        records = ready.ahead.records
        (n,) = (n for n, each in enumerate(records) if each.kind == "photo")
        records[n] = replace(records[n], sealed=bytes(len(records[n].sealed)))

    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        assert prepared(top) is not None
        top.desk._ask(swap)
        assert top.fails("seal").code is Code.CAPTURE_DAMAGED
        assert top.spool.offered() == []


def test_a_visit_whose_key_is_gone_is_not_sealed_of_what_was_read_before(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        assert prepared(top) is not None

        def destroy(office: Office) -> None:
            with office._database.transaction() as tx:
                tx.execute("UPDATE visit_key SET wrapped = x'' WHERE visit_id = ?", (visit.visit_id,))

        top.desk._ask(destroy)
        assert top.fails("seal").code is Code.CAPTURE_DAMAGED
        assert top.spool.offered() == []


def laid(top: Desktop) -> object:
    top.tidied()
    found = top.desk._ask(lambda office: office.counter._sealer._laid)
    return found and found.layout


def test_the_packet_is_laid_out_with_the_draft_and_serves_once(kit: Kit) -> None:
    first, second = kit.visit(), kit.visit()
    kit.bring_bag(first, second)
    with Desktop(kit) as top:
        for seq, visit in enumerate((first, second), start=1):
            assert laid(top) is None
            top.until_step(visit, "seal")
            ready = laid(top)
            assert ready is not None
            top.tidied()
            assert laid(top) is ready, "the same visit is laid out once"
            seen = top.capture("seal").visit
            assert seen is not None
            assert kit.service.open(top.packet(seen.packet_id)).outer.manifest.seq == seq
            assert laid(top) is None


def test_another_list_officers_key_or_kits_key_has_it_laid_out_anew(kit: Kit) -> None:
    for change in ("list", "officer", "kit"):
        visit = kit.visit()
        kit.bring_bag(visit)
        with Desktop(kit) as top:
            top.until_step(visit, "seal")
            assert laid(top) is not None
            if change == "list":
                kit.write_list(kit.clock.now() + WEEK)

            def sign(office: Office, change: str = change) -> None:
                session, sealer = office.counter.session, office.counter._sealer
                assert session is not None
                if change == "officer":
                    session.vault._signer = replace(session.vault.signer())
                elif change == "kit":
                    sealer._kit.signer = replace(sealer._kit.signer)

            top.desk._ask(sign)
            assert {name for name, _, _ in sealed_contents(top)} >= {"photo.jpg", "identity.json"}
