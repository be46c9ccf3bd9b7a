"""Which officers may open which kit."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("kit") as kit:
        kit.add_column(sa.Column("roster_version", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "kit_officer",
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("officer_id", sa.String(length=40), nullable=False),
        sa.Column("listed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enrolment", sa.LargeBinary(), nullable=True),
        sa.Column("enrolment_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("on_kit", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.kit_id"]),
        sa.ForeignKeyConstraint(["officer_id"], ["officer.officer_id"]),
        sa.PrimaryKeyConstraint("kit_id", "officer_id"),
    )
    op.create_index("ix_kit_officer_tenant", "kit_officer", ["tenant"])


def downgrade() -> None:
    op.drop_table("kit_officer")
    op.drop_column("kit", "roster_version")
