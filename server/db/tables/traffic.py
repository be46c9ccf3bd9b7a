"""What is on its way: uploads under way, messages heard once, and work that must happen."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from server.db.tables.shape import Base


class Upload(Base):
    """A packet being sent by a kit. `written` bytes are on disk; only the newest `generation` may add.
    `whole`: since when they are all here without an application of it."""

    __tablename__ = "upload"
    packet_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    kit_id: Mapped[str] = mapped_column(ForeignKey("kit.kit_id"), index=True)
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    generation: Mapped[int]
    written: Mapped[int]
    state: Mapped[str] = mapped_column(String(8))  # open, complete, refused
    reason: Mapped[str] = mapped_column(String(40), default="")
    touched: Mapped[datetime]
    whole: Mapped[datetime | None] = mapped_column(index=True)


class Message(Base):
    """A message of a kit that was taken in. Its key makes a second delivery do nothing.

    The message id, which begins with its time, comes first: what is new goes to the end of the tree, so that
    a row costs the same however many there are (kit first: 8 times more at 3 million rows)."""

    __tablename__ = "message"
    message_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    kit_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    received: Mapped[datetime] = mapped_column(index=True)
    outcome: Mapped[str] = mapped_column(String(40))


class Report(Base):
    """A health report, kept for a while. Only ever added to at the end, without an index of its kit: a report
    names the one before it of the same kit, and the kit's row the last."""

    __tablename__ = "report"
    report_id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    kit_id: Mapped[str] = mapped_column(String(32))
    previous: Mapped[int | None] = mapped_column(BigInteger)
    received: Mapped[datetime]
    at: Mapped[datetime]  # by the kit's clock, never later than `received`
    health: Mapped[str] = mapped_column(Text)  # JSON, as the kit wrote it


class OutboxRow(Base):
    """Work that must happen, written in the transaction of the fact that causes it; deleted when done."""

    __tablename__ = "outbox"
    # SQLite numbers rows by itself only when the key is exactly INTEGER.
    row_id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    queue: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(80))  # packet id, kit id: what the work is about
    body: Mapped[str] = mapped_column(String(80), default="")  # message id, doorbell name
    run_after: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    owner: Mapped[str] = mapped_column(
        String(32), default=""
    )  # changes with every claim: fences off the last one
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(String(80), default="")

    __table_args__ = (
        Index("outbox_next", "queue", "run_after"),
        Index("outbox_by_subject", "queue", "subject"),
    )
