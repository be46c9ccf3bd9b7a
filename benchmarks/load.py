"""Many light kits with health every 30 seconds, and a burst of sealed applications, on one small fleet.

`python -m benchmarks.load [--whole | --kits N --applications N --bytes N --seconds N]`; the whole
size is 1000, 2000, 150000 and 300. The real programs: mosquitto, listener, ingest and job worker on SQLite,
the reference service; the kits are `thuisloket-provision emulate kits`. All is counted at the end: nothing
lost, nothing doubled.
"""

import argparse
import json
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.watched import Watched, watching
from protocol.ids import new_ulid
from protocol.sealed.packet import Part
from server.db.scope import EVERYONE
from server.db.tables import Application, Report, Visit
from server.fleet import setup, visits
from tests.mosquitto import Mosquitto, until
from tests.server.programs import Program, count, listens, service
from tests.server.town import BRUGGE, Town, make_ground

PATIENCE_S = 3600.0
STEP_S = 60.0


@dataclass(frozen=True)
class Size:
    kits: int
    applications: int
    bytes: int
    seconds: int


SHORT, WHOLE = Size(30, 40, 150_000, 20), Size(1000, 2000, 150_000, 300)


@dataclass
class LoadResult:
    """`kits`: what the emulated kits said at their end. `burst_s` until the fleet had every application,
    `settled_s` until the service's answer to each was there, both from the moment all were offered at once.
    `counts`: applications at the fleet by state, visits closed, applications at the service, reports kept.
    `lags_ms`: between a report's making and its taking in; median, 95 of 100, worst."""

    size: Size
    kits: dict[str, float]
    burst_s: float
    settled_s: float
    counts: dict[str, int]
    lags_ms: tuple[float, float, float]
    watched: Watched

    @property
    def lost(self) -> int:
        return self.size.applications - self.counts["accepted"]

    @property
    def doubled(self) -> int:
        return self.counts["at the service"] - self.size.applications

    @property
    def whole(self) -> bool:
        """Nothing lost, doubled or refused, and every report that was said is there."""
        refused = self.kits["unheard"] or self.kits.get("refused", 0)
        return not (self.lost or self.doubled or refused) and self.counts["reports"] >= self.kits["health"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kits", type=int, default=SHORT.kits)
    options.add_argument("--applications", type=int, default=SHORT.applications)
    options.add_argument("--bytes", type=int, default=SHORT.bytes)
    options.add_argument("--seconds", type=int, default=SHORT.seconds)
    options.add_argument("--whole", action="store_true", help="1000 kits, 2000 applications, 300 seconds")
    chosen = options.parse_args()
    given = Size(chosen.kits, chosen.applications, chosen.bytes, chosen.seconds)
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        result = measure(Path(folder), WHOLE if chosen.whole else given)
    say(result)
    if not result.whole:
        raise SystemExit("failed: something was lost, doubled or refused")


def measure(folder: Path, size: Size) -> LoadResult:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the broker inherits it
    began = time.monotonic()
    ground = make_ground(folder)
    town = Town(folder / "town", ground)
    names = [f"kit-licht-{number:04}" for number in range(1, size.kits + 1)]
    for name in names:
        ground.pki.issue("kit-tls", name)
        ground.pki.issue("kit-sign", name)
    entries = [{"id": name, "bag_recipient": ground.bag[1], "tenants": [BRUGGE]} for name in names]
    with town.database.writing(EVERYONE) as db:
        setup.add(db, {"kits": entries}, datetime.now(UTC))
    _seal_ahead(town, folder / "packets", names, size)
    print(
        f"load: {size.kits} kits, {size.applications} applications of {size.bytes:,} bytes, "
        f"made in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    broker = Mosquitto(folder / "broker", ground.pki, kits=())
    broker.settings.folder.joinpath("dynsec.json").unlink()
    broker = Mosquitto(folder / "broker", ground.pki, kits=names)
    town.ports["mqtt"] = broker.port
    town.write_toml()
    broker.start()
    try:
        with service(town) as competent, _fleet(town) as programs:
            return _load(town, broker, programs | {"service": competent}, folder, size)
    finally:
        broker.stop()
        town.close()


def _load(
    town: Town, broker: Mosquitto, programs: dict[str, Program], folder: Path, size: Size
) -> LoadResult:
    assert broker.process is not None
    pids = {"broker": [broker.process.pid]}
    pids |= {name: [each.process.pid, *each.children()] for name, each in programs.items()}
    pki = town.ground.pki
    _lights(pki.folder, folder / "lights")
    argv = [
        *("emulate", "kits", "--count", str(size.kits), "--seconds", str(size.seconds)),
        *("--broker", f"127.0.0.1:{broker.port}", "--https", f"127.0.0.1:{town.ports['kits']}"),
        *("--ca", pki.roots, "--certificates", folder / "lights", "--packets", folder / "packets"),
    ]
    since = datetime.now(UTC)
    with subprocess.Popen(
        [sys.executable, "-m", "provisioning", *argv], stdout=subprocess.PIPE, text=True
    ) as lights:
        assert lights.stdout is not None
        lights.stdout.readline()  # all connected: from here on applications are offered
        began = time.monotonic()
        with watching(pids | {"kits": [lights.pid]}) as watched:
            until(lambda: _accepted(town) >= size.applications, PATIENCE_S, "the service's answers")
            settled = time.monotonic() - began
            told = json.loads(lights.stdout.readline())
    return LoadResult(size, told, told["burst_s"], settled, _counted(town), _lags(town, since), watched)


def _counted(town: Town) -> dict[str, int]:
    with town.database.reading(EVERYONE) as db:
        states = db.execute(select(Application.state, func.count()).group_by(Application.state))
        counts = {"accepted": 0} | {str(state): many for state, many in states}
        closed = select(func.count()).select_from(Visit).where(Visit.state == "closed")
        counts["visits closed"] = db.scalar(closed) or 0
        counts["reports"] = db.scalar(select(func.count()).select_from(Report)) or 0
    return counts | {"at the service": int(count(town)["accepted"])}


def _lags(town: Town, since: datetime) -> tuple[float, float, float]:
    """Between what a kit's clock said when it made the report, and what the fleet's said when it came in."""
    with town.database.reading(EVERYONE) as db:
        rows = db.execute(select(Report.at, Report.received).where(Report.received > since)).all()
    lags = sorted((received - at).total_seconds() * 1000 for at, received in rows)
    return (lags[len(lags) // 2], lags[int(len(lags) * 0.95)], lags[-1]) if lags else (0.0, 0.0, 0.0)


def say(result: LoadResult) -> None:
    size, kits, counts = result.size, result.kits, result.counts
    print(f"load: {size.kits} kits, {size.applications} applications of {size.bytes:,} bytes offered at once")
    rate = size.applications / (result.burst_s or 1.0)
    print(f"  handed in after {result.burst_s:.0f} s, {rate:.1f} a second")
    print(f"  the service's answer to each there after {result.settled_s:.0f} s")
    if "p50_ms" in kits:
        places = [f"{name} {kits[f'{key}_ms']:.0f} ms" for name, key in
                  (("p50", "p50"), ("p99", "p99"), ("worst", "worst"))]  # fmt: skip
        print(f"  one hand-in: {', '.join(places)}; begun anew {kits.get('begun-anew', 0):.0f} times")
    print(f"  {', '.join(f'{name} {many}' for name, many in counts.items())}")
    print(f"  lost {result.lost}, doubled {result.doubled}, refused {kits.get('refused', 0):.0f}")
    middle, late, worst = result.lags_ms
    print(
        f"  reports said {kits.get('health', 0):.0f}, kept {counts['reports']}, "
        f"lag {middle:.0f} ms, p95 {late:.0f} ms, worst {worst:.0f} ms"
    )
    result.watched.say(min(STEP_S, size.seconds / 4))


def _seal_ahead(town: Town, folder: Path, names: Sequence[str], size: Size) -> None:
    clerk, now = town.actor(), datetime.now(UTC)
    for number in range(size.applications):
        name = names[number % len(names)]
        request = town.ask(name=f"Persoon {new_ulid()}").request_id
        starts = now + timedelta(days=1, minutes=60 * number)  # one officer does them all: an hour each
        with town.database.writing(clerk.scope) as db:
            visit = visits.plan(db, clerk, request, "an.peeters", name, starts, 45, now)
        photo = Part("photo.jpg", "image/jpeg", secrets.token_bytes(size.bytes))
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


if __name__ == "__main__":
    main()
