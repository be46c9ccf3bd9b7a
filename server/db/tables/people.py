"""Who may sign in at the town hall, who is signed in, and who has tried too often."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base


class Account(Base):
    """A member of staff. A fleet-admin belongs to no municipality, everybody else to exactly one."""

    __tablename__ = "account"
    account_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    tenant: Mapped[str | None] = mapped_column(ForeignKey("municipality.tenant"))
    password: Mapped[str] = mapped_column(String(200))  # Argon2id, PHC string
    disabled: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime]


class SignIn(Base):
    """A session on the server. The browser holds the token; here lies only its SHA-256."""

    __tablename__ = "sign_in"
    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.account_id", ondelete="CASCADE"), index=True)
    created: Mapped[datetime]
    seen: Mapped[datetime]


class Throttle(Base):
    """How often something was tried within a window; the key is a digest, so no name or address lies here."""

    __tablename__ = "throttle"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    since: Mapped[datetime]
    count: Mapped[int]
