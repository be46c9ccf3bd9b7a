"""A service may want parts of an application anew; the packet that brings them supplements it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("visit", sa.Column("recapture", sa.String(length=26), nullable=True))
    op.add_column("application", sa.Column("supplements", sa.String(length=26), nullable=True))
    op.create_index("ix_application_supplements", "application", ["supplements"], unique=False)
    op.create_table(
        "recapture",
        sa.Column("asked_by", sa.String(length=26), nullable=False),
        sa.Column("packet_id", sa.String(length=26), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("request_id", sa.String(length=26), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=4), nullable=False),
        sa.CheckConstraint("state IN ('open', 'done', 'late')", name="recapture_state"),
        sa.ForeignKeyConstraint(["asked_by"], ["application.packet_id"]),
        sa.ForeignKeyConstraint(["packet_id"], ["application.packet_id"]),
        sa.ForeignKeyConstraint(["request_id"], ["request.request_id"]),
        sa.ForeignKeyConstraint(["tenant"], ["municipality.tenant"]),
        sa.PrimaryKeyConstraint("asked_by"),
    )
    for column in ("packet_id", "request_id", "tenant"):
        op.create_index(f"ix_recapture_{column}", "recapture", [column], unique=False)


def downgrade() -> None:
    op.drop_table("recapture")
    op.drop_index("ix_application_supplements", "application")
    with op.batch_alter_table("application") as application:
        application.drop_column("supplements")
    with op.batch_alter_table("visit") as visit:
        visit.drop_column("recapture")
