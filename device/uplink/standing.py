"""How the link stands, put together from the threads that know, and told to the agent through the spool."""

import threading
import time
from dataclasses import dataclass, replace

from device.spool.hatch import Hatch

AGAIN_S = 30.0  # silence of the uplink means something only because it repeats itself
# Of HTTPS, these say why; a broker that is caught or refuses as well often says only that it does not answer.
TELLING = frozenset({"portal", "server-untrusted", "certificate-refused"})


@dataclass(frozen=True)
class Stand:
    online: bool = False
    fleet: bool = False
    mqtt: str = ""  # "" or the code of what is wrong
    https: str = ""
    sending: str = ""
    outage: tuple[str, str] | None = None  # when the fleet means to be away


class Standing:
    """Any thread may change its part; the agent is told and rung when something is new."""

    def __init__(self, hatch: Hatch) -> None:
        self._hatch = hatch
        self._lock = threading.Lock()
        self._stand = Stand()
        self._told = 0.0
        self._tell()

    @property
    def fleet_is_here(self) -> bool:
        return self._stand.fleet

    def mqtt(self, *, online: bool, problem: str = "") -> None:
        """A session that is down tells nothing of the fleet's ingest any more."""
        with self._lock:
            self._change(
                replace(self._stand, online=online, mqtt=problem, fleet=online and self._stand.fleet)
            )

    def fleet(self, here: bool) -> None:
        with self._lock:
            self._change(replace(self._stand, fleet=here))

    def https(self, problem: str) -> None:
        with self._lock:
            self._change(replace(self._stand, https=problem))

    def sending(self, packet_id: str) -> None:
        with self._lock:
            self._change(replace(self._stand, sending=packet_id))

    def outage(self, announced: tuple[str, str] | None) -> None:
        """The fleet says from when to when it will be away, or that it will not."""
        with self._lock:
            self._change(replace(self._stand, outage=announced))

    def repeat(self) -> None:
        with self._lock:
            if time.monotonic() - self._told > AGAIN_S:
                self._tell()

    def _change(self, stand: Stand) -> None:
        if stand != self._stand:
            self._stand = stand
            self._tell()
            self._hatch.ring_agent()

    def _tell(self) -> None:
        now = self._stand
        problem = now.https if now.https in TELLING else now.mqtt or now.https
        self._hatch.tell(
            online=now.online, fleet=now.fleet, problem=problem, sending=now.sending, outage=now.outage
        )
        self._told = time.monotonic()
