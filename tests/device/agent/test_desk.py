"""The desk over a real vault and a real spool: whole visits, bad luck, and what is left behind."""

from tests.device.agent.kit import Desktop, Kit


def test_a_whole_visit_is_sealed_offered_and_opened_by_the_service(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        seen = top.whole_visit(visit)
        assert seen.visit is not None
        opened = kit.service.open(top.packet(seen.visit.packet_id))
    assert [part.name for part in opened.parts] == [
        "identity.json",
        "card-photo.jpg",
        "photo.jpg",
        "finger-right-index.png",
        "finger-left-index.png",
        "signature.svg",
        "signature.png",
        "application.json",
    ]
