"""Revocations with their effects, and the results of the broker's check."""

import sqlalchemy as sa
from alembic import op

from server.db.tables.shape import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revocation",
        sa.Column("kit_id", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(8), nullable=False),
        sa.Column("asked", Instant(), nullable=False),
        sa.Column("asked_by", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.PrimaryKeyConstraint("kit_id"),
    )
    op.create_table(
        "revocation_effect",
        sa.Column("kit_id", sa.String(32), nullable=False),
        sa.Column("effect", sa.String(20), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("detail", sa.String(300), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.PrimaryKeyConstraint("kit_id", "effect"),
    )
    op.create_table(
        "broker_check",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("detail", sa.String(300), nullable=False),
        sa.Column("remedy", sa.String(300), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("broker_check")
    op.drop_table("revocation_effect")
    op.drop_table("revocation")
