"""Which loopback ports the demo uses: the usual ones where they are free, or some that nobody else takes."""

import random
import socket
from collections.abc import Iterable

USUAL = {"kiosk": 8740, "stage": 8741, "fleet": 8750, "kits": 8751, "service": 8752, "broker": 8883}
TRIED = 200
SPARE = range(20_000, 32_000)  # below the ports that Linux gives to outgoing connections


def choose(spare: bool = False) -> dict[str, int]:
    """A free port of 127.0.0.1 for every name, no two alike.

    The usual one, else the next that is free. With `spare` any by chance: several demos at once would
    otherwise take each other's port in the moment that a program is being started again."""
    chosen: dict[str, int] = {}
    usual = set(USUAL.values())
    for name, first in USUAL.items():
        tried: Iterable[int] = random.sample(SPARE, TRIED) if spare else range(first, first + TRIED)
        chosen[name] = next(
            port
            for port in tried
            if port not in chosen.values() and (port == first or port not in usual) and is_free(port)
        )
    return chosen


def is_free(port: int) -> bool:
    """Whether nobody listens there; a connection that still winds down does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
