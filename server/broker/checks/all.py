"""All checks one after the other, and their results in the database."""

from collections.abc import Callable, Iterable
from datetime import datetime

from server.broker import configuration
from server.broker.checks import live, twin
from server.broker.checks.stand import Named, Red, Result, Stand
from server.broker.problem import BrokerProblem
from server.broker.release import Release
from server.broker.steward import Manager
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import broker_health
from server.settings import Fleet

CHECKS: tuple[Named, ...] = (*live.CHECKS, *twin.CHECKS)


def run(
    database: Database,
    config: Fleet,
    clock: Callable[[], datetime],
    only: Iterable[str] = (),
    is_halted: Callable[[], bool] = lambda: False,
) -> tuple[Result, ...]:
    """Try the broker that `config` names, write the results down, and return them, in the order of the
    checks.

    With `only`, just these; what is known of the others stays. BrokerProblem where none can be tried. Halted
    when `is_halted` says so before all were tried: nothing is written down then."""
    manager = Manager(database, config, clock)
    settings = manager.settings
    stand = Stand(
        config,
        manager.place,
        configuration.read(settings.configuration),
        Release(settings.release),
        clock(),
        is_halted,
    )
    wanted = set(only)
    with manager.alone():
        results = tuple(_try(one, stand) for one in CHECKS if not wanted or one.name in wanted)
    with database.writing(EVERYONE) as db:
        for result in results:
            place = next(place for place, one in enumerate(CHECKS) if one.name == result.name)
            broker_health.note(db, result.name, place, result.ok, result.detail, result.remedy, clock())
    return results


def _try(named: Named, stand: Stand) -> Result:
    stand.rest(0)
    try:
        return Result(named.name, named.trap, True, named.check(stand), "")
    except Red as red:
        return Result(named.name, named.trap, False, red.seen, red.remedy)
    except BrokerProblem as problem:  # not tried is not passed
        return Result(named.name, named.trap, False, f"not tried: {problem.code}", problem.remedy)
