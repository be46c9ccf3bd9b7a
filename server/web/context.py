"""What the pages need, built once by `server.app.create_app` and reached through the app."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from flask import Flask, current_app, g

from protocol.custodycheck import Trust
from server.auth.roles import Actor
from server.db.engine import Database
from server.db.field_key import FieldKey
from server.settings import Service
from server.web.live import Live

_KEY = "thuisloket"


@dataclass(frozen=True)
class Context:
    database: Database
    fields: FieldKey = field(repr=False)
    form_secret: bytes = field(repr=False)
    metrics_token: bytes | None = field(repr=False)
    secure_cookies: bool
    clock: Callable[[], datetime]
    live: Live
    trust: Trust
    services: Mapping[str, Service]


def put(app: Flask, context: Context) -> None:
    app.extensions[_KEY] = context


def context() -> Context:
    return cast(Context, current_app.extensions[_KEY])


def actor() -> Actor:
    """Who asks. Only for views behind the gate: there is always somebody."""
    return cast(Actor, g.actor)
