"""A kit that is missing closes by itself, and goes on when it is found: real fleet, broker, uplink and agent.

The fleet's lease is an hour in this test's settings; the kit lies in the dark for five, by its own clock.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.demo import troupe
from provisioning.demo.cast import CITIZENS, TOWNS
from provisioning.demo.kiosk import Kiosk, KioskRefused
from provisioning.demo.layout import KIT
from provisioning.demo.player import Played, Player, Role
from provisioning.demo.running import Demo
from provisioning.demo.town_hall import Planned
from tests.clocks import fake
from tests.mosquitto import until
from tests.system.conftest import Staged

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]
PATIENCE_S = 120.0
DARK_HOURS = 5
"""Longer than a begun visit may be finished without a lease."""


class Stopped(Exception):
    """The officer is called away."""


def lease(demo: Demo) -> tuple[int, bool]:
    """The kit's epoch, and whether the fleet's share for it is on the disk."""
    vault = demo.world.layout.kit / "data" / "vault.db"
    with closing(sqlite3.connect(f"file:{vault}?mode=ro", uri=True)) as held:
        epoch, share = held.execute("SELECT epoch, share FROM lease").fetchone()
    return int(epoch), share is not None


def heard(demo: Demo) -> list[str]:
    """What the fleet was told of the ways into the kit's store."""
    (database,) = demo.world.layout.fleet.rglob("fleet.db")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as held:
        rows = held.execute("SELECT outcome FROM message WHERE outcome LIKE 'access-%'").fetchall()
    return [outcome.removeprefix("access-").partition(".")[0] for (outcome,) in rows]


def fleet_says(demo: Demo, *arguments: str) -> None:
    noun, verb, *rest = arguments
    command = [sys.executable, "-m", "server", noun, verb, "--config", str(demo.world.layout.fleet_toml)]
    subprocess.run([*command, *rest], check=True, capture_output=True)


def hours_later(demo: Demo) -> None:
    """The agent again, after so many hours in the dark; its monotonic clock stays what it is."""
    (agent,) = [program for program in troupe.kit(demo.world) if program.name == "agent"]
    demo.programs.start([replace(agent, env={**agent.env, **fake(f"+{DARK_HOURS}h")})])


@contextmanager
def kiosk_of(demo: Demo) -> Iterator[Kiosk]:
    kiosk = Kiosk(demo.world.ports["kiosk"])
    try:
        kiosk.state()
        yield kiosk
    finally:
        kiosk.close()


def refused(demo: Demo, officer_id: str, pin: str) -> str:
    with kiosk_of(demo) as kiosk, pytest.raises(KioskRefused) as no:
        kiosk.post("/unlock", officer=officer_id, pin=pin)
    return no.value.code


def play(demo: Demo, visit: Planned, until_step: str = "") -> str:
    """A visit by the first officer, to its answer or until it comes to a step; what became of it."""

    def watch(step: str) -> None:
        if step == until_step:
            raise Stopped

    officer = demo.world.officers[0]
    role = Role(officer.officer_id, officer.pin, visit.visit_id, visit.citizen.key)
    with kiosk_of(demo) as kiosk:
        try:
            state = Player(kiosk, demo.hands, role, watch).play(nobody)
        except Stopped:
            state = kiosk.state()
        if state["place"] != "unlock":
            kiosk.post("/leave")
            kiosk.post("/lock")
    return str(state["sealed"])


def nobody(played: Played) -> None:
    """Who played which step for how long is told to nobody."""


def test_a_missing_kit_closes_by_itself_and_finishes_what_waited_when_it_is_found(staged: Staged) -> None:
    with staged(CITIZENS[:2]) as demo:
        first, second = demo.visits
        officer = demo.world.officers[0]
        a_lease_of_one_hour(demo)
        until(lambda: works_with_a_share(demo), PATIENCE_S, "a share of the fleet")

        demo.programs.kill("uplink")  # no network where it is now
        assert play(demo, first, "upload, forward, receipt") == "queued"
        assert play(demo, second, "review by the citizen") == ""
        fleet_says(demo, "kit", "missing", KIT)
        demo.programs.kill("agent")
        hours_later(demo)
        until(lambda: not lease(demo)[1], PATIENCE_S, "the share destroyed")
        assert refused(demo, officer.officer_id, officer.pin) == "lease-ended"

        demo.programs.again("uplink")
        until(lambda: "accepted" in demo.town_hall.applications().values(), PATIENCE_S, "what was sealed")
        until(lambda: "lease-ended" in heard(demo), PATIENCE_S, "the kit's word that it closed")
        assert refused(demo, officer.officer_id, officer.pin) == "lease-ended", "reached, and still missing"

        fleet_says(demo, "kit", "found", KIT)
        until(lambda: lease(demo)[1], PATIENCE_S, "a new lease")
        assert play(demo, second) == "accepted"
        until(
            lambda: sorted(demo.town_hall.applications().values()) == ["accepted", "accepted"],
            PATIENCE_S,
            "both applications",
        )
        assert troupe.count_at_service(demo.world)["distinct"] == 2
        officers_come_and_go(demo)


def a_lease_of_one_hour(demo: Demo) -> None:
    toml = demo.world.layout.fleet_toml
    toml.write_text(f"{toml.read_text()}\n[lease]\nhours = 1\n")
    demo.programs.kill("fleet")
    demo.programs.again("fleet")


def works_with_a_share(demo: Demo) -> bool:
    """An officer signs in, so that the kit goes on to its first epoch."""
    officer = demo.world.officers[0]
    with kiosk_of(demo) as kiosk:
        if kiosk.state()["place"] == "unlock":
            kiosk.post("/unlock", officer=officer.officer_id, pin=officer.pin)
        try:
            return lease(demo) == (1, True)
        finally:
            kiosk.state()
            kiosk.post("/lock")


def officers_come_and_go(demo: Demo) -> None:
    """On the same kit, from afar: one with a code beside a colleague, one off the list."""
    here, gone = demo.world.officers[0], demo.world.officers[1]
    layout = demo.world.layout
    tenant = TOWNS[0].tenant
    fleet_says(demo, "officer", "add", "--id", "els.claes", "--name", "Els Claes", "--tenant", tenant)
    fleet_says(demo, "officer", "assign", "els.claes", "--kit", KIT)
    enrol = [sys.executable, "-m", "provisioning", "officer", "enrol", "els.claes", KIT]
    made = subprocess.run(
        [*enrol, "--ca", str(layout.ca), "--fleet", str(layout.fleet_toml)],
        check=True,
        capture_output=True,
        text=True,
    )
    code = made.stdout.splitlines()[0]
    with kiosk_of(demo) as kiosk:
        kiosk.post("/unlock", officer=here.officer_id, pin=here.pin)
        until(lambda: takes_in(kiosk, code), PATIENCE_S, "the list with the newcomer")
        kiosk.post("/lock")
        kiosk.state()
        kiosk.post("/unlock", officer="els.claes", pin="730418")
        fleet_says(demo, "officer", "withdraw", gone.officer_id, "--kit", KIT)
        until(lambda: "officer-removed" in heard(demo), PATIENCE_S, "the kit's word that one is gone")
        kiosk.state()
        kiosk.post("/lock")
    assert refused(demo, gone.officer_id, gone.pin) == "unknown-officer"
    with closing(sqlite3.connect(f"file:{layout.kit / 'data' / 'vault.db'}?mode=ro", uri=True)) as held:
        ids = {row[0] for row in held.execute("SELECT officer_id FROM officer")}
    assert "els.claes" in ids
    assert gone.officer_id not in ids
    assert heard(demo).count("officer-removed") == heard(demo).count("officer-added") == 1
    nothing_of_it_is_told(layout.logs, code)


def takes_in(kiosk: Kiosk, code: str) -> bool:
    kiosk.state()
    try:
        kiosk.post("/newcomers", officer="els.claes", code=code, pin="730418", again="730418")
    except KioskRefused as no:
        if no.code != "no-enrolment":
            raise
        return False
    return True


def nothing_of_it_is_told(logs: Path, code: str) -> None:
    secrets = [code.encode(), code.replace(" ", "").encode(), b"Els Claes", b"730418"]
    for path in logs.iterdir():
        told = path.read_bytes() if path.is_file() else b""
        assert not any(secret in told for secret in secrets), path
