"""The broker as the fleet manages it: what a kit's revocation has brought about, and how the last check
ended.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base


class Revocation(Base):
    """A kit that is lost or at the end of its life: who said so, and when."""

    __tablename__ = "revocation"
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), primary_key=True)
    reason: Mapped[str] = mapped_column(String(8))  # lost, retired
    asked: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(String(80))


class RevocationEffect(Base):
    """One place where a revocation takes effect. `at`: when it did, or when it was last tried."""

    __tablename__ = "revocation_effect"
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), primary_key=True)
    effect: Mapped[str] = mapped_column(String(20), primary_key=True)
    state: Mapped[str] = mapped_column(String(8))  # waiting, done, failed
    at: Mapped[datetime]
    detail: Mapped[str] = mapped_column(String(300), default="")


class BrokerCheck(Base):
    """The newest result of one named check of the broker."""

    __tablename__ = "broker_check"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    place: Mapped[int]  # in the order of the checks
    state: Mapped[str] = mapped_column(String(8))  # ok, fail
    detail: Mapped[str] = mapped_column(String(300))
    remedy: Mapped[str] = mapped_column(String(300))
    at: Mapped[datetime]
