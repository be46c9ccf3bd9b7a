"""The lease's way through the spool: a request on its way out, one sealed grant on its way in.

`ask` is for now; what `ready` puts out goes along when the planning is fetched anyway."""

from pathlib import Path

from device.spool import safefile
from device.spool.layout import MAX_LEASE, Layout, bounded


class LeaseDesk:
    """The agent's side."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)

    def ask(self, request: str) -> None:
        """Put a request out, in place of an older one. SpoolRefused too-big."""
        safefile.put(self._at.lease_request, bounded(request.encode("ascii"), MAX_LEASE), writer="agent")

    def ready(self, request: str) -> None:
        """Put a request out that need not go by itself, in place of an older one. SpoolRefused too-big."""
        safefile.put(self._at.lease_ready, bounded(request.encode("ascii"), MAX_LEASE), writer="agent")

    def is_asking(self) -> bool:
        return self._at.lease_request.exists()

    def granted(self) -> bytes | None:
        """What came, sealed and unchecked."""
        return safefile.take(self._at.lease_grant, MAX_LEASE)

    def drop_granted(self) -> None:
        safefile.drop(self._at.lease_grant)


class LeaseHatch:
    """The uplink's side."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)

    def asked(self) -> str | None:
        """The request that must be answered now."""
        return _text(self._at.lease_request)

    def at_hand(self) -> str | None:
        """A request that may go along, urgent or not."""
        return self.asked() or _text(self._at.lease_ready)

    def store(self, sealed: bytes) -> None:
        """Keep the fleet's answer. SpoolRefused too-big, empty."""
        safefile.put(self._at.lease_grant, bounded(sealed, MAX_LEASE), writer="uplink")

    def done(self, request: str) -> None:
        """`request` was answered; a newer one stays."""
        for path in (self._at.lease_request, self._at.lease_ready):
            if _text(path) == request:
                safefile.drop(path)


def _text(path: Path) -> str | None:
    data = safefile.take(path, MAX_LEASE)
    return data.decode("ascii") if data is not None and data.isascii() else None
