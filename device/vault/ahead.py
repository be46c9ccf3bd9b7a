"""Records of one visit as they lie in the vault, still encrypted, read before they are needed; and memory,
laid out, for what is in them.

In memory they tell nobody more than the database file does. What they open to is there only as long as
somebody works with it: who opened them wipes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

_ZEROS = bytes(64 * 1024)


@dataclass(frozen=True)
class Sealed:
    """One record: what it is in the vault, the digest that its fact names, its bytes, and what they are bound
    to."""

    record_id: str
    kind: str
    version: int
    digest: str
    sealed: bytes = field(repr=False)
    bound: bytes = field(repr=False)
    place: slice  # of its content in the memory


class Ahead:
    """`overhead`: how many bytes a record is longer than its content."""

    def __init__(
        self, visit_id: str, rows: Iterable[tuple[str, str, int, str, bytes, bytes]], overhead: int
    ) -> None:
        self.visit_id = visit_id
        self.records: list[Sealed] = []
        end = 0
        for record_id, kind, version, digest, sealed, bound in rows:
            place = slice(end, end + max(0, len(sealed) - overhead))
            self.records.append(Sealed(record_id, kind, version, digest, sealed, bound, place))
            end = place.stop
        self.space = memoryview(bytearray(end))

    def wipe(self) -> None:
        """What they opened to is gone."""
        for at in range(0, len(self.space), len(_ZEROS)):
            part = self.space[at : at + len(_ZEROS)]
            part[:] = _ZEROS[: len(part)]
