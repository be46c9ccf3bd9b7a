"""`python -m device.drivers.eid --reader NAME --trust DIR --json`: the driver alone, without the kit round it."""

import argparse
import sys
from pathlib import Path

from device.drivers.eid.command import FAILED, read_card_command
from device.drivers.eid.driver import open_reader
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import load_trust
from device.errors import KitError


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(
        prog="python -m device.drivers.eid",
        description="Read and judge the Belgian eID in a reader. A card that does not answer is given up after "
        "5 seconds, any read after 30.",
    )
    options.add_argument(
        "--reader", default="", help="name of the reader or how it begins; else the one with an eID"
    )
    options.add_argument("--trust", type=Path, required=True, help="folder of root certificates, DER or PEM")
    options.add_argument("--wait", type=float, default=0.0, help="seconds to wait for a card")
    options.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = options.parse_args(argv)
    try:
        trust = load_trust(asked.trust)
    except KitError as error:
        sys.stderr.write(f"read-card: {error}\n")
        return FAILED
    reader = open_reader(Settings(reader=asked.reader), trust)
    try:
        return read_card_command(reader, asked.wait, asked.json)
    finally:
        reader.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
