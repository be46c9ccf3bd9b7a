"""A small ext4 on a file, mounted through a loop device, and what a power cut at any moment leaves of it.

A copy of the file counts as such only when the device wrote nothing while it was made: the write counter
of the block layer tells. What the file system still held in memory is then lost, as with real power.
Needs root.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def run(*command: str | Path) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


class LoopDisk:
    def __init__(self, image: Path, mount: Path, device: str) -> None:
        self.image = image
        self.mount = mount
        self._stat = Path("/sys/block") / Path(device).name / "stat"

    def snapshot(self, to: Path) -> bool:
        """Copy the disk as it is at this moment; False when it was written to meanwhile."""
        before = self._written()
        run("cp", "--sparse=always", self.image, to)
        return self._written() == before

    def _written(self) -> tuple[str, ...]:
        """Requests and sectors written so far."""
        fields = self._stat.read_text().split()
        return fields[4], fields[6]


@contextmanager
def loop_disk(folder: Path, megabytes: int) -> Iterator[LoopDisk]:
    """A fresh ext4 of this size."""
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(megabytes * 2**20)
    run("mkfs.ext4", "-q", "-F", image)
    with mounted(image, folder / "disk") as disk:
        yield disk


@contextmanager
def mounted(image: Path, mount: Path) -> Iterator[LoopDisk]:
    mount.mkdir()
    try:
        device = run("losetup", "--find", "--show", image).strip()
    except subprocess.CalledProcessError as problem:
        pytest.skip(f"no loop devices here: {problem.stderr}")
    try:
        try:
            run("mount", "-t", "ext4", device, mount)
        except subprocess.CalledProcessError as problem:
            pytest.skip(f"no mounting here: {problem.stderr}")
        try:
            yield LoopDisk(image, mount, device)
        finally:
            _unmount(mount)
    finally:
        run("losetup", "--detach", device)
        mount.rmdir()


def _unmount(mount: Path) -> None:
    for _ in range(50):
        if subprocess.run(["umount", mount], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError("still in use")


@contextmanager
def after_cut(snapshot: Path, mount: Path) -> Iterator[Path]:
    """The disk after power has come back: its journal replayed, found clean by e2fsck, mounted; `snapshot`
    is used up."""
    subprocess.run(["e2fsck", "-p", snapshot], check=False, capture_output=True)  # replays the journal
    checked = subprocess.run(["e2fsck", "-f", "-n", snapshot], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    with mounted(snapshot, mount) as disk:
        yield disk.mount
    snapshot.unlink()


def can_mount() -> bool:
    programs = ("mkfs.ext4", "losetup", "mount", "e2fsck")
    return Path("/dev/loop-control").exists() and all(map(shutil.which, programs))
