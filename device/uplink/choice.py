"""Which way sealed packets go: over HTTPS, and through the broker only while HTTPS has failed for a while."""

import threading
import time
from collections.abc import Callable

from device.uplink.slip import Slip


class Choice:
    """May be told by any thread. One uploader asks it, so that never both ways are written at once."""

    def __init__(self, slip: Slip, after_s: float, fleet: Callable[[], bool]) -> None:
        """`after_s`: how long HTTPS must have failed; `fleet`: whether the fleet's ingest is there."""
        self.slip = slip
        self._after_s, self._fleet = after_s, fleet
        self._lock = threading.Lock()
        self._since: float | None = None

    def failed(self) -> None:
        """HTTPS did not do."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()

    def works(self) -> None:
        """The fleet has answered over HTTPS."""
        with self._lock:
            self._since = None

    @property
    def by_broker(self) -> bool:
        with self._lock:
            since = self._since
        is_long = since is not None and time.monotonic() - since >= self._after_s
        return is_long and self.slip.is_up and self._fleet()
