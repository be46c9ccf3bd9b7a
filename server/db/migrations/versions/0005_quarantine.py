"""Assignments carry an epoch; what was done under an old one waits for a person."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("visit") as visit:
        visit.add_column(sa.Column("epoch", sa.Integer(), nullable=False, server_default="1"))
    with op.batch_alter_table("application") as application:
        application.add_column(sa.Column("epoch", sa.Integer(), nullable=True))
    op.create_table(
        "quarantine",
        sa.Column("item_id", sa.String(length=26), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("visit_id", sa.String(length=26), nullable=False),
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("packet_id", sa.String(length=26), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String(length=8), nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.ForeignKeyConstraint(["tenant"], ["municipality.tenant"]),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.visit_id"]),
        sa.PrimaryKeyConstraint("item_id"),
    )
    op.create_index("ix_quarantine_tenant", "quarantine", ["tenant"], unique=False)
    op.create_index("ix_quarantine_visit_id", "quarantine", ["visit_id"], unique=False)


def downgrade() -> None:
    op.drop_table("quarantine")
    with op.batch_alter_table("application") as application:
        application.drop_column("epoch")
    with op.batch_alter_table("visit") as visit:
        visit.drop_column("epoch")
