"""Plays one whole home visit by itself and checks how it ended: on the kit, at the fleet, at the service."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from provisioning.demo import troupe
from provisioning.demo.kiosk import Kiosk, State
from provisioning.demo.player import Played, Player, Role, Watcher
from provisioning.demo.progress import Progress
from provisioning.demo.running import Demo, Script, running
from provisioning.demo.town_hall import Planned

SETTLE_S = 20.0
COMMAND_S = 60.0


class NotAsItMust(Exception):
    """The visit went through, but something is not as it must be afterwards; the text says what."""


def play(folder: Path, script: Script, progress: Progress) -> None:
    """The headless demo: start, one visit, checks, stop. Raises what went wrong, named."""
    with running(folder, script, progress) as demo:
        packet_id = play_visit(demo, progress)
        with progress.step("opened by the service, receipt on the kit, nothing left: certified"):
            check(demo, packet_id)
        with progress.step("chain of custody printed and verified"):
            check_custody(demo, packet_id)


def play_visit(demo: Demo, progress: Progress, watcher: Watcher | None = None, patience: int = 1) -> str:
    """The first visit of today, from the PIN to the answer; the id of its packet."""
    state = play_one(demo, demo.visits[0], progress, watcher, patience)
    if state["sealed"] != "accepted":
        raise NotAsItMust(f"the application was {state['sealed']}: {state['answer_code']}")
    return str(state["packet_id"])


def play_one(
    demo: Demo, visit: Planned, progress: Progress, watcher: Watcher | None = None, patience: int = 1
) -> State:
    """A visit of today, from the PIN to whatever the service answers; what the kiosk shows then."""

    def tell(played: Played) -> None:
        progress.note(played.step, played.seconds)

    officer = demo.world.officers[0]
    kiosk = Kiosk(demo.world.ports["kiosk"])
    try:
        role = Role(officer.officer_id, officer.pin, visit.visit_id, visit.citizen.key)
        return Player(kiosk, demo.hands, role, watcher).play(tell, patience)
    finally:
        kiosk.close()


def check(demo: Demo, *packet_ids: str) -> None:
    """NotAsItMust unless exactly one application is accepted everywhere, in so many packets (the first and
    what supplements it), and the kit holds nothing of it."""
    count = troupe.count_at_service(demo.world)
    if (count["accepted"], count["distinct"], count["rejected"]) != (1, 1, 0):
        raise NotAsItMust(f"the service has {count}")
    settles(
        lambda: demo.town_hall.applications() == dict.fromkeys(packet_ids, "accepted"),
        lambda: f"the fleet says {demo.town_hall.applications()}",
    )
    kit = demo.world.layout.kit
    settles(
        lambda: not _on_shelf(kit) and not _in_spool(kit, packet_ids),
        lambda: f"still on the kit: {_on_shelf(kit)} on the shelf, {_in_spool(kit, packet_ids)}",
    )
    settles(
        lambda: _left(demo) == (None, 0),
        lambda: f"the fleet counts days of the oldest biometric, and incidents: {_left(demo)}",
    )


def check_custody(demo: Demo, packet_id: str, supplements: str = "") -> None:
    """NotAsItMust unless the fleet's own command finds every step from the seal to the last deletion, of a
    packet that supplements this one (or none)."""
    wanted = {"sealed", "committed", "erased", "forwarded", "answered", "deleted", "purged"}
    whole = (True, wanted, supplements)
    settles(lambda: _judged(demo, packet_id) == whole, lambda: str(custody(demo, packet_id)))


def _judged(demo: Demo, packet_id: str) -> tuple[bool, set[str], str]:
    chain = custody(demo, packet_id)
    steps = {step["step"] for step in chain.get("steps", ())}
    return bool(chain.get("sound")), steps, str(chain.get("supplements", ""))


def custody(demo: Demo, packet_id: str) -> dict[str, Any]:
    """What the fleet's command prints of the chain; what it complained of when it printed none."""
    fleet = ["-m", "server", "custody", packet_id, "--config", str(demo.world.layout.fleet_toml), "--json"]
    told = subprocess.run(
        [sys.executable, *fleet], capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    try:
        chain: dict[str, Any] = json.loads(told.stdout)
    except json.JSONDecodeError:
        return {"failed": told.stderr.strip()}
    return chain


def _left(demo: Demo) -> tuple[int | None, int]:
    """Days of the oldest biometric anywhere, None when there is none; and incidents."""
    told = demo.town_hall.custody()
    return told["oldest_days"], told["incidents"]


def _on_shelf(kit: Path) -> int:
    """How many sealed packets the vault still holds."""
    with closing(sqlite3.connect(f"file:{kit / 'data' / 'vault.db'}?mode=ro", uri=True)) as vault:
        return int(vault.execute("SELECT count(*) FROM packet").fetchone()[0])


def _in_spool(kit: Path, packet_ids: Sequence[str]) -> list[str]:
    """Files of the spool that are named after one of these packets."""
    found = [path for each in packet_ids for path in (kit / "data" / "spool").rglob(f"*{each}*")]
    return [str(path.relative_to(kit)) for path in found]


def settles(so: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + SETTLE_S
    while not so():
        if time.monotonic() > deadline:
            raise NotAsItMust(otherwise())
        time.sleep(0.1)
