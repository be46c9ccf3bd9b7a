"""Which events of the outbox may go now, without I/O: a few messages of them under way at a time, each until
its receipt.

PUBACK is not delivery. It only says whether waiting for a receipt makes sense (0x10, 0x87, 0x97 and every
other failure say it does not), so an acked event stays under way until its receipt or until its time is up.
"""

from dataclasses import dataclass

from device.uplink.backoff import Backoff

PUBACK_SUCCESS = 0x00
_LONGEST = 5  # times the first patience


@dataclass
class _Way:
    """One event's way: `until` it holds a place in the window, not to be sent again before `rest`."""

    patience: Backoff
    mid: int = 0
    sends: int = 0
    until: float = 0.0
    rest: float = 0.0


class Window:
    """`size` places; `receipt_s`, `most_s` in seconds. `now` is any monotonic clock."""

    def __init__(self, size: int, receipt_s: float, first_s: float, most_s: float) -> None:
        self._size = size
        self._receipt_s = receipt_s
        self._first_s, self._most_s = first_s, most_s
        self._ways: dict[str, _Way] = {}

    def shrink(self, places: int) -> None:
        """The broker takes fewer at a time."""
        self._size = max(1, min(self._size, places))

    def room(self, now: float) -> int:
        """How many messages may be sent now."""
        return self._size - len({way.mid for way in self._ways.values() if way.until > now})

    def goes_alone(self, message_id: str) -> bool:
        """It went before, and nobody answered: whatever was wrong with a message that it shared, from now on
        it is judged by itself."""
        return message_id in self._ways and self._ways[message_id].sends > 0

    def resting(self, now: float) -> set[str]:
        """Events not to be sent now: under way, or to be left alone for a while."""
        return {message_id for message_id, way in self._ways.items() if max(way.until, way.rest) > now}

    def sent(self, message_id: str, mid: int, now: float) -> None:
        """It went off as message `mid` of this connection."""
        way = self._way(message_id)
        patience = self._receipt_s * min(2**way.sends, _LONGEST)  # a fleet that is down is not pestered
        way.mid, way.sends, way.until, way.rest = mid, way.sends + 1, now + patience, 0.0

    def acked(self, mid: int, code: int, now: float) -> list[str]:
        """PUBACK with `code` for `mid`: the ids of its events when it failed, none when all is well."""
        if code == PUBACK_SUCCESS:
            return []
        failed = [name for name, way in self._ways.items() if way.mid == mid and way.until > now]
        for name in failed:
            way = self._ways[name]
            way.until, way.rest = 0.0, now + self._first_s + way.patience.next()
        return failed

    def shelve(self, message_id: str) -> None:
        """It cannot go over this connection at all (larger than the broker takes)."""
        self._way(message_id).rest = float("inf")

    def done(self, message_id: str) -> None:
        self._ways.pop(message_id, None)

    def hurry(self) -> None:
        """The fleet is back: nothing rests any longer, and what was under way may have been lost with it."""
        for way in self._ways.values():
            if way.rest != float("inf"):
                way.sends, way.until, way.rest = 0, 0.0, 0.0
                way.patience.reset()

    def _way(self, message_id: str) -> _Way:
        return self._ways.setdefault(message_id, _Way(Backoff(self._first_s, self._most_s)))
