"""Citizens' requests, the visits that follow, and the sealed applications that come back.

Columns of `bytes` that speak of a person hold ciphertext (server/db/field_key.py), bound to its place.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from protocol.lifecycle import ApplicationState
from server.db.tables.shape import Base, OfTenant

_STATES = ", ".join(f"'{state}'" for state in ApplicationState)


class Request(OfTenant, Base):
    __tablename__ = "request"
    request_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)
    created: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(12))  # protocol.lifecycle.VisitState
    service_id: Mapped[str] = mapped_column(String(80))
    language: Mapped[str] = mapped_column(String(2))
    evidence: Mapped[str] = mapped_column(String(24))
    requester: Mapped[str] = mapped_column(String(16))
    half_days: Mapped[list[str]]
    postcode: Mapped[str] = mapped_column(String(4))
    municipality: Mapped[str] = mapped_column(String(80))
    twin: Mapped[str] = mapped_column(String(64))  # keyed digest of who it is: finds the same person again
    merged_into: Mapped[str | None] = mapped_column(ForeignKey("request.request_id"))
    name: Mapped[bytes]
    birth_date: Mapped[bytes]
    national_number: Mapped[bytes]
    phone: Mapped[bytes]
    street: Mapped[bytes]
    note: Mapped[bytes]
    requester_name: Mapped[bytes]
    requester_contact: Mapped[bytes]

    __table_args__ = (Index("request_by_twin", "tenant", "twin"),)


class StatusCode(OfTenant, Base):
    """Lets a citizen ask how her request stands, without an account. Here lies only the code's SHA-256."""

    __tablename__ = "status_code"
    code_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("request.request_id", ondelete="CASCADE"))


class Visit(OfTenant, Base):
    __tablename__ = "visit"
    visit_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("request.request_id"), index=True)
    service_id: Mapped[str] = mapped_column(String(80))
    officer_id: Mapped[str] = mapped_column(ForeignKey("officer.officer_id"))
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), index=True)
    starts: Mapped[datetime] = mapped_column(index=True)
    ends: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(String(40), default="")  # why it was abandoned, a code
    epoch: Mapped[int] = mapped_column(default=1)  # grows when the kit that has it no longer does
    # Key of the Recapture this short visit is for. No foreign key: the tables would point in a circle.
    recapture: Mapped[str | None] = mapped_column(String(26))


class Application(OfTenant, Base):
    """One sealed application, from the kit's word that it exists to the service's signed answer."""

    __tablename__ = "application"
    packet_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("municipality.tenant"), index=True)
    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.visit_id"), index=True)
    service_id: Mapped[str] = mapped_column(String(80))
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), index=True)
    state: Mapped[str] = mapped_column(String(10), index=True)  # protocol.lifecycle.ApplicationState
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int | None]  # of the assignment it was made under, once the kit has said
    # The application that this packet brings parts of anew; such a packet is counted in that one.
    supplements: Mapped[str | None] = mapped_column(String(26), index=True)
    created: Mapped[datetime]
    changed: Mapped[datetime]
    # Known once the packet is here:
    kit_cert_serial: Mapped[str | None] = mapped_column(String(64))
    seq: Mapped[int | None] = mapped_column(BigInteger)
    size: Mapped[int | None]
    blob_sha256: Mapped[str | None] = mapped_column(String(64))
    uploaded: Mapped[datetime | None]
    # Known once the service has answered, or forwarding has stopped:
    reason: Mapped[str] = mapped_column(String(80), default="")  # code of a rejection, or why it is stuck
    receipt: Mapped[str | None]
    answered: Mapped[datetime | None]
    receipt_on_kit: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("kit_id", "kit_cert_serial", "seq"),
        CheckConstraint(f"state IN ({_STATES})", name="application_state"),
    )
