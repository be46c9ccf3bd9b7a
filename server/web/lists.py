"""The services' keys, as their signed lists name them: which are current and next, and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, render_template

from protocol.instant import read_instant
from server.fleet import lists
from server.web.context import context

blueprint = Blueprint("lists", __name__)

SOON = timedelta(days=7)
"""A list that ends before is asked for anew: kits that are off must have it before they go out."""


@dataclass(frozen=True)
class Line:
    """`state`: ok, soon, or none with `code`. `keys`: ids, the current one first."""

    line: str
    state: str
    code: str
    keys: tuple[str, ...] = ()
    issued: datetime | None = None
    expires: datetime | None = None
    test: bool = False


@blueprint.get("/lists")
def show() -> str:
    now = context().clock()
    rows = [_line(held, now) for held in lists.look(context().services, now)]
    return render_template("fleet/lists.html", rows=rows)


def ending(now: datetime) -> bool:
    """Whether somebody has to ask a service for a new list."""
    return any(_line(held, now).state != "ok" for held in lists.look(context().services, now))


def _line(held: lists.Held, now: datetime) -> Line:
    if held.about is None:
        return Line(held.line, "none", held.code)
    issued, expires = read_instant(held.about.issued), read_instant(held.about.expires)
    state = "soon" if expires - now < SOON else "ok"
    keys = tuple(each.kid for each in held.about.recipients)
    return Line(held.line, state, "", keys, issued, expires, held.about.test)
