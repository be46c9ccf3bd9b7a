"""The chain of custody."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "custody_step",
        sa.Column("packet_id", sa.String(length=26), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("step", sa.String(length=10), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["packet_id"], ["application.packet_id"]),
        sa.ForeignKeyConstraint(["tenant"], ["municipality.tenant"]),
        sa.PrimaryKeyConstraint("packet_id", "n"),
    )
    op.create_index("ix_custody_step_tenant", "custody_step", ["tenant"], unique=False)
    op.create_table(
        "custody_document",
        sa.Column("packet_id", sa.String(length=26), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["packet_id"], ["application.packet_id"]),
        sa.ForeignKeyConstraint(["tenant"], ["municipality.tenant"]),
        sa.PrimaryKeyConstraint("packet_id", "sha256"),
    )
    op.create_index("ix_custody_document_tenant", "custody_document", ["tenant"], unique=False)


def downgrade() -> None:
    op.drop_table("custody_document")
    op.drop_table("custody_step")
