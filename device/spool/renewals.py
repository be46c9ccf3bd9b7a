"""The way of the agent's certificate through the spool: a request out, a grant in, a word that it is in use.

The agent's key signs applications, and the process with the network never holds it: it carries, no more.
"""

from pathlib import Path

from device.spool import safefile
from device.spool.layout import MAX_GRANT, MAX_RENEWAL, Layout, bounded
from device.spool.spool import room


class RenewalDesk:
    """The agent's side."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)

    def ask(self, request: str) -> None:
        """Put a request out, in place of an older one. SpoolRefused too-big."""
        safefile.put(self._at.renewal_request, bounded(request.encode("ascii"), MAX_RENEWAL), writer="agent")

    def order(self) -> None:
        """The fleet commands a renewal of the agent's certificate, which outlives a restart. KitError
        disk-full."""
        with room():
            safefile.put(self._at.resign_now, b"", writer="agent")

    def is_ordered(self) -> bool:
        return self._at.resign_now.exists()

    def carried_out(self) -> None:
        safefile.drop(self._at.resign_now)

    def is_asking(self) -> bool:
        return self._at.renewal_request.exists()

    def granted(self) -> bytes | None:
        """What came, unchecked: the fleet's JSON."""
        return safefile.take(self._at.renewal_grant, MAX_GRANT)

    def drop_granted(self) -> None:
        safefile.drop(self._at.renewal_grant)

    def tell(self, done: str) -> None:
        """The new certificate is in use. SpoolRefused too-big."""
        safefile.put(self._at.renewal_done, bounded(done.encode("ascii"), MAX_RENEWAL), writer="agent")
