"""`make-card SPEC.toml --out DIR --pki DIR`: a card as files, and the test roots that vouch for it."""

import sys
from pathlib import Path

from device.emulators.eid.maker import make_card
from device.emulators.eid.pki import Pki
from device.emulators.eid.spec import BadSpec, load_spec
from device.emulators.running import parser

REFUSED = 3


def main(argv: list[str]) -> int:
    options = parser("make-card", "make an eID card as files from a small specification")
    options.add_argument("spec", type=Path, metavar="SPEC.toml")
    options.add_argument("--out", type=Path, required=True, help="folder for the card")
    options.add_argument(
        "--pki", type=Path, required=True, help="folder of test keys; made when empty. Roots: trust/"
    )
    asked = options.parse_args(argv)
    try:
        make_card(load_spec(asked.spec), Pki(asked.pki), asked.spec.parent).write(asked.out)
    except BadSpec as error:
        sys.stderr.write(f"make-card: {error}\n")
        return REFUSED
    return 0
