"""A disk that is nearly full refuses the next visit before anyone is bothered; what has begun can end."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.errors import Code, KitError
from device.vault.quota import FULL, check_room
from tests.device.agent.kit import Desktop, Kit
from tests.device.vault.loopdisk import LoopDisk, can_mount, loop_disk

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 or not can_mount(), reason="needs root and loop devices"),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path, 24) as made:
        yield made


def fill(folder: Path, share: float) -> None:
    """Use the disk up to this share of it."""
    usage = shutil.disk_usage(folder)
    wanted = int(usage.total * share) - (usage.total - usage.free)
    with (folder / "ballast").open("ab") as ballast:
        ballast.write(bytes(max(wanted, 0)))
        ballast.flush()
        os.fsync(ballast.fileno())


def test_at_ninety_percent_and_not_before(disk: LoopDisk) -> None:
    fill(disk.mount, FULL - 0.02)
    check_room(disk.mount)
    fill(disk.mount, FULL + 0.01)
    with pytest.raises(KitError) as full:
        check_room(disk.mount)
    assert full.value.code is Code.DISK_FULL


def test_a_full_disk_refuses_the_next_visit_and_lets_the_one_that_has_begun_end(disk: LoopDisk) -> None:
    folder = disk.mount / "kit"
    folder.mkdir()
    kit = Kit(folder)
    begun, refused = kit.visit(), kit.visit()
    kit.bring_bag(begun, refused)
    with Desktop(kit) as top:
        top.until_step(begun, "photo")
        top.desk.leave()
        fill(disk.mount, FULL + 0.01)
        with pytest.raises(KitError) as full:
            top.desk.choose(refused.visit_id)
        assert full.value.code is Code.DISK_FULL
        assert {line.state for line in top.desk.now().visits} == {"open", "planned"}
        top.desk.choose(begun.visit_id)
        for step in top.steps()[3:]:
            step()
            assert top.desk.now().failure is None
        assert top.until(lambda now: now.visit and now.visit.sealed)
