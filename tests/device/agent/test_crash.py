"""`kill -9` at every landmark: what was acknowledged is there, and the visit ends as if nothing had been."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.device.agent.crashing import DIED, go_on
from tests.device.agent.kit import Desktop, Kit
from tests.device.agent.test_outgoing import bring_receipt, shelf, told

LONG = bool(os.environ.get("THUISLOKET_LONG"))  # before and after each fact, and each tidying up
FACTS = 10  # of a whole visit: opened, eight steps with two hands, sealed


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Crasher:
    """Runs the kit in a process of its own until it dies."""

    def __init__(self) -> None:
        program = [sys.executable, "-m", "tests.device.agent.crashing"]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def dies(self, kit: Kit, visit_id: str, landmark: str, nth: int) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = (str(kit.write_config(free_port())), visit_id, landmark, str(nth))
        self._process.stdin.write("\t".join(job) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline()) == DIED

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    made = Crasher()
    yield made
    made.close()


def ends_well(kit: Kit, visit_id: str) -> None:
    """Go on after the cut: the visit is sealed once, offered once, told once, answered and let go."""
    with Desktop(kit) as top:
        go_on(top.desk, visit_id)
        seen = top.desk.now().visit
        assert seen is not None
        top.tidied()
        assert shelf(kit) == top.spool.offered() == [seen.packet_id]
        data = top.packet(seen.packet_id)
        opened = kit.service.open(data)
        assert (opened.outer.manifest.seq, opened.outer.manifest.visit_id) == (1, visit_id)
        assert len(opened.parts) == 8
        bring_receipt(kit, seen.packet_id, kit.service.answer(data))
        top.until(lambda now: now.visit and now.visit.sealed == "accepted" and not top.spool.receipts())
        top.tidied()
        assert shelf(kit) == top.spool.offered() == []
    heard = [getattr(body, "state", "") for body in told(kit)]
    assert heard == ["opened", "sealed", "sealed", "deleted"]


@pytest.mark.system
@pytest.mark.parametrize(
    ("landmark", "nth"),
    [
        *(("noted:after", nth) for nth in range(1, FACTS + 1)),
        *(("noted:before", nth) for nth in (range(1, FACTS + 1) if LONG else (1, 5, FACTS))),
        *(("tidied:before", nth) for nth in (range(1, FACTS + 1) if LONG else (FACTS - 1,))),
        *(("tidied:after", nth) for nth in (range(1, FACTS + 1) if LONG else (FACTS - 1,))),
        ("sealed:before", 1),
        ("offered:before", 1),
        ("offered:after", 1),
        ("reported:before", 1),
        ("reported:before", 2),
        ("reported:after", 1),
        ("reported:after", 2),
    ],
)
def test_a_visit_survives_a_power_cut_at(kit: Kit, crasher: Crasher, landmark: str, nth: int) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    assert crasher.dies(kit, visit.visit_id, landmark, nth)
    ends_well(kit, visit.visit_id)


@pytest.mark.system
@pytest.mark.parametrize(
    ("landmark", "nth"),
    [
        ("answered:before", 1),
        ("noted:after", 1),
        ("answered:after", 1),
        ("withdrawn:after", 1),
        ("reported:after", 1),
    ],
)
def test_an_answer_survives_a_power_cut_at(kit: Kit, crasher: Crasher, landmark: str, nth: int) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    with Desktop(kit) as top:
        seen = top.whole_visit(visit).visit
        assert seen is not None
        token = kit.service.answer(top.packet(seen.packet_id))
    bring_receipt(kit, seen.packet_id, token)
    assert crasher.dies(kit, "", landmark, nth)
    with Desktop(kit) as top:
        top.tidied()
        assert shelf(kit) == top.spool.offered() == top.spool.receipts() == []
    assert [getattr(body, "state", "") for body in told(kit)] == ["opened", "sealed", "sealed", "deleted"]
