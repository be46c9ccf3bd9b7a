"""The chain of custody of each application (docs/protocol.md 10): its steps, and the documents they name."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base, OfTenant


class CustodyStep(OfTenant, Base):
    """A step; the hash chain is made with the fact itself, `token` (the signature) a moment later."""

    __tablename__ = "custody_step"
    packet_id: Mapped[str] = mapped_column(ForeignKey("application.packet_id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)
    step: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]
    content: Mapped[str]  # canonical JSON of protocol.custody.Step
    token: Mapped[str | None]


class CustodyDocument(OfTenant, Base):
    """What another party signed: a step's evidence, or the list that names a receipt key."""

    __tablename__ = "custody_document"
    packet_id: Mapped[str] = mapped_column(ForeignKey("application.packet_id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)
    text: Mapped[str]
