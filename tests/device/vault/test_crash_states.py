"""Thousands of disks that a power cut in real visits could leave: each opens, and nothing said is lost.

Long run: THUISLOKET_LONG=1, or the number of states in THUISLOKET_CRASH_STATES.
"""

import os
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device.agent.journal import Entry
from device.vault.keysource import FileKeySource
from tests.device.vault import verdict
from tests.device.vault.crash_states import State, states
from tests.device.vault.recorder import Op, Sync, Write, record
from tests.device.vault.verdict import Story

COUNT = int(
    os.environ.get("THUISLOKET_CRASH_STATES", "12000" if os.environ.get("THUISLOKET_LONG") else "500")
)
VISITS = 4  # one of each end

pytestmark = [
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing"),
    pytest.mark.timeout(120 + COUNT // 10),
]


class Bench:
    """One recorded run, and a place where its states are laid out and judged."""

    def __init__(self, folder: Path, synchronous: str = "") -> None:
        self.kit = folder / "kit"
        self.ops: list[Op] = record(self.kit, VISITS, synchronous)
        self.source = FileKeySource(self.kit / "device-secret")
        self.story = verdict.read_story(self.kit / "data" / "vault.db")
        self.place = folder / "state"

    def judge(self, state: State) -> list[str]:
        self.place.mkdir()
        for name, data in state.files.items():
            (self.place / name).write_bytes(data)
        (self.place / "vault.db-shm").write_bytes(secrets.token_bytes(32_768))  # anything at all
        try:
            return verdict.judge(self.place / "vault.db", self.source, self.story, state.said)
        finally:
            shutil.rmtree(self.place)


@contextmanager
def in_memory() -> Iterator[Path]:
    """What is tried is told by the record, and not by this disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with in_memory() as folder:
        yield Bench(folder)


def test_no_power_cut_loses_what_was_acknowledged_or_leaves_half_a_visit(
    bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    start = time.monotonic()
    wrong: Counter[str] = Counter()
    where, kinds = [], Counter[str]()
    for state in states(bench.ops, COUNT):
        kinds[state.how] += 1
        problems = bench.judge(state)
        wrong.update(problems)
        where += [(state.point, state.how, problems)] if problems else []
    seconds = time.monotonic() - start
    writes = sum(isinstance(op, Write) for op in bench.ops)
    syncs = sum(isinstance(op, Sync) for op in bench.ops)
    record_property(
        "states", {**kinds, "writes": writes, "flushes": syncs, "a second": kinds.total() / seconds}
    )
    assert kinds.total() == COUNT
    assert {op.name for op in bench.ops if isinstance(op, Sync) and op.name.endswith(".sealed")}
    assert not where, where[:5]
    assert len(bench.story.keys) >= VISITS - 1, "the keys of the visits were seen, to be looked for later"


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_same_search_finds_what_a_weaker_database_loses(synchronous: str) -> None:
    """The kit was founded as it should be: what is lost is what the officer saw as kept in a visit."""
    wrong: Counter[str] = Counter()
    with in_memory() as folder:
        weak = Bench(folder, synchronous)
        for state in states(weak.ops, 300):
            wrong.update(weak.judge(state))
    assert sum(count for problem, count in wrong.items() if "acknowledged" in problem) > 10, wrong


def test_the_judge_sees_a_fact_that_is_missing(bench: Bench) -> None:
    state = next(iter(states(bench.ops, 5)))
    assert bench.judge(state) == []
    more = State(state.files, {**state.said, "noted:after": state.said.get("noted:after", 0) + 2}, 0, "all")
    assert [problem for problem in bench.judge(more) if "acknowledged" in problem]
    entries = bench.story.entries
    assert entries is not None
    bench.story, told = Story([Entry("0" * 26, 1, one.at, one.event, ()) for one in entries]), bench.story
    changed = [bench.judge(each) for each in states(bench.ops, 20)]
    bench.story = told
    assert ["another story than was told"] in changed
