"""The competent service's recipient list on its way in: the agent says which key must have signed it, the
uplink brings the newest that the fleet has of that key. Whether it counts is for the agent to judge.
"""

from pathlib import Path

from device.spool import safefile
from device.spool.layout import MAX_LIST, Layout, SpoolRefused, bounded
from protocol.ids import is_key_id


class ListDesk:
    """The agent's side. `brought` is where the list lies, once one has come."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)
        self.brought = self._at.list_brought

    def want(self, kid: str) -> None:
        """Whose list is used here. SpoolRefused bad-name; OSError of the disk."""
        if not is_key_id(kid):
            raise SpoolRefused("bad-name", kid[:64])
        data = kid.encode("ascii")
        if safefile.take(self._at.list_wanted, MAX_LIST) != data:
            safefile.put(self._at.list_wanted, data, writer="agent")


class ListHatch:
    """The uplink's side."""

    def __init__(self, root: Path) -> None:
        self._at = Layout(root)

    def wanted(self) -> str | None:
        """The id of the key, as the agent has said it."""
        data = safefile.take(self._at.list_wanted, MAX_LIST)
        kid = data.decode("ascii", "replace") if data is not None else ""
        return kid if is_key_id(kid) else None

    def held(self) -> str:
        """The list that was brought; "" where there is none."""
        data = safefile.take(self._at.list_brought, MAX_LIST)
        return data.decode("ascii", "replace") if data is not None else ""

    def store(self, token: str) -> None:
        """SpoolRefused empty, too-big."""
        safefile.put(self._at.list_brought, bounded(token.encode("ascii"), MAX_LIST), writer="uplink")
