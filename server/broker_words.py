"""How commands tell of the broker: a revocation with its effects and times, a check with its results."""

import json
import socket
import sys
from typing import TYPE_CHECKING

from server.settings import Kits

if TYPE_CHECKING:
    from server.fleet.revocations import Standing


def listens(kits: Kits) -> bool:
    """Whether the listener for kits runs, so that it can be tried."""
    with socket.socket() as probe:
        probe.settimeout(2.0)
        return probe.connect_ex((kits.host, kits.port)) == 0


def tell_revocation(kit_id: str, standing: "Standing", as_json: bool) -> None:
    """Each effect and when it came about."""
    if as_json:
        effects = [
            {
                "effect": line.effect,
                "state": line.state,
                "at": line.at.isoformat(),
                "after_s": None if line.after is None else round(line.after.total_seconds(), 3),
                "detail": line.detail,
            }
            for line in standing.effects
        ]
        told = {"kit_id": kit_id, "reason": standing.reason, "asked": standing.asked.isoformat()}
        sys.stdout.write(json.dumps(told | {"whole": standing.whole, "effects": effects}) + "\n")
        return
    sys.stdout.write(f"{kit_id}: {standing.reason}, said at {standing.asked:%Y-%m-%d %H:%M:%S} UTC\n")
    for line in standing.effects:
        after = "" if line.after is None else f"after {line.after.total_seconds():.2f} s"
        sys.stdout.write(f"  {line.effect:<16}{line.state:<9}{after:<16}{line.detail}\n")
