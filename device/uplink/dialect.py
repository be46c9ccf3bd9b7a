"""Which version of MQTT is spoken to this broker: 5, or 3.1.1 where a broker has no other.

Found out by being refused, and tried again after a while: brokers get newer. Only whoever holds the broker's
certificate can make a kit speak the older one, and nothing that counts is in what the older one lacks
(docs/protocol.md 7).
"""

import time
from typing import Literal

Version = Literal["5", "3.1.1"]
TOO_NEW = "unsupported-protocol-version"  # CONNACK 1 of a broker of 3.1.1, or 0x84
HANG_UPS = 3
"""So many connections in a row that end without a word, and the older version gets one try: some brokers do
not even answer a CONNECT of 5. A revoked certificate looks the same (TLS 1.3), so one success decides."""


class Dialect:
    """`wish`: auto, 5 or 3.1.1. `older_s`: how long the older one is spoken before 5 is tried again."""

    def __init__(self, wish: str, older_s: float) -> None:
        self._wish, self._older_s = wish, older_s
        self._older_until = float("-inf")
        self._hang_ups = 0

    def now(self) -> Version:
        """For the next session."""
        if self._wish != "auto":
            return "3.1.1" if self._wish == "3.1.1" else "5"
        older = time.monotonic() < self._older_until or self._hang_ups == HANG_UPS
        return "3.1.1" if older else "5"

    def opened(self) -> None:
        """The broker took what `now` said."""
        if self._hang_ups == HANG_UPS:
            self._older_until = time.monotonic() + self._older_s
        self._hang_ups = 0

    def failed(self, code: str) -> None:
        """A session ended, or was not had, with this code."""
        if code == TOO_NEW:
            self._older_until = time.monotonic() + self._older_s
        self._hang_ups = (self._hang_ups + 1) % (HANG_UPS + 1) if code == "refused" else 0
