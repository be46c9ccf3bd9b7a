"""The certificates that kits show, and the new ones they ask for."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base


class KitCertificate(Base):
    """One of a kit's two certificates: the one in use as far as is known, and at most one request."""

    __tablename__ = "kit_certificate"
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(8), primary_key=True)  # kit-tls, kit-sign
    serial: Mapped[str] = mapped_column(String(40), default="")  # of the one in use
    since: Mapped[datetime | None]
    until: Mapped[datetime | None]
    renewed: Mapped[datetime | None]  # when the kit said that it is in use
    state: Mapped[str] = mapped_column(String(8), default="")  # of the request: asked, issued, refused
    code: Mapped[str] = mapped_column(String(40), default="")
    key_id: Mapped[str] = mapped_column(String(43), default="")  # of the key that is asked for
    request: Mapped[str] = mapped_column(Text, default="")
    chain: Mapped[str] = mapped_column(Text, default="")  # PEM, leaf first
    authorities: Mapped[str] = mapped_column(Text, default="")  # PEM
    asked: Mapped[datetime | None]
    window: Mapped[datetime | None]  # since when the tries are counted
    tries: Mapped[int] = mapped_column(default=0)
