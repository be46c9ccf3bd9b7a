"""The spool through kills at any system call, full disks, strange leftovers, and two sides at once."""

import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from device.errors import Code, KitError
from device.spool import safefile
from device.spool.hatch import Hatch
from device.spool.lists import ListDesk, ListHatch
from device.spool.records import Mark
from device.spool.spool import Spool, room
from protocol.ids import new_ulid

# Runs one side's calls again and again, in a child each time that dies by SIGKILL at its n-th call that
# touches the disk, until a child gets through. Every child has a spool of its own.
VICTIM = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from device.spool.spool import Spool, room
    from device.spool.hatch import Hatch
    folder, side, ids = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    write = os.write
    calls = 0

    def visit(n):
        return b'{"kind":"visit","visit_id":"%s","state":"opened","reason":""}' % ids[n].encode()

    def dying(call, dies_at):
        def wrapped(*arguments, **keywords):
            global calls
            calls += 1
            if calls == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if call is write and len(arguments[1]) > 1:
                return call(arguments[0], arguments[1][: len(arguments[1]) // 2])  # short writes too
            return call(*arguments, **keywords)
        return wrapped

    def prepare(root):
        spool, hatch = Spool(root), Hatch(root)
        if side == "agent":
            spool.offer_packet(ids[3], b"old")
        else:
            spool.report("up/evt/visit", visit(1), ids[1])
            hatch.store_bag(1, b"old bag")
        spool.close()
        hatch.close()

    def work(root, dies_at):
        at = Spool(root) if side == "agent" else Hatch(root)
        for name in ("open", "write", "fsync", "fchmod", "close"):
            setattr(os, name, dying(getattr(os, name), dies_at))
        Path.rename = dying(Path.rename, dies_at)
        Path.unlink = dying(Path.unlink, dies_at)
        if side == "agent":
            at.offer_packet(ids[0], b"sealed" * 100)
            at.report("up/evt/visit", visit(1), ids[1])
            at.report("up/evt/visit", visit(2), ids[2])
            at.withdraw_packet(ids[3])
        else:
            at.store_bag(2, b"new bag")
            at.store_receipt(ids[0], "a.b.c")
            at.next_session()
            at.drop_reports((ids[1],))

    for dies_at in range(1, 300):
        root = folder / f"{dies_at:03d}"
        prepare(root)
        child = os.fork()
        if child == 0:
            work(root, dies_at)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
    """
)


def killed_everywhere(folder: Path, side: str, ids: list[str]) -> list[Path]:
    """The spools that the children left, in the order of when they died."""
    ran = subprocess.run([sys.executable, "-c", VICTIM, folder, side, *ids], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return sorted(folder.iterdir())


def visit(visit_id: str) -> bytes:
    return msgspec.json.encode({"kind": "visit", "visit_id": visit_id, "state": "opened", "reason": ""})


def test_an_agent_killed_at_any_call_leaves_whole_things_and_its_second_run_completes(tmp_path: Path):
    ids = [new_ulid() for _ in range(4)]
    spools = killed_everywhere(tmp_path, "agent", ids)
    assert 25 < len(spools) < 299
    for root in spools:
        spool, hatch = Spool(root), Hatch(root)
        for packet in hatch.packets():
            assert packet.size == (3 if packet.packet_id == ids[3] else 600)
        reports = hatch.reports(9)
        assert [report.id for report in reports] == ids[1 : 1 + len(reports)]
        assert not list(root.rglob(".writing-agent-*"))
        spool.offer_packet(ids[0], b"sealed" * 100)  # what the agent does again after its restart
        spool.report("up/evt/visit", visit(ids[1]), ids[1])
        spool.report("up/evt/visit", visit(ids[2]), ids[2])
        spool.withdraw_packet(ids[3])
        assert [packet.packet_id for packet in hatch.packets()] == [ids[0]]
        assert [(report.seq, report.id) for report in hatch.reports(9)] == [(1, ids[1]), (2, ids[2])]
        spool.close()
        hatch.close()


def test_an_uplink_killed_at_any_call_leaves_whole_things(tmp_path: Path):
    ids = [new_ulid() for _ in range(4)]
    spools = killed_everywhere(tmp_path, "uplink", ids)
    assert 15 < len(spools) < 299
    for root in spools:
        spool, hatch = Spool(root), Hatch(root)
        assert spool.bag() in ((1, b"old bag"), (2, b"new bag"))
        assert spool.receipts() in ([], [(ids[0], "a.b.c")])
        assert [report.id for report in hatch.reports(9)] in ([], [ids[1]])
        assert hatch.next_session() in (1, 2)
        assert not list(root.rglob(".writing-uplink-*"))
        spool.close()
        hatch.close()


def test_a_side_clears_away_only_its_own_leftovers(tmp_path: Path):
    spool, hatch = Spool(tmp_path), Hatch(tmp_path)
    mine = tmp_path / "packets" / ".writing-agent-x"
    theirs = tmp_path / "receipts" / ".writing-uplink-x"
    mine.write_bytes(b"half")
    theirs.write_bytes(b"half")
    spool.close()
    Spool(tmp_path).close()
    assert not mine.exists()
    assert theirs.exists()
    hatch.close()
    Hatch(tmp_path).close()
    assert not theirs.exists()


def test_a_second_look_at_the_spool_disturbs_no_agent_at_work(tmp_path: Path):
    spool = Spool(tmp_path)
    half = tmp_path / "packets" / ".writing-agent-x"
    half.write_bytes(b"being written just now")
    Spool(tmp_path).close()  # thuisloket-kit doctor beside a running agent
    assert half.exists()
    spool.close()


def test_strange_things_in_the_folders_are_left_alone(tmp_path: Path):
    spool, hatch = Spool(tmp_path), Hatch(tmp_path)
    packet_id = new_ulid()
    for folder in ("packets", "marks", "events", "receipts"):
        (tmp_path / folder / "README").write_text("x")
        (tmp_path / folder / "..sealed").write_text("x")
        (tmp_path / folder / "..json").write_text("x")
    (tmp_path / "events" / f"{7:012d}-{'I' * 26}.json").write_text("{}")
    (tmp_path / "receipts" / f"{packet_id}.jws").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "marks" / f"{packet_id}.json")
    spool.offer_packet(packet_id, b"x")
    assert spool.receipts() == []
    assert spool.marks() == {}
    assert [(packet.packet_id, packet.mark) for packet in hatch.packets()] == [(packet_id, None)]
    assert hatch.reports(9) == []
    hatch.close()
    spool.close()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"state":"sending","sent":-1,"size":1}', b"\xff", b"x" * 5000]
)
def test_a_mark_that_cannot_be_read_is_as_none(tmp_path: Path, damage: bytes):
    spool, hatch = Spool(tmp_path), Hatch(tmp_path)
    packet_id = new_ulid()
    spool.offer_packet(packet_id, b"x")
    (tmp_path / "marks" / f"{packet_id}.json").write_bytes(damage)
    assert spool.marks() == {}
    assert hatch.packets()[0].mark is None
    hatch.mark(packet_id, Mark("uploaded", 1, 1))
    assert spool.uploaded() == [packet_id]
    hatch.close()
    spool.close()


def test_a_mark_of_a_packet_that_is_gone_is_cleared_at_the_next_start(tmp_path: Path):
    spool = Spool(tmp_path)
    stray = tmp_path / "marks" / f"{new_ulid()}.json"
    stray.write_bytes(b'{"state":"uploaded","sent":1,"size":1}')
    Hatch(tmp_path).close()
    assert not stray.exists()
    spool.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_said_to_the_agent_and_leaves_nothing_half(small_disk: Path):
    spool = Spool(small_disk / "spool")
    spool.offer_packet(new_ulid(), b"x" * 100_000)
    with pytest.raises(KitError) as full:
        spool.offer_packet(new_ulid(), b"x" * 400_000)
    assert full.value.code is Code.DISK_FULL
    assert len(spool.offered()) == 1
    assert not list(small_disk.rglob(".writing-*"))
    spool.report("up/evt/visit", visit(new_ulid()))
    spool.close()


def test_whose_list_is_wanted_is_written_once_and_a_full_disk_is_said(small_disk: Path):
    spool, desk = Spool(small_disk / "spool"), ListDesk(small_disk / "spool")
    desk.want("key-1")
    with suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as rest:
        while rest.write(bytes(4096)):
            pass
    desk.want("key-1")
    with pytest.raises(KitError) as full, room():
        desk.want("key-2")
    assert full.value.code is Code.DISK_FULL
    assert ListHatch(small_disk / "spool").wanted() == "key-1"
    spool.close()


def test_another_failure_of_the_disk_is_not_hidden(tmp_path: Path):
    spool = Spool(tmp_path)
    (tmp_path / "packets").rename(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        spool.offer_packet(new_ulid(), b"x")
    spool.close()


def test_agent_and_uplink_work_side_by_side_from_many_threads(tmp_path: Path):
    spool, hatch = Spool(tmp_path), Hatch(tmp_path)
    per_thread, threads = 15, 4
    reported: list[str] = []
    offered: list[str] = []
    problems: list[BaseException] = []

    def guarded(work):
        def run():
            try:
                work()
            except Exception as problem:  # noqa: BLE001 - handed to the test's own thread
                problems.append(problem)

        return threading.Thread(target=run)

    def agent():
        for _ in range(per_thread):
            packet_id = new_ulid()
            reported.append(spool.report("up/evt/visit", visit(new_ulid())))
            spool.offer_packet(packet_id, packet_id.encode())
            offered.append(packet_id)
            spool.link()

    taken: list[int] = []

    def uplink():
        end = time.monotonic() + 60
        sent: set[str] = set()
        while len(taken) < per_thread * threads or len(sent) < per_thread * threads:
            assert time.monotonic() < end
            hatch.wait_for_uplink(0.05)
            for report in hatch.reports(8):
                taken.append(report.seq)
                hatch.drop_reports((report.id,))
            for packet in hatch.packets():
                with hatch.open_packet(packet.packet_id) as file:
                    assert file.read() == packet.packet_id.encode()
                hatch.mark(packet.packet_id, Mark("uploaded", packet.size, packet.size))
                sent.add(packet.packet_id)

    def withdraw():
        gone = 0
        end = time.monotonic() + 60
        while gone < per_thread * threads:
            assert time.monotonic() < end
            spool.wait_for_agent(0.05)
            for packet_id in spool.uploaded():
                if random.random() < 0.5:
                    gone += spool.withdraw_packet(packet_id)

    running = [guarded(agent) for _ in range(threads)] + [guarded(uplink)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    withdrawing = guarded(withdraw)
    withdrawing.start()
    withdrawing.join()
    assert not problems
    assert taken == list(range(1, per_thread * threads + 1))
    assert len(set(reported)) == per_thread * threads
    assert spool.offered() == []
    hatch.close()
    spool.close()


def test_a_file_larger_than_expected_is_not_read_into_memory(tmp_path: Path):
    path = tmp_path / "large"
    path.write_bytes(b"x" * 101)
    assert safefile.take(path, 100) is None
    assert safefile.take(path, 101) == b"x" * 101
    assert safefile.take(tmp_path, 100) is None
    assert not safefile.drop(tmp_path / "none")
