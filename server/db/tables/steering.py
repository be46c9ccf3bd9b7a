"""What is asked of kits from afar: jobs, the settings they should have, and what is said to all of them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base


class KitJob(Base):
    """One thing a kit is to do once. `token` is the signed command, empty until the worker has signed it.

    `lease_until`: until then it is taken to be with the kit; after it, it is offered again."""

    __tablename__ = "kit_job"
    job: Mapped[str] = mapped_column(String(26), primary_key=True)
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"))
    counter: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(String(40))
    given_by: Mapped[str] = mapped_column(String(64))
    issued: Mapped[datetime]
    not_after: Mapped[datetime]
    token: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(12))  # server.fleet.jobs.State
    code: Mapped[str] = mapped_column(String(20), default="")
    changed: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    offers: Mapped[int] = mapped_column(default=0)

    __table_args__ = (Index("kit_job_of_kit", "kit_id", "job"), Index("kit_job_open", "state", "not_after"))


class KitTwin(Base):
    """What a kit is wished to be set to, and what it last said of that. `version` 0: nothing was wished."""

    __tablename__ = "kit_twin"
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    settings: Mapped[dict[str, object]]
    set_by: Mapped[str] = mapped_column(String(64), default="")
    set_at: Mapped[datetime | None]
    not_after: Mapped[datetime | None]
    token: Mapped[str] = mapped_column(Text, default="")  # the signed document, empty until it is signed
    reported: Mapped[dict[str, object] | None]
    reported_at: Mapped[datetime | None]
    reported_ses: Mapped[int] = mapped_column(BigInteger, default=0)
    reported_seq: Mapped[int] = mapped_column(BigInteger, default=0)


class FleetNotice(Base):
    """What is said to all kits; one row at most."""

    __tablename__ = "fleet_notice"
    only: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    minimum_version: Mapped[str] = mapped_column(String(32))
    crl_number: Mapped[int] = mapped_column(BigInteger, default=0)  # of the lists in force at the broker
    begins: Mapped[datetime | None]  # of the time that the fleet means to be away
    ends: Mapped[datetime | None]
    set_by: Mapped[str] = mapped_column(String(64))
    set_at: Mapped[datetime]
