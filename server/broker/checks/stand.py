"""What a check works with, and how it says that all is not well."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from protocol import access
from server.broker.configuration import Configuration
from server.broker.control import Control
from server.broker.link import Identity, Link, Place
from server.broker.release import Release
from server.settings import Fleet

REFUSED = 0x80  # reason codes from here on are refusals
NOBODY = 0x10  # taken, and nobody listens
LOOK_S = 0.5


class Red(Exception):
    """A check failed: what was seen, and what to do."""

    def __init__(self, seen: str, remedy: str) -> None:
        super().__init__(seen)
        self.seen = seen
        self.remedy = remedy


class Halted(Exception):
    """Who checks has something else to do: all is tried another time."""


@dataclass(frozen=True)
class Result:
    """`trap`: its number in the list of measured traps, 0 for what belongs beside them."""

    name: str
    trap: int
    ok: bool
    detail: str
    remedy: str


@dataclass(frozen=True)
class Stand:
    """A broker to be tried, as whom, and what its configuration says. `is_halted`: whether to leave it."""

    config: Fleet
    place: Place
    conf: Configuration
    release: Release
    now: datetime
    is_halted: Callable[[], bool]

    def rest(self, seconds: float) -> None:
        """Halted, before or meanwhile."""
        until = time.monotonic() + seconds
        while not self.is_halted():
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, LOOK_S))
        raise Halted

    @property
    def one(self) -> Identity:
        return self.release.canaries[0]

    @property
    def two(self) -> Identity:
        return self.release.canaries[1]

    @property
    def admin(self) -> Identity:
        assert self.config.broker is not None
        return Identity(access.ADMIN, self.config.broker.certificate, self.config.broker.key)

    @contextmanager
    def control(self) -> Iterator[Control]:
        with Link(self.place, self.admin) as link:
            yield Control(link)

    def tell_one(self, count: int, first: int = 0) -> None:
        """Say `count` numbered messages to the first canary. Red when the manager may not."""
        topic = f"tl/v1/kit/{self.one.name}/down/rcpt"
        messages = [(topic, b"%d" % number) for number in range(first, first + count)]
        with Link(self.place, self.admin) as link:
            reasons = [
                reason for start in range(0, count, 10) for reason in link.publish_all(messages[start:][:10])
            ]
        if any(reason >= REFUSED for reason in reasons):
            raise Red(
                "the manager may not speak to a canary", "let the fleet manage the broker: broker agree"
            )

    def end_session(self) -> None:
        """The broker keeps none of the first canary from here on."""
        self.leave_session(keep=False)

    def leave_session(self, keep: bool = True) -> None:
        """The first canary subscribes to what is for it, and goes, so that the broker keeps its session
        empty.
        """
        with Link(self.place, self.one, keep=keep) as link:
            granted = link.subscribe(f"tl/v1/kit/{self.one.name}/down/#")
            if granted != [1]:
                raise Red(
                    f"a kit may not hear what is for it: {granted}", "run `thuisloket-fleet broker agree`"
                )
            link.hear_all(10_000, 0.3)

    def numbers(self, link: Link, count: int, seconds: float = 10.0) -> list[int]:
        """The numbers of the next `count` messages of `tell_one`."""
        return [int(heard.payload) for heard in link.hear_all(count, seconds)]


Check = Callable[[Stand], str]
"""Returns what was seen; raises Red, or BrokerProblem where it could not be tried."""


@dataclass(frozen=True)
class Named:
    name: str
    trap: int
    check: Check


def files_of(conf: Configuration) -> tuple[Path, Path]:
    """The revocation lists and the CA bundle. BrokerProblem not-configured."""
    return conf.file("crlfile"), conf.file("cafile")
