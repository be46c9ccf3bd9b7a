"""`emulate card DIR [--port N]`: puts one card into a virtual reader, until Ctrl-C or until it is pulled.

The reader is a vpcd listening on 127.0.0.1:N, or the emulated one behind a control socket.
"""

import contextlib
import json
import signal
import socket
import sys
from pathlib import Path

from device.emulators.control import ask
from device.emulators.eid.faults import BadScript, CardFault, load
from device.emulators.eid.held import BadCard, load_card
from device.emulators.eid.line import InsertedCard
from device.emulators.running import parser, ready, settle

PORT = 35963  # 0x8C7B, as in Debian's vsmartcard-vpcd
REFUSED, ABSENT = 3, 4


def main(argv: list[str]) -> int:
    options = parser("card", "insert a card held as files into a virtual reader")
    options.add_argument("card", type=Path, metavar="DIR", help="DF014031.bin ..., atr.bin, carddata.bin")
    options.add_argument("--port", type=int, default=PORT, help="where vpcd listens on 127.0.0.1")
    options.add_argument("--slot", type=int, choices=(0, 1), default=0, help="with --control: which slot")
    options.add_argument("--faults", type=Path, help="JSON fault script")
    options.add_argument("--paced", action="store_true", help="as slow as a real card")
    asked = options.parse_args(argv)
    settle(asked)
    try:
        faults = load(asked.faults) if asked.faults else ()
        if asked.control:
            return _by_control(asked.control, asked.card, asked.slot, asked.faults, asked.paced)
        return _by_port(asked.card, asked.port, faults, asked.paced)
    except (BadCard, BadScript, ValueError) as error:
        sys.stderr.write(f"emulate card: {error}\n")
        return REFUSED
    except OSError as error:
        sys.stderr.write(f"emulate card: no virtual reader: {error}\n")
        return ABSENT


def _by_port(folder: Path, port: int, faults: tuple[CardFault, ...], paced: bool) -> int:
    card = InsertedCard(load_card(folder), port, faults, paced)
    try:
        ready(card=str(folder), port=port)
        card.wait()
    finally:
        card.pull()
    return 0


def _by_control(control: Path, folder: Path, slot: int, script: Path | None, paced: bool) -> int:
    faults = json.loads(script.read_text()) if script else []
    ask(control, do="insert", card=str(folder.resolve()), slot=slot, faults=faults, paced=paced)
    try:
        ready(card=str(folder), control=str(control))
        signal.pause()
    finally:
        with contextlib.suppress(OSError, socket.error):  # the reader may be gone before us
            ask(control, do="remove", slot=slot)
    return 0
