"""The demo for a person: addresses and sign-ins are printed, and everything stays until Ctrl-C."""

import threading
from pathlib import Path
from queue import Empty

import waitress

from provisioning.demo.processes import ProgramFailed
from provisioning.demo.progress import Progress
from provisioning.demo.running import Demo, Script, running
from provisioning.demo.stagehand import create_stage
from provisioning.demo.stagehand.acts import POWER, Acts

LOOK_S = 0.5
STAGE_THREADS = 4


def play(folder: Path, script: Script, progress: Progress) -> None:
    """Start everything and stay. A program that falls over is started again, as systemd would on a kit."""
    with running(folder, script, progress) as demo:
        acts = Acts(demo.world, demo.programs, demo.hands)
        _open_stage(demo, acts)
        _greet(demo, progress)
        try:
            while True:
                _turn(demo, acts, progress)
        except KeyboardInterrupt:
            progress.printer("stopping")


def _turn(demo: Demo, acts: Acts, progress: Progress) -> None:
    """Do what the stage page has asked of the programs, and look after those that fell over."""
    try:
        act, done = acts.jobs.get(timeout=LOOK_S)
    except Empty:
        fallen = demo.programs.ended()
        if fallen is not None and fallen not in acts.down:
            progress.printer(
                f"{fallen} ended by itself (see {demo.programs.log(fallen)}); it is started again"
            )
            demo.programs.stop(fallen)
            demo.programs.again(fallen)
        return
    try:
        act()
    except ProgramFailed as problem:
        done.set_exception(problem)
    else:
        done.set_result(None)


def _open_stage(demo: Demo, acts: Acts) -> None:
    fleet = demo.world.url("fleet")
    addresses = {"kiosk": demo.world.kiosk, "fleet": fleet, "request": f"{fleet}/aanvraag"}
    app = create_stage(acts, addresses, demo.programs.running)
    server = waitress.create_server(
        app, host="127.0.0.1", port=demo.world.ports["stage"], threads=STAGE_THREADS, ident=None
    )
    threading.Thread(target=server.run, name="stage", daemon=True).start()


def _greet(demo: Demo, progress: Progress) -> None:
    world, say = demo.world, progress.printer
    say("")
    say(
        f"  Kiosk (the kit's screen)      {world.kiosk}/   ({world.url('kiosk')}/ too, without security keys)"
    )
    say(f"  Stage (your hands)            {world.url('stage')}/")
    say(f"  Fleet (town hall)             {world.url('fleet')}/")
    say(f"  Request a visit (citizens)    {world.url('fleet')}/aanvraag")
    say("")
    say("  Officers on the kiosk:")
    for officer in world.officers:
        say(f"    {officer.name:<22} PIN {officer.pin}")
    say("  Accounts at the fleet:")
    for account in world.accounts:
        say(f"    {account.name:<22} {account.password:<14} {account.role} {account.town}".rstrip())
    say("")
    say(f"  Visits of today: {', '.join(visit.citizen.name for visit in demo.visits)}")
    say(f"  Programs: {', '.join(POWER)}; logs in {world.layout.logs}")
    say("  Ctrl-C stops everything.")
