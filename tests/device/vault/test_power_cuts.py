"""Power cuts under a kit at work on a real ext4: the disk of that moment is mounted, judged and worked on.

THUISLOKET_LONG=1: 200 cuts instead of 5.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device.agent.journal import Journal
from device.vault.database import Database
from device.vault.keysource import FileKeySource
from tests.device.vault import verdict
from tests.device.vault.loopdisk import LoopDisk, after_cut, can_mount, loop_disk
from tests.device.vault.play import DONE
from tests.device.vault.recorder import ROOT
from tests.device.vault.verdict import Story

CUTS = 200 if os.environ.get("THUISLOKET_LONG") else 5
CUTS_A_RUN = 10
VISITS = 40
DISK_MB = 32

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 or not can_mount(), reason="needs root and loop devices"),
    pytest.mark.timeout(120 + CUTS * 15),
]


class Worker:
    """A kit that does visits on the disk, in a process of its own."""

    def __init__(self, disk: LoopDisk, words: Path) -> None:
        self._words = words
        self.kit = disk.mount / "kit"
        self.kit.mkdir()
        program = [sys.executable, "-m", "tests.device.vault.play", "do", self.kit, words, str(VISITS)]
        self._process = subprocess.Popen(list(map(str, program)), cwd=ROOT, stdout=subprocess.DEVNULL)

    def said(self) -> Counter[str]:
        """Every word said so far; what is said after this may be on the disk too."""
        try:
            data = self._words.read_bytes()
        except FileNotFoundError:
            data = b""
        assert self._process.poll() in (None, 0)
        return Counter(data[: data.rfind(b"\n") + 1].decode().split())

    @property
    def at_work(self) -> bool:
        said = self.said()
        return said["noted:after"] > 0 and said[DONE.decode().strip()] == 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stopped where it is, between two calls to the system."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def working(folder: Path) -> Iterator[tuple[LoopDisk, Worker]]:
    folder.mkdir()
    with loop_disk(folder, DISK_MB) as disk:
        worker = Worker(disk, folder / "words")
        try:
            while not worker.at_work:
                time.sleep(0.01)
            yield disk, worker
        finally:
            worker.kill()


def cut(disk: LoopDisk, worker: Worker, to: Path) -> bool:
    """In the middle of whatever is being written if that can be copied, else between two calls."""
    if disk.snapshot(to):
        return True
    with worker.held():
        return disk.snapshot(to)


def resume(kit: Path) -> int:
    """Another agent goes on with what is open there, and seals it; how many visits there were to end."""
    database = Database(kit / "data" / "vault.db")
    visits = [
        visit_id
        for visit_id, entries in Journal(database).read().items()
        if verdict.is_open(verdict.fold(entry.event for entry in entries))
    ]
    database.close()
    going_on = visits[-1:]
    program = [sys.executable, "-m", "tests.device.vault.play", "resume", str(kit / "kit.toml"), *going_on]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return len(going_on)


def judge(kit: Path, said: Counter[str]) -> list[str]:
    """The worker went on while the disk was copied: of what it did then, anything may be there."""
    may_be = Counter({**said, "noted:before": 10**6})
    source = FileKeySource(kit / "device-secret")
    return verdict.judge(kit / "data" / "vault.db", source, Story(), may_be, kit / "data" / "spool")


def test_after_a_power_cut_everything_acknowledged_is_there_and_work_goes_on(
    tmp_path: Path, record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.vault.keys.MEMORY_KIB", 64)
    monkeypatch.setattr("device.vault.keys.ITERATIONS", 1)
    chance = random.Random()
    cuts, torn, resumed, journals, acknowledged, run = 0, 0, 0, 0, 0, 0
    while cuts < CUTS:
        run += 1
        folder = tmp_path / str(run)
        with working(folder) as (disk, worker):
            snapshots: list[tuple[Path, Counter[str]]] = []
            while len(snapshots) < min(CUTS_A_RUN, CUTS - cuts) and worker.at_work:
                time.sleep(chance.uniform(0, 0.4))
                said = worker.said()
                to = folder / f"cut-{len(snapshots)}.img"
                if cut(disk, worker, to):
                    snapshots.append((to, said))
                else:
                    torn += 1
        for snapshot, said in snapshots:
            journals += b"needs_recovery" in subprocess.check_output(["dumpe2fs", "-h", snapshot], stderr=-3)
            acknowledged += said["noted:after"]
            with after_cut(snapshot, folder / "again") as mount:
                assert judge(mount / "kit", said) == [], said
                if cuts % 4 == 0:
                    resumed += resume(mount / "kit")
                    assert judge(mount / "kit", said) == [], said
            cuts += 1
        shutil.rmtree(folder)
    record_property(
        "cuts",
        {"cuts": cuts, "runs": run, "copies that were written to": torn, "visits resumed": resumed,
         "journals replayed": journals, "facts acknowledged": acknowledged},
    )  # fmt: skip
    assert cuts == CUTS
    assert journals > 0
