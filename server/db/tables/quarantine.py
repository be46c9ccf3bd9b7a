"""What a kit did for a visit that was no longer its own: kept until a person has decided."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base, OfTenant


class Quarantined(OfTenant, Base):
    __tablename__ = "quarantine"
    item_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)
    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.visit_id"), index=True)
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"))
    packet_id: Mapped[str] = mapped_column(String(26), default="")  # of an application; "" of an event
    state: Mapped[str] = mapped_column(String(12))  # what the event says of the visit
    reason: Mapped[str] = mapped_column(String(40), default="")  # with it
    why: Mapped[str] = mapped_column(String(16))  # server.fleet.quarantine.Why
    epoch: Mapped[int]
    received: Mapped[datetime]
    decision: Mapped[str] = mapped_column(String(8), default="")  # "" until somebody has decided
    decided: Mapped[datetime | None]
    decided_by: Mapped[str] = mapped_column(String(26), default="")  # account id
