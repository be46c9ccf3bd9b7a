"""Which loopback ports the demo uses: the usual one where it is free, else the next that is."""

import socket
from collections.abc import Sequence

USUAL = {"kiosk": 8740, "stage": 8741, "fleet": 8750, "kits": 8751, "service": 8752, "broker": 8883}
TRIED = 200


def choose(names: Sequence[str] = tuple(USUAL)) -> dict[str, int]:
    """A free port of 127.0.0.1 for every name, no two alike."""
    chosen: dict[str, int] = {}
    taken = set(USUAL.values())
    for name in names:
        chosen[name] = next(
            port
            for port in range(USUAL[name], USUAL[name] + TRIED)
            if port not in chosen.values() and (port == USUAL[name] or port not in taken) and is_free(port)
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
