"""Leases of the kits' stores, and kits that are lost."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("kit") as kit:
        kit.add_column(sa.Column("lost", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "kit_lease",
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("share", sa.LargeBinary(), nullable=True),
        sa.Column("following", sa.LargeBinary(), nullable=True),
        sa.Column("turned", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.PrimaryKeyConstraint("kit_id"),
    )


def downgrade() -> None:
    op.drop_table("kit_lease")
    op.drop_column("kit", "lost")
