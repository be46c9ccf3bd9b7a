"""What competent services want anew: parts of an application, until they have them or no longer wait."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base, OfTenant


class Recapture(OfTenant, Base):
    """One question, of one signed receipt: the key makes a receipt that comes again do nothing."""

    __tablename__ = "recapture"
    asked_by: Mapped[str] = mapped_column(ForeignKey("application.packet_id"), primary_key=True)
    packet_id: Mapped[str] = mapped_column(ForeignKey("application.packet_id"), index=True)  # of the whole
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("request.request_id"), index=True)
    parts: Mapped[list[str]]  # protocol.recapture.Part, in their order
    code: Mapped[str] = mapped_column(String(40))
    asked: Mapped[datetime]
    until: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(4))  # open, done (answered for good or asked anew), late

    __table_args__ = (CheckConstraint("state IN ('open', 'done', 'late')", name="recapture_state"),)
