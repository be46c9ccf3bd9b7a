"""Takes kits' requests for new certificates to the authority and brings its answers back."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509

from server.authority import signing
from server.authority.signing import Answer, Answers, AuthorityProblem
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import outbox, renewals
from server.fleet.outbox import Claim
from server.fleet.refused import Refused
from server.fleet.renewals import Issued

IDLE_S = 0.5
AT_ONCE = 50

log = structlog.get_logger()


class Clerk:
    """`authority`: the folder of the authority where it is on this machine. Where it is not, requests wait
    for a person: `thuisloket-fleet certificates export`."""

    def __init__(
        self,
        database: Database,
        roots: Sequence[x509.Certificate],
        authority: Path | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._database, self._roots, self._authority, self._clock = database, roots, authority, clock

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                worked = self.work()
            except Exception as problem:  # border: one bad piece must not end renewal for all
                log.error("renewal failed", exc_info=problem)
                worked = False
            if not worked:
                stop.wait(IDLE_S)

    def work(self) -> bool:
        """Settle what waits; whether anything did."""
        claims = self._claim()
        if not claims:
            return False
        try:
            outcomes = self._settle([claim.subject for claim in claims])
        except AuthorityProblem as problem:
            log.error("certificates not signed", code=problem.code, remedy=problem.remedy)
            with self._database.writing(EVERYONE) as db:
                for claim in claims:
                    outbox.again(db, claim, self._clock(), problem.code)
            return False
        with self._database.writing(EVERYONE) as db:
            for claim in claims:
                outbox.done(db, claim)
        log.info("worked", queue="renew", kits=len(claims), outcome=" ".join(outcomes))
        return True

    def _settle(self, kit_ids: list[str]) -> list[str]:
        if self._authority is None:
            return ["by-hand"]
        with self._database.reading(EVERYONE) as db:
            requests = [row.request for row in renewals.waiting(db, kit_ids)]
        return take_in(self._database, self._roots, signing.sign(self._authority, requests), self._clock())

    def _claim(self) -> list[Claim]:
        now = self._clock()
        with self._database.reading(EVERYONE) as db:
            if not outbox.due(db, ["renew"], now):
                return []
        with self._database.writing(EVERYONE) as db:
            return outbox.claim(db, ["renew"], AT_ONCE, now)


def take_in(
    database: Database, roots: Sequence[x509.Certificate], answers: Answers, now: datetime
) -> list[str]:
    """Give each answer to the request it is for; the outcomes. One that fits none is told and let go."""
    return [_take_one(database, roots, one, answers.authorities, now) for one in answers.answers]


def _take_one(
    database: Database, roots: Sequence[x509.Certificate], one: Answer, authorities: str, now: datetime
) -> str:
    answer = one.code or Issued(one.chain, authorities)
    try:
        with database.writing(EVERYONE) as db:
            return renewals.settle(db, roots, one.kid, answer, now)
    except Refused as problem:
        log.warning("answer not taken", key=one.kid, code=problem.code)
        return problem.code
