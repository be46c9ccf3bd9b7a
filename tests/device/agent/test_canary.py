"""Names and numbers are found in memory and in the sealed packet, and nowhere else: no disk, no log."""

import io
from pathlib import Path

import pytest

from device.agent import log
from tests.device.agent.kit import PIN, Desktop, Kit
from tests.device.agent.peripherals import CANARIES, INK, PHOTO, READING, finger_image
from tests.device.agent.test_outgoing import bring_receipt

SECRETS = (
    *(text.encode() for text in CANARIES),
    PHOTO.jpeg,
    b"face-on-the-chip",
    finger_image(123).pixels[:64],
    PIN.encode(),
)


def found(folder: Path, secrets: tuple[bytes, ...] = SECRETS) -> list[str]:
    """Where which secret lies, in any spelling a database or JSON would use."""
    hits = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            hits += [f"{path.name}: {secret[:20]!r}" for secret in secrets if secret in data]
    return hits


@pytest.fixture
def heard() -> io.StringIO:
    out = io.StringIO()
    log.configure(out)
    return out


def test_of_a_whole_visit_nothing_readable_is_left_at_any_moment(kit: Kit, heard: io.StringIO) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.bench.fingerprint.script.append(finger_image(123))
        top.bench.card.script.append(ValueError(f"{CANARIES}"))  # a bug that talks
        top.begin(visit)
        assert found(kit.data) == []
        top.fails("card")
        for step in top.steps():
            step()
            assert found(kit.data) == []
        seen = top.desk.now().visit
        assert seen is not None
        bring_receipt(kit, seen.packet_id, kit.service.answer(top.packet(seen.packet_id)))
        top.until(lambda now: now.visit and now.visit.sealed == "accepted")
        top.desk.lock()
        assert not any(text in repr(top.desk.now()) for text in CANARIES)
    assert found(kit.data) == []
    written = heard.getvalue()
    assert "unlocked" in written
    assert "driver-bug" in written
    assert not any(secret.decode("latin-1") in written for secret in SECRETS)


def test_of_an_abandoned_visit_nothing_is_left_and_what_is_open_is_unreadable(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        top.until_step(visit, "seal")
        assert found(kit.data) == []
    assert found(kit.data) == []


def test_nothing_that_holds_a_person_prints_one() -> None:
    for held in (READING, PHOTO, INK, finger_image(1)):
        assert not any(text in repr(held) for text in CANARIES)
