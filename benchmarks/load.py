"""Many light kits with health every 30 seconds, and a burst of sealed applications, on one small fleet.

`python -m benchmarks.load [--kits N] [--applications N] [--bytes N] [--seconds N]`; the whole size is 1000,
2000 and 150000. The real programs: mosquitto, listener, ingest and job worker on SQLite, the reference
service; the kits are `thuisloket-provision emulate kits`. All is counted at the end: nothing lost, nothing
doubled.
"""

import argparse
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from protocol.ids import new_ulid
from protocol.sealed.packet import Part
from server.db.scope import EVERYONE
from server.db.tables import Application, Report, Visit
from server.fleet import setup, visits
from tests.mosquitto import Mosquitto, until
from tests.server.programs import Program, count, listens, service
from tests.server.town import BRUGGE, Town, make_ground

PATIENCE_S = 3600.0
LOOK_S = 2.0
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Memory:
    """Resident bytes of each program (and what it forked), one look after the other."""

    looks: dict[str, list[int]] = field(default_factory=dict)

    def look(self, programs: dict[str, list[int]]) -> None:
        for name, pids in programs.items():
            self.looks.setdefault(name, []).append(sum(_resident(pid) for pid in pids))

    def say(self) -> None:
        print("  memory in MB, at the begin, quarters of the run, and the end")
        for name, seen in sorted(self.looks.items()):
            places = [seen[min(len(seen) - 1, quarter * len(seen) // 4)] for quarter in range(5)]
            print(f"    {name:<12}" + "".join(f"{place / 1e6:9.1f}" for place in places))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kits", type=int, default=50)
    options.add_argument("--applications", type=int, default=100)
    options.add_argument("--bytes", type=int, default=150_000)
    options.add_argument("--seconds", type=int, default=60)
    chosen = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the broker inherits it
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        _run(Path(folder), chosen.kits, chosen.applications, chosen.bytes, chosen.seconds)


def _run(folder: Path, kits: int, applications: int, size: int, seconds: int) -> None:
    began = time.monotonic()
    ground = make_ground(folder)
    town = Town(folder / "town", ground)
    names = [f"kit-licht-{number:04}" for number in range(1, kits + 1)]
    for name in names:
        ground.pki.issue("kit-tls", name)
        ground.pki.issue("kit-sign", name)
    entries = [{"id": name, "bag_recipient": ground.bag[1], "tenants": [BRUGGE]} for name in names]
    with town.database.writing(EVERYONE) as db:
        setup.add(db, {"kits": entries}, datetime.now(UTC))
    _seal_ahead(town, folder / "packets", names, applications, size)
    print(
        f"{kits} kits, {applications} applications of {size:,} bytes; made in {_since(began)} s", flush=True
    )
    broker = Mosquitto(folder / "broker", ground.pki, kits=())
    broker.settings.folder.joinpath("dynsec.json").unlink()
    broker = Mosquitto(folder / "broker", ground.pki, kits=names)
    town.ports["mqtt"] = broker.port
    town.write_toml()
    broker.start()
    try:
        with service(town), _fleet(town) as programs:
            _load(town, broker, programs, folder, (kits, applications, seconds))
    finally:
        broker.stop()
        town.close()


def _load(
    town: Town, broker: Mosquitto, programs: dict[str, Program], folder: Path, sizes: tuple[int, int, int]
) -> None:
    kits, applications, seconds = sizes
    memory, over = Memory(), threading.Event()
    assert broker.process is not None
    pids = {"broker": [broker.process.pid]}
    pids |= {name: [each.process.pid, *each.children()] for name, each in programs.items()}

    def watch() -> None:
        while not over.wait(LOOK_S):
            memory.look(pids)

    watcher = threading.Thread(target=watch)
    watcher.start()
    pki = town.ground.pki
    argv = [
        "emulate",
        "kits",
        "--count",
        str(kits),
        "--broker",
        f"127.0.0.1:{broker.port}",
        "--ca",
        pki.roots,
    ]
    argv += ["--https", f"127.0.0.1:{town.ports['kits']}", "--certificates", folder / "lights"]
    argv += ["--packets", folder / "packets", "--seconds", str(seconds)]
    _lights(pki.folder, folder / "lights")
    try:
        began, began_utc = time.monotonic(), datetime.now(UTC)
        ran = subprocess.run(
            [sys.executable, "-m", "provisioning", *argv], stdout=subprocess.PIPE, text=True, check=False
        )
        told = [json.loads(line) for line in ran.stdout.splitlines()]
        until(lambda: _accepted(town) >= applications, PATIENCE_S, "the service's answers")
        took = time.monotonic() - began
    finally:
        over.set()
        watcher.join()
    print(f"  connected in {told[0]['seconds']} s; {told[-1]}")
    burst = told[-1]["burst_s"] or 1.0
    print(f"  uploaded and committed: {applications / burst:.1f} a second; all answered {took:.0f} s after")
    _say_lag(town, began_utc)
    memory.say()
    _judge(town, ran.returncode, applications, told[-1])


def _judge(town: Town, code: int, applications: int, told: dict[str, int]) -> None:
    with town.database.reading(EVERYONE) as db:
        states = {str(state): many for state, many in db.execute(
            select(Application.state, func.count()).group_by(Application.state)
        )}  # fmt: skip
        closed = db.scalar(select(func.count()).select_from(Visit).where(Visit.state == "closed"))
        reports = db.scalar(select(func.count()).select_from(Report)) or 0
    taken = count(town)
    lost, doubled = applications - states.get("accepted", 0), int(taken["accepted"]) - applications
    print(f"  applications {states}, visits closed {closed}, at the service {taken['accepted']}")
    print(f"  lost {lost}, doubled {doubled}; health reports said {told['health']}, kept {reports}")
    if code or lost or doubled or reports < told["health"]:
        raise SystemExit("failed: something was lost, doubled or refused")


def _say_lag(town: Town, since: datetime) -> None:
    """Between what a kit's clock said when it made the report, and what the fleet's said when it came in."""
    with town.database.reading(EVERYONE) as db:
        rows = db.execute(select(Report.at, Report.received).where(Report.received > since)).all()
    lags = sorted((received - at).total_seconds() * 1000 for at, received in rows)
    if lags:
        middle, late = lags[len(lags) // 2], lags[int(len(lags) * 0.95)]
        print(
            f"  health: {len(lags)} reports, lag {middle:.0f} ms, p95 {late:.0f} ms, worst {lags[-1]:.0f} ms"
        )


def _seal_ahead(town: Town, folder: Path, names: Sequence[str], many: int, size: int) -> None:
    clerk, now = town.actor(), datetime.now(UTC)
    for number in range(many):
        name = names[number % len(names)]
        request = town.ask(name=f"Persoon {new_ulid()}").request_id
        starts = now + timedelta(days=1, minutes=60 * number)  # one officer does them all: an hour each
        with town.database.writing(clerk.scope) as db:
            visit = visits.plan(db, clerk, request, "an.peeters", name, starts, 45, now)
        photo = Part("photo.jpg", "image/jpeg", secrets.token_bytes(size))
        parts = (Part("identity.json", "application/json", b"{}"), photo)
        sealed = town.packet(visit, number // len(names) + 1, name, parts)
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{sealed.manifest.packet_id}.sealed").write_bytes(sealed.data)


def _lights(pki: Path, folder: Path) -> None:
    """The certificates of the light kits alone."""
    folder.mkdir()
    for path in pki.glob("kit-tls-kit-licht-*"):
        (folder / path.name).symlink_to(path)


@contextmanager
def _fleet(town: Town) -> Iterator[dict[str, Program]]:
    commands = {"listener": ("serve", "--only", "kits"), "ingest": ("ingest",), "worker": ("work",)}
    programs = {
        name: Program(town.folder / f"{name}.log", "server", *argv, "--config", str(town.toml))
        for name, argv in commands.items()
    }
    try:
        until(lambda: listens(town.ports["kits"], programs["listener"]), 120, "the listener")
        log = programs["ingest"].log
        until(lambda: "broker connected" in log.read_text(), 120, "the ingest")
        yield programs
    finally:
        for program in programs.values():
            program.stop()


def _accepted(town: Town) -> int:
    time.sleep(1.0)
    with town.database.reading(EVERYONE) as db:
        accepted = select(func.count()).select_from(Application).where(Application.state == "accepted")
        return db.scalar(accepted) or 0


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:  # it ended, or was replaced
        return 0


def _since(began: float) -> int:
    return round(time.monotonic() - began)


if __name__ == "__main__":
    main()
