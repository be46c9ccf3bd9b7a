"""Our own programs, run for what they print."""

import subprocess
import sys
from collections.abc import Sequence


class ProgramRefused(Exception):
    """A program of ours did not do what it was asked; the message is fit for a person."""


def run(program: str, arguments: Sequence[str], told: str = "") -> str:
    """What it prints. ProgramRefused with what it complained of."""
    ran = subprocess.run(
        [sys.executable, "-m", program, *arguments], input=told, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ProgramRefused(f"{program} {arguments[0]} failed: {ran.stderr.strip()[-2000:]}")
    return ran.stdout
