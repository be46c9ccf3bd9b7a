"""What the fleet does with its broker by night: fresh revocation lists, and the check."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from server.broker.checks import all as checks
from server.broker.checks.stand import Halted
from server.broker.problem import BrokerProblem
from server.broker.steward import Manager
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import broker_health
from server.settings import Fleet

log = structlog.get_logger()


def care(
    database: Database,
    config: Fleet,
    clock: Callable[[], datetime],
    now: datetime,
    is_halted: Callable[[], bool],
) -> None:
    """Once a night, or as often as `broker.check_every_s` says: new lists where the authority is on this
    machine, then every check of the broker. They are left when `is_halted` says so, and made another
    time."""
    if config.broker is None:
        return
    seconds = config.broker.check_every_s
    with database.reading(EVERYONE) as db:
        if not broker_health.is_due(db, now, timedelta(seconds=seconds) if seconds else None):
            return
    if config.broker.authority is not None:
        try:
            Manager(database, config, clock).renew_lists()
        except BrokerProblem as problem:  # the check tells it too, by the life that is left in the list
            log.error("lists not renewed", code=problem.code, remedy=problem.remedy)
    try:
        results = checks.run(database, config, clock, is_halted=is_halted)
    except Halted:
        return
    log.info("broker checked", red=[result.name for result in results if not result.ok])
