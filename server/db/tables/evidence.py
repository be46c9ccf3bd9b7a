"""What proves where biometrics are and were: what each kit holds, and what somebody must look into."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base, OfTenant


class Holding(OfTenant, Base):
    """A kit holds something of a visit: readable captures (no `packet_id`), or a sealed packet.

    It ends with the kit's signed word that it was destroyed, and with nothing else."""

    __tablename__ = "holding"
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), primary_key=True)
    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.visit_id"), primary_key=True)
    packet_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)
    since: Mapped[datetime]
    ended: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(String(16), default="")  # as the certificate says
    certificate: Mapped[str] = mapped_column(default="")  # compact JWS of the kit

    __table_args__ = (Index("holding_open", "ended", "since"),)


class Incident(Base):
    """Something that should not happen, until an administrator has said that it was looked into.

    About a kit and never about a citizen; the same thing is told once."""

    __tablename__ = "incident"
    incident_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), index=True)
    code: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))  # a visit, a packet, or the digest of what came
    detail: Mapped[str] = mapped_column(String(80), default="")
    at: Mapped[datetime]
    acknowledged: Mapped[datetime | None]
    acknowledged_by: Mapped[str] = mapped_column(String(64), default="")

    __table_args__ = (UniqueConstraint("code", "kit_id", "subject"),)
