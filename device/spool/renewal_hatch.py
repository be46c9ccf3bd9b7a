"""The uplink's side of the way of the agent's certificate (`renewals`), apart from the agent's: what the
uplink's process loads knows nothing of the agent's errors."""

from pathlib import Path

from device.spool import safefile
from device.spool.layout import MAX_GRANT, MAX_RENEWAL, Layout, bounded


class RenewalHatch:
    """The uplink's side."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)

    def asked(self) -> str | None:
        return _text(self._at.renewal_request)

    def told(self) -> str | None:
        return _text(self._at.renewal_done)

    def has_any(self) -> bool:
        return self._at.renewal_request.exists() or self._at.renewal_done.exists()

    def grant(self, answer: bytes) -> None:
        """The answer to the request, which is over with that. SpoolRefused too-big."""
        safefile.put(self._at.renewal_grant, bounded(answer, MAX_GRANT), writer="uplink")
        safefile.drop(self._at.renewal_request)

    def drop_request(self) -> None:
        """The fleet will not: the agent asks again in its own time."""
        safefile.drop(self._at.renewal_request)

    def drop_told(self) -> None:
        safefile.drop(self._at.renewal_done)


def _text(path: Path) -> str | None:
    data = safefile.take(path, MAX_RENEWAL)
    return data.decode("ascii") if data is not None and data.isascii() else None
