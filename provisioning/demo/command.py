"""`thuisloket-provision demo`: the whole fleet on this machine, for a person or playing by itself."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import httpx
import typer

from provisioning.demo import headless, interactive, recapture
from provisioning.demo.cast import CITIZENS
from provisioning.demo.chip import ChipFailed
from provisioning.demo.player import StepFailed
from provisioning.demo.processes import ProgramFailed
from provisioning.demo.progress import Progress
from provisioning.demo.props import PropFailed
from provisioning.demo.running import DemoFailed, Script
from provisioning.demo.stage import StageFailed
from provisioning.demo.town_hall import TownHallFailed
from provisioning.generations import AuthorityError
from provisioning.program import ProgramRefused

FAILURES = (
    AuthorityError,
    ChipFailed,
    DemoFailed,
    ProgramRefused,
    ProgramFailed,
    PropFailed,
    StageFailed,
    StepFailed,
    TownHallFailed,
    headless.NotAsItMust,
    httpx.HTTPError,
)


def demo(
    headless_: Annotated[bool, typer.Option("--headless", help="play one home visit by itself")] = False,
    folder: Annotated[Path, typer.Option(help="where all of it lies")] = Path(".demo"),
    portrait: Annotated[Path, typer.Option(help="what the camera sees")] = Path("build/portrait.jpg"),
    spare_ports: Annotated[bool, typer.Option(help="any free ports instead of the usual ones")] = False,
    with_pin: Annotated[
        bool, typer.Option("--with-pin", help="a service that asks for the PIN of the citizen's card (1234)")
    ] = False,
    with_tpm: Annotated[
        bool, typer.Option("--with-tpm", help="the kit's keys in a software TPM (Debian's swtpm)")
    ] = False,
    with_recapture: Annotated[
        bool,
        typer.Option(
            "--with-recapture",
            help="with --headless: the service asks for the photo again, then for the signature",
        ),
    ] = False,
) -> None:
    """A whole fleet on loopback, with a kit and emulated peripherals."""
    signal.signal(signal.SIGTERM, _interrupted)
    progress, began = Progress(printer=_print), time.monotonic()
    try:
        if headless_:
            script = Script(portrait, CITIZENS[:1], spare_ports, with_pin, with_tpm)
            if with_recapture:
                recapture.play(folder, script, progress)
                what = "one visit, and two short ones"
            else:
                headless.play(folder, script, progress)
                what = "one visit"
            _print(f"{time.monotonic() - began:7.2f} s  in all: {what}, from power-on to the receipt")
        else:
            script = Script(portrait, CITIZENS, spare_ports, with_pin, with_tpm)
            interactive.play(folder, script, progress)
    except FAILURES as problem:
        print(f"failed: {problem}", file=sys.stderr)
        print(f"remedy: the logs are in {folder / 'logs'}; `make demo-clean` begins anew", file=sys.stderr)
        raise typer.Exit(1) from problem
    except KeyboardInterrupt as stopped:
        raise typer.Exit(130) from stopped


def _print(line: str) -> None:
    print(line, flush=True)


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM ends us as Ctrl-C does, so that everything is stopped in order."""
    raise KeyboardInterrupt
