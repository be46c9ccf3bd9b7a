"""A whole disk, free blocks and all, is searched for a person after each end a visit can have."""

import base64
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device.agent import log
from device.agent.events import Abandon
from device.vault.database import Database
from device.vault.slots import SECRET, SLOT
from tests.device.agent.kit import Desktop, Kit
from tests.device.agent.peripherals import CANARIES, PHOTO, READING, finger_image
from tests.device.agent.test_outgoing import bring_receipt
from tests.device.vault.loopdisk import LoopDisk, can_mount, loop_disk

FACE = secrets.token_bytes(40_000)
PHOTOGRAPH = replace(PHOTO, jpeg=b"\xff\xd8" + FACE)
PRINT, OTHER = (replace(finger_image(0), pixels=secrets.token_bytes(60 * 80)) for _ in range(2))
assert READING.photo is not None
CHIP = READING.photo.jpeg

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 or not can_mount(), reason="needs root and loop devices"),
]


def disguises(plain: bytes) -> set[bytes]:
    """Raw, hexadecimal, and base64 at any offset."""
    found = {plain, plain.hex().encode(), plain.hex().upper().encode()}
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + plain)
        inner = coded[4 if offset else 0 : len(coded) // 4 * 4 - 4]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def needles() -> dict[bytes, str]:
    """What to look for, and whose it is: names as text and as UTF-16, pieces of the captures as they are."""
    secret = {text: (text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be")) for text in CANARIES}
    secret["photo"] = tuple(FACE[at : at + 24] for at in range(0, len(FACE) - 24, 2048))
    secret["chip"] = (CHIP,)
    secret["finger"] = tuple(PRINT.pixels[at : at + 24] for at in range(0, 4000, 400))
    return {
        needle: name for name, plains in secret.items() for plain in plains for needle in disguises(plain)
    }


NEEDLES = needles()


def hits(disk: LoopDisk) -> set[str]:
    """Whose traces the disk holds, once everything in memory is on it."""
    os.sync()
    data = disk.image.read_bytes()
    return {name for needle, name in NEEDLES.items() if needle in data}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path, 24) as made:
        yield made


def test_on_the_whole_disk_nobody_is_found_whatever_became_of_the_visit(
    disk: LoopDisk, record_property: Callable[[str, object], None]
) -> None:
    folder = disk.mount / "kit"
    folder.mkdir()
    kit = Kit(folder)
    visits = [kit.visit() for _ in range(3)]
    kit.bring_bag(*visits)
    keys = []
    with (disk.mount / "agent.log").open("w") as out:
        log.configure(out)
        with Desktop(kit) as top:
            top.bench.camera.script.extend([PHOTOGRAPH] * 3)
            top.bench.fingerprint.script.extend([PRINT, OTHER] * 3)
            top.bench.card.script.append(ValueError(str(CANARIES)))  # a bug that talks
            top.begin(visits[0])
            top.fails("card")
            top.until_step(visits[0], "seal")
            keys.append(wrapped(kit, visits[0].visit_id))
            halves = slots(kit)
            assert hits(disk) == set(), "before sealing"
            top.capture("seal")
            packet_id = top.until(lambda now: now.visit and now.visit.sealed).visit.packet_id  # type: ignore[union-attr]
            assert hits(disk) == set(), "after sealing"
            bring_receipt(kit, packet_id, kit.service.answer(top.packet(packet_id)))
            top.until(lambda now: now.visit and now.visit.sealed == "accepted")
            assert hits(disk) == set(), "after the answer"
            top.until_step(visits[1], "review")
            keys.append(wrapped(kit, visits[1].visit_id))
            halves |= slots(kit)
            top.desk.wish(Abandon("unwell"))
            assert hits(disk) == set(), "after a visit was abandoned"
            assert len(halves) == 2
            image = disk.image.read_bytes()  # `hits` has written everything out
            assert not [half for half in halves if half in image], "the other half of a destroyed key"
            top.until_step(visits[2], "review")
        log.configure()
    assert hits(disk) == set(), "after the kit was switched off in the middle of a visit"
    assert "driver-bug" in (disk.mount / "agent.log").read_text()
    image = disk.image.read_bytes()
    record_property("wrapped keys in free blocks", sum(key in image for key in keys))


def slots(kit: Kit) -> set[bytes]:
    """The halves of the keys of open visits that lie in slots."""
    data = (kit.data / "vault.db-slots").read_bytes()
    return {data[at : at + SECRET] for at in range(0, len(data), SLOT) if any(data[at : at + SLOT])}


def wrapped(kit: Kit, visit_id: str) -> bytes:
    database = Database(kit.data / "vault.db")
    try:
        row = database.row("SELECT wrapped FROM visit_key WHERE visit_id = ?", (visit_id,))
        assert row is not None
        return bytes(row[0])
    finally:
        database.close()


def test_the_search_finds_what_was_written_and_removed(disk: LoopDisk) -> None:
    assert hits(disk) == set()
    for n, needle in enumerate((CANARIES[0].encode(), base64.b64encode(b"x" + PRINT.pixels), FACE[:3000])):
        path = disk.mount / str(n)
        path.write_bytes(b"some text before " + needle + b" and after")
        os.sync()
        path.unlink()
    assert hits(disk) == {CANARIES[0], "finger", "photo"}
