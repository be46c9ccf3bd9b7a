"""Signing in and staying signed in: sessions on the server, ended there too.

A token has 128 bits and lives in the browser's cookie; the table holds its SHA-256. A session ends after 30
minutes without a page or 10 hours at most (ASVS 5.0, 7.3).
"""

import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from server.auth import passwords, throttle
from server.auth.accounts import actor_of
from server.auth.roles import Actor
from server.db.engine import Database
from server.db.queueing import WriterHeld
from server.db.scope import EVERYONE
from server.db.tables import Account, SignIn

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=10)
TOUCH = timedelta(minutes=1)  # `seen` is written at most this often: a page must not cost a disk write
TOUCH_S = 0.5  # and a page waits no longer for that
TRIES_A_NAME, TRIES_A_PLACE, WINDOW = 5, 40, timedelta(minutes=15)

# Verified against when there is no such account, so that the answer takes as long.
_NOBODY = passwords.seal(secrets.token_urlsafe(24))


class SignInFailed(Exception):
    """code: wrong (name or password: never said which), throttled."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def sign_in(database: Database, name: str, password: str, place: str, now: datetime) -> tuple[str, Actor]:
    """A fresh token and who it is for. `place`: the caller's address, for counting tries. SignInFailed."""
    with database.writing(EVERYONE) as db:
        free = throttle.take(db, "sign-in", place, TRIES_A_PLACE, WINDOW, now)
        free = throttle.take(db, "sign-in-as", name, TRIES_A_NAME, WINDOW, now) and free
        account = db.scalar(select(Account).where(Account.name == name))
    if not free:
        raise SignInFailed("throttled")
    # Outside any transaction: Argon2id takes 50 ms, and a SQLite writer would hold up everybody.
    right = passwords.fits(password, account.password if account else _NOBODY)
    if account is None or not right or account.disabled:
        raise SignInFailed("wrong")
    token = secrets.token_urlsafe(16)
    with database.writing(EVERYONE) as db:
        throttle.forgive(db, "sign-in-as", name)
        db.add(SignIn(token_sha256=_digest(token), account_id=account.account_id, created=now, seen=now))
    return token, actor_of(account)


def who(database: Database, token: str, now: datetime, *, touch: bool = True) -> Actor | None:
    """Who holds `token`; None when the session is unknown, over, or its account disabled."""
    with database.reading(EVERYONE) as db:
        found = db.execute(
            select(SignIn, Account)
            .join(Account, Account.account_id == SignIn.account_id)
            .where(SignIn.token_sha256 == _digest(token))
        ).one_or_none()
    if found is None:
        return None
    session, account = found
    if account.disabled or now - session.seen >= IDLE or now - session.created >= LONGEST:
        return None
    if touch and now - session.seen >= TOUCH:
        # Who only reads must not wait for who writes: the next page says it.
        with suppress(WriterHeld), database.writing(EVERYONE, TOUCH_S) as db:
            row = db.get(SignIn, session.token_sha256)
            if row is not None:
                row.seen = now
    return actor_of(account)


def sign_out(database: Database, token: str) -> None:
    with database.writing(EVERYONE) as db:
        db.execute(delete(SignIn).where(SignIn.token_sha256 == _digest(token)))


def sweep(db: Session, now: datetime) -> None:
    """Drop the sessions that are over."""
    db.execute(delete(SignIn).where(or_(SignIn.seen < now - IDLE, SignIn.created < now - LONGEST)))


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
