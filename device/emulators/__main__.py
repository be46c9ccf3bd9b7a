"""`python -m device.emulators WHAT ...`: starts one emulator by name; each is a program of its own."""

import importlib
import sys
from collections.abc import Callable

PROGRAMS = {
    "reader": "device.emulators.reader",
    "card": "device.emulators.card",
    "make-card": "device.emulators.make_card",
    "finger": "device.emulators.finger",
    "signpad": "device.emulators.signpad",
    "camera": "device.emulators.camera",
    "kits": "device.emulators.kits",
    "fuses": "device.emulators.fuses",
    "make-fingers": "device.emulators.make_fingers",
    "portrait": "device.emulators.portrait",
}


def main(argv: list[str]) -> int:
    """Run the named program with the rest of `argv`; answers its exit code, 2 for an unknown name."""
    if not argv or argv[0] not in PROGRAMS:
        sys.stderr.write(f"usage: python -m device.emulators {{{','.join(PROGRAMS)}}} ...\n")
        return 0 if argv in (["-h"], ["--help"]) else 2
    # Looked up late: a finger does not need what a card needs, and a broken one must not stop the others.
    program: Callable[[list[str]], int] = importlib.import_module(PROGRAMS[argv[0]]).main
    return program(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
