"""Which reports go together in one message, without I/O (docs/protocol.md 7)."""

from collections.abc import Callable, Iterable, Iterator

from device.spool.records import Report
from protocol.messages import MAX_BYTES
from protocol.messages.batch import MOST

AROUND_ITEM = (
    160  # id, number, time, their names: 115 at most, and what a body from an older agent leaves out
)
AROUND_ALL = 320  # the envelope


def bundles(
    reports: Iterable[Report], goes_alone: Callable[[str], bool], most_bytes: int = MAX_BYTES
) -> Iterator[list[Report]]:
    """`reports` in their order, as many together as a message of `most_bytes` takes, by their ids apart from
    those that go alone."""
    together: list[Report] = []
    size = AROUND_ALL
    for report in reports:
        alone = goes_alone(report.id)
        more = len(report.body) + AROUND_ITEM
        if together and (alone or size + more > most_bytes or len(together) == MOST):
            yield together
            together, size = [], AROUND_ALL
        if alone:
            yield [report]
        else:
            together.append(report)
            size += more
    if together:
        yield together
