"""What an administrator asks of kits from afar on the command line: jobs, settings, and a notice to all."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from protocol.command import ACTIONS
from server.auth.roles import Actor
from server.cli import Config, Json, failures, opened, say, say_object

KitName = Annotated[str, typer.Argument(metavar="KIT")]
US = Actor("", "command line", "fleet-admin", None)

job = typer.Typer(no_args_is_help=True, help="Jobs: what a kit is to do once, when it is next online.")
wish = typer.Typer(no_args_is_help=True, help="What a kit is wished to be set to.")
notice = typer.Typer(no_args_is_help=True, help="What is said to all kits.")


def add_to(app: typer.Typer) -> None:
    """Hang all of these commands under `app`."""
    for name, group in {"job": job, "wish": wish, "notice": notice}.items():
        app.add_typer(group, name=name)


@job.command("give")
def job_give(
    config: Config,
    kit_id: KitName,
    action: Annotated[str, typer.Argument(help=f"One of {', '.join(ACTIONS)}.")],
    days: Annotated[float, typer.Option(help="After so many days the kit does it no more.")] = 30,
    as_json: Json = False,
) -> None:
    """Give a kit a job; its number. It waits for as long as the kit is off."""
    from server.db.scope import EVERYONE
    from server.fleet import jobs

    if not 0 < days <= jobs.LONGEST.days:
        raise typer.BadParameter(f"between 0 and {jobs.LONGEST.days} days")
    with failures(), opened(config) as (_, database), database.writing(EVERYONE) as db:
        made = jobs.give(db, US, kit_id, action, datetime.now(UTC), timedelta(days=days))
        answer = {"job": made.job, "kit_id": kit_id, "not_after": made.not_after.isoformat()}
    say(answer, as_json)


@job.command("list")
def job_list(config: Config, kit_id: KitName, as_json: Json = False) -> None:
    """The newest jobs of a kit, and how far they are."""
    from server.db.scope import EVERYONE
    from server.fleet import jobs, kits

    with failures(), opened(config) as (_, database), database.reading(EVERYONE) as db:
        kits.visible_one(db, kit_id)
        rows = [
            {
                "job": row.job,
                "action": row.action,
                "state": row.state,
                "code": row.code,
                "given_by": row.given_by,
                "issued": row.issued.isoformat(),
                "not_after": row.not_after.isoformat(),
                "changed": row.changed.isoformat(),
                "offers": row.offers,
            }
            for row in jobs.of_kit(db, kit_id)
        ]
    lines = [f"{row['job']}  {row['action']}  {row['state']} {row['code']}".rstrip() for row in rows]
    say_object({"jobs": rows}, lines, as_json)


@job.command("cancel")
def job_cancel(
    config: Config, job_id: Annotated[str, typer.Argument(metavar="JOB")], as_json: Json = False
) -> None:
    """Offer a job no more, if the kit has not accepted it yet."""
    from server.db.scope import EVERYONE
    from server.fleet import jobs

    with failures(), opened(config) as (_, database), database.writing(EVERYONE) as db:
        jobs.cancel(db, US, job_id, datetime.now(UTC))
    say({"job": job_id, "state": "cancelled"}, as_json)


@wish.command("set")
def wish_set(
    config: Config,
    kit_id: KitName,
    settings: Annotated[list[str] | None, typer.Argument(help="KEY=VALUE; none: nothing is wished.")] = None,
    as_json: Json = False,
) -> None:
    """All that is wished of a kit; what is not named is as its own file says."""
    from protocol.desired import BOUNDS
    from server.db.scope import EVERYONE
    from server.fleet import twins

    wanted: dict[str, int | str] = {}
    for setting in settings or ():
        key, _, value = setting.partition("=")
        wanted[key] = int(value) if key in BOUNDS and value.isascii() and value.isdigit() else value
    with failures(), opened(config) as (_, database), database.writing(EVERYONE) as db:
        version = twins.wish(db, US, kit_id, wanted, datetime.now(UTC)).version
    say({"kit_id": kit_id, "version": version}, as_json)


@wish.command("show")
def wish_show(config: Config, kit_id: KitName, as_json: Json = False) -> None:
    """What is wished of a kit, and what it says of that."""
    from server.db.scope import EVERYONE
    from server.fleet import kits, twins

    with failures(), opened(config) as (_, database), database.reading(EVERYONE) as db:
        kits.visible_one(db, kit_id)
        now = twins.standing(db, kit_id)
    settings = {
        line.key: {"wanted": line.wanted, "state": line.state, "code": line.code} for line in now.lines
    }
    answer = {
        "version": now.version,
        "set_by": now.set_by,
        "reported": now.reported,
        "refused": now.refused,
        "settings": settings,
    }
    lines = [f"version {now.version}, the kit stands at {now.reported} {now.refused}".rstrip()]
    lines += [f"{each.key}: {each.wanted} {each.state} {each.code}".rstrip() for each in now.lines]
    say_object(answer, lines, as_json)


@notice.command("set")
def notice_set(
    config: Config,
    begins: Annotated[str, typer.Option(help="An instant with its zone, 2026-11-23T20:00:00+01:00.")],
    ends: Annotated[str, typer.Option()],
    as_json: Json = False,
) -> None:
    """Tell all kits when the fleet means to be away."""
    _announce(config, _instant(begins), _instant(ends))
    say({"begins": begins, "ends": ends}, as_json)


@notice.command("clear")
def notice_clear(config: Config, as_json: Json = False) -> None:
    """The fleet will not be away after all."""
    _announce(config, None, None)
    say({"begins": None, "ends": None}, as_json)


def _announce(config: Config, begins: datetime | None, ends: datetime | None) -> None:
    from server.db.scope import EVERYONE
    from server.fleet import notices

    with failures(), opened(config) as (_, database), database.writing(EVERYONE) as db:
        notices.announce(db, US, begins, ends, datetime.now(UTC))


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as problem:
        raise typer.BadParameter("not an instant") from problem
    if at.tzinfo is None:
        raise typer.BadParameter("an instant with its zone")
    return at
