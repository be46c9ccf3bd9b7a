"""Carrying by hand through the desk: to a stick, from one, and a stick that is full, broken or pulled out."""

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from device.agent.snapshot import Courier, Errand, ErrandKind
from device.errors import Code, Refused
from device.spool.stick import Stick
from device.spool.sticks import Sticks
from protocol import courier
from protocol.ids import new_ulid
from tests.device.agent.kit import OFFICER, PIN, Desktop, Kit
from tests.device.vault.loopdisk import can_mount, run

SYSTEM = "vfat" if "\tvfat\n" in Path("/proc/filesystems").read_text() else "ext2"
needs_mounting = pytest.mark.skipif(
    not can_mount() or os.geteuid() != 0, reason="needs root and loop devices"
)


@pytest.fixture
def media(kit: Kit) -> Path:
    folder = kit.folder / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def at(kit: Kit, media: Path) -> Iterator[Desktop]:
    with Desktop(kit) as desktop:
        kit.hatch().close()
        desktop.desk.unlock(OFFICER, PIN)
        yield desktop


def carried(desktop: Desktop, what: ErrandKind, name: str) -> Errand:
    """The errand, when it has ended."""
    desktop.desk.carry()
    desktop.until(lambda told: told.courier and name in {each.name for each in told.courier.sticks or ()})
    desktop.desk.run_errand(what, name)
    told = desktop.until(lambda told: errand(told.courier).state != "running")
    return errand(told.courier)


def errand(told: Courier | None) -> Errand:
    assert told is not None
    assert told.errand is not None
    return told.errand


def offer(desktop: Desktop, count: int, size: int = 200_000) -> dict[str, bytes]:
    packets = {new_ulid(): os.urandom(size) for _ in range(count)}
    for packet_id, data in packets.items():
        desktop.spool.offer_packet(packet_id, data)
    return packets


def test_an_officer_takes_everything_along_and_sees_what_is_on_the_stick(at: Desktop, media: Path) -> None:
    (media / "USB").mkdir()
    packets = offer(at, 3)
    assert carried(at, "export", "USB") == Errand("export", "USB", "done", 3, 3, packets=3)
    told = at.until(lambda told: told.courier and told.courier.sticks and told.courier.sticks[0].packets)
    assert told.courier
    assert told.courier.sticks
    assert (told.courier.sticks[0].packets, told.courier.waiting) == (3, 3)
    on_it = {path.name: path.read_bytes() for path in (media / "USB" / courier.FOLDER).iterdir()}
    assert on_it == {courier.packet_name(packet_id): data for packet_id, data in packets.items()}
    assert carried(at, "export", "USB") == Errand("export", "USB", "done", 3, 3, there=3)


def test_what_is_taken_in_is_judged_and_counted_by_its_reason(at: Desktop, media: Path) -> None:
    folder = media / "USB" / courier.FOLDER
    folder.mkdir(parents=True)
    (folder / courier.packet_name(new_ulid())).write_bytes(b"holiday pictures")
    (folder / courier.receipt_name(new_ulid())).write_text("eyJhIjoxfQ.e30.AAAA")
    ended = carried(at, "import", "USB")
    assert (ended.state, ended.done, ended.of) == ("done", 2, 2)
    assert sorted(ended.refused) == ["damaged", "suspect"]
    assert at.spool.offered() == []


def test_a_stick_without_our_folder_is_said_to_be_so(at: Desktop, media: Path) -> None:
    (media / "USB").mkdir()
    assert carried(at, "import", "USB").problem == "nothing"


def test_it_is_for_an_officer_between_visits_and_for_sticks_that_are_in(
    at: Desktop, kit: Kit, media: Path
) -> None:
    with pytest.raises(Refused) as no:
        at.desk.run_errand("export", "USB")
    assert no.value.code == Code.NOT_NOW
    at.desk.carry()
    with pytest.raises(Refused):
        at.desk.run_errand("export", "../../data")
    at.desk.lock()
    assert at.desk.now().courier is None
    with pytest.raises(Refused):
        at.desk.carry()


def test_an_errand_that_is_stopped_or_locked_away_ends_after_the_file_at_hand(
    at: Desktop, media: Path
) -> None:
    (media / "USB").mkdir()
    packets = offer(at, 40, 400_000)
    at.desk.carry()
    at.until(lambda told: told.courier and told.courier.sticks)
    at.desk.run_errand("export", "USB")
    at.until(lambda told: errand(told.courier).done)
    at.desk.lock()
    folder = media / "USB" / courier.FOLDER
    until_quiet(folder)
    for path in folder.iterdir():
        assert path.read_bytes() == packets[courier.id_of(path.name, courier.PACKET)]


def until_quiet(folder: Path) -> None:
    """Until the thread that writes there has nothing more to do."""
    seen = -1
    while seen != (now := len(list(folder.iterdir())) if folder.exists() else 0) or not now:
        seen = now
        threading.Event().wait(0.7)


@contextmanager
def stick(image: Path, mount: Path, megabytes: int) -> Iterator[str]:
    """A stick of this size; its loop device. Comes out by `umount --lazy` at the latest at the end."""
    image.write_bytes(b"")
    os.truncate(image, megabytes * 2**20)
    run(f"mkfs.{SYSTEM}", *(["-q", "-F", "-m", "0"] if SYSTEM == "ext2" else []), image)
    mount.mkdir(exist_ok=True)
    device = run("losetup", "--find", "--show", image).strip()
    try:
        run("mount", "-t", SYSTEM, device, mount)
        yield device
    finally:
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        run("losetup", "--detach", device)


@needs_mounting
def test_a_full_stick_keeps_what_fits_whole_and_another_takes_the_rest(kit: Kit, tmp_path: Path) -> None:
    media = kit.folder / "media"
    media.mkdir()
    real = Sticks(media, folders=False)
    with Desktop(kit, sticks=real) as at, stick(tmp_path / "image", media / "SMALL", 2):
        at.desk.unlock(OFFICER, PIN)
        packets = offer(at, 4, 700_000)
        ended = carried(at, "export", "SMALL")
        assert (ended.state, ended.problem, ended.packets) == ("failed", "full", 2)
        on_it = {path.name: path.read_bytes() for path in (media / "SMALL" / courier.FOLDER).iterdir()}
        assert len(on_it) == 2
        for name, data in on_it.items():
            assert data == packets[courier.id_of(name, courier.PACKET)]
        with stick(tmp_path / "other", media / "BIG", 8):
            assert carried(at, "export", "BIG").packets == 4
        assert set(at.spool.offered()) == set(packets)


@needs_mounting
def test_a_stick_that_dies_in_the_middle_leaves_nothing_half_done(kit: Kit, tmp_path: Path) -> None:
    """The device under the file system shrinks to nothing, as a stick that is pulled out does: every later
    read and write is EIO. Put in again, the errand is done as if nothing had been."""
    media, image = kit.folder / "media", tmp_path / "image"
    media.mkdir()
    with Desktop(kit, sticks=Sticks(media, folders=False)) as at:
        at.desk.unlock(OFFICER, PIN)
        packets = offer(at, 30, 500_000)
        with stick(image, media / "USB", 32) as device:
            at.desk.carry()
            at.until(lambda told: told.courier and told.courier.sticks)
            at.desk.run_errand("export", "USB")
            at.until(lambda told: errand(told.courier).packets >= 3)
            whole = image.stat().st_size
            os.truncate(image, 4096)
            run("losetup", "--set-capacity", device)
            ended = errand(at.until(lambda told: errand(told.courier).state != "running").courier)
        assert (ended.state, ended.problem) == ("failed", "gone")
        assert 3 <= ended.packets < 30
        assert set(at.spool.offered()) == set(packets)
        assert whole == 32 * 2**20
        with stick(image, media / "USB", 32):
            assert carried(at, "export", "USB").packets == 30


@needs_mounting
def test_nothing_is_written_into_the_empty_folder_of_a_stick_that_came_out(kit: Kit, tmp_path: Path) -> None:
    media = kit.folder / "media"
    media.mkdir()
    real = Sticks(media, folders=False)
    with stick(tmp_path / "image", media / "USB", 8):
        assert [each.name for each in real.found()] == ["USB"]
        with Stick(media / "USB", make=True) as held:
            subprocess.run(["umount", "--lazy", media / "USB"], check=True)
            assert held.put(courier.packet_name(new_ulid()), b"data")  # onto the stick, which is still there
        assert real.found() == []
    assert list((media / "USB").iterdir()) == []
    with Desktop(kit, sticks=real) as at:
        at.desk.unlock(OFFICER, PIN)
        at.desk.carry()
        told = at.until(lambda told: told.courier and told.courier.sticks is not None)
        assert told.courier == replace(told.courier, sticks=())  # type: ignore[type-var]


@needs_mounting
def test_a_stick_that_cannot_be_written_is_said_to_be_so(kit: Kit, tmp_path: Path) -> None:
    media = kit.folder / "media"
    media.mkdir()
    with stick(tmp_path / "image", media / "USB", 8):
        run("mount", "-o", "remount,ro", media / "USB")
        assert [each.state for each in Sticks(media, folders=False).found()] == ["read-only"]
        with pytest.raises(OSError, match="Read-only") as no:
            Stick(media / "USB", make=True)
        assert no.value.errno == errno.EROFS
