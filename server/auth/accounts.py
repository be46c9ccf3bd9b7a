"""Local accounts: made on the command line, never by default."""

import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import new_ulid
from server.auth import passwords
from server.auth.roles import ROLES, Actor, Role
from server.db.tables import Account, Municipality

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")


class BadAccount(ValueError):
    """code: account-name, account-exists, unknown-role, unknown-municipality, role-tenant, password."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


def add(db: Session, name: str, role: str, tenant: str | None, password: str, now: datetime) -> str:
    """A new account; its id. BadAccount when something does not fit."""
    if not _NAME.fullmatch(name):
        raise BadAccount("account-name", "2 to 64 of a-z 0-9 . _ @ -")
    if role not in ROLES:
        raise BadAccount("unknown-role", f"one of {', '.join(ROLES)}")
    if (role == "fleet-admin") != (tenant is None):
        raise BadAccount("role-tenant", "a fleet-admin has no municipality, every other role has one")
    if tenant is not None and db.get(Municipality, tenant) is None:
        raise BadAccount("unknown-municipality", tenant)
    if db.scalar(select(Account.account_id).where(Account.name == name)) is not None:
        raise BadAccount("account-exists", name)
    try:
        sealed = passwords.seal(password)
    except passwords.BadPassword as problem:
        raise BadAccount("password", str(problem)) from problem
    account_id = new_ulid()
    db.add(
        Account(
            account_id=account_id,
            name=name,
            role=role,
            tenant=tenant,
            password=sealed,
            created=now,
            disabled=False,
        )
    )
    return account_id


def actor_of(account: Account) -> Actor:
    role: Role = next(role for role in ROLES if role == account.role)
    return Actor(account.account_id, account.name, role, account.tenant)
