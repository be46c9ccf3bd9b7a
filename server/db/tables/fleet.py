"""Municipalities, their officers, the kits, and when officers and kits are taken. No citizen is in here."""

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base, OfTenant


class Municipality(Base):
    __tablename__ = "municipality"
    tenant: Mapped[str] = mapped_column(String(10), primary_key=True)  # KBO number
    name: Mapped[str] = mapped_column(String(80))


class Postcode(Base):
    """Which municipality answers for a postcode."""

    __tablename__ = "postcode"
    postcode: Mapped[str] = mapped_column(String(4), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)


class Officer(OfTenant, Base):
    __tablename__ = "officer"
    officer_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class Kit(Base):
    """A kit, the day bag that waits for it, and what it last said of itself (docs/protocol.md 7)."""

    __tablename__ = "kit"
    kit_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    bag_recipient: Mapped[str] = mapped_column(String(2400))  # age1pq1...: 1,959 characters
    added: Mapped[datetime]
    retired: Mapped[datetime | None]
    bag_version: Mapped[int] = mapped_column(default=0)
    bag_date: Mapped[date | None]
    bag_sha256: Mapped[str | None] = mapped_column(String(64))
    session: Mapped[int] = mapped_column(BigInteger, default=0)  # `ses` of the newest connection heard of
    presence: Mapped[str] = mapped_column(String(8), default="unknown")
    presence_at: Mapped[datetime | None]
    birth: Mapped[dict[str, object] | None]
    health: Mapped[dict[str, object] | None]
    health_at: Mapped[datetime | None]
    # Of the last report that was kept: where it lies, and its `ses` and `seq`.
    report_id: Mapped[int | None] = mapped_column(BigInteger)
    report_ses: Mapped[int] = mapped_column(BigInteger, default=0)
    report_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    roster_version: Mapped[int] = mapped_column(default=0)  # of its list of officers; 0: there is none
    roster_told: Mapped[int] = mapped_column(default=0)  # the newest of them that the kit has fetched
    lost: Mapped[datetime | None]  # reported lost: no leases and no bags any more, until it is found


class KitLease(Base):
    """The shares of a kit's store key, sealed for these rows, and when they were last handed out."""

    __tablename__ = "kit_lease"
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), primary_key=True)
    epoch: Mapped[int]  # the one the kit said its store is in
    share: Mapped[bytes | None]  # of that epoch; none in epoch 0
    following: Mapped[bytes | None]  # of the next one, once it was handed out
    turned: Mapped[datetime]  # when this epoch began here
    granted: Mapped[datetime]
    ends: Mapped[datetime]  # when what was granted last ends, by the fleet's clock


class KitOfficer(OfTenant, Base):
    """An officer may open this kit; one who cannot yet has an enrolment: a key under a code (protocol 13)."""

    __tablename__ = "kit_officer"
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), primary_key=True)
    officer_id: Mapped[str] = mapped_column(ForeignKey("officer.officer_id"), primary_key=True)
    listed: Mapped[datetime]
    enrolment: Mapped[bytes | None]
    enrolment_until: Mapped[datetime | None]
    on_kit: Mapped[datetime | None]  # since when the kit says so
    taken: Mapped[datetime | None]  # off the list since then, and by all we heard not yet shut out by the kit


class KitTenant(OfTenant, Base):
    """A kit serves this municipality. A kit may serve several; a planner sees the kits of her own only."""

    __tablename__ = "kit_tenant"
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), primary_key=True)


class Booking(Base):
    """An officer or a kit is taken from `starts` to `ends`. Across municipalities; not said by whom."""

    __tablename__ = "booking"
    resource: Mapped[str] = mapped_column(String(48), primary_key=True)  # "officer:<id>" or "kit:<id>"
    visit_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    starts: Mapped[datetime]
    ends: Mapped[datetime]
