"""Jobs for kits, the settings they should have, and a notice to all."""

import sqlalchemy as sa
from alembic import op

from server.db.tables.shape import Instant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kit_job",
        sa.Column("job", sa.String(26), nullable=False),
        sa.Column("kit_id", sa.String(32), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("given_by", sa.String(64), nullable=False),
        sa.Column("issued", Instant(), nullable=False),
        sa.Column("not_after", Instant(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("code", sa.String(20), nullable=False),
        sa.Column("changed", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("offers", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.PrimaryKeyConstraint("job"),
    )
    op.create_index("kit_job_of_kit", "kit_job", ["kit_id", "job"])
    op.create_index("kit_job_open", "kit_job", ["state", "not_after"])
    op.create_table(
        "kit_twin",
        sa.Column("kit_id", sa.String(32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("set_by", sa.String(64), nullable=False),
        sa.Column("set_at", Instant(), nullable=True),
        sa.Column("not_after", Instant(), nullable=True),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("reported", sa.JSON(), nullable=True),
        sa.Column("reported_at", Instant(), nullable=True),
        sa.Column("reported_ses", sa.BigInteger(), nullable=False),
        sa.Column("reported_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.PrimaryKeyConstraint("kit_id"),
    )
    op.create_table(
        "fleet_notice",
        sa.Column("only", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minimum_version", sa.String(32), nullable=False),
        sa.Column("begins", Instant(), nullable=True),
        sa.Column("ends", Instant(), nullable=True),
        sa.Column("set_by", sa.String(64), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("only"),
    )


def downgrade() -> None:
    for table in ("fleet_notice", "kit_twin", "kit_job"):
        op.drop_table(table)
