"""The demo's programs come up in order, are named when they fail, and never outlive who started them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.demo.ports import choose, is_free
from provisioning.demo.processes import Program, ProgramFailed, Programs, exists, listens, says


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    running = Programs(tmp_path / "logs")
    yield running
    running.close()


def sleeper(name: str, mark: Path, *after: str, first: str = "") -> Program:
    script = f"{first}\nimport pathlib,time; pathlib.Path({str(mark)!r}).touch(); time.sleep(60)"
    return Program(name, [sys.executable, "-c", script], exists(mark), after)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def gone_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def test_a_program_waits_for_those_it_needs(programs: Programs, tmp_path: Path) -> None:
    order: list[str] = []
    needs = f"import pathlib; assert pathlib.Path({str(tmp_path / 'a')!r}).exists()"
    programs.start(
        [sleeper("second", tmp_path / "b", "first", first=needs), sleeper("first", tmp_path / "a")],
        lambda name, seconds: order.append(name),
    )
    assert order == ["first", "second"]


def test_a_program_that_falls_over_is_named_with_the_end_of_its_log(
    programs: Programs, tmp_path: Path
) -> None:
    broken = Program("broken", [sys.executable, "-c", "raise SystemExit('no such reader')"], lambda: False)
    with pytest.raises(ProgramFailed, match=r"(?s)broken ended with 1.*no such reader"):
        programs.start([broken])


def test_a_program_that_does_not_come_up_in_time_is_named(programs: Programs) -> None:
    late = Program("late", ["sleep", "60"], lambda: False, patience_s=0.1)
    with pytest.raises(ProgramFailed, match="late was not ready"):
        programs.start([late])


def test_a_need_that_nobody_starts_is_said(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="nobody starts what second waits for"):
        programs.start([sleeper("second", tmp_path / "b", "first")])


def test_a_killed_program_can_be_started_again(programs: Programs, tmp_path: Path) -> None:
    programs.start([sleeper("one", tmp_path / "a")])
    before = programs.pid("one")
    programs.kill("one")
    assert not alive(before)
    assert not programs.running("one")
    programs.again("one")
    assert programs.running("one")
    assert programs.pid("one") != before


def test_a_program_that_ends_by_itself_is_noticed(programs: Programs, tmp_path: Path) -> None:
    programs.start([sleeper("one", tmp_path / "a")])
    assert programs.ended() is None
    os.kill(programs.pid("one"), signal.SIGKILL)
    assert gone_within(programs.pid("one"), 5)
    assert programs.ended() == "one"


def test_programs_die_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from provisioning.demo.processes import Program, Programs, exists
programs = Programs(Path({str(tmp_path)!r}))
programs.start([Program("child", ["sleep", "60"], lambda: True)])
print(programs.pid("child"), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    assert gone_within(child, 5)


def test_readiness_by_log_ignores_what_an_earlier_run_wrote(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("ready\n")
    ready = says(log, "ready")
    assert not ready()
    with log.open("a") as more:
        more.write("ready\n")
    assert ready()


def test_a_taken_port_makes_way_for_the_next(tmp_path: Path) -> None:
    first = choose()["kiosk"]
    with socket.create_server(("127.0.0.1", first)):
        assert not is_free(first)
        assert listens(first)()
        assert choose()["kiosk"] > first
    for chosen in (choose(), choose(spare=True)):
        assert len(set(chosen.values())) == len(chosen)
