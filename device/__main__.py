"""The kit, wired: configuration is read, each part is built once and handed to who needs it. Nothing else.

`run` is the agent with the kiosk inside, without any network but loopback; `uplink` is the network process,
without keys of the store and without devices.
"""

import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from device import command
from device.agent import log as logs
from device.agent.captures import Openers
from device.agent.clock import SystemClock
from device.agent.desk import Desk
from device.agent.hardening import harden
from device.agent.landmarks import Passed, nothing
from device.agent.learnt import for_officers
from device.agent.recipients import Recipients, read_public_key, read_roots
from device.agent.resigning import Signing
from device.agent.sealing import load_signer
from device.agent.setup import Setup
from device.agent.watchdog import Watchdog
from device.config import Config, load
from device.errors import Code, KitError, Remedy
from device.kiosk import create_kiosk
from device.kiosk.listener import Listener
from device.spool.lists import ListDesk
from device.spool.spool import Spool, room
from protocol import shapes, signed

log = structlog.get_logger()


@dataclass(frozen=True)
class Agent:
    """What runs on a kit."""

    desk: Desk
    spool: Spool
    kiosk: Listener
    port: int

    def start(self) -> None:
        self.desk.open()
        self.kiosk.start()
        log.info("kiosk-ready", port=self.port)

    def stop(self) -> None:
        """Within three seconds, whatever the peripherals do."""
        self.desk.close(1.5)
        self.kiosk.stop()
        self.spool.close()


def build(config: Config, passed: Passed = nothing) -> Agent:
    """Everything a kit consists of; nothing runs yet. KitError bad-config when a part will not do."""
    if not config.vault.exists():
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "there is no vault yet; make it with `init`")
    shapes.work_out()
    clock = SystemClock()
    held, named = config.signing(), config.signing_key()
    papers, own = held.present(), None if isinstance(named, Path) else named
    command_key = read_public_key(config.trust_command_key)
    drivers = config.drivers
    spool, lists = Spool(config.spool), ListDesk(config.spool)
    list_key = read_public_key(config.trust_list_key)
    with room():
        lists.want(signed.key_id(list_key))
    desk = Desk(
        Setup(
            kit=load_signer(config.kit_id, papers.certificate, papers.key if own is None else own),
            signing=Signing(held, own),
            data=config.data,
            spool=spool,
            key_source=config.keys.source,
            recipients=Recipients(config.trust_recipients, list_key, lists.brought),
            command_keys={signed.key_id(command_key): command_key},
            catalogue=config.catalogue,
            openers=Openers(drivers.card, drivers.camera, drivers.fingerprint, drivers.signature),
            clock=clock,
            sticks=config.sticks,
            roots=config.uplink.ca,
            sys=config.health_sys,
            health_every_s=config.health_every_s,
            idle_lock_s=config.kiosk.idle_lock_s,
            lease_wanted=config.lease_from_fleet,
            administrator=command.administrator_of(config),
            officer_roots=for_officers(
                read_roots(config.trust_officers) if config.trust_officers else (),
                read_roots(config.uplink.ca),
                held,
            ),
            drafts=config.drafts,
            passed=passed,
        )
    )
    app = create_kiosk(desk, config.language, clock)
    try:
        listener = Listener(app, config.kiosk.port)
    except OSError as problem:
        detail = f"kiosk.port {config.kiosk.port}: {problem.strerror}"
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail) from problem
    return Agent(desk, spool, listener, config.kiosk.port)


def run(config: Config, passed: Passed = nothing) -> int:
    """The agent until SIGTERM or SIGINT; 1 when a bug ended it."""
    logs.configure()
    log.info("hardened", state="locked" if harden().locked else "not-locked")
    stop = stopped_by_signals()
    agent = build(config, passed)
    agent.start()
    watchdog = Watchdog((lambda: agent.desk.turns, lambda: agent.kiosk.turns))
    while not stop.wait(0.2) and not agent.desk.ended.is_set():
        watchdog.look()
    agent.stop()
    if agent.desk.bug is not None:
        log.error("bug", kind=type(agent.desk.bug).__name__)
        return command.FAILED
    return command.DONE


@command.app.command(name="run")
def run_command(config: command.ConfigFile) -> None:
    """The agent with the kiosk: no network but loopback."""
    command.finish(run(load(config)))


@command.app.command()
def uplink(config: command.ConfigFile) -> None:
    """The network process: no keys of the store, no devices."""
    # Here and not above: the agent's process never loads what speaks to a network.
    from device.uplink import process
    from device.uplink.logs import log_to_stderr

    log_to_stderr()
    try:
        process.run(load(config).uplink, stopped_by_signals())
    except process.CannotStart as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"uplink: {problem}") from problem


def stopped_by_signals() -> threading.Event:
    stop = threading.Event()

    def set_it(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, set_it)
    return stop


def main() -> None:
    command.call()


if __name__ == "__main__":
    main()
