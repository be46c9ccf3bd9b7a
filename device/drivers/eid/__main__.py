"""`python -m device.drivers.eid --reader NAME --trust DIR --json`: the driver alone, without the kit."""

import argparse
import sys
from pathlib import Path

from device.drivers.eid.command import read_card_command


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(
        prog="python -m device.drivers.eid",
        description="Read and judge the Belgian eID in a reader. A card that does not answer is given up "
        "after 5 seconds, any read after 30.",
    )
    options.add_argument("--reader", default="", help="name of the reader, or how it begins")
    options.add_argument("--trust", type=Path, required=True, help="folder of root certificates, DER or PEM")
    options.add_argument("--wait", type=float, default=0.0, help="seconds to wait for a card")
    options.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = options.parse_args(argv)
    return read_card_command(asked.reader, asked.trust, asked.wait, asked.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
