"""What every emulator program does at start and end: its common options, and a tidy way to die."""

import argparse
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def parser(what: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options all emulators share."""
    options = argparse.ArgumentParser(prog=f"emulate {what}", description=description)
    options.add_argument("--control", type=Path, help="unix socket for JSON requests while it runs")
    options.add_argument(
        "--die-with-parent",
        action="store_true",
        help="end when the thread that started this program ends (prctl PR_SET_PDEATHSIG)",
    )
    return options


def serial_options(options: argparse.ArgumentParser, driver: str, baud: int) -> None:
    """The options of an emulator behind a pseudo-terminal."""
    options.add_argument("--driver", choices=[driver], default=driver)
    options.add_argument("--link", type=Path, required=True, help="symlink to the pseudo-terminal")
    options.add_argument("--baud", type=int, default=baud, help="true speed of the line; 0 is unthrottled")
    options.add_argument("--faults", type=Path, help="JSON fault script")


def settle(options: argparse.Namespace) -> None:
    """Follow the parent into death if asked, and turn SIGTERM into an orderly exit."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    if options.die_with_parent:
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(0)


def ready(**facts: Any) -> None:
    """Tell whoever started the program, in one line, that the device is there."""
    sys.stdout.write(json.dumps({"ready": True, **facts}) + "\n")
    sys.stdout.flush()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)
