"""`emulate reader --run DIR`: a virtual card reader behind a pcscd of its own, until SIGTERM.

Clients set PCSCLITE_CSOCK_NAME to DIR/pcscd/pcscd.comm; cards go in and out over DIR/control.sock (requests:
see `device.emulators.eid.slots`). Nothing listens on a network that anybody else can reach.
"""

import sys
from pathlib import Path

from device.emulators.control import Control
from device.emulators.eid.daemon import Daemon, NoDaemon, enter_namespaces, own_program
from device.emulators.eid.slots import Slots
from device.emulators.running import parser, ready, settle

PORT = 35963
IDLE_S = 3600.0


def main(argv: list[str]) -> int:
    options = parser("reader", "a virtual card reader behind a pcscd of its own")
    options.add_argument(
        "--run", type=Path, required=True, help="folder for its sockets; kept short and private"
    )
    options.add_argument(
        "--port", type=int, default=PORT, help="port of the first slot, in a network of its own"
    )
    options.add_argument("--inside", action="store_true", help="already in the namespaces (used by itself)")
    asked = options.parse_args(argv)
    run: Path = asked.run.resolve()
    try:
        if not asked.inside:
            (run / "pcscd").mkdir(parents=True, exist_ok=True)
            run.chmod(0o700)
            enter_namespaces(own_program("reader", "--inside", *argv))
        settle(asked)
        return _serve(run, asked.control or run / "control.sock", asked.port)
    except NoDaemon as error:
        sys.stderr.write(f"emulate reader: {error}\n")
        return 1


def _serve(run: Path, control_path: Path, port: int) -> int:
    daemon = Daemon(run / "pcscd", run / "reader.conf.d", port)
    slots = Slots(daemon, port)
    try:
        daemon.start()
        control = Control(control_path, slots.handle)
        try:
            ready(socket=str(daemon.socket), control=str(control_path))
            while True:
                control.serve(IDLE_S)
        finally:
            control.close()
    finally:
        slots.close()
        daemon.stop()
