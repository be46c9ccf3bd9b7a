"""The running demo: built, started in order, with today's visits planned; nothing of it outlives it."""

import fcntl
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from provisioning.demo import ports, props, troupe, world
from provisioning.demo.cast import CITIZENS, OFFICERS, TOWNS, Citizen
from provisioning.demo.chip import Chip, chip
from provisioning.demo.layout import KIT, LONGEST_FOLDER, Layout
from provisioning.demo.processes import Programs
from provisioning.demo.progress import Progress
from provisioning.demo.stage import Hands
from provisioning.demo.town_hall import Planned, TownHall
from provisioning.demo.world import World
from provisioning.durable import write_secret

ZONE = ZoneInfo("Europe/Brussels")
FIRST_HOUR, MINUTES = 9, 45


class DemoFailed(Exception):
    """The demo cannot run; the text is for the person who started it."""


@dataclass(frozen=True)
class Script:
    """What a demo plays with. `portrait` is a JPEG that the emulated camera sees; `spare_ports`: any free
    ports instead of the usual ones, so that several demos stay out of each other's way."""

    portrait: Path
    citizens: Sequence[Citizen] = CITIZENS
    spare_ports: bool = False
    with_pin: bool = False  # a service that asks for the PIN of the citizen's card
    with_tpm: bool = False  # the kit's keys in a software TPM


@dataclass(frozen=True)
class Demo:
    """All that runs, for whoever plays."""

    world: World
    programs: Programs
    hands: Hands
    town_hall: TownHall
    visits: tuple[Planned, ...]


@contextmanager
def running(folder: Path, script: Script, progress: Progress) -> Iterator[Demo]:
    """Build and start everything in `folder`; all of it has ended when the block is left, however it is left.

    DemoFailed, and what building and starting raise."""
    layout = Layout(folder.resolve())
    if len(str(layout.root).encode()) > LONGEST_FOLDER:
        raise DemoFailed(f"{layout.root} is too long for unix sockets; use a folder nearer to the root")
    if not script.portrait.is_file():
        raise DemoFailed(f"no portrait at {script.portrait}: `make setup` makes one")
    layout.root.mkdir(parents=True, exist_ok=True)
    with _alone(layout):
        programs = Programs(layout.logs)
        try:
            with chip(layout, script.with_tpm) as tpm:
                demo = _start(layout, script, programs, progress, tpm)
                with closing(demo.town_hall):
                    yield demo
        finally:
            programs.close()


def _start(layout: Layout, script: Script, programs: Programs, progress: Progress, tpm: Chip | None) -> Demo:
    with progress.step("certificates, cards, fingers"):
        authority = props.make(layout, script.citizens)
        world.sweep(layout)
        built = world.write(layout, authority, ports.choose(script.spare_ports))
    write_secret(layout.root / "sign-ins.json", world.secrets_of(built).encode())
    with ThreadPoolExecutor(2) as beside, progress.step("peripherals, broker, service; database, kit folder"):
        if tpm is not None:
            programs.start([tpm.program()])
        kit_made = beside.submit(world.make_kit, built, authority, script.with_pin, tpm)
        filled = beside.submit(_fill_fleet, built, kit_made)
        programs.start([*troupe.emulators(layout, script.portrait), *troupe.standing(built)])
        filled.result()
    with progress.step("fleet and kit"):
        if tpm is not None:
            tpm.lay_out()
        programs.start([troupe.fleet(built), *troupe.kit(built)])
    hands = Hands(layout.run, layout.fingers, layout.cards)
    hands.do_not_sign()
    hands.lift_finger()
    town_hall = TownHall(built.url("fleet"))
    with progress.step("requests asked for and visits planned"):
        visits = _plan(built, town_hall, script.citizens)
    return Demo(built, programs, hands, town_hall, visits)


def _fill_fleet(built: World, kit_made: "Future[str]") -> None:
    """The fleet's database with everything that an administrator would put in."""
    config = built.layout.fleet_toml
    props.run("server", "migrate", "--config", config)
    props.run("server", "load", "--config", config, told=_to_load(built, kit_made.result()))


def _to_load(built: World, bag_recipient: str) -> str:
    """Municipalities, officers, accounts and the kit, as `thuisloket-fleet load` takes them."""
    tenants = {town.name: town.tenant for town in TOWNS}
    towns = [{"tenant": town.tenant, "name": town.name, "postcodes": town.postcodes} for town in TOWNS]
    officers = [
        {"id": role.officer_id, "name": role.name, "tenant": tenants[TOWNS[0].name]} for role in OFFICERS
    ]
    accounts = [
        {
            "name": account.name,
            "role": account.role,
            "tenant": tenants.get(account.town, ""),
            "password": account.password,
        }
        for account in built.accounts
    ]
    kits = [
        {
            "id": KIT,
            "bag_recipient": bag_recipient,
            "tenants": [*tenants.values()],
            "officers": [role.officer_id for role in OFFICERS],
        }
    ]
    return json.dumps({"municipalities": towns, "officers": officers, "accounts": accounts, "kits": kits})


def _plan(built: World, town_hall: TownHall, citizens: Sequence[Citizen]) -> tuple[Planned, ...]:
    """Every citizen asks through the public form; the planner gives all to the first officer, today."""
    today = datetime.now(ZONE).date()
    for citizen in citizens:
        town_hall.ask_for_visit(citizen)
    town_hall.sign_in(built.planner.name, built.planner.password)
    waiting = list(reversed(town_hall.requests()))  # oldest first: in the order they asked
    planned = []
    for hour, (citizen, request_id) in enumerate(zip(citizens, waiting, strict=True), FIRST_HOUR):
        town_hall.plan(request_id, OFFICERS[0].officer_id, KIT, today, f"{hour:02d}:00", MINUTES)
        planned.append(Planned(town_hall.visit_of(request_id), request_id, citizen))
    return tuple(planned)


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """One demo a folder."""
    with layout.lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise DemoFailed(f"a demo runs already in {layout.root}") from problem
        yield
