"""Whether there is room for one more visit; asked before it starts, not when the packet has to be written."""

import shutil
from pathlib import Path

from device.errors import Code, KitError, Remedy

FULL = 0.90  # share of the data partition


def check_room(folder: Path, full: float = FULL) -> None:
    """KitError disk-full when the file system of `folder` is used for `full` or more."""
    usage = shutil.disk_usage(folder)
    # what root keeps back counts as used: the agent cannot write there
    if usage.free <= (1 - full) * usage.total:
        raise KitError(Code.DISK_FULL, Remedy.WORKSHOP, f"{usage.free // 2**20} MB left")
