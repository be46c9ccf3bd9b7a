"""Messages keyed by their time first; health reports kept; what was last heard of a kit."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("kit") as kit:
        kit.add_column(sa.Column("report_id", sa.BigInteger(), nullable=True))
        kit.add_column(sa.Column("report_ses", sa.BigInteger(), nullable=False, server_default="0"))
        kit.add_column(sa.Column("report_seq", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "report",
        sa.Column(
            "report_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("previous", sa.BigInteger(), nullable=True),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("health", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("report_id"),
    )
    _rekey(["message_id", "kit_id"])


def downgrade() -> None:
    _rekey(["kit_id", "message_id"])
    op.drop_table("report")
    with op.batch_alter_table("kit") as kit:
        for name in ("report_seq", "report_ses", "report_id"):
            kit.drop_column(name)


def _rekey(key: list[str]) -> None:
    """The same rows under another primary key."""
    op.drop_index("ix_message_received", "message")
    op.rename_table("message", "message_before")
    op.create_table(
        "message",
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint(*key, name="message_by_" + key[0]),
    )
    op.execute(
        "INSERT INTO message (message_id, kit_id, received, outcome)"
        " SELECT message_id, kit_id, received, outcome FROM message_before"
    )
    op.drop_table("message_before")
    op.create_index("ix_message_received", "message", ["received"], unique=False)
