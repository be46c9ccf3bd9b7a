"""The clock of the kit: what the system says."""

import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.Clock` on the real clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
