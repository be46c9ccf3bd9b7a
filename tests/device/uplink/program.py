"""The uplink as a process of its own, for tests that kill it: settings come as JSON on the command line."""

import json
import signal
import sys
from pathlib import Path
from threading import Event

from device.uplink import process
from device.uplink.logs import log_to_stderr
from device.uplink.settings import UplinkSettings

PATHS = ("spool", "ca", "certificate", "key")


def main() -> None:
    values = json.loads(sys.argv[1])
    settings = UplinkSettings(**{k: Path(v) if k in PATHS else v for k, v in values.items()})
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log_to_stderr()
    process.run(settings, stop)


if __name__ == "__main__":
    main()
