"""The share of the disk at which the next visit is refused, judged on the disk that this runs on."""

import shutil
from pathlib import Path

import pytest

from device.errors import Code, KitError
from device.vault.quota import FULL, check_room

MARGIN = 0.05  # others may be writing to the same disk


def test_room_is_what_is_left_for_the_agent_and_not_for_root(tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    used = 1 - usage.free / usage.total
    check_room(tmp_path, used + MARGIN)
    with pytest.raises(KitError) as full:
        check_room(tmp_path, used - MARGIN)
    assert full.value.code is Code.DISK_FULL
    assert 0 <= int(full.value.detail.removesuffix(" MB left")) <= usage.total // 2**20
    assert FULL == 0.90
